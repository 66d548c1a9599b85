"""Two machines that use one bucket, and requests that arrive late: each version that was written is kept or was seen."""

import ctypes
import os
import random
import re
import threading
import time

import pytest

from harness.mount import sluice
from harness.processes import wait_until

RENAME_NOREPLACE = 1
CONFLICT = re.compile(r"\.conflict-[^/]+$")
TTL = ["-o", "metadata_ttl=200ms"]


@pytest.fixture
def two(bucket, make_mount):
    """Two running mounts of one bucket, each with a state directory of its own."""
    return [make_mount(bucket, *TTL).start() for _ in range(2)]


def rename_to_a_new_name(source, target):
    """renameat2(2), which refuses to replace anything."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source)


def pause(*mounts):
    for mount in mounts:
        assert sluice("pause", mount.path).returncode == 0


def resume(*mounts):
    for mount in mounts:
        assert sluice("resume", mount.path).returncode == 0


def settle(*mounts):
    """Everything is in the bucket, also what a conflict has given a new name."""
    for _ in range(2):
        for mount in mounts:
            mount.sync()


def contents(bucket):
    return {key: bucket.read(key) for key in bucket.keys()}


def versions_of(bucket, name):
    """What is at a key and beside it."""
    return sorted(content for key, content in contents(bucket).items() if CONFLICT.sub("", key) == name)


def test_what_both_wrote_apart_under_the_same_names_is_kept_twice(bucket, two):
    names = [f"directory/{index}" for index in range(8)]
    (two[0].path / "directory").mkdir()
    for name in names[:4]:
        (two[0].path / name).write_bytes(b"before")
    settle(two[0])
    wait_until(lambda: (two[1].path / names[3]).exists(), "the other mount sees them", 60)
    for name in names[:4]:
        assert (two[1].path / name).read_bytes() == b"before"
    pause(*two)
    for number, mount in enumerate(two):
        (mount.path / "directory").mkdir(exist_ok=True)
        for name in names:
            (mount.path / name).write_bytes(f"{name} of {number}".encode())
    resume(*two)
    settle(*two)
    for name in names:
        assert versions_of(bucket, name) == [f"{name} of {number}".encode() for number in range(2)]
    assert len(bucket.keys()) == 2 * len(names)
    kept = sum(len(mount.status()["conflicts"]) for mount in two)
    assert kept == len(names), "each conflict is told once, by the mount that came second"
    for mount in two:
        # Within the time that a listing counts as fresh both show the same.
        wait_until(lambda: len(os.listdir(mount.path / "directory")) == 2 * len(names), "all is seen", 60)


def test_what_one_renames_or_deletes_and_the_other_changes_apart_is_kept(bucket, two):
    for name in ("moved", "deleted", "target", "source"):
        (two[0].path / name).write_bytes(f"{name} before".encode())
    settle(two[0])
    for name in ("moved", "deleted", "target", "source"):
        wait_until(lambda: (two[1].path / name).exists(), "the other mount sees it", 60)
        assert (two[1].path / name).read_bytes() == f"{name} before".encode()
    pause(*two)
    (two[0].path / "moved").rename(two[0].path / "elsewhere")
    (two[0].path / "deleted").unlink()
    (two[0].path / "source").rename(two[0].path / "target")
    for name in ("moved", "deleted", "target"):
        (two[1].path / name).write_bytes(f"{name} changed by the other".encode())
    resume(two[1])
    settle(two[1])
    resume(two[0])
    settle(*two)
    found = contents(bucket)
    for name in ("moved", "deleted", "target"):
        assert f"{name} changed by the other".encode() in found.values(), "a change that was acknowledged is lost"
    assert b"source before" in found.values()
    assert found["deleted"] == b"deleted changed by the other"
    assert found["target"] == b"target changed by the other"
    assert two[0].status()["conflicts"]


class Author(threading.Thread):
    """Puts new versions at a few names of a mount where it sees none, and moves what it finds there elsewhere.

    It never replaces or deletes a version: each that it was told is in place must be found in the bucket at the end.
    """

    NAMES = [f"name-{index}" for index in range(4)]

    def __init__(self, mount, number):
        super().__init__(daemon=True)
        self.directory = mount.path / "shared"
        self.number = number
        self.random = random.Random(number)
        self.written = []
        self.must_end = threading.Event()

    def run(self):
        index = 0
        while not self.must_end.wait(self.random.uniform(0, 0.02)):
            index += 1
            try:
                self._act(index)
            except OSError:
                # The name is taken, or there is none; or the daemon is dead.
                self.must_end.wait(0.02)

    def _act(self, index):
        path = self.directory / self.random.choice(self.NAMES)
        if self.random.random() < 0.6:
            content = f"{self.number} wrote version {index} ".encode() * 200
            temporary = self.directory / f".{self.number}-{index}.tmp"
            temporary.write_bytes(content)
            rename_to_a_new_name(temporary, path)
            self.written.append(content)
        else:
            rename_to_a_new_name(path, self.directory / f"moved-by-{self.number}-{index}")


def test_two_that_work_on_the_same_names_lose_nothing(bucket, two):
    """With kills of both: each version is somewhere in the bucket, whole."""
    (two[0].path / "shared").mkdir()
    settle(two[0])
    wait_until(lambda: (two[1].path / "shared").is_dir(), "the other mount sees the directory", 60)
    authors = [Author(mount, number) for number, mount in enumerate(two)]
    for author in authors:
        author.start()
    moments = random.Random(9)
    for round_number in range(4):
        time.sleep(moments.uniform(0.4, 1.2))
        mount = two[round_number % 2]
        mount.kill()
        mount.start()
    for author in authors:
        wait_until(lambda: len(author.written) >= 10, "enough is written", 60)
        author.must_end.set()
    for author in authors:
        author.join(60)
        assert not author.is_alive(), "an author hangs"
    settle(*two)
    found = contents(bucket)
    for key, content in found.items():
        if key.endswith(".tmp"):
            continue  # its author was cut off between two calls
        assert content == b" ".join([*content.split(b" ")[:4], b""]) * 200, f"{key} is torn"
    written = {content for author in authors for content in author.written}
    lost = written - set(found.values())
    assert not lost, f"{len(lost)} of {len(written)} versions are lost: {sorted(content[:20] for content in lost)}"


# Requests that arrive late


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "overwritten"])
def test_an_upload_that_arrives_late_does_not_replace_a_newer_one(is_new, network, make_mount):
    bucket, proxy = network.bucket, network.proxy
    mount = make_mount(bucket).start()
    (mount.path / "first").write_bytes(b"first")
    if not is_new:
        (mount.path / "file").write_bytes(b"old")
    mount.sync()
    proxy.holds = f"PUT /{bucket.name}/file ".encode()
    (mount.path / "file").write_bytes(b"stale")
    wait_until(lambda: proxy.held, "an upload has broken off", 60)
    pause(mount)
    proxy.holds = None
    (mount.path / "file").write_bytes(b"newer than the late one")
    resume(mount)
    mount.sync()
    assert bucket.read("file") == b"newer than the late one"
    while proxy.held:
        assert " 412 " in proxy.deliver()
    assert bucket.read("file") == b"newer than the late one"
    assert (mount.path / "file").read_bytes() == b"newer than the late one"
    assert bucket.keys() == ["file", "first"] and mount.status()["conflicts"] == []


def test_an_upload_that_arrives_before_its_retry_is_known_as_our_own(network, make_mount):
    bucket, proxy = network.bucket, network.proxy
    mount = make_mount(bucket).start()
    (mount.path / "first").write_bytes(b"first")
    mount.sync()
    proxy.holds = f"PUT /{bucket.name}/file ".encode()
    (mount.path / "file").write_bytes(b"stale")
    wait_until(lambda: proxy.held, "an upload has broken off", 60)
    pause(mount)
    # A retry that is under way is held as well.
    wait_until(lambda: not mount.status()["uploading"], "the uploads have ended", 60)
    proxy.holds = None
    assert " 200 " in proxy.deliver()
    assert bucket.read("file") == b"stale"
    (mount.path / "file").write_bytes(b"newer")
    resume(mount)
    mount.sync()
    assert bucket.read("file") == b"newer"
    while proxy.held:
        assert " 412 " in proxy.deliver()
    assert bucket.keys() == ["file", "first"] and mount.status()["conflicts"] == []
