"""FUSE passthrough: bytes that go from the kernel to the data file, which the daemon does not see pass."""

import contextlib
import mmap
import os
import shutil
import signal
import subprocess
import sys

import pytest

from harness.mount import sluice
from harness.processes import wait_until
from harness.small_disk import SmallDisk

MEBIBYTE = 1 << 20


@pytest.fixture
def passing(file_bucket, make_mount):
    """A mount that uses passthrough; skips where that cannot be."""
    mount = make_mount(file_bucket, "-o", "passthrough=true").start()
    state = mount.status()["passthrough"]
    if state["state"] != "on":
        pytest.skip(f"no passthrough: {state['reason']}")
    # Beside the 2 GiB that are left to others, a little for what a test writes.
    if shutil.disk_usage(mount.state).free < 19 << 30:
        pytest.skip("no passthrough for writers: under 16 GiB are left on this disk")
    return mount


def run(program, *arguments):
    """Starts a Python program as another process, which says a line when it is ready and goes on after one."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def say(process, line="go on"):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def goes_past(mount, file):
    """Whether a read through a handle, at its position, is answered while the daemon is stopped: from the data file."""
    daemon = mount.pid
    os.kill(daemon, signal.SIGSTOP)
    try:
        with subprocess.Popen(["head", "-c", "5"], stdin=file, stdout=subprocess.PIPE) as reader:
            try:
                reader.communicate(timeout=3)
                return True
            except subprocess.TimeoutExpired:
                return False
            finally:
                os.kill(daemon, signal.SIGCONT)
    finally:
        os.kill(daemon, signal.SIGCONT)


def data_file(mount, path):
    number = path.stat().st_ino
    return mount.state / "data" / f"{number % 256:02x}" / str(number)


def kill_daemon(mount):
    """kill -9; the dead mount stays."""
    pid = mount.pid
    os.kill(pid, signal.SIGKILL)
    mount.wait_for_end(pid)


@contextlib.contextmanager
def outliving(path, mode):
    """A file that is open when its daemon dies: close(2) asks that as well, and says that it is gone."""
    file = open(path, mode, buffering=0)
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):
            file.close()


def start_again(mount):
    subprocess.run(["umount", "-l", str(mount.path)], check=True)
    mount.start()


# rosbag, sqlite3 and HDF5 open what they write for reading as well.
@pytest.mark.parametrize("mode", ["wb", "w+b"])
def test_writes_and_reads_need_no_daemon(passing, mode):
    with outliving(passing.path / "file", mode) as writer, outliving(passing.path / "file", "rb") as reader:
        kill_daemon(passing)
        for _ in range(100):
            assert writer.write(b"x" * 4096) == 4096
        assert reader.read(10) == b"x" * 10
    start_again(passing)
    passing.sync()
    assert passing.bucket.read("file") == b"x" * 409_600


def test_a_file_of_the_bucket_goes_past_from_the_second_reading_on(passing):
    content = os.urandom(3 * MEBIBYTE)
    passing.bucket.put("file", content)
    path = passing.path / "file"
    assert path.read_bytes() == content
    # The daemon may learn of the close a moment later.
    wait_until(lambda: opened_and_passing(passing, path), "the next reading goes past", 30)
    assert path.read_bytes() == content


def opened_and_passing(mount, path):
    with open(path, "rb", buffering=0) as file:
        return goes_past(mount, file)


def test_size_and_time_are_those_of_the_moment_while_another_process_writes(passing):
    program = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for line in sys.stdin:
    print(os.write(file, b"x" * int(line)), flush=True)
"""
    path = passing.path / "log"
    writer = run(program, path)
    try:
        size, times = 0, set()
        for count in range(1, 200):
            say(writer, str(count))
            size += int(writer.stdout.readline())
            status = path.stat()
            assert status.st_size == size == data_file(passing, path).stat().st_size
            assert os.stat(passing.path / "log").st_size == size
            times.add(status.st_mtime_ns)
        assert len(times) > 20
        listed = {entry.name: entry.stat().st_size for entry in os.scandir(passing.path)}
        assert listed == {"log": size}
    finally:
        writer.stdin.close()
        assert writer.wait(30) == 0
    passing.sync()
    assert passing.bucket.read("log") == b"x" * size


