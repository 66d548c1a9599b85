"""Until what was written and closed is an object in the bucket.

Beside a plain HTTP client (Python, connections that stay) that has the same bytes in memory: it sends small files over 16
connections, a large one in parts of 8 MiB over eight. Small files count from the first create, a large one from its close:
what a driver sent before is its gain. Sluice and rclone are told not to wait after a close. JuiceFS is not here: its bucket
has blocks, not the files' objects. s3fs makes a twentieth of the small files, counted up to all."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from drivers import AT_ONCE, JuiceFS
from harness.link import link
from harness.mount import sluice, timed
from harness.processes import wait_until
from harness.stores import S3Bucket
from objects import BLOCK, MIB
from plain_client import PlainClient
from programs import Program

FILES = 5_000
FILE_SIZE = 8 << 10
CONNECTIONS = 16
# Round trip in ms, Mbit/s, MiB.
LINKS = [(20, 1_000, 128), (60, 20, 4)]
SMALL_TARGET, LARGE_TARGET = 1 / 1.5, 1 / 1.1


def measure(bench):
    drivers = [driver for driver in bench.mounts if driver.name != JuiceFS.name]
    small_files(bench, drivers)
    for round_trip, rate, size in LINKS:
        large_file(bench, drivers, (round_trip, rate), size * MIB)


NUMBERS = itertools.count()


@contextmanager
def new_bucket(bench):
    """For one measurement."""
    bucket = S3Bucket(bench.weed.endpoint, f"bench-uploads-{next(NUMBERS)}")
    # SeaweedFS takes seconds for the first object of a bucket.
    bucket.put("first", b"")
    bucket.delete("first")
    yield bucket
    bucket.remove()


def small_files(bench, drivers):
    program = Program(bench.directory, "metadata")
    count = bench.count(FILES)
    what = f"{count:,} files of {FILE_SIZE >> 10} KiB created and in the bucket, s"

    def of_plain_client():
        with new_bucket(bench) as bucket, ThreadPoolExecutor(CONNECTIONS) as pool:
            client = PlainClient(bench.weed.endpoint, bucket.name)
            put = lambda number: client.put(f"{number}", BLOCK[:FILE_SIZE])  # noqa: E731
            return {what: timed(lambda: list(pool.map(put, range(count))))}

    def of(driver):
        def measure():
            files = count // driver.share
            with new_bucket(bench) as bucket, driver.mounted(bucket.name, delay=AT_ONCE) as mount:
                start = time.monotonic()
                program("create", mount.path, files, FILE_SIZE)
                if driver is bench.sluice:
                    assert sluice("sync", mount.path, "--timeout", 600, timeout=630).returncode == 0
                # Each look lists all, on the same cores.
                wait_until(lambda: len(bucket.keys()) >= files, "all files are in the bucket", timeout=600, interval=0.5)
                return {what: (time.monotonic() - start) * driver.share}

        return measure

    plain = ("plain client", of_plain_client)
    rows = bench.compare([plain, *((driver.name, of(driver)) for driver in drivers)])
    bench.at_least(rows[what], SMALL_TARGET)


def large_file(bench, drivers, way, size):
    round_trip, rate = way
    what = f"file of {size // MIB} MiB in the bucket after its close, s; {round_trip} ms, "
    what += f"{rate // 1_000} Gbit/s" if rate >= 1_000 else f"{rate} Mbit/s"
    data = BLOCK * (size // MIB)

    def of_plain_client(endpoint):
        with new_bucket(bench) as bucket:
            client = PlainClient(endpoint, bucket.name)
            return {what: timed(lambda: client.upload("large.bin", data))}

    def of(driver, endpoint):
        with new_bucket(bench) as bucket, driver.mounted(bucket.name, endpoint, delay=AT_ONCE) as mount:
            file = open(mount.path / "large.bin", "wb", buffering=0)
            file.write(data)
            start = time.monotonic()
            file.close()
            wait_until(bucket.keys, "the file is in the bucket", timeout=600, interval=0.01)
            return {what: time.monotonic() - start}

    with link(bench.weed.endpoint, *way) as endpoint:
        plain = ("plain client", lambda: of_plain_client(endpoint))
        rows = bench.compare([plain, *((driver.name, lambda driver=driver: of(driver, endpoint)) for driver in drivers)])
    bench.at_least(rows[what], LARGE_TARGET)
