"""Recorders under witness: every writer of `writers.py`, and those below that end only with their mount.

Imported: `Recorders` starts them. Run: the process that they are forked from, which has everything loaded.
"""

import ctypes
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from harness import witness
from harness.history import History
from harness.writers import WRITERS, write_large_file

PAUSE = 0.002


def append(directory, sync_every=None):
    """A plain logger: blocks of any length appended to one file after the other."""
    contents = random.Random(str(directory))
    for number in itertools.count():
        with open(directory / f"part-{number:03}", "ab", buffering=0) as file:
            for index in range(1, 21):
                file.write(contents.randbytes(contents.randrange(1, 20_000)))
                if sync_every and index % sync_every == 0:
                    os.fsync(file.fileno())
                time.sleep(PAUSE)


def append_synced(directory):
    append(directory, sync_every=4)


def replace(directory):
    """A program that saves: a temporary file, synced, renamed over the old, and the directory synced."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    contents = random.Random(str(directory))
    for number in itertools.count():
        temporary = directory / "settings.tmp"
        with open(temporary, "wb", buffering=0) as file:
            file.write(contents.randbytes(contents.randrange(1, 60_000)))
            os.fsync(file.fileno())
        os.rename(temporary, directory / f"settings-{number % 3}")
        if number % 2:
            os.fsync(folder)
        time.sleep(PAUSE)


def replace_unsynced(directory):
    """As `replace`, by a program that trusts its file system."""
    contents = random.Random(str(directory))
    for number in itertools.count():
        temporary = directory / "settings.tmp"
        temporary.write_bytes(contents.randbytes(contents.randrange(1, 60_000)))
        os.rename(temporary, directory / f"settings-{number % 3}")
        time.sleep(PAUSE)


def transactions(directory):
    """SQLite with rollback journal and synchronous=FULL; rows of any length, some changed and some deleted again."""
    database = sqlite3.connect(directory / "rows.db", isolation_level=None)
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE row (number INTEGER PRIMARY KEY, data BLOB)")
    contents = random.Random(str(directory))
    for number in itertools.count():
        database.execute("BEGIN")
        database.execute("INSERT INTO row VALUES (?, ?)", (number, contents.randbytes(contents.randrange(9_000))))
        if number % 5 == 4:
            database.execute("UPDATE row SET data = zeroblob(100) WHERE number = ?", (number - 3,))
            database.execute("DELETE FROM row WHERE number = ?", (number - 4,))
        database.execute("COMMIT")
        time.sleep(PAUSE)


def check_transactions(directory, scratch):
    """The database is whole and holds the rows of one moment between two transactions. Looks at a copy."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(directory, scratch)
    database = sqlite3.connect(scratch / "rows.db")
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"{directory} is damaged"
        if not database.execute("SELECT name FROM sqlite_master").fetchall():
            return
        found = [number for (number,) in database.execute("SELECT number FROM row ORDER BY number")]
    finally:
        database.close()
    last = max(found, default=-1)
    kept = [number for number in range(last + 1) if number % 5 or number + 4 > last]
    assert found == kept, f"{directory} has half of a transaction: {found[-10:]} instead of {kept[-10:]}"


def names(directory):
    """Everything that changes names and attributes, in directories that come and go."""
    choices = random.Random(str(directory))
    for number in itertools.count():
        folder = directory / f"folder-{number % 4}"
        if not folder.exists():
            folder.mkdir()
        file = folder / f"file-{number}"
        file.write_bytes(choices.randbytes(choices.randrange(3_000)))
        os.setxattr(file, "user.number", str(number).encode())
        file.chmod(choices.choice([0o600, 0o640, 0o755]))
        os.utime(file, ns=(10**18 + number, 10**18 + number))
        if number % 3 == 1:
            os.rename(file, directory / f"moved-{number % 6}")
        if number % 5 == 2:
            os.symlink(f"target-{number}", folder / f"link-{number}")
        if number % 7 == 3:
            os.unlink(file if file.exists() else directory / f"moved-{number % 6}")
        if number % 8 == 7:
            os.rename(folder, directory / f"kept-{number}")
        time.sleep(PAUSE)


