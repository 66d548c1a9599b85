"""The local disk: what is in the bucket leaves it under the limit, what is not in the bucket never does."""

import errno
import hashlib
import os
import random

import pytest

from harness.mount import Mount
from harness.processes import wait_until

MEBIBYTE = 1 << 20
LIMIT = 32 * MEBIBYTE


def pattern(size, seed):
    return random.Random(seed).randbytes(size)


def disk_usage(mount: Mount):
    """Bytes that the state directory's data files take, by what the disk says."""
    files = (path for path in (mount.state / "data").rglob("*") if path.is_file())
    return sum(path.stat().st_blocks * 512 for path in files)


def is_local(mount, name):
    """Whether the state directory has a file of the bytes: data/XX/INO."""
    number = (mount.path / name).stat().st_ino
    return (mount.state / "data" / f"{number % 256:02x}" / str(number)).exists()


def used(mount):
    return mount.status()["cache"]["used_bytes"]


@pytest.fixture
def small(bucket, make_mount):
    """A mount that may keep 32 MiB."""
    return make_mount(bucket, "-o", f"cache_limit={LIMIT}B").start()


def test_clean_files_leave_the_disk_under_the_limit_and_read_back_right(small, bucket):
    contents = {f"file-{index}": pattern(6 * MEBIBYTE, index) for index in range(12)}
    for name, content in contents.items():
        (small.path / name).write_bytes(content)
        small.sync()
    wait_until(lambda: used(small) <= LIMIT, "the cache is under its limit", 15)
    assert disk_usage(small) <= LIMIT
    assert small.status()["cache"]["limit_bytes"] == LIMIT
    for name, content in contents.items():
        assert (small.path / name).stat().st_size == len(content)
        assert (small.path / name).read_bytes() == content, name
        assert bucket.read(name) == content
    wait_until(lambda: used(small) <= LIMIT, "what was read again is let go again", 15)
    assert disk_usage(small) <= LIMIT


def test_a_file_larger_than_the_limit_can_be_read(bucket, make_mount):
    content = pattern(2 * LIMIT, 1)
    bucket.put("large", content)
    mount = make_mount(bucket, "-o", f"cache_limit={LIMIT}B").start()
    digest = hashlib.sha256()
    with open(mount.path / "large", "rb", buffering=0) as file:
        while block := file.read(MEBIBYTE):
            digest.update(block)
            if file.tell() % (8 * MEBIBYTE) == 0:
                assert disk_usage(mount) <= LIMIT + 4 * MEBIBYTE
    assert digest.digest() == hashlib.sha256(content).digest()
    wait_until(lambda: used(mount) <= LIMIT, "the cache is under its limit after the close", 15)


def test_the_least_recently_used_file_goes_first(file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", f"cache_limit={LIMIT}B").start()
    for name in ("old", "used"):
        (mount.path / name).write_bytes(pattern(10 * MEBIBYTE, 1))
        mount.sync()
    assert (mount.path / "used").read_bytes() == (mount.path / "old").read_bytes()
    assert (mount.path / "used").read_bytes() == pattern(10 * MEBIBYTE, 1)
    (mount.path / "new").write_bytes(pattern(15 * MEBIBYTE, 2))
    mount.sync()
    wait_until(lambda: used(mount) <= LIMIT, "the cache is under its limit", 15)
    assert not is_local(mount, "old") and is_local(mount, "used") and is_local(mount, "new")


def test_dirty_data_never_leaves_the_disk_and_the_limit_is_enospc(network, make_mount):
    mount = make_mount(network.bucket, "-o", f"cache_limit={LIMIT}B,full_wait=1s").start()
    network.bucket.put("remote", b"remote")
    assert (mount.path / "remote").read_bytes() == b"remote"
    network.proxy.cut()
    written = {}
    failure = None
    for index in range(3 * LIMIT // MEBIBYTE // 4):
        name, content = f"file-{index}", pattern(4 * MEBIBYTE, index)
        try:
            (mount.path / name).write_bytes(content)
        except OSError as error:
            failure = error
            (mount.path / name).unlink()
            break
        written[name] = content
    assert failure and failure.errno == errno.ENOSPC
    assert LIMIT // 2 <= len(written) * 4 * MEBIBYTE <= LIMIT
    assert used(mount) <= LIMIT + MEBIBYTE
    assert mount.status()["cache"]["dirty_bytes"] >= len(written) * 4 * MEBIBYTE
    assert os.statvfs(mount.path).f_bavail * os.statvfs(mount.path).f_frsize <= 4 * MEBIBYTE
    for name, content in written.items():
        assert (mount.path / name).read_bytes() == content
    network.proxy.restore()
    mount.sync(timeout=60)
    for name, content in written.items():
        assert network.bucket.read(name) == content
    (mount.path / "room again").write_bytes(pattern(4 * MEBIBYTE, 99))
    mount.sync()
    assert network.bucket.read("room again") == pattern(4 * MEBIBYTE, 99)


def test_dirty_data_survives_a_kill_at_the_limit(network, make_mount):
    mount = make_mount(network.bucket, "-o", f"cache_limit={LIMIT}B,full_wait=1s").start()
    network.proxy.cut()
    with pytest.raises(OSError) as failure, open(mount.path / "file", "wb", buffering=0) as file:
        while True:
            file.write(bytes(range(256)) * 4096)
    assert failure.value.errno == errno.ENOSPC
    size = (mount.path / "file").stat().st_size
    mount.kill()
    network.proxy.restore()
    mount.start().sync(timeout=60)
    assert network.bucket.read("file") == (bytes(range(256)) * (size // 256 + 1))[:size]


def test_a_file_evicted_and_changed_keeps_what_was_not_changed(small, bucket):
    content = bytearray(pattern(10 * MEBIBYTE, 3))
    (small.path / "file").write_bytes(content)
    small.sync()
    for index in range(4):
        (small.path / f"filler-{index}").write_bytes(pattern(10 * MEBIBYTE, index))
        small.sync()
    wait_until(lambda: used(small) <= LIMIT, "the cache is under its limit", 15)
    with open(small.path / "file", "r+b", buffering=0) as file:
        file.seek(5 * MEBIBYTE)
        file.write(b"changed")
    content[5 * MEBIBYTE : 5 * MEBIBYTE + 7] = b"changed"
    assert (small.path / "file").read_bytes() == bytes(content)
    small.sync()
    assert bucket.read("file") == bytes(content)
