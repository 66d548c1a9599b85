"""Links as robots have them: gone, bad, black holes, login pages. No program waits for one, and all arrives after."""

import errno
import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.link import link
from harness.processes import wait_until
from harness.proxy import Proxy

MEBIBYTE = 1 << 20
# Far more than a call takes on a busy machine, and less than the network timeout, for which a call must not wait.
LOCAL = 30
NETWORK_TIMEOUT = 60
OPTIONS = ["-o", f"network_timeout={NETWORK_TIMEOUT}s,metadata_ttl=500ms"]


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


class Recorder:
    """Writes, renames and unlinks files of a mount until it is stopped; knows what must be there, and the slowest call."""

    def __init__(self, directory):
        self.directory = directory
        self.files = {}
        self.slowest = 0
        self.failure = None
        self.is_stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _timed(self, call, *arguments):
        start = time.monotonic()
        result = call(*arguments)
        self.slowest = max(self.slowest, time.monotonic() - start)
        return result

    def _run(self):
        try:
            index = 0
            while not self.is_stopped.wait(0.05):
                self._record(index)
                index += 1
        except Exception as failure:  # noqa: BLE001 - told by stop()
            self.failure = failure

    def _record(self, index):
        name = f"{index:04}.bag"
        active = self.directory / (name + ".active")
        content = pattern(20_000, index)
        descriptor = self._timed(os.open, active, os.O_WRONLY | os.O_CREAT, 0o644)
        for start in range(0, len(content), 5_000):
            self._timed(os.write, descriptor, content[start : start + 5_000])
        self._timed(os.close, descriptor)
        self._timed(os.rename, active, self.directory / name)
        self.files[name] = content
        if index % 5 == 4:
            gone = f"{index - 2:04}.bag"
            self._timed(os.unlink, self.directory / gone)
            del self.files[gone]

    def stop(self):
        """Once enough was recorded; no call took as long as one that waits for the network."""
        wait_until(lambda: len(self.files) >= 6 or self.failure, "six files are recorded during the fault", 60)
        self.is_stopped.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "the recorder hangs in a call"
        assert self.failure is None, self.failure
        assert self.slowest < LOCAL


