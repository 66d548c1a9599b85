"""What the calls of a recorder promise of the tree that they made: the oracle of the crash tests."""

import os
import stat
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy

from harness.witness import Kind

PAGE = 4096


@dataclass(frozen=True)
class Promise:
    """How many of the first calls a tree must show: of `names` (and attributes, links), and of `data` and times.

    `synced` says of each inode how many of its calls a sync made safe besides. The kill of a daemon promises every call
    that returned; a power cut those before the last flush.
    """

    names: int
    data: int
    synced: dict = field(default_factory=dict)

    def data_of(self, ino):
        return max(self.data, self.synced.get(ino, 0))


def after_kill(calls):
    done = sum(call.acknowledged for call in calls)
    return Promise(done, done)


def after_power_cut(calls, cut_ns, flushed_ns):
    """A sync that returned before `cut_ns` made safe its file and all names; the rest is what was acknowledged until
    `flushed_ns`."""
    flushed = sum(call.acknowledged and call.ended_ns <= flushed_ns for call in calls)
    syncs = [number for number, call in enumerate(calls) if call.kind == Kind.SYNC and (call.ended_ns or cut_ns) < cut_ns]
    synced = {calls[number].ino: number + 1 for number in syncs}
    return Promise(max([flushed, *synced.values()]), flushed, synced)


class Names:
    """Paths below `root` to inodes, and what is set on those."""

    def __init__(self, root, given):
        self.root = str(root)
        self.paths = dict(given)
        self.kinds = {ino: stat.S_IFREG for ino in given.values()}
        self.attributes = {}
        # The paths that the last call gave an inode.
        self.changed = []
        self.made = 0
        for folder in {str(parent) for path in given for parent in Path(path).parents} - {"."}:
            self._new(f"{self.root}/{folder}", stat.S_IFDIR)

    def relative(self, path):
        return path[len(self.root) + 1 :]

    def apply(self, call):
        """Whether the call changed names, or what is set on them."""
        self.changed = []
        change = getattr(self, f"_{call.kind.name.lower()}", None)
        return bool(change) and change(call) is not False

    def _new(self, path, kind, ino=None):
        # What has no number of its own is told apart by one of ours.
        self.made -= 1
        ino = self.made if ino is None else ino
        self._give(self.relative(path), ino)
        self.kinds[ino] = kind

    def _give(self, path, ino):
        self.paths[path] = ino
        self.changed.append(path)

    def _open(self, call):
        known = self.paths.get(self.relative(call.first))
        if known is None and call.offset & os.O_CREAT:
            self._new(call.first, stat.S_IFREG, call.ino if call.acknowledged else None)
            return True
        return False

    def _mkdir(self, call):
        self._new(call.first, stat.S_IFDIR)

    def _symlink(self, call):
        self._new(call.first, stat.S_IFLNK)
        self._set(call.first, "target", call.second.decode())

    def _link(self, call):
        self._give(self.relative(call.second.decode()), self.paths[self.relative(call.first)])

    def _unlink(self, call):
        self.paths.pop(self.relative(call.first), None)

    _rmdir = _unlink

    def _rename(self, call):
        old, new = self.relative(call.first), self.relative(call.second.decode())
        moved = {path: ino for path, ino in self.paths.items() if path == old or path.startswith(old + "/")}
        for path in moved:
            del self.paths[path]
        for path, ino in moved.items():
            self._give(new + path[len(old) :], ino)

    def _set(self, path, name, value):
        ino = self.paths.get(self.relative(path))
        self.attributes[ino] = {**self.attributes.get(ino, {}), name: value}

    def _chmod(self, call):
        self._set(call.first, "mode", call.offset & 0o7777)

    def _setxattr(self, call):
        self._set(call.first, "attribute", call.second)

    def files(self):
        """Path and inode of each regular file."""
        return [(path, ino) for path, ino in self.paths.items() if self.kinds[ino] == stat.S_IFREG]

    def are(self, tree):
        return len(tree) == len(self.paths) and not any(True for _ in self.differences(tree))

    def differences(self, tree):
        """What differs in `tree` (see `seen`), as lines of text."""
        for path, ino in self.paths.items():
            wanted = self.kinds[ino], self.attributes.get(ino, {})
            if path not in tree:
                yield f"{path} is not there"
            elif tree[path].lacks(*wanted):
                yield f"{path} is {tree[path]} instead of {wanted}"
        yield from (f"{path} is there" for path in tree if path not in self.paths)


