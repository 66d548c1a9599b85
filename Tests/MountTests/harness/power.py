"""Power cuts: a file system whose block device is copied at an instant, without a sync, and comes back as of then.

The device is a file on XFS: a reflink copy (FICLONE) of it is atomic and takes milliseconds. What the kernel had not
written is lost, as with a machine whose power is cut. With `loses_cache` so is what was written and not flushed (or
lies in any order on the disk), as with a drive whose own cache is volatile: there the device lies on a file system of
its own, and it is the device of that one that is copied.

All of it lies in memory, so that no test waits for a busy disk.
"""

import itertools
import os
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from harness.mount import is_mounted
from harness.processes import wait_until

DISK_SIZE = "512M"
# Runs the rest of the command as of another boot of the machine: what /proc tells is replaced in a mount namespace whose
# other mounts are those of the tests.
OTHER_BOOT = """
mount --make-private /proc && mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"
"""


@dataclass(frozen=True)
class Cut:
    """A copy of the disk, made between two moments of the monotonic clock."""

    name: str
    before_ns: int
    after_ns: int


class PowerDisk:
    """A disk at `path`, of a machine that `launcher` starts programs on. A context manager."""

    def __init__(self, directory, loses_cache=False):
        self.directory = Path(directory)
        self.path = self.directory / "disk"
        self.loses_cache = loses_cache
        self.copies = itertools.count()
        self.boot = self.directory / "boot-id"

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_):
        self._release()

    @property
    def launcher(self):
        return ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", OTHER_BOOT, self.boot]

    def _make(self):
        self.directory.mkdir()
        # Shared, so that a daemon below `launcher` mounts for all.
        run("mount", "--bind", self.directory, self.directory)
        run("mount", "--make-shared", self.directory)
        for name in ("memory", "copies", "drive", "disk", "mount"):
            (self.directory / name).mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=3G", "tmpfs", self.directory / "memory")
        device = self.directory / "memory" / "xfs"
        run("truncate", "--size", "2G", device)
        run("mkfs.xfs", "-q", "-m", "reflink=1", device)
        run("mount", "-o", "loop", device, self.directory / "copies")
        image = self._image("now")
        run("truncate", "--size", "1G" if self.loses_cache else DISK_SIZE, image)
        run("mkfs.ext4", "-q", image)
        if self.loses_cache:
            run("mount", "-o", "loop", image, self.directory / "drive")
            run("truncate", "--size", DISK_SIZE, self.directory / "drive" / "image")
            run("mkfs.ext4", "-q", self.directory / "drive" / "image")
            run("umount", self.directory / "drive")
        self.on("now")

    def _image(self, name):
        return self.directory / "copies" / name

    def on(self, name):
        """The machine boots with the disk as it was copied, or `now` for the first."""
        self.boot.write_text(f"{uuid.uuid4()}\n")
        self.current = name
        if self.loses_cache:
            run("mount", "-o", "loop", self._image(name), self.directory / "drive")
            run("mount", "-o", "loop", self.directory / "drive" / "image", self.path)
        else:
            run("mount", "-o", "loop", self._image(name), self.path)

    def copy(self):
        """The disk as it is at this instant, for `on`."""
        name = f"cut-{next(self.copies)}"
        before = time.monotonic_ns()
        run("cp", "--reflink=always", self._image(self.current), self._image(name))
        return Cut(name, before, time.monotonic_ns())

    def off(self):
        """Takes the disk away. Nothing may use it any more; what is still unwritten goes to a device that is thrown away."""
        for place in (self.path, self.directory / "drive"):
            if is_mounted(place):
                wait_until(lambda: unmounts(place), f"{place} is not in use any more", 60)

    def forget(self, name):
        self._image(name).unlink()

    def _release(self):
        """Whatever state it is in. A loop device goes with its mount."""
        for place in ("disk", "drive", "copies", "memory", ""):
            while is_mounted(self.directory / place if place else self.directory):
                run("umount", "--lazy", self.directory / place)


def run(*command):
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, (
        f"{' '.join(words)}: {result.stderr.strip()} (power cuts need root, loop devices and XFS with reflinks: "
        f"user {os.geteuid()}, /dev/loop-control {'is there' if os.path.exists('/dev/loop-control') else 'is missing'})"
    )


def unmounts(place):
    return subprocess.run(["umount", place], capture_output=True).returncode == 0