def patch(directory):
    """Changes pages here and there in the files that are in the directory, and syncs some of them."""
    choices = random.Random(str(directory))
    files = [os.open(path, os.O_RDWR) for path in sorted(directory.iterdir())]
    while True:
        for number, file in enumerate(files):
            size = os.fstat(file).st_size
            length = choices.randrange(1, 9_000)
            os.pwrite(file, choices.randbytes(length), choices.randrange(size - length))
            if number == 0 and choices.random() < 0.2:
                os.fsync(file)
        time.sleep(PAUSE)


def move(directory):
    """Renames files, over others as well, and whole directories, whatever is there."""
    choices = random.Random(str(directory))
    for number in itertools.count():
        folders = sorted(path for path in directory.iterdir() if path.is_dir())
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        if number % 3 == 0:
            os.rename(choices.choice(folders), directory / f"folder-{number}")
        elif number % 3 == 1:
            file = choices.choice(files)
            os.rename(file, file.with_name(f"renamed-{number}"))
        elif len(files) > 10:
            os.rename(*choices.sample(files, 2))
        time.sleep(0.02)


ENDLESS = [append, append_synced, replace, replace_unsynced, transactions, names]


def again_and_again(write):
    def writes(directory):
        for number in itertools.count():
            take = directory / f"take-{number}"
            take.mkdir()
            write(take)

    return writes


RECORDERS = {function.__name__: function for function in ENDLESS}
RECORDERS |= {writer.name: again_and_again(writer.write) for writer in WRITERS}
RECORDERS["large-file"] = again_and_again(lambda directory: write_large_file(directory, size=12 << 20))
ALL_RECORDERS = list(RECORDERS)
# These work on what is in their directory.
RECORDERS |= {function.__name__: function for function in (patch, move)}


class Recording:
    """One recorder at work in `directory`."""

    def __init__(self, name, directory, log, process, given):
        self.name = name
        self.directory = Path(directory)
        self.log = Path(log)
        self.process = process
        self.given = given

    def history(self, until_ns=None):
        return History(self.directory, witness.calls(self.log, until_ns), self.given)

    def has_begun(self):
        return self.log.exists() and self.log.stat().st_size > 0


class Recorders:
    """Starts recorders by fork: they write within milliseconds. A context manager; ends what it started."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.library = witness.build(self.directory)
        self.running = []
        self.count = itertools.count()
        environment = {**os.environ, "LD_PRELOAD": str(self.library), "PYTHONPATH": str(Path(__file__).parents[1])}
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "harness.recorders", self.library],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(self.directory / "recorders.log", "wb"),
            text=True,
        )
        assert self._answer() == "ready"

    def _ask(self, **request):
        self.parent.stdin.write(json.dumps(request) + "\n")
        self.parent.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.parent.stdout.readline()
        assert line, f"the recorders' parent ended, see {self.directory / 'recorders.log'}"
        return json.loads(line)

    def start(self, name, directory, given=None):
        log = self.directory / f"{next(self.count)}-{name}"
        process = self._ask(name=name, directory=str(directory), log=str(log))
        self.running.append(Recording(name, directory, log, process, given))
        return self.running[-1]

    def wait(self):
        """Until all have ended by themselves, as they do when their mount is gone."""
        self._reap()

    def kill(self):
        for recording in self.running:
            try:
                os.killpg(recording.process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._reap()

    def _reap(self):
        for recording in self.running:
            status = self._ask(reap=recording.process)
            assert status != 0, f"{recording.name} must have met the end of its mount"
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.kill()
        finally:
            self.parent.kill()
            self.parent.wait()


def main(library):
    start = ctypes.CDLL(library).witness_start
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "reap" in request:
            print(os.waitpid(request["reap"], 0)[1], flush=True)
            continue
        process = os.fork()
        if not process:
            _record(start, request)
        print(process, flush=True)


def _record(start, request):
    """In the child. Never returns."""
    try:
        os.setsid()
        os.environ |= {"WITNESS_LOG": request["log"], "WITNESS_ROOT": request["directory"]}
        start(os.fsencode(request["log"]), os.fsencode(request["directory"]))
        RECORDERS[request["name"]](Path(request["directory"]))
    except BaseException as error:
        print(request["name"], repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
