"""Many small files: beside libfuse's own pass-through example, the least that a FUSE file system can cost."""

import itertools
import os
import resource
import subprocess
import time
from pathlib import Path

from harness.mount import Mount, is_mounted
from harness.processes import wait_until
from harness.stores import DirectoryBucket

HERE = Path(__file__).resolve().parent
# Debian and Ubuntu ship it with libfuse3-dev.
PASS_THROUGH = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")
# In three rounds fewer than the 20,000 open files that many machines allow.
FILES = 5_000
FILE_SIZE = 8 << 10
STAT_FILES = 2_000
RENAMED_FILES = 10_000
RENAME_LIMIT_MS = 100
numbers = itertools.count()


def measure(bench):
    program = Program(bench.directory)
    small_files(bench, program)
    deep_rename(bench, program)


class Program:
    """metadata.c, compiled."""

    def __init__(self, directory):
        self.path = directory / "metadata"
        compile_program(HERE / "metadata.c", self.path)

    def __call__(self, *arguments):
        """Seconds that it measured."""
        result = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, check=True)
        return float(result.stdout)


class PassThrough:
    """passthrough_ll over a plain directory; attributes and names are good for a second, as Sluice's."""

    def __init__(self, directory):
        self.source = directory / "pass-through-source"
        self.path = directory / "pass-through"
        self.program = directory / "passthrough_ll"
        self.source.mkdir()
        self.path.mkdir()
        compile_program(PASS_THROUGH, self.program)

    def __enter__(self):
        options = f"source={self.source},cache=auto,timeout=1.0"
        self.process = subprocess.Popen([self.program, "-f", "-o", options, self.path], start_new_session=True)
        # It keeps a descriptor for every file that the kernel knows.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (most, most))
        wait_until(lambda: is_mounted(self.path), "the pass-through file system mounts", timeout=30)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        self.process.wait(timeout=60)


def compile_program(source, program):
    flags = subprocess.run(["pkg-config", "fuse3", "--cflags", "--libs"], capture_output=True, text=True, check=True)
    subprocess.run(["gcc", "-O2", source, "-o", program, *flags.stdout.split()], check=True)


def small_files(bench, program):
    """Uploads run in the background, as they do in real use, but those of one round end before the next begins."""
    plain = bench.directory / "plain-small"
    plain.mkdir()
    bucket = DirectoryBucket(bench.directory / "bucket-small")
    mount = Mount(bucket, bench.directory / "mount-small", bench.directory / "state-small", ["-o", "upload_delay=1s"])
    with mount, PassThrough(bench.directory) as bare:

        def each(action):
            def run(path):
                mount.sync(timeout=600)
                os.sync()
                return action(path)

            places = [("pass-through", bare.path), ("sluice", mount.path), ("the disk", plain)]
            return [(name, lambda path=path: run(path)) for name, path in places]

        title = f"create, write and close {FILES:,} files of {FILE_SIZE >> 10} KiB"
        ratios = bench.compare(title, each(lambda path: create(program, path)))
        bench.target("create, write and close of small files, of the pass-through", ratios["sluice"], 0.5)
        for what, title, rounds, least in (
            ("stat", "warm stats", 1_000, 0.8),
            ("ask", "stats that the daemon answers", 20, None),
        ):
            make_for_stat(program, [bare.path, mount.path, plain])
            subjects = each(lambda path: program(what, path / "stat", STAT_FILES, rounds))
            ratios = bench.compare(f"{STAT_FILES * rounds:,} {title}", subjects)
            if least:
                bench.target(f"{title}, of the pass-through", ratios["sluice"], least)


def create(program, path):
    """Nothing is removed before: ext4 searches long for an inode where many were freed within minutes."""
    directory = path / f"small-{next(numbers)}"
    directory.mkdir()
    os.sync()
    return program("create", directory, FILES, FILE_SIZE)


def make_for_stat(program, paths):
    for path in paths:
        directory = path / "stat"
        if not directory.exists():
            directory.mkdir()
            program("create", directory, STAT_FILES, FILE_SIZE)


def deep_rename(bench, program):
    """A directory whose files are all in the bucket, spread over directories below it."""
    bucket = DirectoryBucket(bench.directory / "bucket-rename")
    with Mount(bucket, bench.directory / "mount-rename", bench.directory / "state-rename") as mount:
        top = mount.path / "from"
        for part in range(10):
            directory = top / "deep" / f"{part}"
            directory.mkdir(parents=True)
            program("create", directory, RENAMED_FILES // 10, 64)
        mount.sync(timeout=600)
        # There and back, as a user who thinks better of it: the second time, moves of the first are pending.
        seconds = [program("rename", top, mount.path / "to"), program("rename", mount.path / "to", top)]
        mount.sync(timeout=600)
        seconds.append(program("rename", top, mount.path / "again"))
        start = time.monotonic()
        mount.sync(timeout=600)
        remote = time.monotonic() - start
    worst = max(seconds) * 1e3
    bench.limit(
        f"rename of a directory with {RENAMED_FILES:,} uploaded files (in the bucket {remote:.1f} s later), ms",
        worst, RENAME_LIMIT_MS,
    )
