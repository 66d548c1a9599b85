"""The commands as scripts use them: what they print, and their exit codes."""

import json
import os
import time

import pytest

from harness.mount import is_mounted, sluice, timed, wait_for_uploads_to_start
from harness.processes import wait_until

DONE, FAILED, USAGE, TIME_RAN_OUT = 0, 1, 2, 3
MEBIBYTE = 1 << 20


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


# status


def assert_complete(status):
    """Every key that scripts rely on, of its type."""
    assert whole(status["pending"]["files"]) and whole(status["pending"]["bytes"])
    assert isinstance(status["uploading"], list)
    assert status["link"]["state"] in ("online", "offline", "paused")
    assert isinstance(status["conflicts"], list) and isinstance(status["errors"], list)
    assert all(whole(status["cache"][key]) for key in ("used_bytes", "dirty_bytes", "limit_bytes"))
    for key in ("upload_bytes_per_second", "download_bytes_per_second"):
        assert isinstance(status["rates"][key], (int, float)) and status["rates"][key] >= 0


def test_status_of_an_idle_mount_has_every_key_and_nothing_to_do(mount, bucket):
    (mount.path / "a").write_bytes(b"a" * 5000)
    mount.sync()
    status = mount.status()
    assert_complete(status)
    assert status["source"].startswith(bucket.source)
    assert status["mountpoint"] == str(mount.path)
    assert status["pending"]["files"] == 0 and status["pending"]["bytes"] == 0
    assert status["uploading"] == status["conflicts"] == status["errors"] == []
    assert status["link"]["state"] == "online"
    assert status["cache"]["dirty_bytes"] == 0
    assert 5000 <= status["cache"]["used_bytes"] <= MEBIBYTE
    assert status["cache"]["limit_bytes"] > 0


def test_status_during_an_upload_tells_how_far_it_is(network, make_mount):
    network.proxy.bytes_per_second = 4 * MEBIBYTE
    mount = make_mount(network.bucket).start()
    (mount.path / "sub").mkdir()
    size = 12 * MEBIBYTE
    (mount.path / "sub" / "large.bin").write_bytes(bytes(size))
    upload = wait_for_uploads_to_start(mount)
    assert upload["path"] == "sub/large.bin"
    assert upload["bytes_total"] == size
    assert 0 < upload["bytes_done"] <= size
    status = wait_until(
        lambda: (status := mount.status())["rates"]["upload_bytes_per_second"] > 0 and status, "a rate is told"
    )
    assert_complete(status)
    assert status["pending"]["files"] >= 1 and status["pending"]["bytes"] == size
    assert status["cache"]["dirty_bytes"] >= size
    assert status["rates"]["upload_bytes_per_second"] < 40 * MEBIBYTE
    done = [upload["bytes_done"]]
    while uploading := mount.status()["uploading"]:
        done.append(uploading[0]["bytes_done"])
    assert done == sorted(done), "an upload that nothing disturbs never goes back"
    assert len(set(done)) > 2, "the progress is not told while it happens"
    network.proxy.bytes_per_second = None
    mount.sync()
    assert network.bucket.read("sub/large.bin") == bytes(size)


def test_status_for_people_says_what_the_json_says(network, make_mount):
    mount = make_mount(network.bucket).start()
    assert sluice("pause", mount.path).returncode == DONE
    (mount.path / "waiting.bin").write_bytes(bytes(2 * MEBIBYTE))
    result = sluice("status", mount.path)
    assert result.returncode == DONE and result.stderr == ""
    for words in (network.bucket.source, str(mount.path), "paused", "1 files, 2 MiB", "limit"):
        assert words in result.stdout


def test_status_without_a_path_lists_all_mounts(file_bucket, make_bucket, make_mount):
    first, second = make_mount(file_bucket).start(), make_mount(make_bucket("file")).start()
    result = sluice("status", "--json")  # the machine may have more mounts, and dead ones
    reports = {report["mountpoint"]: report for report in json.loads(result.stdout)}
    for path in (str(first.path), str(second.path)):
        assert path not in result.stderr
        assert_complete(reports[path])


def test_status_of_all_shows_the_mounts_that_live(file_bucket, make_bucket, make_mount):
    dead, alive = make_mount(file_bucket).start(), make_mount(make_bucket("file")).start()
    os.kill(dead.pid, 9)
    result = sluice("status", "--json")
    assert result.returncode == FAILED
    assert any(str(dead.path) in line and "dead" in line for line in result.stderr.splitlines())
    assert str(alive.path) in [report["mountpoint"] for report in json.loads(result.stdout)]


def test_unmount_of_a_dead_mount_needs_no_daemon(file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "upload_delay=1h").start()
    (mount.path / "kept").write_text("kept")
    pid = mount.pid
    os.stat(mount.path)  # which the kernel answers by itself for a second from now on
    os.kill(pid, 9)
    mount.wait_for_end(pid)
    assert mount.unmount().returncode == DONE
    assert not is_mounted(mount.path)
    assert (mount.start().path / "kept").read_text() == "kept"


def test_a_path_inside_the_mount_will_do(mount):
    (mount.path / "a" / "b").mkdir(parents=True)
    result = sluice("status", mount.path / "a" / "b", "--json")
    assert result.returncode == DONE, result.stderr
    assert json.loads(result.stdout)["mountpoint"] == str(mount.path)