def test_programs_of_all_kinds_have_one_file_together(passing):
    path = passing.path / "file"
    with open(path, "wb", buffering=0) as first:
        first.write(b"0123456789" * 1000)
        with open(path, "r+b", buffering=0) as both, open(path, "rb", buffering=0) as reader, open(path, "ab", 0) as appender:
            mapping = mmap.mmap(both.fileno(), 10_000)
            mapping[:4] = b"MMAP"
            assert os.pread(reader.fileno(), 6, 0) == b"MMAP45"
            appender.write(b"end")
            assert path.stat().st_size == 10_003
            os.ftruncate(both.fileno(), 10_001)
            assert os.pread(reader.fileno(), 10, 9_999) == b"9e"
            os.fsync(both.fileno())
            assert os.lseek(reader.fileno(), 0, os.SEEK_HOLE) == 10_001
            os.posix_fallocate(both.fileno(), 0, 20_000)
            assert path.stat().st_size == 20_000
            assert os.copy_file_range(reader.fileno(), both.fileno(), 4, 0, 15_000) == 4
            assert os.pread(reader.fileno(), 4, 15_000) == b"MMAP"
            os.truncate(path, 16_000)
            mapping.close()
    with open(path, "rb") as file:
        content = file.read()
    assert content[:6] == b"MMAP45" and len(content) == 16_000 and content[15_000:15_004] == b"MMAP"
    passing.sync()
    assert passing.bucket.read("file") == content


@pytest.mark.parametrize("first", ["wb", "w+b"])
def test_what_is_stored_through_a_mapping_that_outlives_its_handles_reaches_the_bucket(passing, first):
    path = passing.path / "array"
    with open(path, first, buffering=0) as writer:
        writer.write(bytes(MEBIBYTE))
        with open(path, "r+b", buffering=0) as both:
            mapping = mmap.mmap(both.fileno(), MEBIBYTE)
    # As long as it is mapped, it counts as open.
    for index in range(20):
        mapping[index * 4096] = index + 1
        assert path.read_bytes()[index * 4096] == index + 1
        passing.sync()
        assert passing.bucket.read("array")[index * 4096] == index + 1
    mapping[MEBIBYTE - 1] = 255
    content = mapping[:]
    mapping.close()
    wait_until(lambda: passing.bucket.read("array") == content, "the last store is in the bucket")
    wait_until(lambda: passing.status()["pending"]["files"] == 0, "nothing is left to send")


@pytest.mark.parametrize("size", [0, 20 * MEBIBYTE], ids=["whole", "in parts"])
def test_sync_sends_a_moment_of_a_file_that_grows_all_the_time(passing, size):
    program = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
count = 0
while not os.path.exists(sys.argv[2]):
    os.write(file, count.to_bytes(8, "big") * 128)
    count += 1
    if count * 1024 == int(sys.argv[3]): print("ready", flush=True)
    if count * 1024 >= int(sys.argv[3]): time.sleep(0.001)
