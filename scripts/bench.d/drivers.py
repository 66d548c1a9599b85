"""What is measured: the plain disk, Sluice, and other drivers that mount a bucket."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from harness import servers
from harness.mount import Mount, is_mounted
from harness.processes import wait_until
from harness.stores import S3Source
from mounted import Mounted
from programs import compile_program

TOOLS = Path(sys.executable).parent
# How long a driver waits with uploads, where it can.
AT_ONCE, SOON, NEVER = "0s", "1s", "1h"
# Debian and Ubuntu ship it with libfuse3-dev.
PASS_THROUGH = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")


class Driver:
    """A driver that is mounted anew, with an empty cache, for each measurement."""

    # By how much less it writes than others, where it is so slow that the run would last too long.
    share = 1
    # Of mounts, of all drivers: each has a directory of its own.
    numbers = itertools.count()

    def __init__(self, directory, weed):
        self.directory = directory
        self.weed = weed
        # Its own, which it is given where no other is named.
        self.bucket = f"bench-{self.name}"

    @contextmanager
    def mounted(self, bucket=None, endpoint=None, delay=SOON):
        """Mounts the bucket of this name, or one that is the driver's own, at `endpoint` if the server is to be met there.
        What is written is uploaded after `delay`."""
        place = self.directory / f"{self.name}-{next(self.numbers)}"
        path = place / "mount"
        path.mkdir(parents=True)
        if not bucket:
            bucket = self.bucket
            make_bucket(self.weed, bucket)
        try:
            with self.running(place, path, bucket, endpoint or self.weed.endpoint, delay) as pid:
                yield Mounted(path, pid)
        finally:
            empty(place)

    @contextmanager
    def running(self, place, path, bucket, endpoint, delay):
        """The driver's process."""
        self.prepare(bucket)
        environment = {**os.environ, "AWSACCESSKEYID": servers.ACCESS_KEY, "AWSSECRETACCESSKEY": servers.SECRET_KEY}
        command = self.command(place, path, bucket, endpoint, delay)
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **silent)
        try:
            wait_until(lambda: is_mounted(path), f"{self.name} mounts", timeout=30)
            yield process.pid
        finally:
            subprocess.run(["umount", "-l", str(path)], check=False)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def prepare(self, bucket):
        """What must be done before the bucket is mounted for the first time."""

    @classmethod
    def is_installed(cls):
        return shutil.which(cls.program) is not None

    @classmethod
    def version(cls):
        words = subprocess.run([cls.program, *cls.version_command], capture_output=True, text=True, check=True).stdout.split()
        return next(word for word in words if word.lstrip("vV")[:1].isdigit()).lstrip("vV")


class Disk(Driver):
    """No driver: a directory of the local disk."""

    name = "disk"

    @contextmanager
    def running(self, place, path, bucket, endpoint, delay):
        yield None


class PassThrough(Driver):
    """libfuse's own example over a plain directory, without FUSE passthrough: the least that a file system costs where each
    call is a request. Attributes and names are good for a second, as Sluice's; the kernel keeps pages from open to open."""

    name = "pass-through"

    def __init__(self, directory, weed, source=None):
        """`source`: what it shows, instead of an empty directory."""
        super().__init__(directory, weed)
        self.source = source
        self.program = directory / "passthrough_ll"
        if not self.program.exists():
            compile_program(PASS_THROUGH, self.program)

    @contextmanager
    def running(self, *arguments):
        with super().running(*arguments) as pid:
            # It keeps a descriptor for every file that the kernel knows.
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
            yield pid

    def command(self, place, path, bucket, endpoint, delay):
        source = self.source or place / "source"
        source.mkdir(exist_ok=True)
        return [self.program, "-f", "-o", f"source={source},cache=always,timeout=1.0", path]


class Sluice(Driver):
    name = "sluice"
    options = []

    @contextmanager
    def running(self, place, path, bucket, endpoint, delay):
        options = ["-o", f"upload_delay={delay}", *self.options]
        with Mount(S3Source(bucket, endpoint), path, place / "state", options) as mount:
            yield mount.pid


class SluiceRequests(Sluice):
    """As where the kernel has no passthrough, or the daemon no right to it."""

    name = "sluice-requests"
    options = ["-o", "passthrough=false"]


class S3fs(Driver):
    name = "s3fs"
    program = "s3fs"
    version_command = ["--version"]
    # It uploads before a close returns.
    share = 20

    def command(self, place, path, bucket, endpoint, delay):
        options = f"url={endpoint},use_path_request_style,use_cache={place / 'cache'},parallel_count=8"
        return [self.program, bucket, str(path), "-f", "-o", options]


class Rclone(Driver):
    name = "rclone"
    program = str(TOOLS / "rclone")
    version_command = ["version"]

    def command(self, place, path, bucket, endpoint, delay):
        remote = (
            f":s3,provider=SeaweedFS,access_key_id={servers.ACCESS_KEY},secret_access_key={servers.SECRET_KEY},"
            f'endpoint="{endpoint}":{bucket}'
        )
        options = ["--vfs-cache-mode", "full", "--vfs-write-back", delay, "--cache-dir", str(place / "cache"), "--config", ""]
        return [self.program, "mount", remote, str(path), *options]


class JuiceFS(Driver):
    """Its bucket holds blocks that only it can read, and a database beside it the names: SQLite here. It is given a bucket
    of its own for each, with a copy of what is in that."""

    name = "juicefs"
    program = str(TOOLS / "juicefs")
    version_command = ["version"]
    share = 4

    def prepare(self, bucket):
        if self.database(bucket).exists():
            return
        volume = self.volume(bucket)
        make_bucket(self.weed, volume)
        command = [
            self.program, "format", self.meta(bucket), volume, "--storage", "s3", "--bucket", f"{self.weed.endpoint}/{volume}",
            "--access-key", servers.ACCESS_KEY, "--secret-key", servers.SECRET_KEY, "--trash-days", "0",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        client = servers.client(self.weed.endpoint)
        with self.mounted(bucket) as copy:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for item in page.get("Contents", []):
                    path = copy.path / item["Key"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    client.download_file(bucket, item["Key"], str(path))
            staged = self.directory / copy.path.parent.name / "cache"
            wait_until(lambda: not any(staged.glob("*/rawstaging/**/*_*")), "JuiceFS uploads", timeout=600)

    def command(self, place, path, bucket, endpoint, delay):
        options = ["--cache-dir", str(place / "cache"), "--writeback", "--backup-meta", "0", "--no-usage-report"]
        if delay == NEVER:
            options += ["--upload-delay", delay]
        where = f"{endpoint}/{self.volume(bucket)}"
        return [self.program, "mount", self.meta(bucket), str(path), "--bucket", where, *options]

    def volume(self, bucket):
        return f"{bucket}-blocks"

    def database(self, bucket):
        return self.directory / f"juicefs-{bucket}.db"

    def meta(self, bucket):
        return f"sqlite3://{self.database(bucket)}"


PEERS = [S3fs, Rclone, JuiceFS]


def make_bucket(weed, name):
    client = servers.client(weed.endpoint)
    if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=name)
        put_first_object(client, name)


def put_first_object(client, bucket_name):
    """SeaweedFS takes seconds for the first object of a bucket."""
    client.put_object(Bucket=bucket_name, Key="first")
    client.delete_object(Bucket=bucket_name, Key="first")


def empty(directory):
    """Gives the disk its space back, but leaves the names: ext4 searches long for an inode where many were freed within
    minutes."""
    for file in directory.rglob("*"):
        if file.is_file() and not file.is_symlink():
            os.truncate(file, 0)
