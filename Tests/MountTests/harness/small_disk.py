"""A small ext4 file system of its own, for what a full disk does."""

import errno
import os
import subprocess
from pathlib import Path


class SmallDisk:
    """An ext4 file system of `size` bytes in a file, mounted at `path`; a context manager. Takes root."""

    def __init__(self, directory, size):
        self.image = Path(directory) / "disk.img"
        self.path = Path(directory) / "disk"
        self.filler = self.path / "filler"
        self.size = size

    def __enter__(self):
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(self.size)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        _run("mount", "-o", "loop", self.image, self.path)
        return self

    def __exit__(self, *_):
        # The loop device goes with its last user.
        if subprocess.run(["umount", str(self.path)], capture_output=True).returncode != 0:
            _run("umount", "-l", self.path)

    def fill(self):
        """Another program takes all that is left, to the last byte."""
        with open(self.filler, "ab", buffering=0) as filler:
            for block in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"\xff" * block)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
            os.fsync(filler.fileno())
        space = os.statvfs(self.path)
        assert space.f_bavail == 0

    def empty(self):
        """That program removes what it wrote."""
        self.filler.unlink()


def _run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, f"{command[0]} failed: {result.stderr}"
