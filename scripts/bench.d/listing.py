"""A directory of many small objects that others put, and a tree of them, walked as `find -ls` does: names with attributes.

Cold: each driver starts with an empty state. Beside it a plain client asks for the same pages, one after the other; of the
tree, whose directories are one listing each for a file system, it asks for all keys at once, also over a link. Other drivers
are given a tenth of the files; JuiceFS has the names in a database on this machine. Warm: the same walk once more, beside the
disk, also after the kernel dropped the names that it knew. Requests are counted at a proxy, in a mount of their own."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from harness.proxy import Proxy
from harness.stores import S3Bucket
from objects import BLOCK, FILE_SIZE
from plain_client import CONNECTIONS, PlainClient
from programs import Program
from reads import PLACES

FILES = 100_000
PEER_FILES = 10_000
DIRECTORIES, FILES_EACH = 1_000, 20
MEMORY_LIMIT_MB = 150
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def measure(bench):
    walk = Walk(bench.directory)
    flat(bench, walk)
    beside_peers(bench, walk)
    tree(bench, walk)


class Walk:
    """walk.c, which must find so many names."""

    def __init__(self, directory):
        self.program = Program(directory, "walk")

    def __call__(self, path, count):
        """Seconds of all, and to the first name."""
        whole, first, found = self.program.numbers(path)
        assert found == count, f"{found:.0f} names of {count} in {path}"
        return whole, first


class Objects:
    """A bucket of its own that holds `keys`, put without metadata, below the directory `top`."""

    def __init__(self, bench, name, keys):
        self.count = len(keys)
        self.bucket = S3Bucket(bench.weed.endpoint, f"bench-listing-{name}")
        self.client = PlainClient(bench.weed.endpoint, self.bucket.name)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda key: self.client.put(key, BLOCK[:FILE_SIZE]), keys))

    def list(self, client, **options):
        return list_pages(client, self.count, **options)


def list_pages(client, count, **options):
    """Seconds of all pages, which must have so many keys."""
    start = time.monotonic()
    found = sum(page.count(b"<Key>") for page in client.pages("top/", **options))
    seconds = time.monotonic() - start
    assert found == count, f"{found} keys of {count}"
    return seconds


def flat_objects(bench, name, count):
    return Objects(bench, name, [f"top/{index:06}.bin" for index in range(count)])


def flat(bench, walk):
    count = bench.count(FILES)
    objects = flat_objects(bench, "flat", count)
    disk = bench.directory / "listing"
    disk.mkdir()
    Program(bench.directory, "metadata")("create", disk, count, FILE_SIZE)
    what = f"{count:,} files in a directory"
    cold, first = f"{what}, cold, s", f"{what}, first name, cold, s"
    warm, dropped = f"{what}, warm, s", f"{what}, warm, the kernel has no names, s"
    memory = f"{what}: most memory, MB"

    def again(path):
        values = {warm: walk(path, count)[0]}
        if os.access(DROP_CACHES, os.W_OK):
            DROP_CACHES.write_text("2")
            values[dropped] = walk(path, count)[0]
        return values

    def of_disk():
        walk(disk, count)
        return again(disk)

    def of_sluice():
        with bench.sluice.mounted(objects.bucket.name) as mount:
            path = mount.path / "top"
            whole, to_first = walk(path, count)
            return {cold: whole, first: to_first, memory: mount.memory_mb("VmHWM"), **again(path)}

    plain = ("plain client", lambda: {cold: objects.list(objects.client, Delimiter="/")})
    rows = bench.compare([plain, (bench.disk.name, of_disk), (bench.sluice.name, of_sluice)])
    bench.at_least(rows[cold], 0.5)
    bench.at_least(rows[warm], 0.5)
    bench.at_most(rows[memory], MEMORY_LIMIT_MB)
    bench.at_most(requests(bench, walk, objects, what), 0)


def beside_peers(bench, walk):
    objects = flat_objects(bench, "peers", bench.count(PEER_FILES))
    what = f"{objects.count:,} files in a directory, cold, s"
    plain = ("plain client", lambda: {what: objects.list(objects.client, Delimiter="/")})
    bench.compare([plain, *((driver.name, cold_walk(driver, walk, objects, what)) for driver in bench.mounts)])


def tree(bench, walk):
    directories = bench.count(DIRECTORIES)
    keys = [f"top/{directory:04}/{file:02}.bin" for directory in range(directories) for file in range(FILES_EACH)]
    objects = Objects(bench, "tree", keys)
    what = f"{directories:,} directories of {FILES_EACH} files"
    for place in PLACES[:2]:
        with place.around(bench.weed.endpoint) as endpoint:
            cold = f"{what}, cold, s; {place.name}" if place.link else f"{what}, cold, s"
            client = PlainClient(endpoint, objects.bucket.name)
            plain = ("plain client", lambda: {cold: objects.list(client)})
            sluice = (bench.sluice.name, cold_walk(bench.sluice, walk, objects, cold, directories, endpoint))
            bench.at_least(bench.compare([plain, sluice])[cold], 0.2)
    requests(bench, walk, objects, what, directories)


def cold_walk(driver, walk, objects, what, directories=0, endpoint=None):
    def measure():
        with driver.mounted(objects.bucket.name, endpoint) as mount:
            return {what: walk(mount.path / "top", objects.count + directories)[0]}

    return measure


def requests(bench, walk, objects, what, directories=0):
    """Returns the row of those that are for single files or directories in a cold walk."""
    listings, others, again = (f"{what}: {kind}" for kind in ("listings, cold", "other requests, cold", "requests, warm"))

    def measure():
        with Proxy(("127.0.0.1", urlsplit(bench.weed.endpoint).port)) as proxy:
            with bench.sluice.mounted(objects.bucket.name, proxy.endpoint) as mount:
                path = mount.path / "top"
                path.stat()
                before = proxy.requests.copy()
                walk(path, objects.count + directories)
                cold = proxy.requests - before
                walk(path, objects.count + directories)
                asked = proxy.requests - before - cold
        return {listings: cold["LIST"], others: cold.total() - cold["LIST"], again: asked.total()}

    return bench.compare([(bench.sluice.name, measure)], rounds=1)[others]
