"""Reads of what is only in the bucket, beside a plain HTTP client: on this machine, and over links.

The server's disk cache is warm for all; Sluice and the peers start with an empty cache each time, and with the directory
listed. Small files and random reads are counted in fewer on the slower link, where each takes its time."""

import itertools
import os
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from harness import servers
from harness.link import link
from harness.mount import Mount, peak_memory
from harness.stores import S3Bucket
from large_files import PART, RandomFile, make_peers, ranged_gets, read_whole

KIB, MIB = 1 << 10, 1 << 20
ROUNDS = 5
SHARDS = 20
SHARD_READERS = 4
SMALL_SIZE = 128 * KIB
SMALL_FILES = 2_000
RANDOM_SIZE = 4 * KIB
FIRST_READ = 4 * KIB
MEMORY_LIMIT_MB = 150
CPU_LIMIT_MS = 1_500
numbers = itertools.count()


class Place:
    """How far away the bucket is; what is read there is of a size that takes some seconds."""

    def __init__(self, name, rtt_ms=None, mbit_per_s=None, *, part=1, small=(1_000, 2_000), randoms=500):
        self.name = name
        self.link = (rtt_ms, mbit_per_s) if rtt_ms else None
        # The share of the bytes of large files.
        self.part = part
        # Files by one thread, and by eight.
        self.small = small
        self.randoms = randoms

    def around(self, endpoint):
        return link(endpoint, *self.link) if self.link else nullcontext(endpoint)


PLACES = [
    Place("this machine"),
    Place("20 ms, 1 Gbit/s", 20, 1_000, small=(150, 1_000), randoms=100),
    Place("60 ms, 20 Mbit/s", 60, 20, part=32, small=(50, 100), randoms=50),
]


def measure(bench):
    with servers.seaweedfs(bench.directory / "cold-weed") as weed:
        data = Data(weed, bench.size)
        for place in PLACES:
            with place.around(weed.endpoint) as endpoint:
                Workloads(bench, weed, data, place, endpoint).measure()


