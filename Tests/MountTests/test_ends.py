"""Ends of a mount: what a signal sends, what it leaves, who stands in the way, and that nothing ever hangs."""

import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness.mount import SLUICE, is_mounted, sluice, wait_for_uploads_to_start
from harness.processes import wait_until

MEBIBYTE = 1 << 20
FAILED = 1
# For what must not wait for the minutes that these tests configure.
SOON = 40


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


def seconds_to_end(mount, number=signal.SIGTERM):
    start = time.monotonic()
    mount.terminate(number)
    assert not is_mounted(mount.path)
    return time.monotonic() - start


# Signals


def test_a_signal_sends_what_is_there_before_the_end(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "directory").mkdir()
    for index in range(20):
        (mount.path / "directory" / f"{index}").write_bytes(pattern(10_000, index))
    mount.terminate()
    assert bucket.keys() == sorted(f"directory/{index}" for index in range(20))
    assert all(bucket.read(f"directory/{index}") == pattern(10_000, index) for index in range(20))
    assert mount.start().status()["pending"]["files"] == 0


def test_what_a_signal_has_no_time_to_send_is_sent_after_the_next_mount(network, make_mount):
    mount = make_mount(network.bucket, "-o", "stop_timeout=1s").start()
    network.proxy.bytes_per_second = MEBIBYTE
    (mount.path / "large.bin").write_bytes(pattern(20 * MEBIBYTE))
    wait_for_uploads_to_start(mount)
    mount.terminate()
    assert network.bucket.keys() == []
    assert "not in the bucket yet: safe in the state directory" in mount.log()
    network.proxy.bytes_per_second = None
    mount.start().sync()
    assert network.bucket.read("large.bin") == pattern(20 * MEBIBYTE)


@pytest.mark.parametrize("state", ["offline", "paused", "read only"])
def test_a_signal_does_not_wait_for_what_cannot_be_sent(state, network, make_mount):
    mount = make_mount(network.bucket, "-o", "stop_timeout=5m").start()
    if state == "offline":
        network.proxy.cut()
    else:
        assert sluice("pause", mount.path).returncode == 0
    (mount.path / "unsent").write_bytes(b"unsent")
    if state == "offline":
        wait_until(lambda: mount.status()["link"]["state"] == "offline", "the link is known to be gone", 60)
    if state == "read only":
        mount.kill()
        reader = make_mount(network.bucket, "-o", "stop_timeout=5m,read_only", state=mount.state).start()
        assert seconds_to_end(reader) < SOON
    else:
        assert seconds_to_end(mount) < SOON
    network.proxy.restore()
    assert network.bucket.keys() == []
    mount.start().sync()
    assert network.bucket.read("unsent") == b"unsent"


def test_a_second_signal_ends_the_waiting(network, make_mount):
    mount = make_mount(network.bucket, "-o", "stop_timeout=5m").start()
    network.proxy.bytes_per_second = MEBIBYTE // 8
    (mount.path / "large.bin").write_bytes(pattern(8 * MEBIBYTE))
    wait_for_uploads_to_start(mount)
    pid = mount.pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_mounted(mount.path), "the mount is gone", 60)
    time.sleep(1)
    assert mount.pid == pid, "the daemon goes on sending"
    start = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    mount.wait_for_end(pid)
    assert time.monotonic() - start < SOON
    network.proxy.bytes_per_second = None
    mount.start().sync()
    assert network.bucket.read("large.bin") == pattern(8 * MEBIBYTE)


