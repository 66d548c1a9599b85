"""Bytes of files: reserving, punching, holes, copies, mappings, direct and synchronous I/O, very large files, locks."""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import struct
import subprocess
import sys

import pytest

from harness.processes import wait_until

KIBIBYTE, MEBIBYTE, GIBIBYTE = 1 << 10, 1 << 20, 1 << 30
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64

libc = ctypes.CDLL(None, use_errno=True)


def fallocate(file, mode, offset, length):
    """fallocate(2); Python has only the emulated posix_fallocate(3)."""
    if libc.fallocate64(file.fileno(), mode, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


def run(program, *arguments):
    """Starts a Python program as another process."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def fails(number):
    """The block must raise an OSError of this errno."""
    return pytest.raises(OSError, match=rf"\[Errno {number}\]")


@pytest.fixture
def local(file_bucket, make_mount):
    """A mount that uploads nothing by itself."""
    return make_mount(file_bucket, "-o", "upload_delay=1h").start()


def allocated(mount, path):
    """Bytes that a file takes in the state directory."""
    number = path.stat().st_ino
    return (mount.state / "data" / f"{number % 256:02x}" / str(number)).stat().st_blocks * 512


# fallocate


def test_ranges_are_reserved_zeroed_and_punched_and_reach_the_bucket(mount, bucket):
    content = bytearray(pattern(MEBIBYTE))
    with open(mount.path / "file", "w+b", buffering=0) as file:
        file.write(content)
        fallocate(file, 0, MEBIBYTE, 100)
        fallocate(file, KEEP_SIZE, 0, 2 * MEBIBYTE)
        fallocate(file, ZERO, 1_000, 100_000)
        fallocate(file, ZERO | KEEP_SIZE, MEBIBYTE, 10_000)
        fallocate(file, PUNCH_HOLE | KEEP_SIZE, 500_001, 100_000)
        content += bytes(100)
        content[1_000:101_000] = bytes(100_000)
        content[500_001:600_001] = bytes(100_000)
        assert os.pread(file.fileno(), 2 * MEBIBYTE, 0) == content
    assert (mount.path / "file").read_bytes() == content
    mount.sync()
    assert bucket.read("file") == content


def test_zeros_punched_into_a_remote_file_stay_zeros_through_a_kill_and_an_upload(bucket, make_mount):
    content = bytearray(pattern(3 * MEBIBYTE))
    bucket.put("file", bytes(content))
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    with open(mount.path / "file", "r+b", buffering=0) as file:
        fallocate(file, PUNCH_HOLE | KEEP_SIZE, MEBIBYTE, 100_000)
        fallocate(file, ZERO | KEEP_SIZE, 2 * MEBIBYTE + 1, 100_000)
    for start in (MEBIBYTE, 2 * MEBIBYTE + 1):
        content[start : start + 100_000] = bytes(100_000)
    mount.kill()
    mount.start()
    assert (mount.path / "file").read_bytes() == content
    mount.sync()
    assert bucket.read("file") == content
    mount.stop()
    other = make_mount(bucket).start()
    assert (other.path / "file").read_bytes() == content


def test_a_punched_hole_gives_its_space_back(local):
    path = local.path / "file"
    with open(path, "w+b", buffering=0) as file:
        file.write(bytes(range(256)) * 4 * 4096)
        os.fsync(file.fileno())
        before = allocated(local, path)
        fallocate(file, PUNCH_HOLE | KEEP_SIZE, 0, 3 * MEBIBYTE)
        assert before - allocated(local, path) == 3 * MEBIBYTE
        fallocate(file, 0, 0, 3 * MEBIBYTE)
        assert allocated(local, path) == before


def test_allocations_that_cannot_be_are_refused_and_change_nothing(local):
    path = local.path / "file"
    path.write_bytes(b"abc")
    with open(path, "r+b", buffering=0) as file:
        for mode in (COLLAPSE, INSERT, UNSHARE, PUNCH_HOLE, ZERO | PUNCH_HOLE | KEEP_SIZE):
            with fails(errno.EOPNOTSUPP):
                fallocate(file, mode, 0, 4096)
        for offset, length in ((-1, 1), (0, 0), (0, -1)):
            with fails(errno.EINVAL):
                fallocate(file, 0, offset, length)
        with fails(errno.EFBIG):
            fallocate(file, 0, (1 << 63) - 1, 1)
        with fails(errno.ENOSPC):
            fallocate(file, 0, 0, 1 << 60)
    with open(path, "rb") as file, fails(errno.EBADF):
        fallocate(file, 0, 0, 1)
    assert path.read_bytes() == b"abc"


# SEEK_DATA, SEEK_HOLE


def test_holes_of_a_sparse_file_are_found(local):
    with open(local.path / "file", "w+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"x" * 4096, MEBIBYTE)
        os.ftruncate(file.fileno(), 3 * MEBIBYTE)
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == MEBIBYTE
        assert os.lseek(file.fileno(), MEBIBYTE, os.SEEK_HOLE) == MEBIBYTE + 4096
        with fails(errno.ENXIO):
            os.lseek(file.fileno(), MEBIBYTE + 4096, os.SEEK_DATA)
        with fails(errno.ENXIO):
            os.lseek(file.fileno(), 3 * MEBIBYTE, os.SEEK_HOLE)


def test_a_file_in_the_bucket_is_data_to_its_end(bucket, make_mount):
    bucket.put("file", bytes(MEBIBYTE))
    mount = make_mount(bucket).start()
    with open(mount.path / "file", "rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == MEBIBYTE
        assert os.lseek(file.fileno(), 5, os.SEEK_DATA) == 5
        with fails(errno.ENXIO):
            os.lseek(file.fileno(), MEBIBYTE, os.SEEK_DATA)


def test_what_is_stored_through_a_mapping_is_no_hole_for_others(local):
    with open(local.path / "file", "w+b", buffering=0) as file:
        os.ftruncate(file.fileno(), MEBIBYTE)
        with mmap.mmap(file.fileno(), MEBIBYTE) as mapping:
            mapping[500_000] = 1
            with open(local.path / "file", "rb") as reader:
                assert os.lseek(reader.fileno(), 0, os.SEEK_DATA) <= 500_000
                assert os.pread(reader.fileno(), 1, 500_000) == b"\1"


# copy_file_range


def copy(source, target, count, source_offset, target_offset):
    done = 0
    while done < count:
        copied = os.copy_file_range(
            source.fileno(), target.fileno(), count - done, source_offset + done, target_offset + done
        )
        if copied == 0:
            break
        done += copied
    return done


def test_ranges_are_copied_between_local_files_and_within_one(mount, bucket):
    content = pattern(40 * MEBIBYTE)
    (mount.path / "source").write_bytes(content)
    with open(mount.path / "source", "rb") as source, open(mount.path / "target", "w+b") as target:
        assert copy(source, target, 50 * MEBIBYTE, 1, 3) == 40 * MEBIBYTE - 1
        assert copy(target, target, MEBIBYTE, 0, 5 * MEBIBYTE) == MEBIBYTE
    expected = bytearray(bytes(3) + content[1:])
    expected[5 * MEBIBYTE : 6 * MEBIBYTE] = expected[:MEBIBYTE]
    assert (mount.path / "target").read_bytes() == expected
    mount.sync()
    assert bucket.read("target") == expected


def test_a_file_that_is_only_in_the_bucket_is_copied(bucket, make_mount):
    content = pattern(3 * MEBIBYTE)
    bucket.put("source", content)
    mount = make_mount(bucket).start()
    with open(mount.path / "source", "rb") as source, open(mount.path / "target", "w+b") as target:
        assert copy(source, target, 5 * MEBIBYTE, 0, 0) == 3 * MEBIBYTE
    mount.sync()
    assert bucket.read("target") == content


def test_a_copy_has_what_was_stored_through_a_mapping(local):
    with open(local.path / "source", "w+b") as source, open(local.path / "target", "w+b") as target:
        os.ftruncate(source.fileno(), MEBIBYTE)
        with mmap.mmap(source.fileno(), MEBIBYTE) as mapping:
            mapping[500_000] = 1
            assert copy(source, target, MEBIBYTE, 0, 0) == MEBIBYTE
        assert os.pread(target.fileno(), 1, 500_000) == b"\1"


def test_copies_that_make_no_sense_are_refused(local):
    (local.path / "file").write_bytes(pattern(100_000))
    with open(local.path / "file", "r+b") as file, open(local.path / "log", "ab") as log:
        with fails(errno.EINVAL):
            os.copy_file_range(file.fileno(), file.fileno(), 1000, 0, 999)
        with fails(errno.EBADF):
            os.copy_file_range(file.fileno(), log.fileno(), 1000, 0, 0)
    assert (local.path / "file").read_bytes() == pattern(100_000)


# Ways of writing and reading

APPENDER = """
import os, sys
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
sys.stdin.readline()
for index in range(500):
    os.write(log, f"{sys.argv[2]} {index:04d}\\n".encode() * int(sys.argv[3]))
"""


@pytest.mark.parametrize("lines", [1, 700])
def test_appends_of_several_processes_are_whole_and_in_order(local, lines):
    path = local.path / "log"
    path.touch()
    writers = [run(APPENDER, path, name, lines) for name in "abcd"]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.wait(120) == 0
    written = path.read_text().splitlines()
    for name in "abcd":
        mine = [line for line in written if line.startswith(name)]
        assert mine == [f"{name} {index:04d}" for index in range(500) for _ in range(lines)]
    assert len(written) == 4 * 500 * lines
    records = [written[start : start + lines] for start in range(0, len(written), lines)]
    assert all(len(set(record)) == 1 for record in records)


def test_direct_and_buffered_io_see_each_other(mount, bucket):
    size = 256 * KIBIBYTE
    content = pattern(size)
    with mmap.mmap(-1, size) as buffer:
        direct = os.open(mount.path / "file", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
        buffer[:] = content
        assert os.pwrite(direct, buffer, 0) == size
        with open(mount.path / "file", "r+b", buffering=0) as file:
            assert file.read() == content
            os.pwrite(file.fileno(), b"buffered", 8192)
            assert os.preadv(direct, [buffer], 0) == size
            assert buffer[8192:8200] == b"buffered" and buffer[:8192] == content[:8192]
            buffer[:4096] = b"d" * 4096
            assert os.pwritev(direct, [memoryview(buffer)[:4096]], 4096) == 4096
            assert os.pread(file.fileno(), 4096, 4096) == b"d" * 4096
        assert os.preadv(direct, [buffer], size - 4096) == 4096
        assert os.preadv(direct, [buffer], size) == 0
        os.close(direct)
    expected = bytearray(content)
    expected[4096:8192] = b"d" * 4096
    expected[8192:8200] = b"buffered"
    mount.sync()
    assert bucket.read("file") == expected


@pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC])
def test_synchronous_writes_arrive(local, flag):
    descriptor = os.open(local.path / "file", os.O_WRONLY | os.O_CREAT | flag)
    for index in range(20):
        assert os.write(descriptor, b"%03d\n" % index) == 4
    os.close(descriptor)
    assert (local.path / "file").read_bytes() == b"".join(b"%03d\n" % index for index in range(20))


def test_a_file_cut_and_extended_has_zeros_where_it_was_cut(mount, bucket):
    content = pattern(100_000)
    with open(mount.path / "file", "w+b", buffering=0) as file:
        file.write(content)
        os.ftruncate(file.fileno(), 50_001)
        os.ftruncate(file.fileno(), 150_000)
        assert os.pread(file.fileno(), 200_000, 0) == content[:50_001] + bytes(99_999)
        with mmap.mmap(file.fileno(), 150_000) as mapping:
            assert mapping[50_000:60_000] == content[50_000:50_001] + bytes(9_999)
    mount.sync()
    assert bucket.read("file") == content[:50_001] + bytes(99_999)


MAPPER = """
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
with mmap.mmap(file, 65536) as shared, mmap.mmap(file, 65536, flags=mmap.MAP_PRIVATE) as private:
    print("mapped", flush=True)
    sys.stdin.readline()
    assert shared[100] == 7, "a store of another process is not seen"
    shared[200] = 8
    private[300] = 9
    print("stored", flush=True)
    sys.stdin.readline()
"""


def test_shared_mappings_of_two_processes_are_one_and_private_ones_are_not(mount, bucket):
    path = mount.path / "file"
    path.write_bytes(bytes(65536))
    other = run(MAPPER, path)
    with open(path, "r+b", buffering=0) as file, mmap.mmap(file.fileno(), 65536) as mapping:
        assert other.stdout.readline() == "mapped\n"
        mapping[100] = 7
        other.stdin.write("go\n")
        other.stdin.flush()
        assert other.stdout.readline() == "stored\n"
        assert mapping[200] == 8 and mapping[300] == 0
        os.pwrite(file.fileno(), b"\6", 400)
        assert mapping[400] == 6
        assert os.pread(file.fileno(), 1, 200) == b"\x08"
        other.communicate("end\n", timeout=30)
        assert other.returncode == 0
    mount.sync()
    expected = bytearray(65536)
    expected[100], expected[200], expected[400] = 7, 8, 6
    assert bucket.read("file") == expected


def test_a_file_of_over_4_gib_keeps_its_offsets(local):
    path, far = local.path / "large", 5 * GIBIBYTE + 123
    with open(path, "w+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"near", 123)
        os.pwrite(file.fileno(), b"far", far)
        assert path.stat().st_size == far + 3
        fallocate(file, PUNCH_HOLE | KEEP_SIZE, 4 * GIBIBYTE, GIBIBYTE)
        assert os.lseek(file.fileno(), MEBIBYTE, os.SEEK_DATA) == far // 4096 * 4096
        assert copy(file, file, 3, far, 4 * GIBIBYTE + 1) == 3
        assert os.pread(file.fileno(), 5, 4 * GIBIBYTE) == b"\0far\0"
    with open(path, "rb") as file:
        assert os.pread(file.fileno(), 10, far - 2) == b"\0\0far"
        assert os.pread(file.fileno(), 4, 123) == b"near"
        with mmap.mmap(file.fileno(), 126, prot=mmap.PROT_READ, offset=5 * GIBIBYTE) as mapping:
            assert mapping[123:126] == b"far"
    path.unlink()


FOLLOWER = """
import os, sys
file = open(sys.argv[1], "rb", buffering=0)
print("ready", flush=True)
content = b""
while len(content) < int(sys.argv[2]):
    assert len(content) <= os.fstat(file.fileno()).st_size
    content += file.read(65536)
assert content == bytes(index % 251 for index in range(int(sys.argv[2]))), "not what was written"
"""


def test_a_follower_reads_what_another_process_appends(local):
    path, size = local.path / "file", 500_000
    content = bytes(index % 251 for index in range(size))
    with open(path, "wb", buffering=0) as file:
        reader = run(FOLLOWER, path, size)
        assert reader.stdout.readline() == "ready\n"
        for start in range(0, size, 3_000):
            file.write(content[start : start + 3_000])
        assert reader.wait(60) == 0


def test_files_without_a_name_are_refused(local):
    with fails(errno.EOPNOTSUPP):
        os.open(local.path, os.O_TMPFILE | os.O_RDWR)


@pytest.mark.parametrize("engine", ["libaio", "psync", "mmap"])
def test_fio_verifies_what_it_wrote(local, engine):
    options = ["--name=verify", "--rw=randrw", "--bsrange=4k-256k", "--size=8m", "--verify=crc32c", "--verify_fatal=1"]
    direct = ["--direct=1", "--iodepth=8"] if engine == "libaio" else []
    place = [f"--filename={local.path / 'file'}", f"--ioengine={engine}", "--randseed=1", "--verify_state_save=0"]
    command = ["fio", *options, *direct, *place]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


# Locks

LOCKER = """
import fcntl, os, struct, sys
file = os.open(sys.argv[1], os.O_RDWR)
kind = sys.argv[2]
record = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 10, 10, 0)
if kind == "flock":
    fcntl.flock(file, fcntl.LOCK_EX)
