"""State directories that are damaged: what is intact is served or saved, what is not is said, and nothing crashes."""

import os
import random
import shutil
import subprocess

import pytest

from harness.mount import Mount, sluice
from harness.stores import DirectoryBucket

DONE, FAILED, USAGE = 0, 1, 2
CLEAN = random.Random(1).randbytes(600_000)
DIRTY = random.Random(2).randbytes(400_000)
OBJECT = random.Random(3).randbytes(3 << 20)
CHANGE = b"changed here"
CHANGE_AT = 2_000_000


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A state directory whose daemon was killed: a clean file, unsent ones, one of them only partly local."""
    place = tmp_path_factory.mktemp("victim")
    bucket = DirectoryBucket(place / "bucket")
    bucket.put("shard.bin", OBJECT)
    mount = Mount(bucket, place / "mount", place / "state", ["-o", "upload_delay=1h"])
    try:
        mount.start()
        (mount.path / "clean.bin").write_bytes(CLEAN)
        mount.stop()  # and its journal is all in the database; what follows is in the log
        mount.start()
        folder = mount.path / "new" / "folder"
        folder.mkdir(parents=True)
        (folder / "dirty file.bin").write_bytes(DIRTY)
        (folder / "link").symlink_to("dirty file.bin")
        partial = os.open(mount.path / "shard.bin", os.O_WRONLY)
        os.pwrite(partial, CHANGE, CHANGE_AT)
        os.fsync(partial)
        os.close(partial)
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        kept = os.open(folder / "dirty file.bin", os.O_RDONLY)
        os.fsync(kept)
        os.close(kept)
        mount.kill()
    finally:
        mount.destroy()
    return mount


@pytest.fixture
def copy(victim, tmp_path):
    """A copy of the victim's state directory, and a mount of it that sends nothing."""
    state = tmp_path / "state"
    subprocess.run(["cp", "-a", "--sparse=always", victim.state, state], check=True)
    mount = Mount(victim.bucket, tmp_path / "mount", state, ["--read-only"])
    yield mount
    mount.destroy()


def data_file(state, content):
    """The data file that starts with `content`."""
    for path in (state / "data").rglob("*"):
        if path.is_file() and not path.name.endswith(".ranges") and path.read_bytes()[: len(content)] == content:
            return path
    raise AssertionError("no data file has these bytes")


def range_log(state):
    return next(path for path in (state / "data").rglob("*.ranges"))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip(path):
    """One bit in each 4 KiB."""
    content = bytearray(path.read_bytes())
    for offset in range(min(100, max(0, len(content) - 1)), len(content), 4096):
        content[offset] ^= 0x10
    path.write_bytes(content)


def remove(path):
    path.unlink()


def replace_by_directory(path):
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "inside").write_text("something")


def replace_by_link(path):
    outside = path.parent.parent / f"outside-{path.name}"
    path.rename(outside) if path.exists() else outside.write_bytes(b"")
    path.symlink_to(outside)


def replace_by_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


DAMAGES = [truncate, empty, flip, remove, replace_by_directory, replace_by_link, replace_by_pipe]
FILES = {
    "journal": lambda state: state / "journal.db",
    "log of the journal": lambda state: state / "journal.db-wal",
    "data": lambda state: data_file(state, DIRTY),
    "clean data": lambda state: data_file(state, CLEAN),
    "ranges": range_log,
    "lock": lambda state: state / "lock",
    "socket": lambda state: state / "control.sock",
    "daemon's log": lambda state: state / "sluice.log",
}


def fsck(state, *options):
    result = sluice("fsck", state, *options)
    assert result.returncode in (DONE, FAILED), f"fsck ended with {result.returncode}: {result.stderr}"
    assert "Fatal error" not in result.stderr
    return result


def contents(directory):
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]


def snapshot(state):
    """Everything that could be changed: names, kinds, sizes, times of change, bytes."""
    found = {}
    for path in sorted(state.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_nlink)
    return found