# Exit codes


@pytest.mark.parametrize("command", ["sync", "status", "unmount", "pause", "resume"])
def test_outside_a_mount_a_command_fails_and_says_so(command, tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        result = sluice(command, path)
        assert result.returncode == FAILED
        assert len(result.stderr.splitlines()) == 1
        assert str(path) in result.stderr and "not in a sluice mount" in result.stderr


def test_sync_of_a_file_that_is_not_there_fails(mount):
    result = sluice("sync", mount.path / "missing")
    assert result.returncode == FAILED
    assert len(result.stderr.splitlines()) == 1 and "no such file" in result.stderr


def test_unmount_below_a_mount_fails_and_names_the_mount(mount):
    (mount.path / "sub").mkdir()
    result = sluice("unmount", mount.path / "sub")
    assert result.returncode == FAILED
    assert str(mount.path) in result.stderr
    assert is_mounted(mount.path)


def test_unmount_in_use_fails_and_the_mount_goes_on(mount, bucket):
    with open(mount.path / "open", "wb") as file:
        result = mount.unmount()
        assert result.returncode == FAILED
        assert "in use" in result.stderr
        file.write(b"still written")
    mount.stop()
    assert bucket.read("open") == b"still written"


@pytest.mark.parametrize(
    "arguments",
    [
        ["mount"],
        ["mount", "file:///tmp"],
        ["mount", "file:///tmp", "/tmp", "surplus"],
        ["mount", "--no-such-option", "file:///tmp", "/tmp"],
        ["mount", "s3://b", "/tmp", "--path-style", "--virtual-host"],
        ["sync"],
        ["sync", "/tmp", "--timeout", "soon"],
        ["sync", "/tmp", "--timeout=-1"],
        ["sync", "/tmp", "--timeout=1e300"],
        ["sync", "/tmp", "--timeout=nan"],
        ["unmount"],
        ["unmount", "/tmp", "--timeout=-1"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments):
    result = sluice(*arguments)
    assert result.returncode == USAGE, result.stderr
    assert result.stdout == "" and "Usage: sluice" in result.stderr


@pytest.mark.parametrize("command", ["mount", "unmount", "sync", "status", "pause", "resume", "check"])
def test_each_command_explains_itself(command):
    result = sluice(command, "--help")
    assert result.returncode == DONE and result.stderr == ""
    assert result.stdout.startswith("OVERVIEW: ") and f"USAGE: sluice {command}" in result.stdout


# sync


def test_sync_returns_when_everything_under_the_path_is_in_the_bucket(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    for name in ("now/a", "now/deep/b", "later/c"):
        (mount.path / name).parent.mkdir(parents=True, exist_ok=True)
        (mount.path / name).write_text(name)
    mount.sync(mount.path / "now")
    assert {"now/a", "now/deep/b"} <= set(bucket.keys())
    assert bucket.read("now/deep/b") == b"now/deep/b"
    mount.sync(mount.path / "later" / "c")
    assert bucket.read("later/c") == b"later/c"


def test_sync_sends_a_file_that_is_still_open(mount, bucket):
    with open(mount.path / "log", "wb", buffering=0) as file:
        file.write(b"first ")
        mount.sync()
        assert bucket.read("log") == b"first "
        file.write(b"second")
    mount.sync()
    assert bucket.read("log") == b"first second"


@pytest.mark.parametrize("timeout", [0, 1])
def test_sync_ends_with_3_and_says_how_much_is_left_when_time_runs_out(network, make_mount, timeout):
    mount = make_mount(network.bucket).start()
    network.proxy.cut()
    (mount.path / "waiting.bin").write_bytes(bytes(2 * MEBIBYTE))
    start = time.monotonic()
    result = sluice("sync", mount.path, "--timeout", timeout)
    assert timeout <= time.monotonic() - start < timeout + 2
    assert result.returncode == TIME_RAN_OUT
    assert len(result.stderr.splitlines()) == 1 and "1 files (2 MiB)" in result.stderr
    network.proxy.restore()
    mount.sync(timeout=30)
    assert network.bucket.read("waiting.bin") == bytes(2 * MEBIBYTE)


# pause and resume


def test_pause_holds_uploads_back_until_resume(mount, bucket):
    assert sluice("pause", mount.path).returncode == DONE
    assert mount.status()["link"]["state"] == "paused"
    (mount.path / "held").write_bytes(b"held")
    assert sluice("sync", mount.path, "--timeout", 1.5).returncode == TIME_RAN_OUT
    assert bucket.keys() == []
    assert mount.status()["pending"]["files"] == 1
    assert (mount.path / "held").read_bytes() == b"held"
    assert sluice("resume", mount.path).returncode == DONE
    assert mount.status()["link"]["state"] == "online"
    assert timed(lambda: mount.sync(timeout=10)) < 5
    assert bucket.read("held") == b"held"


def test_reading_goes_on_while_paused(bucket, make_mount):
    bucket.put("there", b"remote" * 1000)
    mount = make_mount(bucket).start()
    assert sluice("pause", mount.path).returncode == DONE
    assert (mount.path / "there").read_bytes() == b"remote" * 1000