elif kind == "posix":
    fcntl.fcntl(file, fcntl.F_SETLKW, record)
else:
    fcntl.fcntl(file, fcntl.F_OFD_SETLKW, record)
print("locked", flush=True)
sys.stdin.readline()
"""


def try_lock(file, kind, start=0, length=100):
    record = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    match kind:
        case "flock":
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        case "posix":
            fcntl.fcntl(file, fcntl.F_SETLK, record)
        case "ofd":
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, record)


@pytest.mark.parametrize("kind", ["flock", "posix", "ofd"])
def test_a_lock_of_one_process_keeps_another_out_until_it_ends(local, kind):
    path = local.path / "file"
    path.write_bytes(bytes(100))
    holder = run(LOCKER, path, kind)
    assert holder.stdout.readline() == "locked\n"
    with open(path, "r+b") as file:
        with fails(errno.EAGAIN):
            try_lock(file, kind)
        if kind != "flock":
            try_lock(file, kind, 30, 10)
        waiter = run(LOCKER, path, kind)
        holder.kill()
        holder.wait()
        assert waiter.stdout.readline() == "locked\n"
        with fails(errno.EAGAIN):
            try_lock(file, kind)
        waiter.communicate("end\n", timeout=30)
        wait_until(lambda: try_lock(file, kind) is None, "the lock is free")
