"""A large file, and the memory that it takes to send and fetch one.

A file of 1 GiB is written in blocks of 1 MiB while nothing is uploaded, since uploads would take the two cores and the disk
from what is measured. s3fs cannot hold them back; it writes a twentieth of the bytes, JuiceFS a quarter, counted up to the
whole. JuiceFS writes back, as Sluice and rclone do. The pass-through (libfuse's example) is what a file system can be where
each write is a request, as in sluice-requests. Then the same while a file of the same size is uploaded. Beside it stands the
plain disk on which such a file is synced meanwhile, as a mount does it every other second, alone and while the plain client
sends it: what the disk and the two cores leave to any file system."""

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from drivers import NEVER
from harness.mount import sluice
from harness.stores import S3Bucket
from machine import ready_memory
from objects import MIB, RandomFile, read_whole, write_blocks
from plain_client import sender


# Bytes that are uploaded meanwhile: some seconds' work.
UPLOAD_SIZE = 1 << 30
UPLOAD_DELAY_S = 1


def measure(bench):
    for what, sync, shares in (("to close", False, (0.9, 0.3)), ("to close, with fsync", True, (0.5, 0.5))):
        what = f"write {bench.size // MIB:,} MiB {what}, s"
        drivers = [bench.disk, bench.bare, *bench.mounts_and_requests]
        rows = bench.compare([(driver.name, writer(bench, driver, what, sync)) for driver in drivers])
        bench.at_least_each(rows[what], *shares)
    beside_upload(bench)
    both_ways(bench)


def writer(bench, driver, what, sync):
    def measure():
        with driver.mounted(delay=NEVER) as mount:
            path = mount.path / "large.bin"
            ready_memory(2 * bench.size)
            seconds = write_blocks(path, bench.size // driver.share, sync=sync)
            path.unlink()
        return {what: seconds * driver.share}

    return measure


def beside_upload(bench):
    """The server takes the other file on the same cores and the same disk."""
    what = f"write {bench.size // MIB:,} MiB to close while another file is uploaded, s"
    numbers = itertools.count()

    def beside(mount, act):
        """Seconds of the file that is written when the other has been there for a while."""
        write_blocks(mount / "other.bin", UPLOAD_SIZE)
        ready_memory(3 * bench.size)
        time.sleep(UPLOAD_DELAY_S + 0.5)
        with ThreadPoolExecutor(1) as pool:
            acting = pool.submit(act)
            seconds = write_blocks(mount / "large.bin", bench.size)
            acting.result()
        return {what: seconds}

    def of_synced_disk(is_sent):
        def measure():
            with bench.disk.mounted() as mount, open(mount.path / "other.bin", "wb") as other:
                sending = sender(bench.weed.endpoint, bench.disk.bucket, other.name)
                with sending if is_sent else nullcontext(lambda: None) as begin:
                    values = beside(mount.path, lambda: (begin(), os.fdatasync(other)))
                (mount.path / "large.bin").unlink()
                return values

        return measure

    def of_sluice():
        bucket = S3Bucket(bench.weed.endpoint, f"bench-beside-upload-{next(numbers)}")
        with bench.sluice.mounted(bucket.name) as mount:
            values = beside(mount.path, lambda: None)
            assert not bucket.keys(), "the upload was over before the file was written"
            return values

    disk = (bench.disk.name, writer(bench, bench.disk, what, sync=False))
    floors = [("disk, synced", of_synced_disk(False)), ("disk, synced and sent", of_synced_disk(True))]
    rows = bench.compare([disk, *floors, (bench.sluice.name, of_sluice)])
    bench.at_least(rows[what], 0.5)


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