@dataclass(frozen=True)
class Seen:
    """What a tree shows of one name. `attribute` is the value of the only attribute of users."""

    kind: int
    mode: int
    attribute: bytes | None
    target: str | None

    @staticmethod
    def of(path):
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            return Seen(kind, 0, None, os.readlink(path))
        names = [name for name in os.listxattr(path) if name.startswith("user.")]
        return Seen(kind, stat.S_IMODE(status.st_mode), os.getxattr(path, names[0]) if names else None, None)

    def lacks(self, kind, attributes):
        return self.kind != kind or any(getattr(self, name) != value for name, value in attributes.items())


def seen(root):
    return {str(path.relative_to(root)): Seen.of(path) for path in Path(root).rglob("*")}


class Content:
    """The bytes of one inode, call by call; `given` is what it had before the first."""

    def __init__(self, given=b""):
        self.bytes = bytearray(given)

    def apply(self, call):
        if call.kind == Kind.OPEN and call.offset & os.O_TRUNC:
            self.bytes.clear()
        elif call.kind == Kind.TRUNCATE:
            self.resize(call.offset)
        elif call.kind == Kind.WRITE:
            self.write(call.offset, call.second[: call.length])

    def resize(self, size):
        del self.bytes[size:]
        self.bytes.extend(bytes(size - len(self.bytes)))

    def write(self, offset, data):
        if offset > len(self.bytes):
            self.resize(offset)
        self.bytes[offset : offset + len(data)] = data


def pages(call):
    """A write as the changes that a reader may see one after the other: offset and bytes."""
    data, start = call.second[: call.length], call.offset
    while data:
        count = PAGE - start % PAGE
        yield start, data[:count]
        start, data = start + count, data[count:]


class History:
    """The calls of one recorder below `root`. `given`: the files that were there before, path to bytes."""

    def __init__(self, root, calls, given=None):
        self.root = str(root)
        self.calls = calls
        numbers = {path: -1_000_000 - index for index, path in enumerate(given or {})}
        for call in calls:
            path = call.first[len(self.root) + 1 :]
            if call.kind == Kind.OPEN and call.acknowledged and numbers.get(path, 0) < 0:
                numbers[path] = call.ino
        self.numbers = numbers
        self.before = {numbers[path]: data for path, data in (given or {}).items()}
        self.calls_of = defaultdict(list)
        self.times_of = defaultdict(list)
        self.holders = defaultdict(set)
        self._follow()

    def _follow(self):
        """Finds for each inode its calls, the times that it was given, and the paths that it ever had."""
        names = Names(self.root, self.numbers)
        for path, ino in names.paths.items():
            self.holders[path].add(ino)
        for number, call in enumerate(self.calls):
            if call.kind in (Kind.OPEN, Kind.WRITE, Kind.TRUNCATE):
                self.calls_of[call.ino].append((number, call))
            if call.kind == Kind.TIMES:
                ino = names.paths.get(names.relative(call.first))
                self.calls_of[ino].append((number, call))
            if names.apply(call):
                for path in names.changed:
                    self.holders[path].add(names.paths[path])

    @property
    def acknowledged_bytes(self):
        return sum(call.length for call in self.calls if call.kind == Kind.WRITE and call.acknowledged)

    def tail(self, count=10):
        """The last calls in short, for messages."""
        words = ((call.kind.name, call.ino, call.offset, call.length, call.ended_ns) for call in self.calls[-count:])
        return "; ".join(" ".join(map(str, word)) for word in words)

    def problems(self, promise, root=None):
        """What the tree at `root` lacks of the promise, as lines of text; empty if it is kept."""
        root = Path(root or self.root)
        tree = seen(root)
        names = Names(self.root, self.numbers)
        for call in self.calls[: promise.names]:
            names.apply(call)
        lacking = None
        of_file = cache(lambda path, ino: [f"{path}: {problem}" for problem in self._file(ino, promise, root / path)])
        later = iter(self.calls[promise.names :])
        while True:
            # The same names may stand for other files one call later: every state that fits is tried.
            found = list(names.differences(tree)) if lacking is None or names.are(tree) else ["other names"]
            files = () if found else names.files()
            found += [problem for path, ino in files for problem in of_file(path, ino)]
            if not found:
                return []
            lacking = lacking or found
            if not next((call for call in later if names.apply(call)), None):
                return lacking

    def _file(self, ino, promise, path):
        content, durable = Content(self.before.get(ino, b"")), promise.data_of(ino)
        time, later = None, []
        for number, call in self.calls_of[ino]:
            if call.kind == Kind.TIMES:
                time = call.offset if number < durable else None
                continue
            time = None if call.kind != Kind.OPEN or call.offset & os.O_TRUNC else time
            if number < durable:
                content.apply(call)
            else:
                later.append(call)
        yield from bytes_problems(bytes(content.bytes), later, path.read_bytes())
        if time is not None and path.stat().st_mtime_ns != time:
            yield f"its time is {path.stat().st_mtime_ns} instead of {time}"

    def nearest(self, path, data):
        """For messages: of the moments of a file, the one that differs in the fewest bytes from `data`: where, and in what."""
        found = []
        for ino in self.holders[path]:
            match = Match(self.before.get(ino, b""), data)
            for number, call in self.calls_of[ino]:
                if call.kind != Kind.TIMES:
                    match.apply(call)
                found.append((match.different, number, bytes(match.content.bytes)))
        different, number, content = min(found)
        places = [place for place in range(min(len(content), len(data))) if content[place] != data[place]]
        sizes = f"{len(data)} bytes instead of {len(content)} after call {number} of {len(self.calls)}"
        zeros = sum(data[place] == 0 for place in places)
        return f"{sizes}, {different} differ, in {places[:1]} to {places[-1:]}, {zeros} of them zeros"

    def had(self, path, data):
        """Whether a file that ever had the name `path` had these bytes at one moment."""
        return any(self._inode_had(ino, data) for ino in self.holders[path])

    def _inode_had(self, ino, data):
        match = Match(self.before.get(ino, b""), data)
        return match.holds or any(match.apply(call) for _, call in self.calls_of[ino] if call.kind != Kind.TIMES)


