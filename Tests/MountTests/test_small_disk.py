"""A state directory on a small disk that fills: who writes waits, nothing acknowledged is lost, reading goes on."""

import errno
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from harness.mount import sluice
from harness.processes import wait_until
from harness.small_disk import SmallDisk

MEBIBYTE = 1 << 20
SIZE = 64 * MEBIBYTE
FILE = 8 * MEBIBYTE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a loop device takes root")


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


@pytest.fixture
def disk(tmp_path):
    with SmallDisk(tmp_path, SIZE) as disk:
        yield disk


# Behind `disk` in the list of arguments, so that a mount ends before its disk does.
@pytest.fixture
def small(disk, network, make_mount):
    """Makes a mount of `network.bucket` whose state is on the small disk."""

    def make(*options):
        return make_mount(network.bucket, *options, state=disk.path / "state")

    return make


class Recorder(threading.Thread):
    """Writes files of 8 MiB one after the other, as a recorder that splits does; each write must be whole."""

    def __init__(self, mount, count):
        super().__init__(daemon=True)
        self.mount = mount
        self.count = count
        self.failure = None
        self.start()

    def run(self):
        try:
            for index in range(self.count):
                content = pattern(FILE, index)
                with open(self.mount.path / f"drive-{index}.bag", "wb", buffering=0) as file:
                    for start in range(0, FILE, 256 * 1024):
                        block = content[start : start + 256 * 1024]
                        written = file.write(block)
                        assert written == len(block)
        except BaseException as error:  # told by the test
            self.failure = error


def check_recording(bucket, count):
    for index in range(count):
        assert bucket.sha256(f"drive-{index}.bag") == hashlib.sha256(pattern(FILE, index)).hexdigest()


def wait_for_writers(mount):
    return wait_until(lambda: mount.status().get("waiting"), "a writer waits for space", 120)


