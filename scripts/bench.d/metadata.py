"""Many small files, beside libfuse's own pass-through example: the least that a FUSE file system can cost.

Files of 8 KiB are created, written and closed while nothing is uploaded; s3fs cannot hold uploads back and makes a
twentieth of the files, JuiceFS a quarter, counted up to all. Stats are beside the pass-through and the disk alone: names and
attributes are good for a second in both drivers. A directory is renamed whose files are all in the bucket."""

import resource
from contextlib import contextmanager
from pathlib import Path

from drivers import NEVER, Driver
from harness.mount import Mount
from harness.stores import DirectoryBucket
from programs import Program, compile_program

# Debian and Ubuntu ship it with libfuse3-dev.
PASS_THROUGH = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")
FILES = 5_000
FILE_SIZE = 8 << 10
STAT_FILES = 2_000
RENAMED_FILES = 10_000
RENAME_LIMIT_MS = 100


def measure(bench):
    program = Program(bench.directory, "metadata")
    bare = PassThrough(bench.directory, bench.weed)
    small_files(bench, program, bare)
    stats(bench, program, bare)
    deep_rename(bench, program)


class PassThrough(Driver):
    """passthrough_ll over a plain directory; attributes and names are good for a second, as Sluice's."""

    name = "pass-through"

    def __init__(self, directory, weed):
        super().__init__(directory, weed)
        self.program = directory / "passthrough_ll"
        compile_program(PASS_THROUGH, self.program)

    @contextmanager
    def running(self, *arguments):
        with super().running(*arguments) as pid:
            # It keeps a descriptor for every file that the kernel knows.
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
            yield pid

    def command(self, place, path, bucket, endpoint, delay):
        source = place / "source"
        source.mkdir()
        return [self.program, "-f", "-o", f"source={source},cache=auto,timeout=1.0", path]


def small_files(bench, program, bare):
    count = bench.count(FILES)
    what = f"create, write and close {count:,} files of {FILE_SIZE >> 10} KiB, s"

    def of(driver):
        def measure():
            with driver.mounted(delay=NEVER) as mount:
                directory = mount.path / mount.path.parent.name
                directory.mkdir()
                return {what: program("create", directory, count // driver.share, FILE_SIZE) * driver.share}

        return measure

    rows = bench.compare([(driver.name, of(driver)) for driver in (bare, bench.disk, *bench.mounts)])
    bench.at_least(rows[what], 0.5)


def stats(bench, program, bare):
    rounds = bench.count(500)
    warm, asked = f"{STAT_FILES * rounds:,} warm stats, s", f"{STAT_FILES * 20:,} stats that the daemon answers, s"

    def of(driver):
        def measure():
            with driver.mounted(delay=NEVER) as mount:
                program("create", mount.path, STAT_FILES, FILE_SIZE)
                return {warm: program("stat", mount.path, STAT_FILES, rounds), asked: program("ask", mount.path, STAT_FILES, 20)}

        return measure

    rows = bench.compare([(driver.name, of(driver)) for driver in (bare, bench.disk, bench.sluice)])
    bench.at_least(rows[warm], 0.8)


def deep_rename(bench, program):
    """Files spread over directories below the one that is renamed."""
    bucket = DirectoryBucket(bench.directory / "bucket-rename")
    count = bench.count(RENAMED_FILES)
    what = f"rename of a directory with {count:,} uploaded files, ms"
    with Mount(bucket, bench.directory / "mount-rename", bench.directory / "state-rename") as mount:
        top, away = mount.path / "from", mount.path / "to"
        for part in range(10):
            directory = top / "deep" / f"{part}"
            directory.mkdir(parents=True)
            program("create", directory, count // 10, 64)

        def measure():
            # There and back, as a user who thinks better of it: the second time, moves of the first are pending.
            mount.sync(timeout=600)
            return {what: 1e3 * max(program("rename", top, away), program("rename", away, top))}

        bench.at_most(bench.compare([(bench.sluice.name, measure)])[what], RENAME_LIMIT_MS)
