"""What is only in the bucket, and the same once more when it is local.

Cold reads are beside a plain HTTP client (Python, connections that stay, ranges in parallel), on this machine and over
links; warm reads, a second after the cold ones, are beside the plain disk. The server's disk cache is warm for all; each
driver starts with an empty cache and with the directory listed. What is read over a link is less, so that it takes seconds.
JuiceFS reads its own copy of the data, and has the names in a database on this machine. Without passthrough, warm reads are
served from the kernel's own pages of the mount, without a request: 4 KiB each, where the disk has larger ones. So are those
of the pass-through (libfuse's example over the same files), which also shows what an open costs that is a request."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from drivers import PassThrough
from harness.link import link
from harness.mount import timed
from harness.stores import S3Bucket
from objects import MIB, RandomFile, read_whole
from plain_client import PlainClient

KIB, GIB = 1 << 10, 1 << 30
SHARD_READERS = 4
SMALL_SIZE = 128 * KIB
RANDOM_SIZE = 4 * KIB
FIRST_READ = 4 * KIB
MEMORY_LIMIT_MB = 150
CPU_LIMIT_S = 1.5
BEFORE_WARM_S = 1
# Of the disk, with passthrough and without.
WARM_SHARES = (0.9, 0.5)


class Place:
    """How far away the bucket is, and how much is read there."""

    def __init__(self, name, *link, part, small, randoms, shards=20):
        self.name = name
        # Round trip in ms, Mbit/s.
        self.link = link
        # The share of the run's size that large files have, and all shards together.
        self.part = part
        self.shards = shards
        # Files by the threads that read them.
        self.small = small
        self.randoms = randoms

    def around(self, endpoint):
        return link(endpoint, *self.link) if self.link else nullcontext(endpoint)


PLACES = [
    Place("this machine", part=4, small={1: 500, 8: 1_000}, randoms=500),
    Place("20 ms, 1 Gbit/s", 20, 1_000, part=8, small={1: 50, 8: 250}, randoms=50),
    Place("60 ms, 20 Mbit/s", 60, 20, part=256, small={8: 25}, randoms=10, shards=0),
]


def measure(bench):
    data = Data(bench)
    for place in PLACES:
        with place.around(bench.weed.endpoint) as endpoint:
            Workloads(bench, data, place, endpoint).measure()


class Data:
    """A bucket with what is read, and the same on the disk."""

    def __init__(self, bench):
        self.bucket = S3Bucket(bench.weed.endpoint, "bench-reads")
        self.disk = bench.directory / "bench-reads"
        self.bare = PassThrough(bench.directory, bench.weed, self.disk)
        for part, shards in {(place.part, place.shards) for place in PLACES}:
            self.put(f"large-{part}/large.bin", bench.size // part)
            for shard in range(shards):
                self.put(f"shards-{part}/{shard:02}.tar", bench.size // part // shards)
        self.small = [f"{index:05}.jpg" for index in range(bench.count(1_000))]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self.put(f"small/{name}", SMALL_SIZE), self.small))

    def put(self, key, size):
        path = self.disk / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(RandomFile(size).read())
        self.bucket.client.upload_file(str(path), self.bucket.name, key)


class Workloads:
    """All that is measured at one place. Actions return seconds."""

    def __init__(self, bench, data, place, endpoint):
        self.bench = bench
        self.data = data
        self.place = place
        self.endpoint = endpoint
        self.client = PlainClient(endpoint, data.bucket.name)
        self.size = bench.size // place.part
        self.large_url = self.client.url(f"large-{place.part}/large.bin")

    def measure(self):
        self.large()
        self.first_bytes()
        if self.place.shards:
            self.shards()
        for threads, count in self.place.small.items():
            self.small(threads, self.bench.count(count))
        self.random_reads()

    def compare(self, what, plain, directory, action, has_cost=False, with_requests=False):
        """Cold everywhere, warm on this machine; `has_cost`: what the drivers' processes need is told as well;
        `with_requests`: and what Sluice does without passthrough."""
        kinds = ("cold, s", "warm, s", "CPU for each GiB, s", "most memory, MB")
        cold, warm, cpu, memory = (self.name(f"{what}, {kind}") for kind in kinds)

        def of(driver):
            def measure():
                with driver.mounted(self.data.bucket.name, self.endpoint) as mount:
                    path = mount.path / directory
                    list(path.iterdir())
                    before = mount.cpu_seconds()
                    values = {cold: action(path)}
                    if has_cost:
                        values[cpu] = (mount.cpu_seconds() - before) * GIB / self.size
                        values[memory] = mount.memory_mb("VmHWM")
                    if not self.place.link:
                        time.sleep(BEFORE_WARM_S)
                        values[warm] = action(path)
                    return values

            return measure

        def of_bare():
            with self.data.bare.mounted() as mount:
                action(mount.path / directory)
                time.sleep(BEFORE_WARM_S)
                return {warm: action(mount.path / directory)}

        subjects = [("plain client", lambda: {cold: plain()})]
        compares_requests = with_requests and not self.place.link
        drivers = self.bench.mounts_and_requests if compares_requests else self.bench.mounts
        if not self.place.link:
            subjects.append((self.bench.disk.name, lambda: {warm: action(self.data.disk / directory)}))
            subjects.append((self.data.bare.name, of_bare))
        rows = self.bench.compare(subjects + [(driver.name, of(driver)) for driver in drivers])
        if has_cost:
            self.bench.at_most(rows[cpu], CPU_LIMIT_S)
            self.bench.at_most(rows[memory], MEMORY_LIMIT_MB)
        if compares_requests:
            self.bench.at_least_each(rows[warm], *WARM_SHARES)
        return rows[cold]

    def name(self, what):
        return f"{what}; {self.place.name}" if self.place.link else what

    def target(self, row, linked, local):
        least = linked if self.place.link else local
        if least:
            self.bench.at_least(row, least)

    # Large files

    def large(self):
        row = self.compare(
            f"file of {self.size / MIB:g} MiB",
            lambda: self.client.download([(self.large_url, self.size)], self.bench.directory),
            f"large-{self.place.part}", lambda path: read_whole(path / "large.bin"),
            has_cost=not self.place.link, with_requests=True,
        )
        self.target(row, 0.95, 0.5)

    def shards(self):
        directory = f"shards-{self.place.part}"
        names = [f"{shard:02}.tar" for shard in range(self.place.shards)]
        objects = [(self.client.url(f"{directory}/{name}"), self.size // len(names)) for name in names]
        row = self.compare(
            f"{len(names)} shards of {self.size / len(names) / MIB:.0f} MiB by {SHARD_READERS} readers",
            lambda: self.client.download(objects, self.bench.directory),
            directory, lambda path: each(names, SHARD_READERS, lambda name: read_whole(path / name)),
            with_requests=True,
        )
        self.target(row, 0.95, 0.5)

    def first_bytes(self):
        def read(path):
            with open(path / "large.bin", "rb", buffering=0) as file:
                file.read(FIRST_READ)

        def get():
            self.client.get(self.large_url, 0, FIRST_READ)  # the connection
            return timed(lambda: self.client.get(self.large_url, 0, FIRST_READ))

        row = self.compare(
            "first bytes of a large file", get, f"large-{self.place.part}", lambda path: timed(lambda: read(path))
        )
        self.target(row, 1 / 1.5, 1 / 1.5)

    # Small pieces

    def small(self, threads, count):
        names = random.Random(threads).sample(self.data.small, count)
        urls = {name: self.client.url(f"small/{name}") for name in names}
        row = self.compare(
            f"{count:,} shuffled files of {SMALL_SIZE // KIB} KiB, {threads} thread{'s' * (threads > 1)}",
            lambda: each(names, threads, lambda name: self.client.get(urls[name])),
            "small", lambda path: each(names, threads, lambda name: (path / name).read_bytes()),
        )
        self.target(row, 0.9, None)

    def random_reads(self):
        count = min(self.place.randoms, self.size // RANDOM_SIZE)
        offsets = [page * RANDOM_SIZE for page in random.Random(1).sample(range(self.size // RANDOM_SIZE), count)]

        def read(path):
            with open(path / "large.bin", "rb", buffering=0) as file:
                for offset in offsets:
                    file.seek(offset)
                    file.read(RANDOM_SIZE)

        row = self.compare(
            f"{count} random reads of 4 KiB in {self.size / MIB:g} MiB",
            lambda: each(offsets, 1, lambda offset: self.client.get(self.large_url, offset, offset + RANDOM_SIZE)),
            f"large-{self.place.part}", lambda path: timed(lambda: read(path)),
        )
        self.target(row, 1 / 1.2, 1 / 1.2)


def each(items, threads, action):
    """Seconds for an action on each of the items."""
    with ThreadPoolExecutor(threads) as pool:
        return timed(lambda: list(pool.map(action, items)))