def write_until_failure(mount):
    """Whole files of a mebibyte until a write fails; the names of those that were acknowledged, and the errno."""
    written = []
    for index in range(4 * SIZE // MEBIBYTE):
        name = f"file-{index}"
        try:
            (mount.path / name).write_bytes(pattern(MEBIBYTE, index))
        except OSError as error:
            return written, error.errno
        written.append(name)
    raise AssertionError("the disk never was full")


def check_files(bucket, names):
    for name in names:
        assert bucket.read(name) == pattern(MEBIBYTE, int(name.split("-")[1])), name


def check_journal(mount, tmp_path):
    """The journal of an ended mount is whole, by SQLite's own check."""
    copy = tmp_path / "journal copy"
    copy.mkdir(exist_ok=True)
    for name in ("journal.db", "journal.db-wal"):
        if (mount.state / name).exists():
            shutil.copy(mount.state / name, copy / name)
    with sqlite3.connect(copy / "journal.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_recording_larger_than_the_disk_arrives_and_its_writer_sees_no_error(disk, small, network):
    mount = small("-o", "full_wait=120s").start()
    mount_pause = sluice("pause", mount.path)
    assert mount_pause.returncode == 0
    recorder = Recorder(mount, 14)
    waiting = wait_for_writers(mount)
    assert waiting["writers"] == 1 and "cache_" in waiting["reason"]
    assert "writers for space" in sluice("status", mount.path).stdout
    assert os.statvfs(mount.path).f_bavail * os.statvfs(mount.path).f_frsize < 8 * MEBIBYTE
    assert sluice("resume", mount.path).returncode == 0
    recorder.join(300)
    assert not recorder.is_alive() and recorder.failure is None
    mount.sync(timeout=300)
    check_recording(network.bucket, 14)
    assert mount.status()["errors"] == [] and mount.status().get("waiting") is None


def test_without_a_link_writing_fails_after_the_wait_and_what_was_acknowledged_arrives(disk, small, network):
    mount = small("-o", "full_wait=2s").start()
    network.proxy.cut()
    start = time.monotonic()
    written, number = write_until_failure(mount)
    assert number == errno.ENOSPC and len(written) > 20 and time.monotonic() - start >= 2
    errors = mount.status()["errors"]
    assert any("ENOSPC" in error["message"] and "full_wait" in error["message"] for error in errors)
    network.proxy.restore()
    mount.sync(timeout=120)
    check_files(network.bucket, written)
    (mount.path / "room again").write_bytes(pattern(FILE, 1))
    mount.sync(timeout=120)
    assert network.bucket.read("room again") == pattern(FILE, 1)


def test_a_disk_that_others_fill_to_the_last_byte_harms_nothing(disk, small, network, tmp_path):
    remote = {f"remote-{index}": pattern(3 * MEBIBYTE, 100 + index) for index in range(2)}
    for name, content in remote.items():
        network.bucket.put(name, content)
    mount = small("-o", "full_wait=1s").start()
    assert sluice("pause", mount.path).returncode == 0
    (mount.path / "file-1").write_bytes(pattern(MEBIBYTE, 1))
    with open(mount.path / "file-1", "rb") as file:
        os.fsync(file.fileno())
    disk.fill()
    # Reading goes on, of what is on the disk and of what is not; writing fails after the wait.
    assert (mount.path / "file-1").read_bytes() == pattern(MEBIBYTE, 1)
    assert (mount.path / "remote-0").read_bytes() == remote["remote-0"]
    with pytest.raises(OSError) as failure:
        (mount.path / "file-2").write_bytes(pattern(MEBIBYTE, 2))
    assert failure.value.errno == errno.ENOSPC
    assert mount.status()["pending"]["bytes"] >= MEBIBYTE
    # Dead and mounted again, on a disk that is still full.
    mount.kill()
    mount.start()
    assert (mount.path / "file-1").read_bytes() == pattern(MEBIBYTE, 1)
    assert (mount.path / "remote-1").read_bytes() == remote["remote-1"]
    # Uploading goes on, which needs the journal.
    mount.sync("/".join((str(mount.path), "file-1")), timeout=120)
    check_files(network.bucket, ["file-1"])
    mount.kill()
    disk.empty()
    mount.start()
    for name, content in remote.items():
        assert (mount.path / name).read_bytes() == content
    (mount.path / "file-3").write_bytes(pattern(MEBIBYTE, 3))
    mount.sync(timeout=120)
    check_files(network.bucket, ["file-1", "file-3"])
    mount.stop()
    check_journal(mount, tmp_path)


def test_a_disk_that_was_full_while_the_mount_ran_needs_no_restart(disk, small, network):
    mount = small().start()
    disk.fill()
    program = "import sys; open(sys.argv[1], 'wb').write(bytes(range(256)) * 4096)"
    writer = subprocess.Popen([sys.executable, "-c", program, mount.path / "late"])
    try:
        assert wait_for_writers(mount)["reason"].startswith("the disk")
        assert writer.poll() is None
        disk.empty()
        assert writer.wait(120) == 0
    finally:
        writer.kill()
        writer.wait()
    mount.sync(timeout=120)
    assert network.bucket.read("late") == bytes(range(256)) * 4096


def test_configured_so_a_full_disk_is_told_at_once(disk, small, network):
    mount = small("-o", "full_wait=0s").start()
    network.proxy.cut()
    written, number = write_until_failure(mount)
    assert number == errno.ENOSPC and mount.status().get("waiting") is None
    network.proxy.restore()
    mount.sync(timeout=120)
    check_files(network.bucket, written)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_writer_that_waits_is_ended_by_a_signal(disk, small, network, number):
    mount = small().start()
    assert os.listdir(mount.path) == []
    network.proxy.cut()
    program = "import sys; file = open(sys.argv[1], 'wb', buffering=0)\nwhile True: file.write(bytes(1 << 20))"
    writer = subprocess.Popen([sys.executable, "-c", program, mount.path / "file"], stderr=subprocess.DEVNULL)
    try:
        wait_for_writers(mount)
        # Others go on meanwhile.
        assert (mount.path / "file").stat().st_size > 0 and os.listdir(mount.path) == ["file"]
        writer.send_signal(number)
        writer.wait(60)
    finally:
        writer.kill()
        writer.wait(60)
    wait_until(lambda: mount.status().get("waiting") is None, "nobody waits any more", 60)
    size = (mount.path / "file").stat().st_size
    network.proxy.restore()
    mount.sync(timeout=120)
    assert network.bucket.read("file") == bytes(size)
