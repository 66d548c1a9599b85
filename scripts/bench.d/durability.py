"""What it costs that nothing is lost: the flush timer beside a recorder, and the start after a kill."""

import time

from harness.mount import Mount, sluice
from harness.stores import DirectoryBucket

import metadata

MIB = 1 << 20
BLOCK = bytes(range(256)) * (MIB // 256)
RECORDER = 100_000_000
PENDING = 100_000
START_LIMIT_MS = 2_000


def measure(bench):
    flush_timer(bench)
    start(bench, metadata.Program(bench.directory))


def paused(bench, name, *options):
    """A mount that sends nothing, so that uploads are no part of what is measured."""
    bucket = DirectoryBucket(bench.directory / f"bucket-{name}")
    mount = Mount(bucket, bench.directory / f"mount-{name}", bench.directory / f"state-{name}", options).start()
    assert sluice("pause", mount.path).returncode == 0
    return mount


def flush_timer(bench):
    """A recorder that brings 100 MB each second, then one that is as fast as it can be: that one waits for the disk."""
    mounts = [
        ("never synced", paused(bench, "unsynced", "-o", "flush_interval=1h")),
        ("synced by the timer", paused(bench, "synced")),
    ]
    try:
        for what, pace in ((f"at {RECORDER // 1_000_000} MB/s", RECORDER), ("as fast as it goes", None)):
            subjects = [(name, lambda path=mount.path / "recording": record(path, bench.size, pace)) for name, mount in mounts]
            ratios = bench.compare(f"a recording of {bench.size // MIB} MiB {what}", subjects)
            if pace:
                bench.target(f"recording {what}, of one that is never synced", ratios["synced by the timer"], 0.9)
    finally:
        for _, mount in mounts:
            mount.destroy()


def record(path, size, pace):
    """Seconds until all is written; `pace` is in bytes a second. A block that comes late does not put off the next."""
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for written in range(0, size, MIB):
            if pace:
                time.sleep(max(0, start + written / pace - time.monotonic()))
            file.write(BLOCK)
    seconds = time.monotonic() - start
    path.unlink()
    return seconds


def start(bench, program):
    mount = paused(bench, "start")
    try:
        for part in range(PENDING // 1_000):
            directory = mount.path / f"{part}"
            directory.mkdir()
            program("create", directory, 1_000, 64)
        worst = 0
        for _ in range(bench.rounds):
            mount.kill()
            before = time.monotonic()
            mount.start()
            worst = max(worst, time.monotonic() - before)
            assert sluice("pause", mount.path).returncode == 0
    finally:
        mount.destroy()
    bench.limit(f"start after a kill with {PENDING:,} files pending, ms", worst * 1e3, START_LIMIT_MS)
