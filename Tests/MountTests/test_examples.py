"""The mount examples run as they stand, and never throw away what is not in the bucket."""

import os
import subprocess
import sys

import pytest
from rosbags.highlevel import AnyReader

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


@pytest.fixture
def make_python(tmp_path):
    """Makes a Python without any libraries, and a line of shell that runs after it."""

    def make(then="exit $?"):
        path = tmp_path / "python"
        path.write_text(f'#!/bin/sh\n"{sys.executable}" -I -S "$@"\n{then}\n')
        path.chmod(0o755)
        return str(path)

    return make


def test_the_robot_s_bag_is_in_the_bucket(bucket, temporary, tmp_path):
    result = run_example("robot-recording", bucket, temporary, PYTHON=sys.executable)
    assert result.returncode == 0, result.stderr
    assert bucket.keys() == ["drive/drive.mcap", "drive/metadata.yaml"]
    (tmp_path / "drive").mkdir()
    for key in bucket.keys():
        (tmp_path / key).write_bytes(bucket.read(key))
    with AnyReader([tmp_path / "drive"]) as reader:
        assert sorted(connection.topic for connection, _, _ in reader.messages()) == ["/camera"] * 500 + ["/log"] * 500
    assert list(temporary.iterdir()) == []


def test_a_python_without_libraries_records_a_log(bucket, temporary, make_python):
    result = run_example("robot-recording", bucket, temporary, PYTHON=make_python())
    assert result.returncode == 0, result.stderr
    assert bucket.keys() == ["drive.log"]
    assert len(bucket.read("drive.log")) == 500 * 2_012
    assert list(temporary.iterdir()) == []


def test_a_recording_that_could_not_be_sent_is_kept_and_its_place_told(file_bucket, temporary, make_python):
    """The recording succeeds, then the recorder fails: what it wrote must outlive the script."""
    options = {"PYTHON": make_python(then="exit 1"), "SLUICE_UPLOAD_DELAY": "1h"}
    result = run_example("robot-recording", file_bucket, temporary, **options)
    assert result.returncode == 1
    (work,) = temporary.iterdir()
    assert str(work / "state") in result.stderr
    assert not is_mounted(work / "bags")
    assert (work / "state").is_dir()


@pytest.mark.parametrize("has_libraries", [True, False])
def test_the_training_script_reads_every_shard_twice(bucket, temporary, make_python, has_libraries):
    for index in range(4):
        bucket.put(f"train/{index:02}.shard", os.urandom(1_000_000))
    python = sys.executable if has_libraries else make_python()
    result = run_example("training-read", bucket, temporary, PYTHON=python)
    assert result.returncode == 0, result.stderr
    assert "epoch 1: 4 shards, 4 MB" in result.stdout
    assert "epoch 2: 4 shards, 4 MB" in result.stdout
    assert result.stdout.count("cache     3.8 MiB used") == 2, "what the first pass read is on the local disk"
    assert list(temporary.iterdir()) == []
