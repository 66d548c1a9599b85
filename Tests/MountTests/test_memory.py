"""The daemon's memory: bounded, and the same after many bytes as after few."""

import random
from concurrent.futures import ThreadPoolExecutor

from harness.processes import memory

MEBIBYTE = 1 << 20
BLOCK = random.Random(1).randbytes(MEBIBYTE)
LIMIT = 150 * MEBIBYTE
# Of 128 parts, 112 KiB each.
GROWTH_OF_A_GIBIBYTE = 14 * MEBIBYTE


def write(path, mebibytes):
    with open(path, "wb", buffering=0) as file:
        for _ in range(mebibytes):
            file.write(BLOCK)


def read(path):
    with open(path, "rb", buffering=0) as file:
        return sum(len(block) for block in iter(lambda: file.read(MEBIBYTE), b""))


def test_memory_does_not_grow_with_what_is_recorded_and_sent(s3_bucket, make_mount):
    mount = make_mount(s3_bucket).start()

    def after(name, mebibytes):
        write(mount.path / name, mebibytes)
        mount.sync()
        assert s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=name)["ContentLength"] == mebibytes * MEBIBYTE
        return memory(mount.pid, "RssAnon")

    at_first = after("first.bag", 256)
    assert after("second.bag", 1024) - at_first < GROWTH_OF_A_GIBIBYTE
    assert memory(mount.pid, "VmHWM") < LIMIT


def test_memory_is_bounded_while_many_read_and_write_at_once(s3_bucket, make_mount):
    names = [f"{number}.bin" for number in range(8)]
    for name in names:
        s3_bucket.client.put_object(Bucket=s3_bucket.name, Key=name, Body=BLOCK * 32)
    mount = make_mount(s3_bucket).start()
    with ThreadPoolExecutor(16) as pool:
        written = [pool.submit(write, mount.path / f"written-{name}", 32) for name in names]
        assert list(pool.map(lambda name: read(mount.path / name), names)) == [32 * MEBIBYTE] * len(names)
        for writer in written:
            writer.result()
    mount.sync()
    assert len(s3_bucket.keys()) == 2 * len(names)
    assert memory(mount.pid, "VmHWM") < LIMIT