class Data:
    """A bucket with what is read."""

    def __init__(self, weed, size, name="bench-cold"):
        self.size = size
        self.name = name
        self.bucket = S3Bucket(weed.endpoint, name)
        for part in sorted({place.part for place in PLACES}):
            self.bucket.client.upload_fileobj(RandomFile(size // part), name, f"large-{part}/large.bin")
            for shard in range(SHARDS):
                key = f"shards-{part}/{shard:02}.tar"
                self.bucket.client.upload_fileobj(RandomFile(size // SHARDS // part), name, key)
        body = RandomFile(SMALL_SIZE).read()
        self.small = [f"small/{index:05}.jpg" for index in range(SMALL_FILES)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.bucket.put(key, body), self.small))


class RawClient:
    """Presigned URLs over connections that stay, one for each thread."""

    def __init__(self, endpoint, bucket_name):
        self.client = servers.client(endpoint)
        self.bucket_name = bucket_name
        self.netloc = urlsplit(endpoint).netloc
        self.local = threading.local()

    def url(self, key):
        url = urlsplit(self.client.generate_presigned_url("get_object", {"Bucket": self.bucket_name, "Key": key}))
        return f"{url.path}?{url.query}"

    def get(self, url, start=None, end=None):
        """The body, or its bytes from `start` to before `end`."""
        if not hasattr(self.local, "connection"):
            self.local.connection = HTTPConnection(self.netloc)
        headers = {} if start is None else {"Range": f"bytes={start}-{end - 1}"}
        self.local.connection.request("GET", url, headers=headers)
        answer = self.local.connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 206):
            raise RuntimeError(f"status {answer.status}")
        return body


class Workloads:
    """All that is measured at one place."""

    def __init__(self, bench, weed, data, place, endpoint):
        self.bench = bench
        self.weed = weed
        self.data = data
        self.place = place
        self.endpoint = endpoint
        self.raw = RawClient(endpoint, data.name)
        self.cpu = []
        self.memory = []

    def measure(self):
        for workload in (self.large, self.shards, self.first_byte, self.small_1, self.small_8, self.random_reads):
            workload()

    # Subjects

    def mounted(self, action, directory):
        """A subject: a mount with an empty cache, in which `directory` is listed already."""

        def run():
            number = next(numbers)
            state = self.bench.directory / f"cold-state-{number}"
            bucket = S3Place(self.data.name, self.endpoint)
            with Mount(bucket, self.bench.directory / f"cold-{number}", state) as mount:
                list((mount.path / directory).iterdir())
                before = cpu_seconds(mount.pid)
                seconds = action(mount.path / directory)
                self.cpu.append(cpu_seconds(mount.pid) - before)
                self.memory.append(peak_memory(mount.pid) / 1e6)
            # Not the names: ext4 searches long for an inode where many were freed within minutes.
            for file in (state / "data").rglob("*"):
                if file.is_file():
                    os.truncate(file, 0)
            return seconds

        return run

    def compare(self, what, raw, directory, action):
        self.cpu, self.memory = [], []
        subjects = [("plain client", raw), ("sluice", self.mounted(action, directory))]
        if self.bench.peers:
            for peer in make_peers(self.bench, self.weed, self.endpoint):
                subjects.append((peer.name, peer.around_bucket(self.data.bucket, listed(directory, action))))
        rounds = ROUNDS if self.bench.rounds > 1 else 1
        return self.bench.compare(f"{what}; {self.place.name}", subjects, rounds)["sluice"]

    def target(self, what, value, linked, local):
        least = linked if self.place.link else local
        if least:
            self.bench.target(f"{what}, of a plain client; {self.place.name}", value, least)

    # Large files

    def large(self):
        size = self.data.size // self.place.part
        key = f"large-{self.place.part}/large.bin"
        url = self.raw.url(key)
        ratio = self.compare(
            f"one file of {size // MIB} MiB",
            lambda: ranged_gets(self.endpoint, [(url, size)], self.bench.directory),
            f"large-{self.place.part}",
            lambda path: read_whole(path / "large.bin"),
        )
        self.target("cold sequential read", ratio, 0.95, 0.5)
        if not self.place.link:
            milliseconds = 1_000 * statistics.median(self.cpu) * 2**30 / size
            self.bench.limit("CPU of the daemon for a GiB read cold, ms", milliseconds, CPU_LIMIT_MS)

    def shards(self):
        size = self.data.size // SHARDS // self.place.part
        directory = f"shards-{self.place.part}"
        names = [f"{shard:02}.tar" for shard in range(SHARDS)]
        urls = [(self.raw.url(f"{directory}/{name}"), size) for name in names]

        def read(path):
            with ThreadPoolExecutor(SHARD_READERS) as pool:
                start = time.monotonic()
                list(pool.map(lambda name: read_whole(path / name), names))
                return time.monotonic() - start

        ratio = self.compare(
            f"{SHARDS} shards of {size / MIB:.0f} MiB by {SHARD_READERS} readers",
            lambda: ranged_gets(self.endpoint, urls, self.bench.directory), directory, read,
        )
        self.target("cold shards", ratio, 0.95, 0.5)
        self.bench.limit(f"memory of the daemon, MB; {self.place.name}", max(self.memory), MEMORY_LIMIT_MB)

    def first_byte(self):
        url = self.raw.url(f"large-{self.place.part}/large.bin")

        def read(path):
            start = time.monotonic()
            with open(path / "large.bin", "rb", buffering=0) as file:
                file.read(FIRST_READ)
            return time.monotonic() - start

        ratio = self.compare(
            "first bytes of a large file", lambda: timed_get(self.raw, url, 0, FIRST_READ), f"large-{self.place.part}", read
        )
        self.target("first bytes", ratio, 1 / 1.5, 1 / 1.5)

    # Small files

    def small_1(self):
        self.small(1, self.place.small[0])

    def small_8(self):
        self.small(8, self.place.small[1])

    def small(self, threads, count):
        keys = self.data.small[:]
        random.Random(threads).shuffle(keys)
        keys = keys[:count]
        urls = {key: self.raw.url(key) for key in keys}

        def each(action):
            with ThreadPoolExecutor(threads) as pool:
                start = time.monotonic()
                list(pool.map(action, keys))
                return time.monotonic() - start

        def raw():
            return each(lambda key: self.raw.get(urls[key]))

        def read(path):
            return each(lambda key: (path.parent / key).read_bytes())

        ratio = self.compare(f"{count:,} files of {SMALL_SIZE // KIB} KiB, shuffled, {threads} threads", raw, "small", read)
        self.target(f"small files by {threads} threads", ratio, 0.9, None)

    # Random reads

    def random_reads(self):
        size = self.data.size // self.place.part
        url = self.raw.url(f"large-{self.place.part}/large.bin")
        pages = random.Random(1).sample(range(size // RANDOM_SIZE), self.place.randoms)
        offsets = [page * RANDOM_SIZE for page in pages]

        def raw():
            start = time.monotonic()
            for offset in offsets:
                self.raw.get(url, offset, offset + RANDOM_SIZE)
            return time.monotonic() - start

        def read(path):
            start = time.monotonic()
            with open(path / "large.bin", "rb", buffering=0) as file:
                for offset in offsets:
                    file.seek(offset)
                    file.read(RANDOM_SIZE)
            return time.monotonic() - start

        ratio = self.compare(
            f"{len(offsets)} random reads of 4 KiB in {size // MIB} MiB", raw, f"large-{self.place.part}", read
        )
        self.target("random reads", ratio, 1 / 1.2, 1 / 1.2)


def listed(directory, action):
    """`action` in a directory of a mount whose names are known."""

    def run(path):
        list((path / directory).iterdir())
        return action(path / directory)

    return run


class S3Place:
    """What a mount needs to know of a bucket that is there already."""

    def __init__(self, name, endpoint):
        self.source = f"s3://{name}"
        self.options = ["--endpoint-url", endpoint, "--region", servers.REGION]
        self.environment = servers.credentials()


def timed_get(raw, url, start, end):
    raw.get(url, start, end)  # the connection
    begin = time.monotonic()
    raw.get(url, start, end)
    return time.monotonic() - begin


def cpu_seconds(pid):
    """User and system time of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
