"""What it costs that nothing is lost: the flush timer beside a recorder, and the start after a kill.

One recorder brings 100 MB each second, another as much as it can, which is what waits for the disk."""

from contextlib import ExitStack

from harness.mount import Mount, sluice, timed
from harness.stores import DirectoryBucket
from objects import MIB, write_blocks
from programs import Program

RECORDER = 100_000_000
PENDING = 100_000
START_LIMIT_S = 2


def measure(bench):
    flush_timer(bench)
    start(bench, Program(bench.directory, "metadata"))


def paused(bench, name, *options):
    """A mount that sends nothing, so that uploads are no part of what is measured; ended by its context."""
    bucket = DirectoryBucket(bench.directory / f"bucket-{name}")
    mount = Mount(bucket, bench.directory / f"mount-{name}", bench.directory / f"state-{name}", options).start()
    pause(mount)
    return mount


def pause(mount):
    assert sluice("pause", mount.path).returncode == 0


def flush_timer(bench):
    size = bench.size // 2
    with ExitStack() as stack:
        mounts = []
        for name, options in (("never synced", ["-o", "flush_interval=1h"]), (bench.sluice.name, [])):
            mounts.append((name, paused(bench, name.replace(" ", "-"), *options)))
            stack.callback(mounts[-1][1].destroy)
        for pace_name, pace in ((f"at {RECORDER // 1_000_000} MB/s", RECORDER), ("as fast as it goes", None)):
            what = f"recording of {size // MIB} MiB {pace_name}, s"

            def of(mount):
                def measure():
                    path = mount.path / "recording"
                    seconds = write_blocks(path, size, bytes_per_second=pace)
                    path.unlink()
                    return {what: seconds}

                return measure

            rows = bench.compare([(name, of(mount)) for name, mount in mounts])
            if pace:
                bench.at_least(rows[what], 0.9)


def start(bench, program):
    count = bench.count(PENDING)
    what = f"start after a kill with {count:,} files pending, s"
    mount = paused(bench, "start")
    try:
        for part in range(count // 1_000):
            directory = mount.path / f"{part}"
            directory.mkdir()
            program("create", directory, 1_000, 64)

        def measure():
            mount.kill()
            seconds = timed(mount.start)
            pause(mount)
            return {what: seconds}

        bench.at_most(bench.compare([(bench.sluice.name, measure)])[what], START_LIMIT_S)
    finally:
        mount.destroy()
