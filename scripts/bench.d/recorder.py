"""A recorder whose files are uploaded while it writes: how long its calls take, and when all is in the bucket.

A camera brings 60 frames and 30 topics bring a message each 30 times a second, 100 MB in all, as one process with a
thread for each file; each call is timed. The bucket is on this machine, and behind two links, the slower of which breaks a
connection in every hundredth block. Beside the plain disk, which nobody syncs, stands one that is synced as often as a
mount is."""

import os
import statistics
import threading
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from cold_reads import cpu_seconds
from harness import servers
from harness.link import link
from harness.mount import Mount, peak_memory
from harness.proxy import Proxy
from harness.stores import S3Bucket

MIB = 1 << 20
FRAME = os.urandom(1_600_000)
MESSAGE = os.urandom(2_000)
FRAMES_PER_SECOND, MESSAGES_PER_SECOND = 60, 30
TOPICS = 30
SECONDS = 10
FLUSH_INTERVAL = 2
GROWING_RATE = 60_000_000
CPU_LIMIT_MS = 2_000
MEMORY_LIMIT_MB = 150
LINKS = [("no link", None, 0), ("20 ms, 1 Gbit/s", (20, 1_000), 0), ("60 ms, 20 Mbit/s, 1 % resets", (60, 20), 0.01)]


def measure(bench):
    with servers.seaweedfs(bench.directory / "recorder-weed") as weed:
        latencies(bench, weed)
        growing(bench, weed)
        small_change(bench, weed)


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
    """Milliseconds of each call of one kind."""

    def __init__(self):
        self.all = []

    def timed(self, call, *arguments):
        start = time.perf_counter()
        call(*arguments)
        self.all.append((time.perf_counter() - start) * 1e3)

    def percentile(self, share):
        return sorted(self.all)[int(len(self.all) * share)]


def periodic(count, per_second, action):
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0, start + index / per_second - time.monotonic()))
        action()


