"""Directories of many objects that others put: what is asked of the bucket, and what is there before all of it is."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

COUNT = 1_200
PAGES = 2


@pytest.fixture
def objects(network):
    """`COUNT` objects without metadata in the directory `d`; their names."""
    names = [f"file-{index:05}.bin" for index in range(COUNT)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: network.bucket.put(f"d/{name}", b"x" * 5000), names))
    return names


def walk(directory):
    """Sizes by names, of each as `find -ls` sees it."""
    with os.scandir(directory) as entries:
        return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}


def asked(proxy):
    """How often objects themselves were asked for."""
    return proxy.requests["HEAD"] + proxy.requests["GET"]


def test_attributes_of_objects_without_metadata_come_with_the_listing(network, objects, make_mount):
    mount = make_mount(network.bucket, "-o", "metadata_ttl=60s")
    with mount:
        os.stat(mount.path / "d")
        before, lists = asked(network.proxy), network.proxy.requests["LIST"]
        assert walk(mount.path / "d") == dict.fromkeys(objects, 5000)
        assert network.proxy.requests["LIST"] - lists == PAGES
        # The first sixteen, those that were asked for ahead until then, and some that are checked.
        assert asked(network.proxy) - before < 60
        before = sum(network.proxy.requests.values())
        assert walk(mount.path / "d") == dict.fromkeys(objects, 5000)
        assert sum(network.proxy.requests.values()) - before < 5, "a second walk asks for next to nothing"
    # What is known outlives the mount.
    with mount:
        before = network.proxy.requests["LIST"]
        assert len(walk(mount.path / "d")) == COUNT
        assert network.proxy.requests["LIST"] == before, "what is fresh is not listed again"


def test_with_exact_attributes_each_object_is_asked_for(network, objects, make_mount):
    with make_mount(network.bucket, "-o", "attributes=exact", "-o", "metadata_ttl=60s") as mount:
        before = asked(network.proxy)
        assert len(walk(mount.path / "d")) == COUNT
        assert asked(network.proxy) - before >= COUNT


def test_names_are_there_before_the_last_page_and_a_break_is_an_error(network, objects, make_mount):
    with make_mount(network.bucket) as mount:
        os.stat(mount.path / "d")
        network.proxy.holds = b"continuation-token"
        found = []
        with pytest.raises(OSError) as failure, os.scandir(mount.path / "d") as entries:
            found.extend(entry.name for entry in entries)
        assert failure.value.errno == errno.EIO
        assert found == objects[:1000]
        network.proxy.holds = None
        assert sorted(os.listdir(mount.path / "d")) == objects
