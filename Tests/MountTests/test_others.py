"""What other clients do in the bucket, seen through the mount; directories that come, go and are large."""

import errno
import os
import subprocess
import threading
import time

import pytest

from harness import servers
from harness.directories import Directory
from harness.mount import sluice
from harness.processes import wait_until
from harness.stores import S3Bucket

TTL = 1.0
MEBIBYTE = 1 << 20


@pytest.fixture
def looked_at(bucket, make_mount):
    """A mount that has just been looked at, with files `changed` and `deleted`."""
    for name in ("changed", "deleted", "directory/changed"):
        bucket.put(name, b"old")
    mount = make_mount(bucket, "-o", f"metadata_ttl={TTL:g}s").start()
    for name in ("changed", "deleted", "directory/changed"):
        assert (mount.path / name).read_bytes() == b"old"
    assert not (mount.path / "created").exists()
    return mount


# Files that others write


@pytest.mark.parametrize("pause", [TTL + 0.05, 3.5], ids=["just after the time", "long after"])
def test_the_first_look_shows_what_others_did(bucket, looked_at, pause):
    bucket.put("changed", b"new, longer")
    bucket.put("directory/changed", b"new in a directory")
    bucket.delete("deleted")
    bucket.put("created", b"created")
    time.sleep(pause)
    assert os.stat(looked_at.path / "changed").st_size == 11
    with pytest.raises(FileNotFoundError):
        os.stat(looked_at.path / "deleted")
    assert (looked_at.path / "created").read_bytes() == b"created"
    assert (looked_at.path / "directory" / "changed").read_bytes() == b"new in a directory"
    assert (looked_at.path / "changed").read_bytes() == b"new, longer"


@pytest.mark.parametrize("name", ["changed", "deleted", "created"])
def test_one_look_is_enough_for_each_name(bucket, looked_at, name):
    bucket.put("changed", b"new, longer")
    bucket.delete("deleted")
    bucket.put("created", b"created")
    time.sleep(TTL + 0.05)
    found = os.stat(looked_at.path / name).st_size if os.path.exists(looked_at.path / name) else None
    assert found == {"changed": 11, "deleted": None, "created": 7}[name]


def test_a_program_that_looks_all_the_time_is_never_further_behind_than_the_time_to_live(bucket, looked_at):
    for generation in range(4):
        content = b"generation" * (generation + 2)
        bucket.put("changed", content)
        start = time.monotonic()
        while os.stat(looked_at.path / "changed").st_size != len(content):
            assert time.monotonic() - start < TTL + 0.5, "older than the time to live"
            time.sleep(0.01)


def test_an_open_reader_gets_its_version_or_ESTALE_and_never_a_mixture(bucket, make_mount):
    size = 24 * MEBIBYTE
    bucket.put("file", b"o" * size)
    mount = make_mount(bucket, "-o", "metadata_ttl=200ms").start()
    with open(mount.path / "file", "rb", buffering=0) as reader:
        assert reader.read(MEBIBYTE) == b"o" * MEBIBYTE
        bucket.put("file", b"n" * size)
        time.sleep(0.5)
        assert (mount.path / "file").read_bytes() == b"n" * size, "who opens it again gets the new version"
        offset, failed = 0, False
        while offset < size:
            try:
                assert set(os.pread(reader.fileno(), MEBIBYTE, offset)) == {ord("o")}
            except OSError as failure:
                assert failure.errno == errno.ESTALE
                failed = True
            offset += MEBIBYTE
        assert failed, "bytes that were never fetched cannot be those of the old version"


def test_a_mapping_keeps_the_version_that_was_mapped(bucket, make_mount):
    import mmap

    bucket.put("file", b"o" * 8192)
    mount = make_mount(bucket, "-o", "metadata_ttl=200ms").start()
    with open(mount.path / "file", "rb") as reader:
        mapping = mmap.mmap(reader.fileno(), 0, prot=mmap.PROT_READ)
    assert mapping[:] == b"o" * 8192
    bucket.put("file", b"n" * 8192)
    time.sleep(0.5)
    assert (mount.path / "file").read_bytes() == b"n" * 8192
    assert mapping[:] == b"o" * 8192


def test_creating_does_not_wait_for_a_network_that_does_not_answer(network, make_mount):
    mount = make_mount(network.bucket, "-o", "metadata_ttl=200ms,network_timeout=5s").start()
    assert os.listdir(mount.path) == []
    network.proxy.bytes_per_second = 1
    time.sleep(0.5)
    start = time.monotonic()
    for index in range(20):
        (mount.path / f"file-{index}").write_bytes(b"content")
    assert time.monotonic() - start < 2.5, "no more than one wait of 300 ms, and one for a name that is known"
    network.proxy.bytes_per_second = None


