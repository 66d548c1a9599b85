"""Bytes that the measurements write and read."""

import os
import time

MIB = 1 << 20
BLOCK = os.urandom(MIB)
# Of a small file. One byte less could be the target of a symbolic link, which no listing tells from a file.
FILE_SIZE = 4 << 10


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


def write_blocks(path, size, bytes_per_second=None, sync=False):
    """Seconds until all is written; a block that comes late does not put off the next."""
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for written in range(0, size, MIB):
            if bytes_per_second:
                time.sleep(max(0, start + written / bytes_per_second - time.monotonic()))
            file.write(BLOCK)
        if sync:
            os.fsync(file.fileno())
    return time.monotonic() - start


def read_whole(path):
    """Seconds."""
    buffer = bytearray(MIB)
    start = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.monotonic() - start