def bytes_problems(durable, later, found):
    """What is wrong with the bytes `found` of a file that had `durable` for sure, and maybe some of the calls `later`."""
    low = high = len(durable)
    possible = numpy.zeros(len(found), dtype=bool)
    values = numpy.frombuffer(found, dtype=numpy.uint8)
    common = min(low, len(found))
    possible[:common] = values[:common] == numpy.frombuffer(durable, dtype=numpy.uint8)[:common]
    # Where the file grew, later bytes may be on the disk before earlier ones.
    zeros_from = low
    for call in later:
        data = call.second[: call.length] if call.kind == Kind.WRITE else b""
        end = call.offset + len(data)
        if call.kind == Kind.WRITE:
            high = max(high, end)
            part = values[call.offset : end]
            possible[call.offset : end] |= part == numpy.frombuffer(data, dtype=numpy.uint8)[: len(part)]
        elif call.kind == Kind.TRUNCATE or call.offset & os.O_TRUNC:
            size = call.offset if call.kind == Kind.TRUNCATE else 0
            low, high, zeros_from = min(low, size), max(high, size), min(zeros_from, size)
    possible[zeros_from:] |= values[zeros_from:] == 0
    if not low <= len(found) <= high:
        yield f"it has {len(found)} bytes instead of {low} to {high}"
    wrong = numpy.flatnonzero(~possible)
    if wrong.size:
        yield f"{wrong.size} of its bytes were never written, the first at {wrong[0]}"


class Match:
    """Whether a file's bytes are `wanted`, kept up to date at the cost of what changes."""

    def __init__(self, given, wanted):
        self.content = Content(given)
        self.wanted = wanted
        self.different = self._count(0, max(len(given), len(wanted)))

    def _count(self, start, end):
        mine = numpy.frombuffer(bytes(self.content.bytes[start:end]), dtype=numpy.uint8)
        theirs = numpy.frombuffer(self.wanted[start:end], dtype=numpy.uint8)
        common = min(mine.size, theirs.size)
        return max(mine.size, theirs.size) - common + int(numpy.count_nonzero(mine[:common] != theirs[:common]))

    @property
    def holds(self):
        return self.different == 0

    def apply(self, call):
        """Whether they are so at a moment of this call: a write goes page by page."""
        if call.kind != Kind.WRITE:
            self.content.apply(call)
            self.different = self._count(0, max(len(self.content.bytes), len(self.wanted)))
            return self.holds
        return any([self._write(start, data) for start, data in pages(call)])

    def _write(self, start, data):
        begin, end = min(start, len(self.content.bytes)), start + len(data)
        self.different -= self._count(begin, end)
        self.content.write(start, data)
        self.different += self._count(begin, end)
        return self.holds
