"""Many small files, beside libfuse's own pass-through example: the least that a FUSE file system can cost.

Files of 8 KiB are created, written and closed while nothing is uploaded; s3fs cannot hold uploads back and makes a
twentieth of the files, JuiceFS a quarter, counted up to all. Stats are beside the pass-through and the disk alone: names and
attributes are good for a second in both drivers. A directory is renamed whose files are all in the bucket."""

from drivers import NEVER
from harness.mount import Mount
from harness.stores import DirectoryBucket
from programs import Program

FILES = 5_000
FILE_SIZE = 8 << 10
STAT_FILES = 2_000
RENAMED_FILES = 10_000
RENAME_LIMIT_MS = 100


def measure(bench):
    program = Program(bench.directory, "metadata")
    small_files(bench, program)
    stats(bench, program)
    deep_rename(bench, program)


def small_files(bench, program):
    count = bench.count(FILES)
    what = f"create, write and close {count:,} files of {FILE_SIZE >> 10} KiB, s"

    def of(driver):
        def measure():
            with driver.mounted(delay=NEVER) as mount:
                directory = mount.path / mount.path.parent.name
                directory.mkdir()
                return {what: program("create", directory, count // driver.share, FILE_SIZE) * driver.share}

        return measure

    rows = bench.compare([(driver.name, of(driver)) for driver in (bench.bare, bench.disk, *bench.mounts)])
    bench.at_least(rows[what], 0.8)


def stats(bench, program):
    rounds = bench.count(500)
    warm, asked = f"{STAT_FILES * rounds:,} warm stats, s", f"{STAT_FILES * 20:,} stats that the daemon answers, s"

    def of(driver):
        def measure():
            with driver.mounted(delay=NEVER) as mount:
                program("create", mount.path, STAT_FILES, FILE_SIZE)
                return {warm: program("stat", mount.path, STAT_FILES, rounds), asked: program("ask", mount.path, STAT_FILES, 20)}

        return measure

    rows = bench.compare([(driver.name, of(driver)) for driver in (bench.bare, bench.disk, bench.sluice)])
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
