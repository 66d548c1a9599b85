"""Signals, a network that goes and comes, other writers: nothing that was written is lost."""

import errno
import os
import random
import re
import signal
import subprocess
import time

import pytest

from harness.mount import is_mounted, sluice, timed, wait_for_uploads_to_start
from harness.processes import wait_until

MEBIBYTE = 1 << 20
TIME_RAN_OUT = 3
CONFLICT = re.compile(r"\.conflict-\S+$")


def conflict_copies(bucket):
    return [key for key in bucket.keys() if CONFLICT.search(key)]


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


# Ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_daemon_cleanly(number, bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "unsent").write_text("unsent")
    assert timed(lambda: mount.terminate(number)) < 5
    assert mount.pid is None and not is_mounted(mount.path)
    assert list(mount.path.iterdir()) == []
    mount.start()
    assert (mount.path / "unsent").read_text() == "unsent"
    mount.sync()
    assert bucket.read("unsent") == b"unsent"


def test_a_signal_ends_the_daemon_while_a_file_is_open(file_bucket, make_mount):
    # What goes past the daemon goes on without it.
    mount = make_mount(file_bucket, "-o", "passthrough=false").start()
    file = os.open(mount.path / "open", os.O_WRONLY | os.O_CREAT)
    os.write(file, b"written")
    assert timed(mount.terminate) < 5
    assert not is_mounted(mount.path)
    for call in (lambda: os.write(file, b"after the end"), lambda: os.close(file)):
        with pytest.raises(OSError) as failure:
            call()
        assert failure.value.errno == errno.ENOTCONN
    mount.start()
    assert (mount.path / "open").read_bytes() == b"written"


def test_an_outside_umount_ends_the_daemon(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "unsent").write_text("unsent")
    pid = mount.pid
    subprocess.run(["fusermount3", "-u", mount.path] if os.geteuid() else ["umount", mount.path], check=True)
    mount.wait_for_end(pid)
    assert not is_mounted(mount.path)
    mount.start()
    assert (mount.path / "unsent").read_text() == "unsent"


# The network


def write_without_waiting(path, content):
    """Each call must take local time, however the network is."""
    assert timed(lambda: path.write_bytes(content)) < 2


def test_without_a_network_everything_is_written_and_uploads_resume_by_themselves(network, make_mount):
    mount = make_mount(network.bucket).start()
    (mount.path / "before").write_bytes(b"before")
    mount.sync()
    network.proxy.cut()
    for index in range(20):
        write_without_waiting(mount.path / f"during-{index}", pattern(100_000, index))
    assert timed(lambda: (mount.path / "directory").mkdir()) < 2
    assert timed(lambda: (mount.path / "before").rename(mount.path / "directory" / "after")) < 2
    assert timed(lambda: (mount.path / "during-0").unlink()) < 2
    wait_until(lambda: mount.status()["link"]["state"] == "offline", "status says that the link is gone", 30)
    write_without_waiting(mount.path / "late", b"written when the link was known to be gone")
    assert (mount.path / "directory" / "after").read_bytes() == b"before"
    assert mount.status()["pending"]["files"] >= 20
    network.proxy.restore()
    back = time.monotonic()
    wait_until(lambda: mount.status()["pending"]["files"] == 0, "everything is sent by itself", 30)
    assert time.monotonic() - back < 25
    mount.sync(timeout=10)
    expected = {f"during-{index}" for index in range(1, 20)} | {"late", "directory/after"}
    assert set(network.bucket.keys()) == expected
    for index in range(1, 20):
        assert network.bucket.read(f"during-{index}") == pattern(100_000, index)
    assert mount.status()["link"]["state"] == "online"
    assert mount.status()["conflicts"] == []


def test_an_upload_cut_by_the_network_ends_right(network, make_mount):
    mount = make_mount(network.bucket).start()
    content = pattern(40 * MEBIBYTE)
    network.proxy.bytes_per_second = 10 * MEBIBYTE
    (mount.path / "large.bin").write_bytes(content)
    for _ in range(3):
        wait_for_uploads_to_start(mount)
        time.sleep(0.5)
        network.proxy.cut()
        time.sleep(0.2)
        network.proxy.restore()
    network.proxy.bytes_per_second = None
    mount.sync(timeout=60)
    assert network.bucket.keys() == ["large.bin"]
    assert network.bucket.read("large.bin") == content
    assert mount.status()["conflicts"] == []


def test_a_mount_starts_without_a_network_and_works_offline(network, make_mount):
    network.bucket.put("directory/cached", b"cached" * 1000)
    network.bucket.put("directory/not cached", b"elsewhere" * 1000)
    mount = make_mount(network.bucket).start()
    assert os.listdir(mount.path) == ["directory"]
    assert sorted(os.listdir(mount.path / "directory")) == ["cached", "not cached"]
    assert (mount.path / "directory" / "cached").read_bytes() == b"cached" * 1000
    (mount.path / "unsent").write_text("unsent")
    mount.stop()

    network.proxy.cut()
    assert timed(mount.start) < 20
    assert mount.status()["link"]["state"] == "offline"
    assert timed(lambda: os.listdir(mount.path)) < 2
    assert sorted(os.listdir(mount.path)) == ["directory", "unsent"]
    assert sorted(os.listdir(mount.path / "directory")) == ["cached", "not cached"]
    assert (mount.path / "directory" / "cached").read_bytes() == b"cached" * 1000
    assert (mount.path / "directory" / "not cached").stat().st_size == 9000
    start = time.monotonic()
    with pytest.raises(OSError) as failure:
        (mount.path / "directory" / "not cached").read_bytes()
    assert failure.value.errno == errno.EIO
    assert time.monotonic() - start < 12
    write_without_waiting(mount.path / "directory" / "new", b"written offline")
    network.proxy.restore()
    wait_until(lambda: "directory/new" in network.bucket.keys(), "the upload resumes by itself", 30)
    assert (mount.path / "directory" / "not cached").read_bytes() == b"elsewhere" * 1000


