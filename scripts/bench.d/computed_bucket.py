"""A bucket of computed objects, on a server of its own."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from computed_objects import Keys
from harness.stores import S3Source

PROGRAM = Path(__file__).with_name("computed_server.py")


@dataclass
class Counts:
    """What the server was asked so far: by kinds, how many listings at a time at most, and when the last page of one had gone
    out, by the monotonic clock."""

    requests: Counter
    most_listings: int
    listed_at: float


class ComputedBucket(S3Source):
    """`shape`: see Keys. A context manager; the server lives as long."""

    name = "computed"

    def __init__(self, *shape):
        self.shape = shape
        self.keys = Keys(shape)
        # Below `top`.
        self.directories = sum(math.prod(shape[:level]) for level in range(1, len(shape)))

    def __enter__(self):
        command = [sys.executable, PROGRAM, *map(str, self.shape)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.endpoint = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        super().__init__(self.name, self.endpoint)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def counts(self):
        with urlopen(f"{self.endpoint}/.counts", timeout=60) as answer:
            requests, *others = json.load(answer)
        return Counts(Counter(requests), *others)