"""
    path, end = passing.path / "drive.bag", passing.state.parent / "end"
    writer = run(program, path, end, max(size, 1024))
    try:
        assert writer.stdout.readline() == "ready\n"
        for _ in range(3):
            passing.sync(path)
            content = passing.bucket.read("drive.bag")
            assert len(content) >= size and content == path.read_bytes()[: len(content)]
            assert writer.poll() is None
    finally:
        end.touch()
        assert writer.wait(60) == 0
    passing.sync()
    assert passing.bucket.read("drive.bag") == path.read_bytes()


@pytest.mark.parametrize("visit", ["read", "write", "both"])
def test_what_is_opened_beside_a_reader_and_not_written_is_not_sent(passing, visit):
    passing.bucket.put("file", b"text" * 1000)
    path = passing.path / "file"
    assert path.read_bytes() == b"text" * 1000
    os.utime(path, (1_000_000_000, 1_000_000_000))
    passing.sync()
    before = passing.bucket.versions()
    wait_until(lambda: opened_and_passing(passing, path), "all of the file is local for good", 30)
    etag = os.getxattr(path, "user.sluice.etag")
    with open(path, "rb", buffering=0) as reader:
        assert reader.read(4) == b"text"
        flags = {"read": os.O_RDONLY, "write": os.O_WRONLY, "both": os.O_RDWR}[visit]
        os.close(os.open(path, flags))
    wait_until(lambda: os.getxattr(path, "user.sluice.state") == b"clean", "the file is as in the bucket")
    assert path.stat().st_mtime == 1_000_000_000 and os.getxattr(path, "user.sluice.etag") == etag
    passing.sync()
    assert passing.bucket.versions() == before
    assert passing.status()["pending"] == {"files": 0, "bytes": 0, "operations": 0}


def test_who_writes_on_after_the_death_of_the_daemon_loses_nothing(passing):
    path = passing.path / "drive.bag"
    with outliving(path, "wb") as orphan:
        orphan.write(b"1" * 1000)
        kill_daemon(passing)
        orphan.write(b"2" * 1000)
        start_again(passing)
        # Another file arrives; this one waits for its writer, and shows what is written.
        (passing.path / "other").write_bytes(b"other")
        wait_until(lambda: "other" in passing.bucket.keys(), "the other file is in the bucket")
        for count in range(20):
            orphan.write(b"3" * 1000)
            wait_until(lambda: path.stat().st_size == 3000 + 1000 * count, "the size follows")
            assert len(path.read_bytes()) == 3000 + 1000 * count
        assert os.getxattr(path, "user.sluice.state") == b"dirty"
        passing.sync()
        assert len(passing.bucket.read("drive.bag")) == 22_000
        orphan.write(b"4" * 1000)
    content = b"1" * 1000 + b"2" * 1000 + b"3" * 20_000 + b"4" * 1000
    wait_until(lambda: passing.bucket.read("drive.bag") == content, "all of it is in the bucket")
    wait_until(lambda: passing.status()["pending"]["files"] == 0, "nothing is left to send")
    passing.stop()
    assert sluice("fsck", passing.state).returncode == 0


def test_programs_are_executed_from_the_mount(passing):
    shutil.copy("/bin/true", passing.path / "program")
    os.chmod(passing.path / "program", 0o755)
    for _ in range(3):
        subprocess.run([passing.path / "program"], check=True)
    passing.sync()
    subprocess.run([passing.path / "program"], check=True)


def test_writes_take_set_id_bits_away(passing):
    path = passing.path / "file"
    with open(path, "wb", buffering=0) as writer:
        writer.write(b"text")
        os.fchmod(writer.fileno(), 0o6755)
        assert path.stat().st_mode & 0o7777 == 0o6755
        writer.write(b"more")
        assert path.stat().st_mode & 0o7777 == 0o755
        os.fchmod(writer.fileno(), 0o6755)
    assert path.stat().st_mode & 0o7777 == 0o6755


def test_renamed_replaced_and_unlinked_files_go_on(passing):
    (passing.path / "target").write_bytes(b"old")
    with open(passing.path / "target", "rb", buffering=0) as old, open(passing.path / "new", "wb", buffering=0) as new:
        new.write(b"new")
        os.rename(passing.path / "new", passing.path / "target")
        new.write(b"er")
        assert old.read() == b"old" and (passing.path / "target").read_bytes() == b"newer"
        os.unlink(passing.path / "target")
        new.write(b" still")
        assert os.fstat(new.fileno()).st_size == 11 and os.listdir(passing.path) == []
    passing.sync()
    assert passing.bucket.keys() == []


def test_what_others_replace_is_read_to_its_end_by_who_has_it_open(passing):
    old, new = os.urandom(2 * MEBIBYTE), os.urandom(MEBIBYTE)
    passing.bucket.put("file", old)
    path = passing.path / "file"
    assert path.read_bytes() == old
    wait_until(lambda: opened_and_passing(passing, path), "all of the file is local for good", 30)
    with open(path, "rb", buffering=0) as reader:
        assert reader.read(1000) == old[:1000]
        passing.bucket.put("file", new)
        wait_until(lambda: path.read_bytes() == new, "the new version is seen", 60)
        assert reader.read(3 * MEBIBYTE) == old[1000:]


def test_switched_off_all_bytes_go_through_the_daemon(file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "passthrough=false").start()
    assert mount.status()["passthrough"] == {"state": "off", "reason": "passthrough = false"}
    assert "through the daemon: passthrough = false" in sluice("status", mount.path).stdout
    with outliving(mount.path / "file", "wb") as writer:
        writer.write(b"x" * 100_000)
        check_that_requests_go_to_the_daemon(mount, writer)
    start_again(mount)
    mount.sync()
    assert file_bucket.read("file") == b"x" * 100_000


def check_that_requests_go_to_the_daemon(mount, writer):
    kill_daemon(mount)
    with pytest.raises(OSError):
        writer.write(b"more")


def test_check_tells_of_passthrough(file_bucket):
    told = sluice("check", file_bucket.source, "-o", "passthrough=false").stdout
    assert "no passthrough: passthrough = false" in told
    assert "passthrough" in sluice("check", file_bucket.source).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="a loop device takes root")
def test_on_a_small_disk_writes_go_through_the_daemon_which_can_hold_them_back(small_disk, file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "passthrough=true", state=small_disk.path / "state").start()
    with outliving(mount.path / "file", "wb") as writer:
        writer.write(b"text")
        check_that_requests_go_to_the_daemon(mount, writer)


@pytest.fixture
def small_disk(tmp_path):
    with SmallDisk(tmp_path, 64 * MEBIBYTE) as disk:
        yield disk