@pytest.mark.parametrize("timeout", [0, 1])
def test_unmount_with_a_timeout_keeps_the_rest_for_the_next_mount(network, make_mount, timeout):
    mount = make_mount(network.bucket).start()
    network.proxy.cut()
    (mount.path / "unsent.bin").write_bytes(pattern(2 * MEBIBYTE))
    pid = mount.pid
    start = time.monotonic()
    result = mount.unmount("--timeout", timeout)
    assert time.monotonic() - start < timeout + 5
    assert result.returncode == TIME_RAN_OUT
    assert len(result.stderr.splitlines()) == 1
    assert "1 files (2 MiB)" in result.stderr and "state directory" in result.stderr
    assert not is_mounted(mount.path)
    mount.wait_for_end(pid)
    network.proxy.restore()
    mount.start().sync(timeout=30)
    assert network.bucket.read("unsent.bin") == pattern(2 * MEBIBYTE)


def test_unmount_without_draining_leaves_everything_for_the_next_mount(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "unsent").write_text("unsent")
    result = mount.unmount("--no-drain")
    assert result.returncode == 0 and "1 files" in result.stderr
    assert bucket.keys() == []
    mount.start().sync()
    assert bucket.read("unsent") == b"unsent"


# Other writers


def the_conflict(mount):
    (conflict,) = mount.status()["conflicts"]
    return conflict


def assert_both_kept(mount, bucket, key, theirs, ours):
    """Theirs at the key, ours beside it, in the bucket, in the mount and in the status."""
    wait_until(lambda: conflict_copies(bucket), "the local version is kept beside the other", 20)
    mount.sync()
    (copy,) = conflict_copies(bucket)
    assert copy.startswith(key + ".conflict-")
    assert bucket.keys() == sorted([key, copy])
    assert bucket.read(key) == theirs and bucket.read(copy) == ours
    assert (mount.path / key).read_bytes() == theirs and (mount.path / copy).read_bytes() == ours
    assert the_conflict(mount)["path"] == key
    assert os.path.basename(copy) in the_conflict(mount)["message"]


def test_a_key_created_by_someone_else_meanwhile_is_kept_beside_the_local_file(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "sub").mkdir()
    (mount.path / "sub" / "same name").write_bytes(b"ours")
    bucket.put("sub/same name", b"theirs, longer")
    sluice("sync", mount.path, timeout=60)
    assert_both_kept(mount, bucket, "sub/same name", b"theirs, longer", b"ours")


def test_a_key_overwritten_by_someone_else_meanwhile_is_kept_beside_the_local_file(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "file").write_bytes(b"first")
    mount.sync()
    (mount.path / "file").write_bytes(b"ours")
    bucket.put("file", b"theirs, longer")
    sluice("sync", mount.path, timeout=60)
    assert_both_kept(mount, bucket, "file", b"theirs, longer", b"ours")


def test_a_key_overwritten_by_someone_else_while_offline_is_kept_beside_the_local_file(network, make_mount):
    mount = make_mount(network.bucket).start()
    (mount.path / "file").write_bytes(b"first")
    mount.sync()
    network.proxy.cut()
    (mount.path / "file").write_bytes(b"ours")
    network.bucket.put("file", b"theirs, longer")
    network.proxy.restore()
    assert_both_kept(mount, network.bucket, "file", b"theirs, longer", b"ours")


def test_a_key_overwritten_by_someone_else_during_a_multipart_upload_is_kept(network, make_mount):
    mount = make_mount(network.bucket).start()
    (mount.path / "file").write_bytes(b"first")
    mount.sync()
    ours = pattern(24 * MEBIBYTE)
    network.proxy.bytes_per_second = 8 * MEBIBYTE
    (mount.path / "file").write_bytes(ours)
    wait_for_uploads_to_start(mount)
    network.bucket.put("file", b"theirs")
    network.proxy.bytes_per_second = None
    assert_both_kept(mount, network.bucket, "file", b"theirs", ours)


def test_a_key_deleted_by_someone_else_is_written_again_by_a_local_change(bucket, make_mount):
    mount = make_mount(bucket).start()
    (mount.path / "file").write_bytes(b"first")
    mount.sync()
    bucket.delete("file")
    (mount.path / "file").write_bytes(b"second")
    mount.sync()
    assert bucket.keys() == ["file"] and bucket.read("file") == b"second"


def test_a_file_deleted_locally_and_changed_by_someone_else_stays_in_the_bucket(bucket, make_mount):
    mount = make_mount(bucket).start()
    (mount.path / "file").write_bytes(b"first")
    mount.sync()
    bucket.put("file", b"theirs, longer")
    (mount.path / "file").unlink()
    mount.sync()
    assert bucket.read("file") == b"theirs, longer"


def test_changes_by_someone_else_become_visible_within_the_metadata_ttl(bucket, make_mount):
    mount = make_mount(bucket, "-o", "metadata_ttl=1s").start()
    (mount.path / "file").write_bytes(b"first")
    mount.sync()
    bucket.put("file", b"second, longer")
    bucket.put("new", b"new")
    wait_until(lambda: (mount.path / "file").read_bytes() == b"second, longer", "the change is seen", 5)
    wait_until(lambda: "new" in os.listdir(mount.path), "the new file is seen", 5)
    bucket.delete("new")
    wait_until(lambda: "new" not in os.listdir(mount.path), "the deletion is seen", 5)
