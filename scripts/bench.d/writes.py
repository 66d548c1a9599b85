"""A large file, and the memory that it takes to send and fetch one.

A file of 1 GiB is written in blocks of 1 MiB while nothing is uploaded, since uploads would take the two cores and the disk
from what is measured. s3fs cannot hold them back; it writes a twentieth of the bytes, JuiceFS a quarter, counted up to the
whole. JuiceFS writes back, as Sluice and rclone do."""

import threading

from harness.mount import sluice
from harness.stores import S3Bucket
from objects import MIB, RandomFile, read_whole, write_blocks


def measure(bench):
    for what, sync, least in (("to close", False, 0.3), ("to close, with fsync", True, 0.5)):
        what = f"write {bench.size // MIB:,} MiB {what}, s"
        rows = bench.compare([(driver.name, writer(bench, driver, what, sync)) for driver in [bench.disk, *bench.mounts]])
        bench.at_least(rows[what], least)
    both_ways(bench)


def writer(bench, driver, what, sync):
    def measure():
        with driver.mounted(holds=True) as mount:
            path = mount.path / "large.bin"
            seconds = write_blocks(path, bench.size // driver.share, sync=sync)
            path.unlink()
        return {what: seconds * driver.share}

    return measure


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
