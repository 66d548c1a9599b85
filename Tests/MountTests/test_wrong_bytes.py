"""Bytes that change on their way from the store: a program gets the right ones or an error. Those that change on their way
to it never become an object."""

import errno

import pytest

from harness.mount import sluice

FLIP = (b"the right bytes", b"the wrong bytes")
CONTENT = b"#" * 5000 + FLIP[0] + b"#" * 5000


def assert_never_wrong(path):
    with pytest.raises(OSError) as failure:
        path.read_bytes()
    assert failure.value.errno == errno.EIO


def test_bytes_that_change_on_the_way_are_never_read(network, make_mount):
    network.bucket.put("theirs", CONTENT)
    writer = make_mount(network.bucket).start()
    (writer.path / "ours").write_bytes(CONTENT)
    writer.sync()
    mount = make_mount(network.bucket).start()
    network.proxy.corrupts = FLIP
    for name in ("theirs", "ours"):
        assert_never_wrong(mount.path / name)
    network.proxy.corrupts = None
    for name in ("theirs", "ours"):
        assert (mount.path / name).read_bytes() == CONTENT


def test_a_read_is_right_when_only_the_first_answer_was_wrong(network, make_mount):
    network.bucket.put("file", CONTENT)
    mount = make_mount(network.bucket).start()

    class Once(tuple):
        """Takes the corruption back with its first use."""

        def __iter__(self):
            network.proxy.corrupts = None
            return super().__iter__()

    assert [entry.name for entry in mount.path.iterdir()] == ["file"]
    network.proxy.corrupts = Once(FLIP)
    assert (mount.path / "file").read_bytes() == CONTENT
    assert network.proxy.corrupts is None


@pytest.mark.parametrize("size", [20_000, 20 << 20], ids=["whole", "in parts"])
def test_bytes_that_change_on_the_way_to_the_store_are_sent_again(network, make_mount, size):
    content = CONTENT * (size // len(CONTENT))
    mount = make_mount(network.bucket).start()
    network.proxy.corrupts = FLIP
    (mount.path / "file").write_bytes(content)
    assert sluice("sync", mount.path, "--timeout", 5).returncode != 0
    assert network.bucket.keys() == []
    network.proxy.corrupts = None
    mount.sync()
    assert network.bucket.read("file") == content
