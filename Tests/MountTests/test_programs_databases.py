"""SQLite and LMDB in a mount: transactions, crashes of the program, and two processes at once."""

import os
import signal
import sqlite3
import subprocess
import sys

import lmdb
import pytest

from harness.processes import wait_until

FILL = """\
CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO t (name, data) SELECT printf('row %d', i), zeroblob(i) FROM n;
COMMIT;
BEGIN; DELETE FROM t; ROLLBACK;
UPDATE t SET name = 'changed ' || id WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
CREATE INDEX by_size ON t (length(data), name);
"""
CHECK = "PRAGMA integrity_check; SELECT count(*), sum(id), sum(length(data)), group_concat(substr(name, -2)) FROM t;"


def check_in_every_mode(twin, modes):
    def work(place):
        # With so small a page cache SQLite writes to the database in the middle of a transaction.
        for mode in modes:
            settings = f"PRAGMA journal_mode={mode}; PRAGMA cache_size=40; PRAGMA mmap_size=1048576;\n"
            place.run("sqlite3", "-bail", f"{mode}.db", stdin=settings + FILL)
            place.run("sqlite3", "-bail", f"{mode}.db", "DELETE FROM t WHERE id > 800; VACUUM;")
            place.run("sqlite3", "-bail", f"{mode}.db", CHECK)
            place.run("sqlite3", "-bail", f"{mode}.db", f".backup {mode}.copy")

    twin.same(work)
    again = twin.arrives()
    for mode in modes:
        again.run("sqlite3", f"{mode}.db", CHECK)
    said = lambda place: [line[1] for line in place.transcript if line[0].endswith(CHECK)]
    assert said(again) == said(twin.plain)


def test_sqlite_writes_with_a_rollback_journal(local_twin):
    check_in_every_mode(local_twin, ["delete", "truncate", "persist", "memory"])


def test_sqlite_writes_with_a_write_ahead_log(twin):
    check_in_every_mode(twin, ["wal"])


# Ends without a word in the middle of a transaction that is partly on the disk.
DIE = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size=2")
database.execute("BEGIN")
database.execute("UPDATE t SET data = zeroblob(3000)")
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_sqlite_takes_back_what_a_killed_program_left_half_done(local_twin, mode):
    def work(place):
        place.run("sqlite3", "-bail", "db", stdin=f"PRAGMA journal_mode={mode};\n{FILL}")
        before = place.run("sqlite3", "db", CHECK)
        place.run(sys.executable, "-c", DIE, "db", status=-signal.SIGKILL, told=False)
        assert (place / ("db-wal" if mode == "wal" else "db-journal")).stat().st_size > 0
        return before

    twin = local_twin
    expected, before = work(twin.plain), work(twin.mounted)
    assert before == expected
    # The half-done transaction goes to the bucket and comes back with its journal, and is undone elsewhere as well.
    again = twin.arrives()
    assert again.run("sqlite3", "db", CHECK) == expected
    assert again.run("sqlite3", "db", "PRAGMA journal_mode").strip() == ("wal" if mode == "wal" else "delete")


# Adds 1 to the only row, again and again, against the others.
COUNT = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for _ in range(25):
    database.execute("BEGIN IMMEDIATE")
    (value,) = database.execute("SELECT value FROM counter").fetchone()
    database.execute("UPDATE counter SET value = ?", (value + 1,))
    database.execute("COMMIT")
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_three_processes_count_together_in_sqlite(local_twin, mode):
    path = local_twin.mounted / "db"
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE counter (value INTEGER)")
        database.execute("INSERT INTO counter VALUES (0)")
    database.close()
    counters = [subprocess.Popen([sys.executable, "-c", COUNT, path]) for _ in range(3)]
    assert [counter.wait(60) for counter in counters] == [0, 0, 0]
    assert local_twin.mounted.run("sqlite3", "db", "SELECT value FROM counter; PRAGMA integrity_check") == "75\nok\n"
    local_twin.arrives()


# LMDB: pages mapped shared for reading, written through a descriptor; a robust mutex in the mapped lock file.

ADD = """
import lmdb, sys
with lmdb.open(sys.argv[1], map_size=1 << 24, subdir=True) as database:
    for index in range(30):
        with database.begin(write=True) as transaction:
            transaction.put(b"%s %03d" % (sys.argv[2].encode(), index), bytes([index]) * 500)
"""


def read_lmdb(place):
    with lmdb.open(str(place / "lmdb"), map_size=1 << 24, lock=False, readonly=True) as database:
        with database.begin() as transaction:
            return list(transaction.cursor())


def test_two_processes_fill_one_lmdb(local_twin):
    def work(place):
        adders = [subprocess.Popen([sys.executable, "-c", ADD, place / "lmdb", name]) for name in ("one", "two")]
        assert [adder.wait(60) for adder in adders] == [0, 0]
        content = read_lmdb(place)
        assert len(content) == 60
        return content

    # Which transaction came first, and so which page has what, is chance.
    local_twin.same(work, varies=["lmdb/*.mdb"])
    local_twin.arrives(read_lmdb)


HOLD = """
import lmdb, sys, time
database = lmdb.open(sys.argv[1], map_size=1 << 24)
transaction = database.begin(write=True)
transaction.put(b"never", b"seen")
open(sys.argv[2], "w").close()
time.sleep(60)
"""


def test_lmdb_goes_on_after_the_death_of_a_writer(local_twin, tmp_path):
    path, ready = local_twin.mounted / "lmdb", tmp_path / "ready"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path, ready])
    wait_until(ready.exists, "the transaction is open")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    local_twin.mounted.run(sys.executable, "-c", ADD, "lmdb", "after")
    assert len(read_lmdb(local_twin.mounted)) == 30
    local_twin.arrives(read_lmdb)