def states(pid):
    """The scheduling state of each thread of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.append(task.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def assert_none_hangs_in_the_kernel(*pids):
    """A thread may be in D for the moment of a disk access, never for long."""
    wait_until(lambda: "D" not in [state for pid in pids for state in states(pid)], "no thread stays in D", 60)


def assert_a_read_fails_in_time(path):
    start = time.monotonic()
    with pytest.raises(OSError) as failure:
        path.read_bytes()
    assert failure.value.errno == errno.EIO
    assert time.monotonic() - start < NETWORK_TIMEOUT + LOCAL


@contextmanager
def reading(path):
    """A process that waits for bytes which do not come."""
    reader = subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield reader
    finally:
        reader.kill()
        reader.wait(60)


def waits(reader):
    """Whether `cat` has begun and waits for something: nothing but the mount makes it."""
    return Path(f"/proc/{reader.pid}/comm").read_text() == "cat\n" and states(reader.pid) == ["S"]


def assert_all_arrived(mount, bucket, recorder, others=()):
    mount.sync()
    assert set(bucket.keys()) == {f"bags/{name}" for name in recorder.files} | set(others)
    for name, content in recorder.files.items():
        assert bucket.read(f"bags/{name}") == content
    status = mount.status()
    assert status["conflicts"] == [] and status["errors"] == [] and status["link"] == {"state": "online"}


# Links that are gone


def cut(network, weed):
    network.proxy.cut()
    yield
    network.proxy.restore()


def black_hole(network, weed):
    network.proxy.swallows = True
    yield
    network.proxy.swallows = False
    # The connections of before are as dead as they are behind a router that has started anew.
    network.proxy.cut()
    network.proxy.restore()


def portal(network, weed):
    network.proxy.portal = True
    yield
    network.proxy.portal = False


def frozen_server(network, weed):
    os.kill(weed.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(weed.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", [cut, black_hole, portal, frozen_server], ids=lambda fault: fault.__name__)
def test_nothing_waits_for_a_link_that_is_gone_and_all_arrives_after(fault, network, weed, make_mount):
    bucket, proxy = network.bucket, network.proxy
    remote = [f"remote/{index}" for index in range(3)]
    for key in remote:
        bucket.put(key, pattern(100_000))
    mount = make_mount(bucket, *OPTIONS).start()
    (mount.path / "bags").mkdir()
    assert len(os.listdir(mount.path / "remote")) == 3
    # One upload is in the middle of a part when the link goes.
    proxy.bytes_per_second = 4 * MEBIBYTE
    (mount.path / "large.bin").write_bytes(pattern(20 * MEBIBYTE, 7))
    wait_until(lambda: proxy.sent_bytes > 3 * MEBIBYTE, "a part is on its way", 60)
    proxy.bytes_per_second = None
    switch = contextmanager(fault)(network, weed)
    with switch:
        recorder = Recorder(mount.path / "bags")
        with reading(mount.path / remote[0]) as reader:
            assert_none_hangs_in_the_kernel(reader.pid, mount.pid)
        assert_a_read_fails_in_time(mount.path / remote[1])
        link = wait_until(lambda: (link := mount.status()["link"])["state"] == "offline" and link, "it is noticed", 60)
        assert link["reason"]
        assert_none_hangs_in_the_kernel(mount.pid)
        start = time.monotonic()
        assert_a_read_fails_in_time(mount.path / remote[2])
        assert time.monotonic() - start < LOCAL, "a link that is known to be gone is not waited for"
        recorder.stop()
        last = max(recorder.files)
    back = time.monotonic()
    wait_until(lambda: mount.status()["link"]["state"] == "online", "the return is noticed", 60)
    wait_until(lambda: f"bags/{last}" in bucket.keys(), "uploads go on by themselves", 60)
    assert time.monotonic() - back < LOCAL
    assert (mount.path / remote[2]).read_bytes() == pattern(100_000)
    assert_all_arrived(mount, bucket, recorder, [*remote, "large.bin"])
    assert bucket.read("large.bin") == pattern(20 * MEBIBYTE, 7)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_a_read_that_waits_for_a_slow_link(number, network, make_mount):
    """At once, not when the read is done or has failed: the exit code tells."""
    network.bucket.put("remote", pattern(16 * MEBIBYTE))
    mount = make_mount(network.bucket, *OPTIONS).start()
    network.proxy.delay = 2
    with reading(mount.path / "remote") as reader:
        wait_until(lambda: waits(reader), "it waits for the link", 60)
        assert_none_hangs_in_the_kernel(reader.pid, mount.pid)
        reader.send_signal(number)
        assert reader.wait(60) == -number
    network.proxy.delay = 0
    assert (mount.path / "remote").read_bytes() == pattern(16 * MEBIBYTE)


def test_a_link_that_comes_and_goes_loses_nothing(network, make_mount):
    mount = make_mount(network.bucket, *OPTIONS).start()
    (mount.path / "bags").mkdir()
    recorder = Recorder(mount.path / "bags")
    (mount.path / "large.bin").write_bytes(pattern(20 * MEBIBYTE, 7))
    network.proxy.bytes_per_second = 8 * MEBIBYTE
    moments = random.Random(4)
    for _ in range(6):
        network.proxy.cut()
        time.sleep(moments.uniform(0.05, 0.8))
        network.proxy.restore()
        time.sleep(moments.uniform(0.05, 0.8))
    network.proxy.bytes_per_second = None
    recorder.stop()
    assert_all_arrived(mount, network.bucket, recorder, ["large.bin"])
    assert network.bucket.read("large.bin") == pattern(20 * MEBIBYTE, 7)


# Bad links


def slow(proxy):
    proxy.delay, proxy.resets, proxy.bytes_per_second = 0.03, 0.01, 2_500_000  # 60 ms, 1 %, 20 Mbit/s


def breaking_in_bodies(proxy):
    proxy.cut_after = 9 * MEBIBYTE  # in the second part over a connection


@pytest.mark.parametrize("fault, size", [(slow, 6 * MEBIBYTE), (breaking_in_bodies, 17 * MEBIBYTE)], ids=["slow", "breaking"])
def test_a_bad_link_is_slow_and_loses_nothing(fault, size, network, make_mount):
    network.bucket.put("remote", pattern(3 * MEBIBYTE))
    mount = make_mount(network.bucket, *OPTIONS).start()
    (mount.path / "bags").mkdir()
    fault(network.proxy)
    recorder = Recorder(mount.path / "bags")
    (mount.path / "large.bin").write_bytes(pattern(size, 7))
    assert (mount.path / "remote").read_bytes() == pattern(3 * MEBIBYTE)
    time.sleep(1)
    recorder.stop()
    mount.sync(mount.path / "large.bin")
    assert network.bucket.read("large.bin") == pattern(size, 7)
    wait_until(lambda: mount.status()["link"]["state"] == "online", "the link is known to be there", 60)
    assert_all_arrived(mount, network.bucket, recorder, ["large.bin", "remote"])


# Ways


def has_ipv6():
    try:
        with Proxy(("127.0.0.1", 1), host="::1"):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_a_store_that_has_an_ipv6_address_alone_is_used(weed, make_bucket, make_mount):
    with Proxy(("127.0.0.1", weed.port), host="::1") as proxy:
        bucket = make_bucket("s3", endpoint=proxy.endpoint)
        mount = make_mount(bucket).start()
        (mount.path / "file").write_bytes(b"content")
        mount.sync()
        assert bucket.read("file") == b"content" and proxy.sent_bytes > 0
        mount.stop()


def test_a_name_that_does_not_resolve_is_a_link_that_is_gone_and_a_proxy_finds_it(network, make_mount):
    bucket, proxy = network.bucket, network.proxy
    bucket.options = ["--endpoint-url", "http://sluice-test.invalid", "--region", "us-east-1"]
    direct = dict(bucket.environment)
    through_proxy = {**direct, "http_proxy": proxy.endpoint}
    mount = make_mount(bucket, *OPTIONS)
    bucket.environment = through_proxy
    mount.start()
    (mount.path / "through a proxy").write_bytes(b"content")
    mount.sync()
    assert bucket.read("through a proxy") == b"content" and proxy.sent_bytes > 0
    mount.stop()
    bucket.environment = direct
    mount.start()
    link = mount.status()["link"]
    assert link["state"] == "offline" and "sluice-test.invalid" in link["reason"]
    recorder = Recorder(mount.path)
    time.sleep(1)
    recorder.stop()
    assert (mount.path / "through a proxy").read_bytes() == b"content"
    mount.terminate()
    bucket.environment = through_proxy
    mount.start().sync()
    assert set(bucket.keys()) == {*recorder.files, "through a proxy"}


def test_many_files_are_read_right_over_a_link_that_is_long_and_slow(weed, make_bucket, make_mount):
    """What the harness emulates is a link: nothing arrives sooner than its round trip and its rate allow."""
    rtt_ms, mbit_per_s = 100, 80
    with link(weed.endpoint, rtt_ms, mbit_per_s) as endpoint:
        bucket = make_bucket("s3", endpoint=endpoint)
        contents = {f"{index:02}": pattern(50_000, index) for index in range(40)} | {"large": pattern(5 * MEBIBYTE)}
        for name, content in contents.items():
            bucket.put(name, content)
        mount = make_mount(bucket).start()
        names = list(contents)
        random.Random(1).shuffle(names)
        start = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda name: (mount.path / name).read_bytes(), names))
        seconds = time.monotonic() - start
        assert found == [contents[name] for name in names]
        assert seconds >= rtt_ms / 1000 + sum(map(len, contents.values())) * 8 / mbit_per_s / 1e6
        mount.stop()
