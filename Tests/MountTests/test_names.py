"""Names, attributes and the other things that programs do with files, in the mount and in the bucket."""

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from harness.mount import sluice, wait_for_uploads_to_start
from harness.processes import wait_until

MEBIBYTE = 1 << 20


def fails_with(number, action):
    with pytest.raises(OSError) as failure:
        action()
    assert failure.value.errno == number, f"{failure.value} instead of {errno.errorcode[number]}"


class KeyWatch:
    """Every key that a reader of the bucket could see while the body ran."""

    def __init__(self, bucket):
        self.bucket = bucket
        self.seen = set()

    def look(self):
        self.seen |= set(self.bucket.keys())

    def until_synced(self, mount):
        """Looks all the time until `mount` has nothing left to do."""
        pending = True
        while pending:
            status = mount.status()
            pending = status["pending"]["files"] or status["pending"]["operations"]
            self.look()
        mount.sync()
        self.look()
        return self.seen


# Rename and unlink


def test_a_file_renamed_when_complete_has_only_its_final_key(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1s").start()
    active, final = mount.path / "drive.bag.active", mount.path / "drive.bag"
    with open(active, "wb", buffering=0) as file:
        for index in range(20):
            file.write(bytes([index]) * 10_000)
    active.rename(final)
    assert not active.exists()
    assert KeyWatch(bucket).until_synced(mount) == {"drive.bag"}
    assert bucket.read("drive.bag") == b"".join(bytes([index]) * 10_000 for index in range(20))


def test_a_file_renamed_while_it_is_written_goes_on_under_its_new_name(bucket, make_mount):
    mount = make_mount(bucket).start()
    with open(mount.path / "drive.bag.active", "wb", buffering=0) as file:
        file.write(b"first ")
        os.rename(file.name, mount.path / "drive.bag")
        file.write(b"second")
        assert (mount.path / "drive.bag").stat().st_size == 12
    assert KeyWatch(bucket).until_synced(mount) == {"drive.bag"}
    assert bucket.read("drive.bag") == b"first second"


@pytest.mark.parametrize("size", [6 * MEBIBYTE, 24 * MEBIBYTE], ids=["single", "multipart"])
def test_a_file_renamed_while_it_is_uploaded_leaves_no_old_key(network, make_mount, size):
    mount = make_mount(network.bucket).start()
    network.proxy.bytes_per_second = 8 * MEBIBYTE
    (mount.path / "old").write_bytes(os.urandom(1) * size)
    wait_for_uploads_to_start(mount)
    (mount.path / "old").rename(mount.path / "new")
    network.proxy.bytes_per_second = None
    mount.sync(timeout=60)
    assert network.bucket.keys() == ["new"]
    assert network.bucket.read("new") == (mount.path / "new").read_bytes()
    assert len(network.bucket.read("new")) == size
    assert network.bucket.client.list_multipart_uploads(Bucket=network.bucket.name).get("Uploads", []) == []
    assert mount.status()["conflicts"] == []


@pytest.mark.parametrize("size", [6 * MEBIBYTE, 24 * MEBIBYTE], ids=["single", "multipart"])
def test_a_file_deleted_while_it_is_uploaded_leaves_no_key(network, make_mount, size):
    mount = make_mount(network.bucket).start()
    network.proxy.bytes_per_second = 8 * MEBIBYTE
    (mount.path / "file").write_bytes(bytes(size))
    wait_for_uploads_to_start(mount)
    (mount.path / "file").unlink()
    network.proxy.bytes_per_second = None
    mount.sync(timeout=60)
    assert network.bucket.keys() == []
    uploads = lambda: network.bucket.client.list_multipart_uploads(Bucket=network.bucket.name).get("Uploads", [])
    wait_until(lambda: uploads() == [], "the parts are given up", 10)


def test_a_file_changed_while_it_is_uploaded_ends_as_its_last_state(network, make_mount):
    mount = make_mount(network.bucket).start()
    network.proxy.bytes_per_second = 8 * MEBIBYTE
    with open(mount.path / "file", "wb", buffering=0) as file:
        for index in range(24):
            file.write(bytes([index]) * MEBIBYTE)
    wait_for_uploads_to_start(mount)
    with open(mount.path / "file", "r+b", buffering=0) as file:
        file.write(b"header rewritten at the end")
        file.seek(0, os.SEEK_END)
        file.write(b"tail")
    network.proxy.bytes_per_second = None
    mount.sync(timeout=60)
    content = bytearray(b"".join(bytes([index]) * MEBIBYTE for index in range(24)) + b"tail")
    content[:27] = b"header rewritten at the end"
    assert network.bucket.read("file") == bytes(content)
    assert network.bucket.keys() == ["file"]


def test_a_directory_of_uploaded_files_can_be_renamed(bucket, make_mount):
    mount = make_mount(bucket).start()
    (mount.path / "run" / "deep").mkdir(parents=True)
    names = [f"file-{index}" for index in range(10)] + ["deep/file"]
    for name in names:
        (mount.path / "run" / name).write_text(name)
    mount.sync()
    (mount.path / "run").rename(mount.path / "archive")
    assert not (mount.path / "run").exists()
    assert (mount.path / "archive" / "deep" / "file").read_text() == "deep/file"
    (mount.path / "archive" / "deep" / "file").write_text("changed")
    mount.sync()
    assert bucket.keys() == sorted(f"archive/{name}" for name in names)
    assert bucket.read("archive/file-3") == b"file-3" and bucket.read("archive/deep/file") == b"changed"
    again = make_mount(bucket).start()
    assert sorted(os.listdir(again.path)) == ["archive"]
    assert (again.path / "archive" / "file-9").read_text() == "file-9"


def test_a_reader_of_the_bucket_never_misses_a_file_that_is_renamed(s3_bucket, make_mount):
    mount = make_mount(s3_bucket).start()
    (mount.path / "old").write_text("content")
    mount.sync()
    (mount.path / "old").rename(mount.path / "new")
    seen = []
    while not seen or seen[-1] != ["new"]:
        seen.append(s3_bucket.keys())
        assert seen[-1], "for a moment the file was under neither key"
        assert len(seen) < 10_000
    assert s3_bucket.read("new") == b"content"


def test_rename_replaces_what_is_there(bucket, make_mount):
    mount = make_mount(bucket).start()
    (mount.path / "a").write_text("a")
    (mount.path / "b").write_text("b")
    mount.sync()
    (mount.path / "fresh").write_text("fresh")
    (mount.path / "a").rename(mount.path / "b")
    (mount.path / "fresh").rename(mount.path / "c")
    (mount.path / "another").write_text("another")
    (mount.path / "another").replace(mount.path / "c")
    assert (mount.path / "b").read_text() == "a"
    mount.sync()
    assert bucket.keys() == ["b", "c"]
    assert bucket.read("b") == b"a" and bucket.read("c") == b"another"
    assert mount.status()["conflicts"] == []


def test_two_files_can_swap_their_names(bucket, make_mount):
    mount = make_mount(bucket).start()
    (mount.path / "a").write_text("from a")
    (mount.path / "b").write_text("from b")
    mount.sync()
    (mount.path / "a").rename(mount.path / "t")
    (mount.path / "b").rename(mount.path / "a")
    (mount.path / "t").rename(mount.path / "b")
    mount.sync()
    assert bucket.keys() == ["a", "b"]
    assert bucket.read("a") == b"from b" and bucket.read("b") == b"from a"
    assert mount.status()["conflicts"] == []


def test_a_name_can_be_used_again_at_once(bucket, make_mount):
    mount = make_mount(bucket).start()
    for index in range(5):
        (mount.path / "name").write_text(f"generation {index}")
        if index % 2:
            mount.sync()
        if index < 4:
            (mount.path / "name").unlink()
    mount.sync()
    assert bucket.keys() == ["name"] and bucket.read("name") == b"generation 4"
    assert mount.status()["conflicts"] == []


def test_impossible_renames_fail_with_the_errno_of_posix(mount):
    (mount.path / "file").write_text("file")
    (mount.path / "full" / "sub").mkdir(parents=True)
    (mount.path / "empty").mkdir()
    rename = os.rename
    os.chdir(mount.path)
    try:
        fails_with(errno.ENOENT, lambda: rename("missing", "x"))
        fails_with(errno.EISDIR, lambda: rename("file", "empty"))
        fails_with(errno.ENOTDIR, lambda: rename("empty", "file"))
        fails_with(errno.ENOTEMPTY, lambda: rename("empty", "full"))
        fails_with(errno.EINVAL, lambda: rename("full", "full/sub/x"))
        rename("full", "empty")
        assert sorted(os.listdir()) == ["empty", "file"]
    finally:
        os.chdir("/")


def test_a_file_unlinked_while_open_stays_usable_and_is_not_uploaded(bucket, make_mount):
    mount = make_mount(bucket).start()
    with open(mount.path / "temporary", "w+b", buffering=0) as file:
        file.write(b"one ")
        os.unlink(file.name)
        file.write(b"two")
        file.seek(0)
        assert file.read() == b"one two"
        assert os.fstat(file.fileno()).st_nlink == 0
        assert os.listdir(mount.path) == []
        time.sleep(0.5)
        assert bucket.keys() == []
    mount.sync()
    assert bucket.keys() == []
    local = lambda: [path for path in (mount.state / "data").rglob("*") if path.is_file()]
    wait_until(lambda: local() == [], "its bytes leave the disk", 10)


def test_a_tree_of_1500_files_can_be_deleted_while_it_is_listed(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    tree = mount.path / "tree"
    for name, count in (("sent", 200), ("unsent", 1300)):
        (tree / name).mkdir(parents=True)
        for index in range(count):
            (tree / name / f"file {index}").touch()
        if name == "sent":
            mount.sync()
    result = subprocess.run(["rm", "-rf", tree], capture_output=True, text=True, timeout=60)
    assert result.stderr == "" and result.returncode == 0
    assert os.listdir(mount.path) == []
    mount.sync()
    assert bucket.keys() == []
    again = make_mount(bucket).start()
    assert os.listdir(again.path) == []


def test_a_tree_that_others_made_can_be_deleted_for_good(bucket, make_mount):
    for name in ("theirs/deep/a", "theirs/b", "kept"):
        bucket.put(name, b"content")
    mount = make_mount(bucket, "-o", "metadata_ttl=200ms").start()
    shutil.rmtree(mount.path / "theirs")
    mount.sync()
    assert bucket.keys() == ["kept"]
    time.sleep(0.5)
    assert os.listdir(mount.path) == ["kept"]
    time.sleep(0.5)
    assert os.listdir(mount.path) == ["kept"]
    assert mount.status()["conflicts"] == []


def test_a_listing_has_every_file_once_while_others_come_and_go(mount):
    kept = {f"kept-{index:04}" for index in range(500)}
    for name in kept:
        (mount.path / name).touch()
    with os.scandir(mount.path) as entries:
        names = []
        for index, entry in enumerate(entries):
            names.append(entry.name)
            (mount.path / f"new-{index:04}").touch()
            (mount.path / f"new-{index:04}").unlink()
    names = [name for name in names if name in kept]
    assert len(names) == len(set(names)) and set(names) == kept


# Content


def test_files_can_be_appended_cut_and_extended(mount, bucket):
    path = mount.path / "file"
    path.write_bytes(b"0123456789")
    mount.sync()
    with open(path, "ab") as file:
        file.write(b"abc")
    mount.sync()
    assert bucket.read("file") == b"0123456789abc"
    os.truncate(path, 4)
    mount.sync()
    assert bucket.read("file") == b"0123"
    os.truncate(path, 8)
    assert path.read_bytes() == b"0123\0\0\0\0"
    with open(path, "r+b") as file:
        file.seek(6)
        file.write(b"xyz")
    mount.sync()
    assert bucket.read("file") == path.read_bytes() == b"0123\0\0xyz"
    path.write_bytes(b"")
    mount.sync()
    assert bucket.read("file") == b"" and bucket.keys() == ["file"]


def test_a_remote_file_is_changed_without_losing_the_rest(bucket, make_mount):
    content = bytearray(os.urandom(20 * MEBIBYTE))
    bucket.put("large", bytes(content))
    bucket.put("cut", bytes(content))
    mount = make_mount(bucket).start()
    with open(mount.path / "large", "r+b", buffering=0) as file:
        file.seek(10 * MEBIBYTE)
        file.write(b"changed in the middle")
        file.seek(0, os.SEEK_END)
        file.write(b"and at the end")
    os.truncate(mount.path / "cut", 5 * MEBIBYTE)
    content[10 * MEBIBYTE : 10 * MEBIBYTE + 21] = b"changed in the middle"
    mount.sync()
    assert bucket.read("large") == bytes(content) + b"and at the end"
    assert bucket.read("cut")[: 5 * MEBIBYTE] == bytes(content[: 5 * MEBIBYTE])
    assert len(bucket.read("cut")) == 5 * MEBIBYTE


def test_two_appenders_lose_nothing(mount, bucket):
    with open(mount.path / "log", "ab", buffering=0) as first, open(mount.path / "log", "ab", buffering=0) as second:
        for index in range(100):
            first.write(b"a%03d" % index)
            second.write(b"b%03d" % index)
    mount.sync()
    content = bucket.read("log")
    assert content == b"".join(b"a%03db%03d" % (index, index) for index in range(100))


# Writes a file and asks for its size right after the close, again and again.
SIZE_AFTER_CLOSE = """
import os, sys
for size in range(1, 150):
    with open(sys.argv[1], "wb", buffering=0) as file:
        file.write(bytes(size))
    assert os.stat(sys.argv[1]).st_size == size
    os.unlink(sys.argv[1])
"""


def test_the_size_after_a_close_is_that_of_the_closed_file(file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "metadata_ttl=0s,upload_delay=1h").start()
    writers = [
        subprocess.Popen([sys.executable, "-c", SIZE_AFTER_CLOSE, mount.path / f"file-{index}"]) for index in range(6)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 6


# Attributes


def test_links_attributes_and_times_survive_a_mount_with_an_empty_state_directory(bucket, make_mount):
    first = make_mount(bucket).start()
    os.symlink("../some where/ünïcode", first.path / "link")
    (first.path / "file").write_bytes(b"content")
    os.setxattr(first.path / "file", "user.origin", b"robot 7\0\xff")
    os.setxattr(first.path / "file", "user.empty", b"")
    (first.path / "file").chmod(0o750)
    os.utime(first.path / "file", ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    (first.path / "directory").mkdir(mode=0o711)
    first.sync()
    (first.path / "later").write_bytes(b"later")
    first.sync()
    (first.path / "later").chmod(0o600)
    os.setxattr(first.path / "later", "user.tag", b"after the upload")
    first.stop()

    second = make_mount(bucket, "-o", "metadata_ttl=200ms").start()
    assert os.readlink(second.path / "link") == "../some where/ünïcode"
    assert stat.S_ISLNK(os.lstat(second.path / "link").st_mode)
    assert sorted(os.listxattr(second.path / "file")) == ["user.empty", "user.origin"]
    assert os.getxattr(second.path / "file", "user.origin") == b"robot 7\0\xff"
    assert os.getxattr(second.path / "file", "user.empty") == b""
    status = (second.path / "file").stat()
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert status.st_mtime_ns == 1_500_000_000_987_654_321
    # The attributes of a directory are those of its marker, which is known once the directory was listed.
    assert os.listdir(second.path / "directory") == []
    if bucket.kind != "s3":  # SeaweedFS keeps no metadata of keys that end in a slash
        mode = lambda: stat.S_IMODE((second.path / "directory").stat().st_mode)
        wait_until(lambda: mode() == 0o711, "the directory has its mode", 5)
    assert stat.S_IMODE((second.path / "later").stat().st_mode) == 0o600
    assert os.getxattr(second.path / "later", "user.tag") == b"after the upload"
    assert (second.path / "later").read_bytes() == b"later"


def test_extended_attributes_follow_xattr_7(mount):
    path = mount.path / "file"
    path.touch()
    fails_with(errno.ENODATA, lambda: os.getxattr(path, "user.missing"))
    fails_with(errno.ENODATA, lambda: os.setxattr(path, "user.a", b"1", os.XATTR_REPLACE))
    os.setxattr(path, "user.a", b"1", os.XATTR_CREATE)
    fails_with(errno.EEXIST, lambda: os.setxattr(path, "user.a", b"2", os.XATTR_CREATE))
    os.setxattr(path, "user.a", b"2", os.XATTR_REPLACE)
    assert os.getxattr(path, "user.a") == b"2"
    os.removexattr(path, "user.a")
    fails_with(errno.ENODATA, lambda: os.removexattr(path, "user.a"))
    assert os.listxattr(path) == []


def test_statfs_tells_the_budget_of_the_cache(file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "cache_limit=64MiB,upload_delay=1h").start()
    before = os.statvfs(mount.path)
    assert before.f_namemax == 255
    assert before.f_blocks * before.f_frsize == 64 * MEBIBYTE
    assert before.f_bavail <= before.f_bfree <= before.f_blocks
    (mount.path / "unsent").write_bytes(os.urandom(16 * MEBIBYTE))
    after = os.statvfs(mount.path)
    taken = (before.f_bavail - after.f_bavail) * before.f_frsize
    assert 16 * MEBIBYTE <= taken < 18 * MEBIBYTE
    mount.sync()
    assert os.statvfs(mount.path).f_bavail * before.f_frsize > 60 * MEBIBYTE, "what is in the bucket may be let go"


# Hard links and special files


def test_hard_links_are_one_file_here_and_objects_in_the_bucket(bucket, make_mount):
    mount = make_mount(bucket).start()
    first, second = mount.path / "first", mount.path / "directory" / "second"
    second.parent.mkdir()
    first.write_bytes(b"bytes")
    mount.sync()
    os.link(first, second)
    assert first.stat().st_ino == second.stat().st_ino and second.stat().st_nlink == 2
    with open(second, "ab") as file:
        file.write(b" and more")
    assert first.read_bytes() == b"bytes and more"
    mount.sync()
    assert bucket.read("first") == bucket.read("directory/second") == b"bytes and more"
    first.chmod(0o600)
    mount.stop()
    mount.start()
    assert first.stat().st_ino == second.stat().st_ino, "the state directory knows that they are one"
    first.unlink()
    assert second.read_bytes() == b"bytes and more" and second.stat().st_nlink == 1
    mount.sync()
    assert [key for key in bucket.keys() if not key.endswith("/")] == ["directory/second"]
    again = make_mount(bucket).start()
    assert stat.S_IMODE((again.path / "directory" / "second").stat().st_mode) == 0o600


def test_hard_links_survive_a_kill(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    for index in range(20):
        (mount.path / f"a{index}").write_text(f"{index}")
        os.link(mount.path / f"a{index}", mount.path / f"b{index}")
        if index % 2:
            (mount.path / f"a{index}").unlink()
    mount.kill()
    mount.start()
    mount.sync()
    expected = {f"b{index}": f"{index}" for index in range(20)} | {f"a{index}": f"{index}" for index in range(0, 20, 2)}
    assert set(bucket.keys()) == set(expected)
    for name, content in expected.items():
        assert bucket.read(name).decode() == content
        assert (mount.path / name).read_text() == content
        assert (mount.path / name).stat().st_nlink == (1 if int(name[1:]) % 2 else 2)


def test_pipes_sockets_and_devices_come_back(bucket, make_mount):
    mount = make_mount(bucket).start()
    os.mkfifo(mount.path / "pipe", 0o640)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(mount.path / "socket"))
    os.mknod(mount.path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(mount.path / "disk", 0o600 | stat.S_IFBLK, os.makedev(8, 1))
    writer = threading.Thread(target=lambda: (mount.path / "pipe").write_bytes(b"through"))
    writer.start()
    assert (mount.path / "pipe").read_bytes() == b"through"
    writer.join()
    mount.sync()
    assert all(bucket.read(name) == b"" for name in ("pipe", "socket", "null", "disk"))
    again = make_mount(bucket).start()
    assert stat.S_ISFIFO((again.path / "pipe").stat().st_mode)
    assert stat.S_ISSOCK((again.path / "socket").stat().st_mode)
    assert (again.path / "null").stat().st_rdev == os.makedev(1, 3)
    assert (again.path / "disk").stat().st_rdev == os.makedev(8, 1)
    fails_with(errno.EACCES, lambda: open(again.path / "null", "rb"))


# The mount's options


def test_a_read_only_mount_refuses_every_change(bucket, make_mount):
    bucket.put("directory/file", b"content")
    mount = make_mount(bucket, "--read-only").start()
    file, directory = mount.path / "directory" / "file", mount.path / "directory"
    assert file.read_bytes() == b"content"
    for change in (
        lambda: file.write_bytes(b"changed"),
        lambda: open(file, "ab"),
        lambda: (directory / "new").touch(),
        lambda: (directory / "sub").mkdir(),
        file.unlink,
        lambda: file.rename(directory / "moved"),
        lambda: file.chmod(0o600),
        lambda: os.utime(file),
        lambda: os.truncate(file, 0),
        lambda: os.setxattr(file, "user.a", b"b"),
        lambda: os.symlink("file", directory / "link"),
        lambda: os.link(file, directory / "hard"),
        lambda: shutil.rmtree(directory),
    ):
        fails_with(errno.EROFS, change)
    assert file.read_bytes() == b"content"
    mount.stop()
    assert bucket.keys() == ["directory/file"]


def test_owner_and_umask_are_shown_as_asked_for(bucket, make_mount):
    bucket.put("directory/there", b"there")
    mount = make_mount(bucket, "--uid", 1234, "--gid", 2345, "--umask", "027", "--allow-other").start()
    (mount.path / "new").touch(mode=0o666)
    (mount.path / "made").mkdir()
    paths = [mount.path / name for name in ("directory", "directory/there", "new", "made")]
    for path in paths:
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (1234, 2345), path
        assert status.st_mode & 0o027 == 0, f"{path} has mode {stat.S_IMODE(status.st_mode):o}"
    assert stat.S_IMODE((mount.path / "directory" / "there").stat().st_mode) == 0o640
    assert stat.S_IMODE((mount.path / "directory").stat().st_mode) == 0o750


# Names

ODD_NAMES = [
    "with space",
    " leading and trailing ",
    "ünïcödé 漢字 🤖",
    "e\u0301 decomposed",
    "a+b&c%d#e?f*g",
    "semi;colon:",
    "quotes ' and \" and `",
    "~tilde",
    "tab\there",
    "new\nline",
    "bell\x07 and delete\x7f",
    "-rf",
    "trailing.",
    "...",
    ".hidden",
    "%41%2F%00",
    "<&lt;&amp;>",
    "[brackets]{braces}|^$@!=,",
    "x" * 255,
    "ü" * 127,
]


def odd_names(bucket):
    # SeaweedFS takes a backslash for a slash.
    return ODD_NAMES if bucket.kind == "s3" else [*ODD_NAMES, "back\\slash"]


def test_names_that_are_not_utf8_arrive_and_come_back(bucket, make_mount):
    names = {b"a\xffb": "a‛FFb", b"\xe4": "‛E4", "‛FF".encode(): "‛‛FF", b"\xc3": "‛C3", b"\xff" * 40: "‛FF" * 40}
    mount = make_mount(bucket).start()
    root = os.fsencode(mount.path)
    for name in names:
        with open(os.path.join(root, name), "wb") as file:
            file.write(name)
    os.symlink(b"to \xfe", os.path.join(root, b"link"))
    mount.sync()
    assert set(bucket.keys()) == {*names.values(), "link"}
    assert bucket.read("link") == b"to \xfe"
    again = os.fsencode(make_mount(bucket).start().path)
    assert set(os.listdir(again)) == {*names, b"link"}
    assert os.readlink(os.path.join(again, b"link")) == b"to \xfe"
    for name in names:
        with open(os.path.join(again, name), "rb") as file:
            assert file.read() == name


def test_odd_names_arrive_and_come_back(bucket, make_mount):
    names = odd_names(bucket)
    mount = make_mount(bucket).start()
    for index, name in enumerate(names):
        (mount.path / name).write_text(f"content {index}")
    (mount.path / "in +a dir%20").mkdir()
    for index, name in enumerate(names):
        (mount.path / "in +a dir%20" / name).write_text(f"nested {index}")
    mount.sync()
    expected = {name: f"content {index}" for index, name in enumerate(names)}
    expected |= {f"in +a dir%20/{name}": f"nested {index}" for index, name in enumerate(names)}
    assert set(bucket.keys()) == set(expected)
    for key, content in expected.items():
        assert bucket.read(key).decode() == content
    again = make_mount(bucket).start()
    assert set(os.listdir(again.path)) == {*names, "in +a dir%20"}
    for key, content in expected.items():
        assert (again.path / key).read_text() == content
    for name in names:
        (again.path / name).rename(again.path / "in +a dir%20" / name)
    again.sync()
    assert set(bucket.keys()) == {f"in +a dir%20/{name}" for name in names}
    shutil.rmtree(again.path / "in +a dir%20")
    again.sync()
    assert bucket.keys() == []


def test_odd_keys_of_others_can_be_read(s3_bucket, make_mount):
    bucket, names = s3_bucket, ODD_NAMES
    for index, name in enumerate(names):
        bucket.put(f"theirs/{name}", f"content {index}".encode())
    mount = make_mount(bucket).start()
    assert set(os.listdir(mount.path / "theirs")) == set(names)
    for index, name in enumerate(names):
        assert (mount.path / "theirs" / name).read_text() == f"content {index}"


def test_keys_that_no_path_can_name_are_left_alone(s3_bucket, make_mount):
    odd = ["/leading", "a//b", "a/../../escape", "..", "a/./b", "n" * 256 + "/x"]
    for key in ["fine", "a/fine"]:
        s3_bucket.put(key, b"fine")
    made = []
    for key in odd:
        try:
            s3_bucket.put(key, b"odd")
            made.append(key)
        except Exception:
            pass  # this server does not take that key
    before = s3_bucket.all_keys()
    mount = make_mount(s3_bucket).start()
    found = {str(path.relative_to(mount.path)) for path in mount.path.rglob("*")}
    assert {"fine", "a", "a/fine"} <= found
    assert not any(".." in name.split("/") for name in found)
    (mount.path / "a" / "new").write_text("new")
    mount.sync()
    assert set(s3_bucket.all_keys()) == {*before, "a/new"}


def test_names_too_long_are_refused(mount):
    fails_with(errno.ENAMETOOLONG, lambda: (mount.path / ("x" * 256)).touch())
    fails_with(errno.ENAMETOOLONG, lambda: (mount.path / ("ü" * 128)).touch())


# Requests


def test_looking_for_what_is_not_there_asks_the_store_once(network, make_mount):
    mount = make_mount(network.bucket, "-o", "metadata_ttl=1h").start()
    (mount.path / "package").mkdir()
    (mount.path / "package" / "module.py").write_text("here")
    mount.sync()
    assert os.listdir(mount.path) == ["package"]
    assert not (mount.path / "package" / "warm up").exists()
    before = network.proxy.sent_bytes
    start = time.monotonic()
    for index in range(600):
        assert not (mount.path / "package" / f"missing-{index}.py").exists()
        assert not os.path.exists(mount.path / f"missing-{index}")
    assert time.monotonic() - start < 4
    # A request of S3 has some 500 bytes of headers.
    assert network.proxy.sent_bytes - before < 3000
