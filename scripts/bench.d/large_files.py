"""Large files: written to the local disk, and the memory that it takes to send and fetch them."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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
                subjects += [(peer.name, peer.around(lambda path, sync=sync: writer(bench, path, sync))) for peer in make_peers(bench, weed)]
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


def make_peers(bench, weed, endpoint=None):
    """`endpoint`: where they find the server, if not at its own."""
    kinds = (S3fs, Rclone)
    return [peer for peer in (kind(bench.directory, weed, endpoint) for kind in kinds) if peer.is_installed()]


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


def ranged_gets(endpoint, objects, directory):
    """A plain client: presigned URLs with sizes, connections that stay, ranges of 8 MiB in parallel, written where they
    belong in a file for each object."""
    netloc = urlsplit(endpoint).netloc
    local = threading.local()
    paths = [directory / f"got-{number}" for number in range(len(objects))]
    start = time.monotonic()
    with ExitStack() as files, ThreadPoolExecutor(CONNECTIONS) as pool:

        def fetch(piece):
            (url, size), file, offset = piece
            if not hasattr(local, "connection"):
                local.connection = HTTPConnection(netloc)
                local.buffer = bytearray(MIB)
            end = min(offset + PART, size) - 1
            local.connection.request("GET", url, headers={"Range": f"bytes={offset}-{end}"})
            answer = local.connection.getresponse()
            position = offset
            while count := answer.readinto(local.buffer):
                os.pwrite(file.fileno(), memoryview(local.buffer)[:count], position)
                position += count
            if position != end + 1:
                raise RuntimeError(f"{position - offset} bytes of {end + 1 - offset}, status {answer.status}")

        opened = [files.enter_context(open(path, "wb")) for path in paths]
        pieces = [(entry, file, offset) for entry, file in zip(objects, opened) for offset in range(0, entry[1], PART)]
        list(pool.map(fetch, pieces))
    seconds = time.monotonic() - start
    for path in paths:
        path.unlink()
    return seconds
