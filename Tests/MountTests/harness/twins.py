"""The same program in a plain directory and in a mount: what it says and leaves must be equal and reach the bucket."""

import hashlib
import os
import stat
import subprocess
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

# What a program may not take from the machine: the same clock, language and settings in both places.
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_NAME": "Author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    # Threads share deltas out as they come, so that packs differ from run to run.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "pack.threads",
    "GIT_CONFIG_VALUE_0": "1",
}


class Place:
    """A directory in which programs run; `transcript` keeps what each of them said and how it ended."""

    def __init__(self, path):
        self.path = Path(path)
        self.transcript = []

    def __truediv__(self, name):
        return self.path / name

    def run(self, *command, status=0, cwd=".", stdin="", timeout=60, told=True, **variables):
        """Runs a command in this place and returns what it wrote to stdout; anything but exit `status` is a failure.

        Its output is part of the comparison unless `told` is false, as for programs that print times.
        """
        words = [str(word) for word in command]
        result = subprocess.run(
            words,
            cwd=self.path / cwd,
            env={**os.environ, **ENVIRONMENT, **variables},
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout,
        )
        stdout, stderr = (self.anonymous(stream) for stream in (result.stdout, result.stderr))
        assert result.returncode == status, f"{words} ended with {result.returncode} in {self.path}: {stdout}{stderr}"
        if told:
            self.transcript.append((self.anonymous(" ".join(words).encode()), stdout, stderr))
        return stdout

    def anonymous(self, output):
        return output.decode(errors="backslashreplace").replace(str(self.path), "PLACE")


@dataclass(frozen=True)
class Entry:
    """What a tree shows of one name. `content` is the digest of a file or the target of a link."""

    kind: int
    permissions: int
    owner: tuple
    size: int = 0
    content: str = ""
    mtime: int = 0


def tree(root):
    """Every name under `root` and what it is; times in whole seconds."""
    return {str(path.relative_to(root)): _entry(path) for path in Path(root).rglob("*")}


def _entry(path):
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    entry = Entry(kind, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), mtime=int(status.st_mtime))
    if stat.S_ISLNK(kind):
        return replace(entry, content=os.readlink(path))
    if stat.S_ISREG(kind):
        return replace(entry, size=status.st_size, content=sha256(path))
    return entry


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_times(entries):
    return {name: replace(entry, mtime=0) for name, entry in entries.items()}


def without_bytes(entries, patterns):
    """Files that match one of `patterns` differ from run to run: they need only be there."""
    varies = lambda name: any(fnmatch(name, pattern) for pattern in patterns)
    return {name: replace(entry, size=0, content="") if varies(name) else entry for name, entry in entries.items()}


def as_another_mount_sees(entries, bucket):
    """A directory's time follows its names and is not sent; SeaweedFS keeps no attributes of directories at all."""
    unsent = {"mtime": 0}
    if bucket.kind == "s3":
        unsent |= {"permissions": 0, "owner": None}
    return {name: replace(entry, **unsent) if stat.S_ISDIR(entry.kind) else entry for name, entry in entries.items()}


class Twin:
    """A plain directory and a mount of `bucket`, both empty at first.

    `same(work)` runs `work(place)` in both; `arrives()` then follows the mount's tree into the bucket and out of it.
    """

    def __init__(self, bucket, plain, make_mount):
        self.bucket = bucket
        self.make_mount = make_mount
        self.plain = Place(plain)
        self.plain.path.mkdir()
        self.mount = make_mount(bucket).start()
        self.mounted = Place(self.mount.path)

    def same(self, work, times=False, varies=()):
        """Equal results, words and trees. `times`: the program sets them; `varies`: files whose bytes differ."""
        expected, actual = work(self.plain), work(self.mounted)
        assert actual == expected
        assert self.mounted.transcript == self.plain.transcript
        self.same_trees(times, varies)

    def same_trees(self, times=False, varies=()):
        trees = [without_bytes(tree(place.path), varies) for place in (self.plain, self.mounted)]
        expected, actual = trees if times else map(without_times, trees)
        assert actual == expected

    def arrives(self, read=None):
        """The bucket has every file byte for byte, and a mount with an empty state directory shows the same tree.

        `read(place)`, if given, reads the result with the program itself, and must say the same through that mount.
        """
        said = read and read(self.mounted)
        before = tree(self.mount.path)
        self.mount.sync()
        self._bucket_has(before)
        assert tree(self.mount.path) == before, "sending changed the tree"
        self.mount.stop()
        again = Place(self.make_mount(self.bucket).start().path)
        self._shows(again, before)
        if read:
            assert read(again) == said
        return again

    def _shows(self, place, entries, patience=10):
        """Attributes that the store does not tell within 2 s are shown a moment later: a slow machine looks again."""
        expected = as_another_mount_sees(entries, self.bucket)
        deadline = time.monotonic() + patience
        while (actual := as_another_mount_sees(tree(place.path), self.bucket)) != expected:
            if time.monotonic() > deadline:
                break
        assert actual == expected

    def _bucket_has(self, entries):
        objects = {name: entry for name, entry in entries.items() if not stat.S_ISDIR(entry.kind)}
        assert self.bucket.keys() == sorted(objects)
        for name, entry in objects.items():
            expected = entry.content
            if stat.S_ISLNK(entry.kind):
                expected = hashlib.sha256(os.fsencode(expected)).hexdigest()
            assert self.bucket.sha256(name) == expected, f"{name} differs in the bucket"
        directories = {f"{name}/" for name, entry in entries.items() if stat.S_ISDIR(entry.kind)}
        assert self.bucket.markers() <= directories
