"""A recorder whose files are uploaded while it writes: how long its calls take.

A camera brings 60 frames of 1.6 MB each second and 30 topics bring a message each 30 times a second, 100 MB in all, as one
process with a thread for each file; each call is timed. The bucket is on this machine, and behind two links, the slower of
which breaks a connection in every hundredth block. Beside the plain disk, which nobody syncs, stands one that is synced as
often as a mount is, alone and while the plain client sends the frames from another process: what the disk, the server and the
two cores leave to any file system. A frame is late when its write takes longer than until the next one. Over the links, other
drivers have one round of a second: s3fs sends it all before its closes return. Then a recording that is slower than the link is
closed and renamed: it is in the bucket soon after."""

import os
import statistics
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from urllib.parse import urlsplit

from harness.link import link
from harness.proxy import Proxy
from harness.stores import S3Bucket
from machine import ready_memory
from objects import write_blocks
from plain_client import sender

CAMERA = "camera.bin"
FRAME = os.urandom(1_600_000)
MESSAGE = os.urandom(2_000)
FRAMES_PER_SECOND, MESSAGES_PER_SECOND = 60, 30
# No multiple of how often all is flushed: else half of them would meet that.
SYNCS_PER_SECOND = 3.3
TOPICS = 30
SECONDS = 5
SECONDS_ONCE = 1
FLUSH_INTERVAL = 2
GROWING_RATE = 60_000_000
CPU_LIMIT_S = 2
MEMORY_LIMIT_MB = 150
# Of what is recorded, here and at the server, and of what stands between.
MEMORY_OF_A_SECOND = 600 << 20
NO_LINK = ("", None, 0)
FAST_LINK = ("; 20 ms, 1 Gbit/s", (20, 1_000), 0)
SLOW_LINK = ("; 60 ms, 20 Mbit/s, 1 % resets", (60, 20), 0.01)


def measure(bench):
    latencies(bench, NO_LINK)
    for place in (FAST_LINK, SLOW_LINK):
        latencies(bench, place, once=[peer.name for peer in bench.peers])
    growing(bench)


