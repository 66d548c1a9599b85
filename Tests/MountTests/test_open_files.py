"""Files that are open: those nobody writes, readers beside a writer, and what a close does and does not do."""

import errno
import os
import struct
import subprocess
import sys
import threading
import time

import pytest

MEBIBYTE = 1 << 20
# Longer than the delay of uploads in these tests, so that what is not there now does not come by itself.
A_WHILE = 1.0


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_WRONLY], ids=["read", "both", "write"])
def test_a_file_made_by_an_open_that_never_writes_becomes_an_empty_object(bucket, make_mount, flags):
    mount = make_mount(bucket).start()
    os.close(os.open(mount.path / "lock", flags | os.O_CREAT, 0o640))
    mount.sync()
    assert bucket.keys() == ["lock"] and bucket.read("lock") == b""
    again = make_mount(bucket).start()
    status = (again.path / "lock").stat()
    assert (status.st_size, status.st_mode & 0o777) == (0, 0o640)


def test_a_lock_file_that_stays_open_can_be_sent(bucket, make_mount):
    mount = make_mount(bucket).start()
    held = os.open(mount.path / "lock", os.O_RDONLY | os.O_CREAT)
    mount.sync()
    assert bucket.keys() == ["lock"] and bucket.read("lock") == b""
    os.close(held)


def open_and_read(path):
    assert path.read_bytes().startswith(b"first")


def open_for_writing(path):
    os.close(os.open(path, os.O_RDWR))


def read_in_another_process(path):
    subprocess.run(["cat", path], check=True, stdout=subprocess.DEVNULL)


def map_in_another_process(path):
    code = "import mmap, sys; file = open(sys.argv[1]); mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)"
    subprocess.run([sys.executable, "-c", code, path], check=True)


@pytest.mark.parametrize("visit", [open_and_read, open_for_writing, read_in_another_process, map_in_another_process])
def test_who_closes_beside_a_writer_sends_nothing_and_loses_nothing(file_bucket, make_mount, visit):
    mount = make_mount(file_bucket).start()
    path = mount.path / "drive.bag"
    with open(path, "wb", buffering=0) as writer:
        writer.write(b"first ")
        for index in range(5):
            visit(path)
            writer.write(b"%d " % index)
        time.sleep(A_WHILE)
        assert file_bucket.keys() == [], "half a file went to the bucket"
        assert path.read_bytes() == b"first 0 1 2 3 4 "
        visit(path)
        writer.write(b"last")
    mount.sync()
    assert file_bucket.read("drive.bag") == b"first 0 1 2 3 4 last"


def test_a_reader_beside_a_writer_of_what_is_in_the_bucket_hides_nothing(bucket, make_mount):
    """The writer's bytes are local, the rest is only in the bucket: a reader's fetch and close keep both."""
    content = bytearray(os.urandom(3 * MEBIBYTE))
    bucket.put("data", bytes(content))
    mount = make_mount(bucket).start()
    path = mount.path / "data"
    with open(path, "r+b", buffering=0) as writer:
        for offset in (0, MEBIBYTE - 3, 2 * MEBIBYTE + 1):
            os.pwrite(writer.fileno(), b"changed", offset)
            content[offset : offset + 7] = b"changed"
            assert path.read_bytes() == bytes(content)
        time.sleep(A_WHILE)
    mount.sync()
    assert bucket.read("data") == bytes(content)


def test_a_forked_child_that_ends_does_not_close_for_its_parent(file_bucket, make_mount):
    mount = make_mount(file_bucket).start()
    with open(mount.path / "log", "wb", buffering=0) as file:
        file.write(b"one ")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        os.close(os.dup(file.fileno()))
        time.sleep(A_WHILE)
        assert file_bucket.keys() == []
        file.write(b"two")
    mount.sync()
    assert file_bucket.read("log") == b"one two"


# struct posix_acl_xattr_header and entries: owner rw-, group r--, others nothing (linux/posix_acl_xattr.h).
NO_ID = 0xFFFFFFFF
ACL = struct.pack("<IHHIHHIHHI", 2, 1, 6, NO_ID, 4, 4, NO_ID, 32, 0, NO_ID)


@pytest.mark.parametrize("value", [ACL, b""], ids=["acl", "empty"])
def test_acls_are_refused_and_never_ignored(mount, value):
    """sed and cp set the mode in this way, and by chmod where this is refused: success without effect loses it."""
    file, directory = mount.path / "file", mount.path / "directory"
    file.touch(mode=0o644)
    directory.mkdir(mode=0o755)
    for path, name in ((file, "access"), (directory, "access"), (directory, "default")):
        name = f"system.posix_acl_{name}"
        for action in (
            lambda: os.setxattr(path, name, value),
            lambda: os.getxattr(path, name),
            lambda: os.removexattr(path, name),
        ):
            with pytest.raises(OSError) as failure:
                action()
            assert failure.value.errno == errno.EOPNOTSUPP
        assert os.listxattr(path) == []
    assert file.stat().st_mode & 0o777 == 0o644
    assert directory.stat().st_mode & 0o777 == 0o755


def test_an_open_that_races_with_a_rename_over_its_name_finds_the_old_or_the_new_file(file_bucket, make_mount):
    mount = make_mount(file_bucket).start()
    target, end, failures, seen = mount.path / "target", threading.Event(), [], set()
    target.write_text("0")

    def look():
        while not end.is_set():
            try:
                seen.add(target.read_text())
            except OSError as error:
                failures.append(error)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for index in range(1, 301):
        (mount.path / "new").write_text(str(index))
        (mount.path / "new").rename(target)
    end.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert seen <= {str(index) for index in range(301)}, "an open file is one version, never empty and never a mixture"
    assert target.read_text() == "300"