# One name of many


def test_a_look_at_one_file_of_many_lists_no_directory(network, make_mount):
    for index in range(1200):
        network.bucket.put(f"large/{index:04}", b"content")
    mount = make_mount(network.bucket, "-o", "metadata_ttl=60s").start()
    network.proxy.requests.clear()
    assert (mount.path / "large" / "1199").stat().st_size == 7
    assert (mount.path / "large" / "1199").read_bytes() == b"content"
    assert not (mount.path / "large" / "none").exists()
    assert network.proxy.requests["LIST"] == 0 and network.proxy.requests["LIST 1"] == 3
    assert len(os.listdir(mount.path / "large")) == 1200
    assert network.proxy.requests["LIST"] >= 2


# Names


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """A server whose keys are just keys: it holds `a` beside `a/x`, which SeaweedFS and directories cannot."""
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def plain_bucket(moto, request):
    bucket = S3Bucket(moto.endpoint, f"plain-{abs(hash(request.node.name))}")
    yield bucket
    bucket.remove()


def test_an_object_that_a_directory_covers_is_read_written_and_deleted(plain_bucket, make_mount):
    bucket = plain_bucket
    bucket.put("d/a", b"the object")
    bucket.put("d/a/x", b"below it")
    mount = make_mount(bucket, "-o", "metadata_ttl=200ms").start()
    covered = mount.path / "d" / "a.sluice-object"
    assert sorted(os.listdir(mount.path / "d")) == ["a", "a.sluice-object"]
    assert covered.read_bytes() == b"the object" and covered.stat().st_size == 10
    assert (mount.path / "d" / "a" / "x").read_bytes() == b"below it"
    assert os.getxattr(covered, "user.sluice.key") == b"d/a"
    covered.write_bytes(b"changed here")
    covered.chmod(0o600)
    mount.sync()
    assert bucket.read("d/a") == b"changed here" and bucket.keys() == ["d/a", "d/a/x"]
    with pytest.raises(PermissionError):
        (mount.path / "b.sluice-object").touch()
    result = sluice("check", bucket.source, *bucket.options, "--read-only", environment=bucket.environment)
    assert '1 keys are directories as well, and the objects are reached with .sluice-object: "d/a"' in result.stdout
    covered.unlink()
    mount.sync()
    assert bucket.keys() == ["d/a/x"] and os.listdir(mount.path / "d") == ["a"]
    assert mount.status()["conflicts"] == []


def test_check_names_keys_that_no_path_can_name(plain_bucket):
    for key in ("fine", "a//b", "d/../x"):
        plain_bucket.put(key, b"content")
    options = [*plain_bucket.options, "--read-only"]
    result = sluice("check", plain_bucket.source, *options, environment=plain_bucket.environment)
    assert '2 keys that no path can name are left alone: "a//b", "d/../x"' in result.stdout


# Conditions


def test_a_store_that_ignores_conditions_is_told_of_by_status_and_by_check(plain_bucket, make_mount):
    """moto honours them on all but copies."""
    mount = make_mount(plain_bucket).start()
    assert mount.status()["warnings"] == []
    (mount.path / "file").write_bytes(b"content")
    mount.sync()
    (warning,) = mount.status()["warnings"]
    assert "does not honour conditions on writes (copy)" in warning
    assert warning in sluice("status", mount.path).stdout and warning in mount.log()
    assert plain_bucket.read("file") == b"content" and plain_bucket.keys() == ["file"]
    mount.stop()
    assert mount.start().status()["warnings"] == [warning], "the next mount knows it from its start"
    result = sluice("check", plain_bucket.source, *plain_bucket.options, environment=plain_bucket.environment)
    assert "does not honour If-None-Match on copies:" in result.stdout


def test_a_store_that_honours_conditions_is_proven_without_a_trace(s3_bucket, make_mount):
    mount = make_mount(s3_bucket).start()
    (mount.path / "file").write_bytes(b"content")
    mount.sync()
    assert mount.status()["warnings"] == [] and s3_bucket.keys() == ["file"]
    assert s3_bucket.read("file") == b"content"


# Attributes


