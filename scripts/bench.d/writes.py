"""A large file, and the memory that it takes to send and fetch one.

A file of 1 GiB is written in blocks of 1 MiB while nothing is uploaded, since uploads would take the two cores and the disk
from what is measured. s3fs cannot hold them back; it writes a twentieth of the bytes, JuiceFS a quarter, counted up to the
whole. JuiceFS writes back, as Sluice and rclone do. Then the same beside the upload of another file."""

import itertools
import threading
import time

from harness.mount import sluice
from harness.stores import S3Bucket
from objects import MIB, RandomFile, read_whole, write_blocks


# Bytes that are uploaded meanwhile: some seconds' work.
UPLOAD_SIZE = 1 << 30
UPLOAD_DELAY_S = 1


def measure(bench):
    for what, sync, shares in (("to close", False, (0.9, 0.3)), ("to close, with fsync", True, (0.5, 0.5))):
        what = f"write {bench.size // MIB:,} MiB {what}, s"
        drivers = [bench.disk, bench.sluice, bench.requests, *bench.peers]
        row = bench.compare([(driver.name, writer(bench, driver, what, sync)) for driver in drivers])[what]
        for driver, share in zip((bench.sluice, bench.requests), shares):
            bench.at_least(row, share, driver.name)
    beside_upload(bench)
    both_ways(bench)


def writer(bench, driver, what, sync):
    def measure():
        with driver.mounted(holds=True) as mount:
            path = mount.path / "large.bin"
            seconds = write_blocks(path, bench.size // driver.share, sync=sync)
            path.unlink()
        return {what: seconds * driver.share}

    return measure


def beside_upload(bench):
    """The server takes the other file on the same cores and the same disk."""
    what = f"write {bench.size // MIB:,} MiB to close while another file is uploaded, s"

    numbers = itertools.count()

    def measure():
        bucket = S3Bucket(bench.weed.endpoint, f"bench-beside-upload-{next(numbers)}")
        with bench.sluice.mounted(bucket.name) as mount:
            write_blocks(mount.path / "other.bin", UPLOAD_SIZE)
            time.sleep(UPLOAD_DELAY_S + 0.5)
            seconds = write_blocks(mount.path / "large.bin", bench.size)
            assert not bucket.keys(), "the upload was over before the file was written"
            return {what: seconds}

    disk = (bench.disk.name, writer(bench, bench.disk, what, sync=False))
    bench.at_least(bench.compare([disk, (bench.sluice.name, measure)])[what], 0.5)


def both_ways(bench):
    """A file goes up while another comes down."""
    bucket = S3Bucket(bench.weed.endpoint, "bench-both-ways")
    bucket.client.upload_fileobj(RandomFile(bench.size), bucket.name, "down.bin")
    what = "most memory while a file goes up and another comes down, MB"

    def measure():
        with bench.sluice.mounted(bucket.name) as mount:
            reader = threading.Thread(target=read_whole, args=(mount.path / "down.bin",))
            write_blocks(mount.path / "up.bin", bench.size)
            reader.start()
            assert sluice("sync", mount.path, "--timeout", 600, timeout=630).returncode == 0
            reader.join()
            return {what: mount.memory_mb("VmHWM")}

    bench.at_most(bench.compare([(bench.sluice.name, measure)], rounds=1)[what], 150)
