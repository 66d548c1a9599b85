"""Reads what witness.c noted: the calls by which a recorder changed files, and which of them were acknowledged."""

import errno
import subprocess
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from struct import Struct

SOURCE = Path(__file__).with_name("witness.c")
# A call that ended so may have been done: the daemon died before it answered.
DAEMON_GONE = {errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV, errno.EINTR}


class Kind(IntEnum):
    """As in witness.c."""

    END, OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, CHMOD, TIMES, SETXATTR, SYMLINK, LINK = range(14)


@dataclass
class Call:
    """`ino`, `offset` and `length` as witness.c gives them; `ended_ns` is None for one that was not acknowledged."""

    kind: Kind
    began_ns: int
    ino: int
    offset: int
    length: int
    first: str
    second: bytes
    ended_ns: int | None = None
    result: int = 0

    @property
    def acknowledged(self):
        return self.ended_ns is not None


def build(directory):
    """Compiles the library; returns its path."""
    library = Path(directory) / "witness.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


_NOTE = Struct("=IIIIqqqq")


def calls(log, until_ns=None):
    """The calls that changed something or may have, in order; only the last may be unacknowledged.

    Calls that were refused for what they asked are left out, and syncs that failed: SQLite passes over that of a directory,
    and may write on past the dead daemon. With `until_ns`, as the log was at that moment.
    """
    found = []
    for call in _notes(Path(log).read_bytes(), until_ns):
        if not call.acknowledged:
            return [*found, call]
        if call.result >= 0:
            found.append(call)
        elif -call.result in DAEMON_GONE and call.kind != Kind.SYNC:
            call.ended_ns = None
            return [*found, call]
    return found


def _notes(data, until_ns):
    position, begun = 0, None
    while position + _NOTE.size <= len(data):
        kind, first_length, second_length, _, time_ns, ino, offset, length = _NOTE.unpack_from(data, position)
        position += _NOTE.size
        first = data[position : position + first_length].decode()
        second = data[position + first_length : position + first_length + second_length]
        position += first_length + second_length
        if position > len(data) or (until_ns and time_ns > until_ns):
            break
        if kind != Kind.END:
            begun = Call(Kind(kind), time_ns, ino, offset, length, first, second)
            continue
        _end(begun, time_ns, ino, offset, length)
        yield begun
        begun = None
    if begun:
        yield begun


def _end(call, time_ns, ino, result, error):
    call.ended_ns = time_ns
    call.result = result if result >= 0 else -error
    if call.kind == Kind.OPEN:
        call.ino = ino
    if call.kind == Kind.WRITE and result >= 0:
        call.length = result
