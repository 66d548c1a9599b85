"""The mount examples run as they stand, and never throw away what is not in the bucket."""

import os
import subprocess

import pytest

from harness.mount import REPOSITORY, SLUICE, is_mounted

EXAMPLES = REPOSITORY / "mount-examples"


def run_example(name, bucket, temporary, **variables):
    endpoint = {"AWS_ENDPOINT_URL": bucket.options[1]} if bucket.kind == "s3" else {}
    environment = {**os.environ, **bucket.environment, **endpoint, "SLUICE": str(SLUICE), "TMPDIR": str(temporary)}
    command = [EXAMPLES / name / "run", bucket.source]
    return subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, timeout=120)


@pytest.fixture
def temporary(tmp_path):
    path = tmp_path / "temporary"
    path.mkdir()
    return path


def test_the_robot_s_recording_is_in_the_bucket(bucket, temporary):
    result = run_example("robot-recording", bucket, temporary)
    assert result.returncode == 0, result.stderr
    assert bucket.keys() == ["drive.log"]
    assert len(bucket.read("drive.log")) == 500 * 2_012
    assert list(temporary.iterdir()) == []


def test_a_recording_that_could_not_be_sent_is_kept_and_its_place_told(file_bucket, temporary, tmp_path):
    """The recording succeeds, then the recorder fails: what it wrote must outlive the script."""
    tools = tmp_path / "tools"
    tools.mkdir()
    failing = tools / "python3"
    failing.write_text('#!/bin/sh\n/usr/bin/python3 "$@"\nexit 1\n')
    failing.chmod(0o755)
    options = {"PATH": f"{tools}:{os.environ['PATH']}", "SLUICE_UPLOAD_DELAY": "1h"}
    result = run_example("robot-recording", file_bucket, temporary, **options)
    assert result.returncode == 1
    (work,) = temporary.iterdir()
    assert str(work / "state") in result.stderr
    assert not is_mounted(work / "bags")
    assert (work / "state").is_dir()


def test_the_training_script_reads_every_shard_twice(bucket, temporary):
    for index in range(4):
        bucket.put(f"train/{index:02}.shard", os.urandom(1_000_000))
    result = run_example("training-read", bucket, temporary)
    assert result.returncode == 0, result.stderr
    assert "epoch 1: 4 shards, 4 MB" in result.stdout
    assert "epoch 2: 4 shards, 4 MB" in result.stdout
    assert list(temporary.iterdir()) == []