def test_a_signal_ends_a_start_that_waits_for_the_store(network, make_mount, tmp_path):
    network.proxy.swallows = True
    place = tmp_path / "place"
    place.mkdir()
    bucket = network.bucket
    command = [SLUICE, "mount", bucket.source, place, *bucket.options, "--state-dir", tmp_path / "state"]
    command += ["-o", "network_timeout=5m", "--foreground"]
    daemon = subprocess.Popen(command, env={**os.environ, **bucket.environment}, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: network.proxy.sent_bytes > 0, "it asks the store", 60)
        start = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        _, errors = daemon.communicate(timeout=60)
    finally:
        daemon.kill()
        daemon.wait()
    assert daemon.returncode == FAILED and time.monotonic() - start < SOON
    assert f"ended by signal {int(signal.SIGTERM)}" in errors and not is_mounted(place)


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2, 0.35])
def test_a_signal_at_any_moment_of_a_start_leaves_nothing_half_mounted(delay, file_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "upload_delay=1h").start()
    (mount.path / "kept").write_bytes(b"kept")
    mount.kill()
    command = [SLUICE, "mount", file_bucket.source, mount.path, "--state-dir", mount.state, "--foreground"]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(delay)
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
    finally:
        daemon.kill()
        daemon.wait()
    assert not is_mounted(mount.path)
    assert (mount.start().path / "kept").read_bytes() == b"kept"


def test_a_start_that_fails_late_ends_with_its_message_and_keeps_everything(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    for index in range(20):
        (mount.path / f"{index}").write_bytes(pattern(1000, index))
    mount.kill()
    # A thing that the daemon does not take away, in the place of its socket.
    (mount.state / "control.sock").unlink(missing_ok=True)
    (mount.state / "control.sock" / "mine").mkdir(parents=True)
    result = mount.try_start()
    assert result.returncode == FAILED and not is_mounted(mount.path) and mount.pid is None
    message = result.stderr.splitlines()[-1]
    assert "cannot listen for commands" in message and str(mount.state) in message
    shutil.rmtree(mount.state / "control.sock")
    mount.start().sync()
    assert all(bucket.read(f"{index}") == pattern(1000, index) for index in range(20))


def test_waiting_for_the_bucket_goes_on_after_a_failure_while_the_file_is_open(network, make_mount):
    mount = make_mount(network.bucket).start()
    with open(mount.path / "log", "wb", buffering=0) as file:
        file.write(b"written")
        network.proxy.portal = True
        waiting = subprocess.Popen([SLUICE, "sync", mount.path, "--timeout", "100"])
        wait_until(lambda: mount.status()["link"]["state"] == "offline", "the upload has failed", 60)
        network.proxy.portal = False
        assert waiting.wait(120) == 0
        assert network.bucket.read("log") == b"written"


# Unmount


OPEN = "import sys, time; file = open(sys.argv[1]); print('+', flush=True); time.sleep(600)"
MAP = """
import mmap, os, sys, time
file = os.open(sys.argv[1], os.O_RDONLY)
mapping = mmap.mmap(file, 0, prot=mmap.PROT_READ)
os.close(file)
print('+', flush=True)
time.sleep(600)
"""
WORK = "import os, sys, time; os.chdir(os.path.dirname(sys.argv[1])); print('+', flush=True); time.sleep(600)"


@pytest.mark.parametrize("program", [OPEN, MAP, WORK], ids=["open file", "mapping", "working directory"])
def test_unmount_says_who_holds_the_mount(program, mount):
    path = mount.path / "directory" / "file"
    path.parent.mkdir()
    path.write_bytes(b"x" * mmap.PAGESIZE)
    holder = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.read(1) == b"+"
        result = mount.unmount()
        name = open(f"/proc/{holder.pid}/comm").read().strip()
        assert result.returncode == FAILED and is_mounted(mount.path)
        assert f"in use by {name} (process {holder.pid}): end" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    finally:
        holder.kill()
        holder.wait()
    mount.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes mount namespaces")
def test_unmount_ends_a_daemon_whose_mount_lives_on_in_another_namespace(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=1h").start()
    (mount.path / "file").write_bytes(b"content")
    keeper = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo; sleep 600"], stdout=subprocess.PIPE)
    try:
        keeper.stdout.read(1)
        pid = mount.pid
        result = sluice("unmount", mount.path, timeout=100)
        assert result.returncode == 0, result.stderr
        mount.wait_for_end(pid)
        assert not is_mounted(mount.path) and bucket.read("file") == b"content"
    finally:
        keeper.kill()
        keeper.wait()