def test_a_file_tells_of_its_object_and_cp_does_not_copy_that(s3_bucket, make_mount, tmp_path):
    mount = make_mount(s3_bucket, "-o", "upload_delay=2s").start()
    file = mount.path / "file"
    file.write_bytes(b"content")
    assert os.getxattr(file, "user.sluice.state") == b"dirty"
    with pytest.raises(OSError) as failure:
        os.getxattr(file, "user.sluice.etag")
    assert failure.value.errno == errno.ENODATA
    os.setxattr(file, "user.mine", b"1")
    mount.sync()
    assert os.getxattr(file, "user.sluice.state") == b"clean"
    head = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key="file")
    assert os.getxattr(file, "user.sluice.etag").decode() == head["ETag"].strip('"')
    assert os.listxattr(file) == ["user.mine"]
    for change in (lambda: os.setxattr(file, "user.sluice.state", b"x"), lambda: os.removexattr(file, "user.sluice.key")):
        with pytest.raises(PermissionError):
            change()
    subprocess.run(["cp", "-a", file, mount.path / "copy"], check=True)
    assert os.listxattr(mount.path / "copy") == ["user.mine"]


@pytest.mark.parametrize("policy, names", [("full", {"mode", "uid", "gid", "mtime", "ctime"}), ("mtime", {"mtime"}), ("none", set())])
def test_objects_get_the_attributes_that_are_configured(s3_bucket, make_mount, policy, names):
    mount = make_mount(s3_bucket, "-o", f"metadata={policy}").start()
    (mount.path / "file").write_bytes(b"content")
    mount.sync()
    before = s3_bucket.metadata("file")
    assert set(before) == names | {"sluice-upload"}
    (mount.path / "file").chmod(0o600)
    mount.sync()
    assert (s3_bucket.metadata("file") == before) == (policy != "full"), "a copy has another token"
    assert (mount.path / "file").stat().st_mode & 0o777 == 0o600


# Directories


@pytest.fixture(params=["file", "s3", "plain"])
def any_bucket(request):
    """A directory, SeaweedFS (a file system underneath), and a server whose keys are just keys."""
    if request.param == "plain":
        return request.getfixturevalue("plain_bucket")
    return request.getfixturevalue("make_bucket")(request.param)


def put_marker(bucket, name):
    if bucket.kind == "file":
        (bucket.directory / name).mkdir()
    else:
        bucket.put(f"{name}/", b"")


def delete_marker(bucket, name):
    if bucket.kind == "file":
        (bucket.directory / name).rmdir()
    else:
        bucket.delete(f"{name}/")


@pytest.mark.parametrize("has_marker", [False, True], ids=["implicit", "marked"])
def test_a_directory_of_others_comes_and_goes_with_its_objects(any_bucket, make_mount, has_marker):
    bucket = any_bucket
    # Directories of the others, and those of SeaweedFS, stay when they become empty: their markers are to be deleted.
    keys_are_just_keys = "plain" in bucket.source
    mount = make_mount(bucket, "-o", f"metadata_ttl={TTL:g}s").start()
    assert os.listdir(mount.path) == []
    if has_marker:
        put_marker(bucket, "theirs")
        time.sleep(TTL + 0.05)
        assert (mount.path / "theirs").is_dir() and os.listdir(mount.path / "theirs") == []
    bucket.put("theirs/deep/file", b"content")
    time.sleep(TTL + 0.05)
    assert (mount.path / "theirs" / "deep" / "file").read_bytes() == b"content"
    assert os.listdir(mount.path) == ["theirs"]
    bucket.delete("theirs/deep/file")
    if not keys_are_just_keys:
        delete_marker(bucket, "theirs/deep")
    if has_marker:
        time.sleep(TTL + 0.05)
        assert (mount.path / "theirs").is_dir(), "its marker is an object as well"
    if has_marker or not keys_are_just_keys:
        delete_marker(bucket, "theirs")
    time.sleep(TTL + 0.05)
    assert not (mount.path / "theirs").exists()
    assert os.listdir(mount.path) == []


def test_a_directory_that_was_made_here_stays_when_others_empty_it(any_bucket, make_mount):
    bucket = any_bucket
    mount = make_mount(bucket, "-o", "metadata_ttl=200ms").start()
    (mount.path / "ours").mkdir()
    mount.sync()
    bucket.put("ours/file", b"content")
    time.sleep(0.5)
    assert os.listdir(mount.path / "ours") == ["file"]
    bucket.delete("ours/file")
    for _ in range(4):
        time.sleep(0.5)
        assert os.listdir(mount.path) == ["ours"] and os.listdir(mount.path / "ours") == []


def test_an_empty_directory_is_there_in_every_mount(any_bucket, make_mount):
    first = make_mount(any_bucket).start()
    (first.path / "empty" / "nested").mkdir(parents=True)
    first.stop()
    second = make_mount(any_bucket).start()
    assert os.listdir(second.path) == ["empty"] and os.listdir(second.path / "empty") == ["nested"]
    assert os.listdir(second.path / "empty" / "nested") == []
    (second.path / "empty" / "nested").rmdir()
    second.sync()
    assert "empty/nested/" not in any_bucket.markers()


