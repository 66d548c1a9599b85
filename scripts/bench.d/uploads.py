"""Until what was written and closed is an object in the bucket.

Beside a plain HTTP client (Python, connections that stay) that has the same bytes in memory: it sends small files over 16
connections, a large one in parts of 8 MiB over eight. Small files count from the first create, a large one from its close:
what a driver sent before is its gain. Sluice and rclone are told not to wait after a close. JuiceFS is not here: its bucket
has blocks, not the files' objects. s3fs makes a twentieth of the small files, counted up to all."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from drivers import AT_ONCE, JuiceFS, put_first_object
from harness.mount import sluice, timed
from harness.processes import wait_until
from harness.stores import S3Bucket
from objects import BLOCK
from plain_client import PlainClient
from programs import Program
from reads import PLACES

FILES = 5_000
FILE_SIZE = 8 << 10
CONNECTIONS = 16
# MiB that are sent over each link.
LARGE_SIZES = (128, 4)
SMALL_TARGET, LARGE_TARGET = 1 / 1.5, 1 / 1.1


def measure(bench):
    drivers = [driver for driver in bench.mounts if driver.name != JuiceFS.name]
    small_files(bench, drivers)
    for place, size in zip(PLACES[1:], LARGE_SIZES):
        large_file(bench, drivers, place, size)


NUMBERS = itertools.count()


@contextmanager
def new_bucket(bench):
    """For one measurement."""
    bucket = S3Bucket(bench.weed.endpoint, f"bench-uploads-{next(NUMBERS)}")
    put_first_object(bucket.client, bucket.name)
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


def large_file(bench, drivers, place, size):
    what = f"file of {size} MiB in the bucket after its close, s; {place.name}"
    data = BLOCK * size

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

    with place.around(bench.weed.endpoint) as endpoint:
        plain = ("plain client", lambda: of_plain_client(endpoint))
        rows = bench.compare([plain, *((driver.name, lambda driver=driver: of(driver, endpoint)) for driver in drivers)])
    bench.at_least(rows[what], LARGE_TARGET)
