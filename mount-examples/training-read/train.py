#!/usr/bin/env python3
"""Reads every shard of a directory in random order, as a data loader does, and says how fast; twice."""

import pathlib
import random
import sys
import time

shards = sorted(pathlib.Path(sys.argv[1]).rglob("*.shard"))
for epoch in (1, 2):
    random.Random(epoch).shuffle(shards)
    start = time.monotonic()
    size = sum(len(shard.read_bytes()) for shard in shards)
    seconds = time.monotonic() - start
    print(f"epoch {epoch}: {len(shards)} shards, {size / 1e6:.0f} MB, {size / 1e6 / seconds:.0f} MB/s")
