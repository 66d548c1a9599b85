"""The local disk under a limit: what is in the bucket makes room, what is not never does."""

import hashlib
import os

from harness.processes import wait_until

MEBIBYTE = 1 << 20
LIMIT = 64 * MEBIBYTE
# What the journal holds ahead (16 MiB of log, 4 of pages), and as much again while the log is moved into the database.
JOURNAL_LIMIT = 40 * MEBIBYTE
OPTIONS = ("-o", "cache_limit=64MiB")


def contents(name, size=8 * MEBIBYTE):
    """Bytes that no other name has."""
    return hashlib.shake_256(name.encode()).digest(size)


def test_what_is_in_the_bucket_makes_room_under_the_limit(bucket, make_mount):
    mount = make_mount(bucket, *OPTIONS).start()
    names = [f"file-{index:02}" for index in range(20)]
    for name in names:
        (mount.path / name).write_bytes(contents(name))
        mount.sync()

    wait_until_within_limit(mount)
    for name in names:
        assert (mount.path / name).read_bytes() == contents(name)
        assert bucket.sha256(name) == hashlib.sha256(contents(name)).hexdigest()
    wait_until_within_limit(mount)


def test_reading_more_than_the_limit_holds_leaves_the_disk_within_it(bucket, make_mount):
    names = [f"shard-{index:02}" for index in range(20)]
    for name in names:
        bucket.put(name, contents(name))
    mount = make_mount(bucket, *OPTIONS).start()
    for name in names:
        assert (mount.path / name).read_bytes() == contents(name)
    wait_until_within_limit(mount)


def test_what_is_not_in_the_bucket_stays_however_much_is_read(bucket, make_mount):
    shards = [f"shard-{index:02}" for index in range(16)]
    for name in shards:
        bucket.put(name, contents(name))
    mount = make_mount(bucket, *OPTIONS, "-o", "upload_delay=1h").start()
    records = [f"record-{index}" for index in range(4)]
    for name in records:
        (mount.path / name).write_bytes(contents(name))

    for name in shards:
        assert (mount.path / name).read_bytes() == contents(name)
    assert mount.status()["cache"]["dirty_bytes"] == 4 * 8 * MEBIBYTE
    assert not set(records) & set(bucket.keys())
    for name in records:
        assert (mount.path / name).read_bytes() == contents(name)

    mount.sync()
    for name in records:
        assert bucket.sha256(name) == hashlib.sha256(contents(name)).hexdigest()


def wait_until_within_limit(mount):
    """The limit is looked at every flush_interval; status and the disk must then agree on it."""
    wait_until(lambda: mount.status()["cache"]["used_bytes"] <= LIMIT, "the cache is within its limit", timeout=10)
    assert disk_bytes(mount.state / "data") <= LIMIT + 8 * MEBIBYTE
    assert disk_bytes(mount.state) - disk_bytes(mount.state / "data") <= JOURNAL_LIMIT


def disk_bytes(directory):
    """What the files below a directory take on the disk."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return sum(os.stat(path).st_blocks * 512 for path in files)
