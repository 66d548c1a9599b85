"""A small change of a large object that is not local: 4 KiB within it are written over.

Bytes are counted at a proxy before the server, from the open to when nothing was sent for eight seconds. It is done once:
the bytes are the same each time. JuiceFS changes its own copy, made of blocks of 4 MiB."""

import os
import time
from urllib.parse import urlsplit

from harness.proxy import Proxy
from harness.stores import S3Bucket
from objects import MIB, RandomFile

PART_MB = 8.4
# Longer than the five seconds for which rclone waits before it uploads.
QUIET_SECONDS = 8


def measure(bench):
    bucket = S3Bucket(bench.weed.endpoint, "bench-changes")
    bucket.client.upload_fileobj(RandomFile(bench.size), bucket.name, "large.bin")
    what = f"4 KiB changed in {bench.size // MIB:,} MiB"
    sent, fetched = f"{what}: sent, MB", f"{what}: fetched, MB"

    def of(driver):
        def measure():
            with Proxy(("127.0.0.1", urlsplit(bench.weed.endpoint).port)) as proxy:
                with driver.mounted(bucket.name, proxy.endpoint) as mount:
                    before = counts(proxy)
                    with open(mount.path / "large.bin", "r+b", buffering=0) as file:
                        # Not right behind 512 MiB: s3fs would upload what lies between as a part, which is too small.
                        file.seek(bench.size // 4 * 3)
                        file.write(os.urandom(4096))
                    wait_for_quiet(proxy)
                    after = counts(proxy)
            return {name: (end - begin) / 1e6 for name, begin, end in zip((sent, fetched), before, after)}

        return measure

    rows = bench.compare([(driver.name, of(driver)) for driver in bench.mounts], rounds=1)
    bench.at_most(rows[sent], 1.1 * PART_MB)
    bench.at_most(rows[fetched], PART_MB + 0.1)


def counts(proxy):
    return proxy.sent_bytes, proxy.received_bytes


def wait_for_quiet(proxy):
    """A few bytes go by also when nothing is to be done."""
    before, moved = counts(proxy), MIB
    while moved > MIB // 10:
        time.sleep(QUIET_SECONDS)
        after = counts(proxy)
        before, moved = after, sum(after) - sum(before)
