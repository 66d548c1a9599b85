"""Large files: written to the local disk, read from a server, and the memory that this takes."""

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

from harness import servers
from harness.mount import Mount, peak_memory
from harness.stores import DirectoryBucket, S3Bucket
from peers import Rclone, S3fs

MIB = 1 << 20
BLOCK = os.urandom(MIB)
PART = 8 * MIB
CONNECTIONS = 8


def measure(bench):
    with servers.seaweedfs(bench.directory / "weed") as weed:
        writes(bench, weed)
        cold_reads(bench, weed)
        memory(bench, weed)


def writes(bench, weed):
    """Uploads are held back: they would take the two cores and the disk from what is measured."""
    plain = bench.directory / "plain"
    plain.mkdir()
    bucket = DirectoryBucket(bench.directory / "bucket")
    with Mount(bucket, bench.directory / "mount", bench.directory / "state", ["-o", "upload_delay=1h"]) as mount:
        for sync, least in ((False, 0.3), (True, 0.5)):
            subjects = [("the disk", writer(bench, plain, sync)), ("sluice", writer(bench, mount.path, sync))]
            if bench.peers:
                subjects += [(peer.name, peer.around(writer, bench, sync)) for peer in make_peers(bench, weed)]
            what = "to close" + (", with fsync" if sync else "")
            ratios = bench.compare(f"write {bench.size // MIB} MiB in writes of 1 MiB, {what}", subjects)
            bench.target(f"write {what}, of the same disk", ratios["sluice"], least)


def writer(bench, directory, sync):
    def write():
        path = directory / "large.bin"
        path.unlink(missing_ok=True)
        start = time.monotonic()
        with open(path, "wb", buffering=0) as file:
            for _ in range(bench.size // MIB):
                file.write(BLOCK)
            if sync:
                os.fsync(file.fileno())
        seconds = time.monotonic() - start
        path.unlink()
        return seconds

    return write


def cold_reads(bench, weed):
    """The server's disk cache is warm for all; Sluice and the peers start with an empty cache each time."""
    bucket = S3Bucket(weed.endpoint, "bench-read")
    bucket.client.upload_fileobj(RandomFile(bench.size), bucket.name, "large.bin")
    counter = iter(range(1_000))

    def through_sluice():
        number = next(counter)
        state = bench.directory / f"read-state-{number}"
        with Mount(bucket, bench.directory / f"read-{number}", state) as mount:
            seconds = read_whole(mount.path / "large.bin")
        shutil.rmtree(state)
        return seconds

    subjects = [
        (f"{CONNECTIONS} ranged GETs into a file", lambda: ranged_gets(bucket, bench.size, bench.directory / "got")),
        ("sluice", through_sluice),
    ]
    if bench.peers:
        subjects += [
            (peer.name, peer.around_bucket(bucket, lambda path: read_whole(path / "large.bin")))
            for peer in make_peers(bench, weed)
        ]
    ratios = bench.compare(f"cold sequential read of {bench.size // MIB} MiB from SeaweedFS", subjects)
    bench.target("cold read, of parallel ranged GETs by a plain client", ratios["sluice"], 0.8)


def memory(bench, weed):
    """A file goes up while another comes down."""
    bucket = S3Bucket(weed.endpoint, "bench-memory")
    bucket.client.upload_fileobj(RandomFile(bench.size), bucket.name, "down.bin")
    with Mount(bucket, bench.directory / "memory", bench.directory / "memory-state") as mount:
        reader = threading.Thread(target=read_whole, args=(mount.path / "down.bin",))
        with open(mount.path / "up.bin", "wb", buffering=0) as file:
            for _ in range(bench.size // MIB):
                file.write(BLOCK)
        reader.start()
        mount.sync(timeout=600)
        reader.join()
        peak = peak_memory(mount.pid) / 1e6
    bench.targets.append((f"peak memory of the daemon: {peak:.0f} MB, under 150", peak < 150))


def make_peers(bench, weed):
    return [peer for peer in (S3fs(bench.directory, weed), Rclone(bench.directory, weed)) if peer.is_installed()]


class RandomFile:
    """Blocks that differ, without holding them."""

    def __init__(self, size):
        self.left = size

    def read(self, count=-1):
        count = self.left if count < 0 else min(count, self.left)
        self.left -= count
        data = bytearray()
        while len(data) < count:
            data += len(data).to_bytes(8, "little") + BLOCK[8:]
        return bytes(data[:count])


def read_whole(path):
    buffer = bytearray(MIB)
    start = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.monotonic() - start


def ranged_gets(bucket, size, path):
    """A plain client: a presigned URL, connections that stay, ranges of 8 MiB in parallel, written where they belong."""
    url = urlsplit(bucket.client.generate_presigned_url("get_object", {"Bucket": bucket.name, "Key": "large.bin"}))
    local = threading.local()
    start = time.monotonic()
    with open(path, "wb") as file, ThreadPoolExecutor(CONNECTIONS) as pool:

        def fetch(offset):
            if not hasattr(local, "connection"):
                local.connection = HTTPConnection(url.netloc)
            end = min(offset + PART, size) - 1
            local.connection.request("GET", f"{url.path}?{url.query}", headers={"Range": f"bytes={offset}-{end}"})
            answer = local.connection.getresponse()
            position = offset
            buffer = bytearray(MIB)
            while count := answer.readinto(buffer):
                os.pwrite(file.fileno(), memoryview(buffer)[:count], position)
                position += count
            if position != end + 1:
                raise RuntimeError(f"{position - offset} bytes of {end + 1 - offset}, status {answer.status}")

        list(pool.map(fetch, range(0, size, PART)))
    seconds = time.monotonic() - start
    path.unlink()
    return seconds
