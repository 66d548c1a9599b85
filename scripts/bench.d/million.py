"""A million objects in a directory, and a million in a tree three levels deep, walked as `find -ls` does.

A server that computes its objects counts what it is asked for; it answers faster than any store does, so that what stands
beside the plain client, which asks for the same pages one after the other, is what the walk costs this machine. `metadata_ttl`
is an hour. Cold is the first walk and warm the second; mounted again means once more in a new mount with the state of the
first. One file is looked at and read in a mount that knows nothing. Each is done once."""

import time
from dataclasses import dataclass

from computed_bucket import ComputedBucket
from computed_objects import content
from harness.mount import Mount
from harness.processes import memory
from listing import MEMORY_LIMIT_MB, Walk, list_pages
from objects import FILE_SIZE
from plain_client import PlainClient

FILES = 1_000_000


def measure(bench):
    walk = Walk(bench.directory)
    count = bench.count(FILES)
    measure_bucket(bench, walk, f"{count:,} files in a directory", ComputedBucket(count))
    tree = ComputedBucket(count // 100_000, 10, 10, 1_000)
    measure_bucket(bench, walk, f"{count:,} files in {tree.directories:,} directories", tree)


def measure_bucket(bench, walk, what, bucket):
    with bucket:
        client = PlainClient(bucket.endpoint, bucket.name)
        options = {} if bucket.directories else {"Delimiter": "/"}
        plain = ("plain client", lambda: {f"{what}, cold, s": list_pages(client, len(bucket.keys), **options)})
        sluice = (bench.sluice.name, lambda: of_sluice(bench, walk, what, bucket))
        rows = bench.compare([plain, sluice], rounds=1)
    bench.at_most(rows[f"{what}, first name, cold, s"], rows[f"{what}, last page, cold, s"].median())
    for name in ("most memory, MB", "most memory when mounted again, MB"):
        bench.at_most(rows[f"{what}: {name}"], MEMORY_LIMIT_MB)
    for name in ("requests, warm", "listings, mounted again", "listings for one file"):
        bench.at_most(rows[f"{what}: {name}"], 0)


@dataclass
class Walked:
    """One walk, its times in seconds."""

    whole: float
    # To the first name, and until the last page of a listing had gone out.
    first: float
    last_page: float
    listings: int
    requests: int


def walk_once(walk, bucket, mount):
    top = mount.path / "top"
    top.stat()
    before, start = bucket.counts(), time.monotonic()
    whole, first = walk(top, len(bucket.keys) + bucket.directories)
    after = bucket.counts()
    asked = after.requests - before.requests
    return Walked(whole, first, after.listed_at - start, asked["LIST"], asked.total())


def of_sluice(bench, walk, what, bucket):
    place = bench.directory / f"million-{bucket.directories}"
    with mount_at(place, "state", bucket) as mount:
        cold, warm = walk_once(walk, bucket, mount), walk_once(walk, bucket, mount)
        most = memory(mount.pid, "VmHWM")
        mount.stop()
        mount.start()
        again = walk_once(walk, bucket, mount)
        most_again = memory(mount.pid, "VmHWM")
    most_listings = bucket.counts().most_listings
    one = one_file(place, bucket)
    return {
        f"{what}, cold, s": cold.whole,
        f"{what}, first name, cold, s": cold.first,
        f"{what}, last page, cold, s": cold.last_page,
        f"{what}, warm, s": warm.whole,
        f"{what}, mounted again, s": again.whole,
        f"{what}: most memory, MB": most / 1e6,
        f"{what}: most memory when mounted again, MB": most_again / 1e6,
        f"{what}: journal, MB": (place / "state/journal.db").stat().st_size / 1e6,
        f"{what}: listings, cold": cold.listings,
        f"{what}: most listings at a time": most_listings,
        f"{what}: other requests, cold": cold.requests - cold.listings,
        f"{what}: requests, warm": warm.requests,
        f"{what}: listings, mounted again": again.listings,
        f"{what}: other requests, mounted again": again.requests - again.listings,
        f"{what}: listings for one file": one["LIST"],
        f"{what}: other requests for one file": one.total() - one["LIST"],
    }


def mount_at(place, state, bucket):
    return Mount(bucket, place / "mount", place / state, ["-o", "metadata_ttl=1h"])


def one_file(place, bucket):
    """The requests for one file in the middle."""
    with mount_at(place, "state-of-one", bucket) as mount:
        before = bucket.counts()
        index = len(bucket.keys) // 2
        path = mount.path / bucket.keys[index]
        assert path.stat().st_size == FILE_SIZE
        assert path.read_bytes() == content(index)
        return bucket.counts().requests - before.requests
