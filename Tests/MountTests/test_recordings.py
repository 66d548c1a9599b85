"""Real writers, unchanged: what they write into a mount is in the bucket byte for byte, and comes back."""

import hashlib

import pytest

from harness.writers import WRITERS


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_recording_reaches_the_bucket_and_comes_back(writer, bucket, make_mount, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    writer.write(plain)
    mount = make_mount(bucket).start()
    writer.write(mount.path)
    expected = writer.read(plain)
    assert expected
    assert writer.read(mount.path) == expected

    mount.sync()
    names = sorted(str(path.relative_to(plain)) for path in plain.rglob("*") if path.is_file())
    assert bucket.keys() == names
    assert bucket.markers() <= {f"{path.relative_to(plain)}/" for path in plain.rglob("*") if path.is_dir()}
    for name in names:
        assert bucket.sha256(name) == sha256(plain / name), f"{name} differs in the bucket"
    mount.stop()

    again = make_mount(bucket).start()
    assert writer.read(again.path) == expected
    assert bucket.keys() == names


def test_everything_is_in_the_bucket_after_unmount(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "a").write_bytes(b"one")
    (mount.path / "d").mkdir()
    (mount.path / "d" / "b").write_bytes(b"two")
    assert bucket.keys() == []
    mount.stop()
    assert (bucket.read("a"), bucket.read("d/b")) == (b"one", b"two")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
