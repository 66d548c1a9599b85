#!/usr/bin/env python3
"""train.py DIRECTORY EPOCH: reads every shard as a data loader does, and says how fast.

Epoch 1 reads the shards one after the other from end to end; later ones read records of 64 KiB in random order.
"""

import os
import random
import sys
import time
from pathlib import Path

try:
    import numpy
except ImportError:
    numpy = None

RECORD = 64 << 10
BLOCK = 1 << 20


def read_in_order(shards):
    size = 0
    for shard in shards:
        with open(shard, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                size += len(block)
    return size


def read_shuffled(shards, seed):
    records = [(shard, start) for shard in shards for start in range(0, shard.stat().st_size, RECORD)]
    random.Random(seed).shuffle(records)
    read = read_mapped if numpy else read_at
    return read(shards, records)


def read_mapped(shards, records):
    maps = {shard: numpy.memmap(shard, mode="r") for shard in shards}
    return sum(len(maps[shard][start : start + RECORD].copy()) for shard, start in records)


def read_at(shards, records):
    files = {shard: open(shard, "rb", buffering=0) for shard in shards}
    size = sum(len(os.pread(files[shard].fileno(), RECORD, start)) for shard, start in records)
    for file in files.values():
        file.close()
    return size


def main(directory, epoch):
    shards = sorted(path for path in Path(directory).rglob("*.shard") if path.stat().st_size > 0)
    start = time.monotonic()
    size = read_in_order(shards) if epoch == 1 else read_shuffled(shards, epoch)
    seconds = time.monotonic() - start
    order = "in order" if epoch == 1 else "in random order"
    print(f"epoch {epoch}: {len(shards)} shards, {size / 1e6:.0f} MB, {size / 1e6 / seconds:.0f} MB/s, {order}")


main(sys.argv[1], int(sys.argv[2]))