def record(directory, is_flushed=False):
    """Records once; frames, messages and syncs. `is_flushed`: all that is written is synced each `FLUSH_INTERVAL`."""
    frames, messages, syncs = Calls(), Calls(), Calls()
    camera = os.open(directory / "camera.bin", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    topics = [os.open(directory / f"topic-{index}.log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC) for index in range(TOPICS)]

    def message():
        for topic in topics:
            messages.timed(os.write, topic, MESSAGE)

    def flush():
        for descriptor in [camera, *topics]:
            os.fdatasync(descriptor)

    threads = [
        threading.Thread(
            target=periodic,
            args=(SECONDS * FRAMES_PER_SECOND, FRAMES_PER_SECOND, lambda: frames.timed(os.write, camera, FRAME)),
        ),
        threading.Thread(target=periodic, args=(SECONDS * MESSAGES_PER_SECOND, MESSAGES_PER_SECOND, message)),
        threading.Thread(target=periodic, args=(SECONDS, 1, lambda: syncs.timed(os.fdatasync, topics[0]))),
    ]
    if is_flushed:
        threads.append(threading.Thread(target=periodic, args=(SECONDS // FLUSH_INTERVAL, 1 / FLUSH_INTERVAL, flush)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for descriptor in [camera, *topics]:
        os.close(descriptor)
    return frames, messages, syncs


def latencies(bench, weed):
    plain = bench.directory / "recorder-plain"
    plain.mkdir()
    record(plain)
    disk = [record(plain) for _ in range(bench.rounds)]
    base = summary(bench, "the disk", disk)
    summary(bench, "the disk, synced", [record(plain, is_flushed=True) for _ in range(bench.rounds)])
    for index, (name, speed, resets) in enumerate(LINKS):
        with way(weed, speed, resets) as endpoint:
            bucket = S3Bucket(weed.endpoint, f"recorder-{index}", endpoint)
            found = []
            for number in range(bench.rounds):
                state = bench.directory / f"recorder-state-{index}-{number}"
                with Mount(bucket, bench.directory / f"recorder-mount-{index}-{number}", state) as mount:
                    found.append(record(mount.path))
                    memory = peak_memory(mount.pid) / 1e6
                    mount.unmount("--no-drain")
            mine = summary(bench, name, found)
            bench.limit(f"recorder, {name}: late frames", mine["late"], 1)
            bench.limit(f"recorder, {name}: frame p99 ms, three times the disk's", mine["frame"], 3 * base["frame"])
            bench.limit(f"recorder, {name}: message p99 ms", mine["message"], 1)
            bench.limit(f"recorder, {name}: fdatasync ms, 1.5 times the disk's", mine["sync"], 1.5 * base["sync"])
            bench.limit(f"recorder, {name}: resident MB", memory, MEMORY_LIMIT_MB)


def summary(bench, name, rounds):
    """Medians of the rounds."""
    values = {
        "frame": [frames.percentile(0.99) for frames, _, _ in rounds],
        "message": [messages.percentile(0.99) for _, messages, _ in rounds],
        "sync": [statistics.median(syncs.all) for _, _, syncs in rounds],
        "late": [sum(call > 1_000 / FRAMES_PER_SECOND for call in frames.all) for frames, _, _ in rounds],
    }
    medians = {kind: statistics.median(of) for kind, of in values.items()}
    bench.note(
        f"recorder, {name}: frame p99 {medians['frame']:.1f} ms, message p99 {medians['message']:.2f} ms, fdatasync"
        f" {medians['sync']:.1f} ms, late frames {medians['late']:.0f} of {SECONDS * FRAMES_PER_SECOND}"
    )
    return medians


def growing(bench, weed):
    """A recording that is slower than the link is in the bucket soon after its close; what the daemon needs for it."""
    with way(weed, (20, 1_000), 0) as endpoint:
        bucket = S3Bucket(weed.endpoint, "growing", endpoint)
        with Mount(bucket, bench.directory / "growing", bench.directory / "growing-state") as mount:
            before = cpu_seconds(mount.pid)
            with open(mount.path / "run.bag.active", "wb", buffering=0) as file:
                block = os.urandom(MIB)
                start = time.monotonic()
                for written in range(0, bench.size, MIB):
                    time.sleep(max(0, start + written / GROWING_RATE - time.monotonic()))
                    file.write(block)
            (mount.path / "run.bag.active").rename(mount.path / "run.bag")
            closed = time.monotonic()
            while "run.bag" not in bucket.keys():
                time.sleep(0.02)
            arrived = time.monotonic() - closed
            cpu = (cpu_seconds(mount.pid) - before) / (bench.size / (1 << 30))
            bench.limit("growing recording at 60 MB/s, 20 ms and 1 Gbit/s: in the bucket after its close, ms", arrived * 1e3, 3_000)
            bench.limit("daemon's CPU for each GiB written and uploaded, ms", cpu * 1e3, CPU_LIMIT_MS)
            bench.limit("resident MB while it is uploaded", peak_memory(mount.pid) / 1e6, MEMORY_LIMIT_MB)


def small_change(bench, weed):
    """4 KiB of a large object that is not local."""
    with Proxy(("127.0.0.1", weed.port)) as proxy:
        bucket = S3Bucket(weed.endpoint, "change", proxy.endpoint)
        with Mount(bucket, bench.directory / "change-1", bench.directory / "change-1-state") as mount:
            (mount.path / "large.bin").write_bytes(os.urandom(64 * MIB) * (bench.size // (64 * MIB)))
            mount.sync(timeout=600)
        with Mount(bucket, bench.directory / "change-2", bench.directory / "change-2-state") as mount:
            sent = proxy.sent_bytes
            with open(mount.path / "large.bin", "r+b") as file:
                file.seek(bench.size // 2 + 4096)
                file.write(os.urandom(4096))
            mount.sync(timeout=600)
            bench.limit("4 KiB changed in a large object: MB sent", (proxy.sent_bytes - sent) / 1e6, 1.1 * 8.4)
            local = sum(path.stat().st_blocks for path in (bench.directory / "change-2-state" / "data").rglob("*") if path.is_file())
            bench.limit("4 KiB changed in a large object: MB fetched", local * 512 / 1e6, 8.4 + 0.1)

