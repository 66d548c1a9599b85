"""A wall clock that a test turns while a program runs (clock.c), for that program alone."""

import functools
import mmap
import struct
import subprocess
import tempfile
from pathlib import Path


@functools.cache
def _library():
    """Built once in a run; the directory is gone with it."""
    directory = tempfile.TemporaryDirectory(prefix="sluice-clock-")
    library = Path(directory.name) / "clock.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("clock.c")]
    subprocess.run(command, check=True, timeout=120)
    return directory, library


class FakeClock:
    """`environment` makes a program see this clock; the monotonic clocks and the times of files stay the machine's."""

    def __init__(self, file, offset):
        self.file = Path(file)
        self.file.write_bytes(struct.pack("q", offset))
        self.environment = {"LD_PRELOAD": str(_library()[1]), "SLUICE_TEST_CLOCK": str(self.file)}

    def jump(self, offset):
        """From now on the clock is ahead of the machine's by so many seconds."""
        with open(self.file, "r+b") as file, mmap.mmap(file.fileno(), 8) as page:
            page[:8] = struct.pack("q", offset)
