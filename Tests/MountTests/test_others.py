"""What other clients do in the bucket, seen through the mount; directories that come, go and are large."""

import errno
import os
import subprocess
import time

import pytest

from harness import servers
from harness.mount import sluice
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