@contextmanager
def way(weed, speed, resets):
    """The endpoint of the server behind a link."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(link(weed.endpoint, *speed)) if speed else weed.endpoint
        if resets:
            proxy = stack.enter_context(Proxy(("127.0.0.1", urlsplit(endpoint).port)))
            proxy.resets = resets
            endpoint = proxy.endpoint
        yield endpoint


class Calls:
    """Milliseconds of each call of one kind, and how many of them failed."""

    def __init__(self):
        self.all = []
        self.failures = 0

    def timed(self, call, *arguments):
        start = time.perf_counter()
        try:
            call(*arguments)
        except OSError:
            self.failures += 1
        self.all.append((time.perf_counter() - start) * 1e3)

    def percentile(self, share):
        return sorted(self.all)[int(len(self.all) * share)]


def periodic(count, per_second, action):
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0, start + index / per_second - time.monotonic()))
        action()


def record(directory, seconds, is_flushed):
    """Records once; frames, messages, syncs and closes. `is_flushed`: all that is written is synced each `FLUSH_INTERVAL`."""
    frames, messages, syncs, closes = Calls(), Calls(), Calls(), Calls()
    names = [CAMERA, *(f"topic-{index}.log" for index in range(TOPICS))]
    # As `rosbag record` opens its files.
    camera, *topics = [os.open(directory / name, os.O_CREAT | os.O_RDWR | os.O_TRUNC) for name in names]

    def message():
        for topic in topics:
            messages.timed(os.write, topic, MESSAGE)

    def flush():
        for descriptor in [camera, *topics]:
            os.fdatasync(descriptor)

    threads = [
        threading.Thread(target=periodic, args=(int(seconds * per_second), per_second, action))
        for per_second, action in (
            (FRAMES_PER_SECOND, lambda: frames.timed(os.write, camera, FRAME)),
            (MESSAGES_PER_SECOND, message),
            (SYNCS_PER_SECOND, lambda: syncs.timed(os.fdatasync, topics[0])),
        )
    ]
    if is_flushed:
        threads.append(threading.Thread(target=periodic, args=(-(-seconds // FLUSH_INTERVAL), 1 / FLUSH_INTERVAL, flush)))
    ready_memory(seconds * MEMORY_OF_A_SECOND)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for descriptor in [camera, *topics]:
        closes.timed(os.close, descriptor)
    return frames, messages, syncs, closes


def latencies(bench, place, once=()):
    name, speed, resets = place
    seconds = bench.count(SECONDS)
    memory = f"most memory, MB{name}"

    def of(driver, endpoint, is_flushed=False, is_sent=False):
        def measure():
            with driver.mounted(endpoint=endpoint) as mount:
                directory = mount.path / mount.path.parent.name
                directory.mkdir()
                length = SECONDS_ONCE if driver.name in once else seconds
                with sending(endpoint, driver.bucket, directory / CAMERA) if is_sent else nullcontext():
                    calls = record(directory, length, is_flushed)
                values = {f"{what}{name}": value for what, value in summary(*calls).items()}
                if mount.pid:
                    values[memory] = mount.memory_mb("VmHWM")
                return values

        return measure

    with way(bench.weed, speed, resets) as endpoint:
        subjects = [(driver.name, of(driver, endpoint)) for driver in [bench.disk, *bench.mounts]]
        subjects.insert(1, ("disk, synced", of(bench.disk, endpoint, is_flushed=True)))
        # A connection that breaks ends the plain client.
        if not resets:
            subjects.insert(2, ("disk, synced and sent", of(bench.disk, endpoint, is_flushed=True, is_sent=True)))
        rows = bench.compare(subjects, once=once)
    bench.at_least(rows[f"frame p99, ms{name}"], 1 / 3)
    bench.at_most(rows[f"late frames{name}"], 0)
    bench.at_most(rows[f"failed calls{name}"], 0)
    bench.at_most(rows[f"message p99, ms{name}"], 1)
    bench.at_least(rows[f"fdatasync, ms{name}"], 1 / 1.5)
    bench.at_most(rows[memory], MEMORY_LIMIT_MB)


@contextmanager
def sending(endpoint, bucket_name, path):
    """The plain client sends the file as it grows."""
    path.touch()
    with sender(endpoint, bucket_name, path) as begin:
        begin()
        yield


def summary(frames, messages, syncs, closes):
    return {
        "frame p50, ms": frames.percentile(0.5),
        "frame p99, ms": frames.percentile(0.99),
        "longest frame, ms": max(frames.all),
        "late frames": sum(call > 1_000 / FRAMES_PER_SECOND for call in frames.all),
        "message p99, ms": messages.percentile(0.99),
        "fdatasync, ms": statistics.median(syncs.all),
        "all closes, ms": sum(closes.all),
        "failed calls": sum(calls.failures for calls in (frames, messages, syncs, closes)),
    }


def growing(bench):
    """What the daemon needs for what is uploaded while it grows."""
    name, speed, resets = FAST_LINK
    size = 4 * bench.size
    arrival = f"in the bucket after the close of {size >> 20:,} MiB at 60 MB/s, s{name}"
    cpu = f"CPU for each GiB written and uploaded, s{name}"
    memory = f"most memory meanwhile, MB{name}"

    def measure():
        with way(bench.weed, speed, resets) as endpoint:
            bucket = S3Bucket(bench.weed.endpoint, "bench-growing")
            with bench.sluice.mounted(bucket.name, endpoint) as mount:
                before = mount.cpu_seconds()
                write_blocks(mount.path / "run.bag.active", size, bytes_per_second=GROWING_RATE)
                (mount.path / "run.bag.active").rename(mount.path / "run.bag")
                closed = time.monotonic()
                while "run.bag" not in bucket.keys():
                    time.sleep(0.02)
                return {
                    arrival: time.monotonic() - closed,
                    cpu: (mount.cpu_seconds() - before) * (1 << 30) / size,
                    memory: mount.memory_mb("VmHWM"),
                }

    rows = bench.compare([(bench.sluice.name, measure)], rounds=1)
    for what, bound in ((arrival, 3), (cpu, CPU_LIMIT_S), (memory, MEMORY_LIMIT_MB)):
        bench.at_most(rows[what], bound)