CASES = [(name, damage) for name in ("journal", "log of the journal", "data", "clean data", "ranges") for damage in DAMAGES]
CASES += [(name, damage) for name in ("lock", "socket", "daemon's log") for damage in DAMAGES if "replace" in damage.__name__]


def is_seen(name, damage):
    """Whether no state directory can be so without damage."""
    if damage in (replace_by_directory, replace_by_link, replace_by_pipe):
        return True
    if name == "journal":  # of which other pages may be in its log
        return damage in (empty, remove)
    if (name, damage) == ("clean data", flip):
        return True
    return name == "data" and damage in (truncate, empty, remove) or name == "ranges" and damage in (empty, remove)


@pytest.mark.parametrize(("name", "damage"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_one_damaged_file_costs_nothing_else(copy, tmp_path, name, damage):
    state = copy.state
    path = FILES[name](state)
    damage(path)

    before = snapshot(state)
    saved = tmp_path / "saved"
    result = fsck(state, "--salvage", saved)
    assert snapshot(state) == before, "fsck changed the state directory"
    if is_seen(name, damage):
        assert result.returncode == FAILED, f"fsck found nothing: {result.stdout}"
    if name != "data":
        assert DIRTY in contents(saved), f"the unsent file was not saved: {result.stdout}"

    result = copy.try_start()
    assert result.returncode in (DONE, FAILED), result.stderr
    assert "died" not in result.stderr and "Fatal error" not in result.stderr
    if result.returncode == FAILED:
        lines = result.stderr.splitlines()
        assert len(lines) == 1 and str(state) in lines[0], f"not one clear line: {lines}"
        return
    assert (copy.path / "clean.bin").read_bytes() == CLEAN
    if name != "data":
        unsent = copy.path / "new" / "folder" / "dirty file.bin"
        kept = contents(state / "quarantine")
        assert DIRTY in kept or unsent.read_bytes() == DIRTY


def test_a_sound_directory_is_reported_as_such_with_what_is_not_in_the_bucket(copy, tmp_path):
    before = snapshot(copy.state)
    saved = tmp_path / "saved"
    result = fsck(copy.state, "--salvage", saved)
    assert result.returncode == DONE, result.stdout
    assert snapshot(copy.state) == before
    assert "journal: sound" in result.stdout and copy.bucket.source in result.stdout
    assert "nothing is damaged" in result.stdout
    assert "new/folder/dirty file.bin  390 KiB" in result.stdout
    assert "clean.bin" not in result.stdout
    assert (saved / "new" / "folder" / "dirty file.bin").read_bytes() == DIRTY
    assert (saved / "new" / "folder" / "link").read_bytes() == b"dirty file.bin"
    partial = (saved / "shard.bin.partial").read_bytes()
    assert len(partial) == len(OBJECT) and partial[CHANGE_AT : CHANGE_AT + len(CHANGE)] == CHANGE
    assert "partial: " in result.stdout and "the bucket has them as shard.bin" in result.stdout


def test_flipped_bits_of_what_is_in_the_bucket_are_told_of_fetched_again_and_gone(copy, tmp_path):
    path = data_file(copy.state, CLEAN)
    content = bytearray(path.read_bytes())
    content[300_000] ^= 1
    path.write_bytes(content)
    result = fsck(copy.state)
    assert result.returncode == FAILED and "clean.bin" in result.stdout and "262144 of its local bytes" in result.stdout

    copy.start()
    assert (copy.path / "clean.bin").read_bytes() == CLEAN
    assert [error["path"] for error in copy.status()["errors"]] == ["clean.bin"]
    copy.kill()
    assert fsck(copy.state).returncode == DONE


def test_salvage_overwrites_nothing_and_follows_no_link(copy, tmp_path):
    saved = tmp_path / "saved"
    outside = tmp_path / "outside"
    outside.mkdir()
    (saved / "new").mkdir(parents=True)
    (saved / "new" / "folder").symlink_to(outside)
    (saved / "shard.bin.partial").write_text("mine")
    result = fsck(copy.state, "--salvage", saved)
    assert result.returncode == DONE, result.stdout
    assert list(outside.iterdir()) == []
    assert (saved / "shard.bin.partial").read_text() == "mine"
    assert (saved / "shard.bin.partial.2").stat().st_size == len(OBJECT)
    assert (saved / "new" / "folder.2" / "dirty file.bin").read_bytes() == DIRTY


def test_what_is_in_quarantine_is_listed_and_saved(copy, tmp_path):
    (copy.state / "data" / "ff").mkdir(exist_ok=True)
    (copy.state / "data" / "ff" / "70000000255").write_bytes(b"nobody knows")
    (copy.state / "quarantine" / "17-263").write_bytes(b"put aside before")
    saved = tmp_path / "saved"
    result = fsck(copy.state, "--salvage", saved)
    assert result.returncode == FAILED
    assert "quarantine/17-263" in result.stdout and "70000000255" in result.stdout
    assert b"put aside before" in contents(saved)

    copy.start()
    assert (copy.state / "quarantine" / "17-263").read_bytes() == b"put aside before"
    (put_aside,) = (path for path in (copy.state / "quarantine").iterdir() if path.name.endswith("-70000000255"))
    assert put_aside.read_bytes() == b"nobody knows"
    errors = copy.status()["errors"]
    assert [error["path"] for error in errors if put_aside.name in error["message"]] == ["data/ff/70000000255"]


def test_a_directory_in_use_is_refused_also_when_its_lock_was_taken_away(victim, tmp_path):
    state = tmp_path / "state"
    mount = Mount(victim.bucket, tmp_path / "mount", state, ["--read-only"])
    try:
        mount.start()
        (state / "lock").unlink()
        result = sluice("fsck", state)
        assert result.returncode == FAILED and "in use" in result.stderr
        other = Mount(victim.bucket, tmp_path / "other", state, ["--read-only"])
        result = other.try_start()
        assert result.returncode == FAILED and "in use" in result.stderr
    finally:
        mount.destroy()


def test_wrong_usage_has_its_own_exit_code(copy, tmp_path):
    assert sluice("fsck").returncode == USAGE
    result = sluice("fsck", copy.state, "--salvage", copy.state / "saved")
    assert result.returncode == USAGE and "lies in the state directory" in result.stderr
    assert not (copy.state / "saved").exists()
    result = sluice("fsck", tmp_path / "nothing here")
    assert result.returncode == FAILED and "nothing here" in result.stderr


def test_a_directory_that_cannot_be_written_is_examined(copy, tmp_path):
    """As from a disk that is mounted read-only."""
    image = tmp_path / "read-only"
    image.mkdir()
    subprocess.run(["mount", "--bind", copy.state, image], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", image], check=True)
        saved = tmp_path / "saved"
        assert fsck(image, "--salvage", saved).returncode == DONE
        assert DIRTY in contents(saved)
    finally:
        subprocess.run(["umount", image], check=True)
        shutil.rmtree(image, ignore_errors=True)


def test_what_a_daemon_keeps_is_for_its_user_alone_whatever_the_umask_and_never_in_a_core_file(file_bucket, make_mount):
    former = os.umask(0)
    try:
        mount = make_mount(file_bucket, "-o", "upload_delay=1h").start()
    finally:
        os.umask(former)
    (mount.path / "file").write_bytes(b"private")
    assert mount.state.stat().st_mode & 0o777 == 0o700
    kept = [path for path in mount.state.rglob("*")]
    assert {"journal.db", "journal.db-wal", "lock", "control.sock", "sluice.log", "data"} <= {path.name for path in kept}
    for path in kept:
        assert path.lstat().st_mode & 0o077 == 0, f"{path} is open to others"
    limits = open(f"/proc/{mount.pid}/limits").read().splitlines()
    (core,) = (line.split()[4:6] for line in limits if line.startswith("Max core file size"))
    assert core == ["0", "0"]