LARGE = 100_000


class Churn(threading.Thread):
    """Creates and deletes files in a directory all the time."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory = directory
        self.ended = threading.Event()
        self.rounds = 0

    def run(self):
        while not self.ended.is_set():
            path = self.directory / f"passing-{self.rounds % 50}"
            path.touch()
            path.unlink(missing_ok=True)
            self.rounds += 1
            time.sleep(0.002)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def test_100_000_entries_are_listed_completely_and_once_each_while_others_come_and_go(file_bucket, make_mount):
    theirs = file_bucket.directory / "large"
    theirs.mkdir()
    kept = {f"kept-{index:06}" for index in range(LARGE)}
    for name in kept:
        os.close(os.open(theirs / name, os.O_CREAT | os.O_WRONLY))
    # A debug build on a busy machine takes its time for the first page.
    mount = make_mount(file_bucket, "-o", "metadata_ttl=1s,network_timeout=2m").start()
    large = mount.path / "large"
    assert set(os.listdir(large)) == kept
    for round in range(2):
        with Churn(theirs) as behind, Churn(large) as through:
            with Directory(large) as stream:
                names = stream.rest()
        assert behind.rounds > 10 and through.rounds > 0
        found = [name for name in names if name in kept]
        assert len(found) == LARGE and set(found) == kept, f"round {round}"
        assert len(names) == len(set(names))
        assert all(name.startswith("passing-") for name in set(names) - kept)
    # The telling of places holds over the whole stream.
    with Directory(large) as stream:
        first = [stream.read() for _ in range(1000)]
        place = stream.tell()
        rest = stream.rest()
        stream.seek(place)
        assert stream.rest() == rest and len(set(first + rest)) == len(first) + len(rest)


def test_telldir_and_seekdir_find_the_same_names_again(bucket, make_mount):
    for index in range(300):
        bucket.put(f"d/file-{index:03}", b"1")
    mount = make_mount(bucket).start()
    with Directory(mount.path / "d") as stream:
        places, names = [], []
        while True:
            place = stream.tell()
            if (name := stream.read()) is None:
                break
            places.append(place)
            names.append(name)
        assert sorted(names) == [f"file-{index:03}" for index in range(300)]
        for index in (0, 299, 150, 1, 298):
            stream.seek(places[index])
            assert stream.read() == names[index]
        for name in names[::2]:
            (mount.path / "d" / name).unlink()
        (mount.path / "d" / "new").touch()
        stream.seek(places[150])
        assert [name for name in stream.rest() if name in names[151::2]] == names[151::2], "deletions move no places"


def test_rewinddir_sees_files_made_here_at_once_and_those_of_others_when_they_are_known(bucket, make_mount):
    bucket.put("d/first", b"1")
    mount = make_mount(bucket, "-o", "metadata_ttl=1s").start()
    with Directory(mount.path / "d") as stream:
        assert stream.rest() == ["first"]
        (mount.path / "d" / "ours").touch()
        stream.rewind()
        assert stream.rest() == ["first", "ours"]
        bucket.put("d/theirs", b"2")
        time.sleep(1.1)

        def names():
            stream.rewind()
            return stream.rest()

        wait_until(lambda: names() == ["first", "ours", "theirs"], "the file of others is seen", 10)


def test_a_directory_that_the_store_made_by_itself_gets_attributes(bucket, make_mount):
    bucket.put("made/by/others", b"content")
    mount = make_mount(bucket).start()
    (mount.path / "made").chmod(0o700)
    (mount.path / "made" / "by").chmod(0o711)
    mount.sync()
    assert mount.status()["pending"]["operations"] == 0


def test_a_directory_into_which_others_wrote_before_its_marker_gets_attributes(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "made").mkdir()
    bucket.put("made/by-others", b"content")
    mount.sync()
    (mount.path / "made").chmod(0o700)
    mount.sync()
    assert mount.status()["pending"]["operations"] == 0


# Checksums


def test_a_store_that_does_not_compare_the_checksums_that_it_promised_gets_the_file(plain_bucket, make_mount):
    """moto takes parts with any CRC-64, and does not repeat it."""
    content = os.urandom(20 << 20)
    mount = make_mount(plain_bucket).start()
    (mount.path / "file").write_bytes(content)
    mount.sync()
    assert plain_bucket.read("file") == content
    assert plain_bucket.multipart_uploads() == []
    assert "their CRC-64" in mount.log() and mount.status()["conflicts"] == []
