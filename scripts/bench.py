"""The measurements of scripts/bench: each subject in turn, several rounds, medians and ratios to the first subject."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/MountTests"))

from harness import servers  # noqa: E402
from harness.mount import Mount, is_mounted, peak_memory  # noqa: E402
from harness.processes import wait_until  # noqa: E402
from harness.stores import DirectoryBucket, S3Bucket  # noqa: E402

MIB = 1 << 20
BLOCK = os.urandom(MIB)
PART = 8 * MIB
CONNECTIONS = 8


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true", help="256 MiB and one round")
    arguments.add_argument("--no-peers", action="store_true", help="without s3fs and rclone")
    options = arguments.parse_args()
    size, rounds = (256 * MIB, 1) if options.quick else (1 << 30, 3)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir="/var/tmp") as directory:
        bench = Bench(Path(directory), size, rounds, not options.no_peers)
        bench.run()
    return 0 if bench.report() else 1


class Bench:
    """One run: subjects, their seconds, targets."""

    def __init__(self, directory, size, rounds, peers):
        self.directory = directory
        self.size = size
        self.rounds = rounds
        self.peers = peers
        self.tables = []
        self.targets = []

    def run(self):
        with servers.seaweedfs(self.directory / "weed") as weed:
            self.writes(weed)
            self.small_files()
            self.cold_reads(weed)
            self.memory(weed)

    def report(self):
        for title, rows in self.tables:
            print(f"\n{title}")
            base = rows[0][1]
            for name, seconds in rows:
                print(f"  {name:<34} {seconds:8.3f} s   {base / seconds:6.2f} of {rows[0][0]}")
        print()
        for text, is_met in self.targets:
            print(f"{'met    ' if is_met else 'NOT MET'}  {text}")
        return all(is_met for _, is_met in self.targets)

    def compare(self, title, subjects):
        """Rounds of all subjects in rotated order; each is a function that returns its seconds."""
        seconds = {name: [] for name, _ in subjects}
        for index in range(self.rounds):
            shift = index % len(subjects)
            for name, subject in subjects[shift:] + subjects[:shift]:
                os.sync()
                seconds[name].append(subject())
        rows = [(name, statistics.median(values)) for name, values in seconds.items()]
        self.tables.append((title, rows))
        return {name: rows[0][1] / value for name, value in rows}

    def target(self, text, value, least):
        self.targets.append((f"{text}: {value:.2f}, at least {least}", value >= least))

    def writes(self, weed):
        """Uploads are held back: they would take the two cores and the disk from what is measured."""
        plain = self.directory / "plain"
        plain.mkdir()
        bucket = DirectoryBucket(self.directory / "bucket")
        with Mount(bucket, self.directory / "mount", self.directory / "state", ["-o", "upload_delay=1h"]) as mount:
            for sync, least in ((False, 0.3), (True, 0.5)):
                subjects = [("the disk", self.writer(plain, sync)), ("sluice", self.writer(mount.path, sync))]
                if self.peers:
                    subjects += [(peer.name, peer.around(self.writer, sync)) for peer in self.make_peers(weed)]
                what = "to close" + (", with fsync" if sync else "")
                ratios = self.compare(f"write {self.size // MIB} MiB in writes of 1 MiB, {what}", subjects)
                self.target(f"write {what}, of the same disk", ratios["sluice"], least)

    def writer(self, directory, sync):
        def write():
            path = directory / "large.bin"
            path.unlink(missing_ok=True)
            start = time.monotonic()
            with open(path, "wb", buffering=0) as file:
                for _ in range(self.size // MIB):
                    file.write(BLOCK)
                if sync:
                    os.fsync(file.fileno())
            seconds = time.monotonic() - start
            path.unlink()
            return seconds

        return write

    def small_files(self):
        plain = self.directory / "plain-small"
        plain.mkdir()
        bucket = DirectoryBucket(self.directory / "bucket-small")
        with Mount(bucket, self.directory / "mount-small", self.directory / "state-small", ["-o", "upload_delay=1h"]) as mount:
            places = [("the disk", plain), ("sluice", mount.path)]
            for title, action in (
                ("create, write and close 2,000 files of 8 KiB", create_small),
                ("100,000 stats", stat_often),
            ):
                self.compare(title, [(name, lambda place=place: action(place)) for name, place in places])

    def cold_reads(self, weed):
        """The server's disk cache is warm for all; Sluice and the peers start with an empty cache each time."""
        bucket = S3Bucket(weed.endpoint, "bench-read")
        bucket.client.upload_fileobj(RandomFile(self.size), bucket.name, "large.bin")
        counter = iter(range(1_000))

        def through_sluice():
            number = next(counter)
            state = self.directory / f"read-state-{number}"
            with Mount(bucket, self.directory / f"read-{number}", state) as mount:
                seconds = read_whole(mount.path / "large.bin")
            shutil.rmtree(state)
            return seconds

        subjects = [
            (f"{CONNECTIONS} ranged GETs into a file", lambda: ranged_gets(bucket, self.size, self.directory / "got")),
            ("sluice", through_sluice),
        ]
        if self.peers:
            subjects += [(peer.name, peer.around_read(bucket)) for peer in self.make_peers(weed)]
        ratios = self.compare(f"cold sequential read of {self.size // MIB} MiB from SeaweedFS", subjects)
        self.target("cold read, of parallel ranged GETs by a plain client", ratios["sluice"], 0.8)

    def memory(self, weed):
        """A file goes up while another comes down."""
        bucket = S3Bucket(weed.endpoint, "bench-memory")
        bucket.client.upload_fileobj(RandomFile(self.size), bucket.name, "down.bin")
        with Mount(bucket, self.directory / "memory", self.directory / "memory-state") as mount:
            reader = threading.Thread(target=read_whole, args=(mount.path / "down.bin",))
            with open(mount.path / "up.bin", "wb", buffering=0) as file:
                for _ in range(self.size // MIB):
                    file.write(BLOCK)
            reader.start()
            mount.sync(timeout=600)
            reader.join()
            peak = peak_memory(mount.pid) / 1e6
        self.targets.append((f"peak memory of the daemon: {peak:.0f} MB, under 150", peak < 150))

    def make_peers(self, weed):
        return [peer for peer in (S3fs(self.directory, weed), Rclone(self.directory, weed)) if peer.is_installed()]


class Peer:
    """Another driver, mounted with an empty cache for each measurement."""

    def __init__(self, directory, weed):
        self.directory = directory / self.name
        self.weed = weed

    def around(self, make, *arguments):
        bucket_name = f"bench-{self.name}"

        def measure():
            client = servers.client(self.weed.endpoint)
            if bucket_name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=bucket_name)
            return self.mounted(bucket_name, lambda path: make(path, *arguments)())

        return measure

    def around_read(self, bucket):
        return lambda: self.mounted(bucket.name, lambda path: read_whole(path / "large.bin"))

    def mounted(self, bucket, action):
        shutil.rmtree(self.directory, ignore_errors=True)
        path = self.directory / "mount"
        path.mkdir(parents=True)
        environment = {**os.environ, "AWSACCESSKEYID": servers.ACCESS_KEY, "AWSSECRETACCESSKEY": servers.SECRET_KEY}
        process = subprocess.Popen(
            self.command(bucket, path), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: is_mounted(path), f"{self.name} mounts", timeout=30)
            return action(path)
        finally:
            subprocess.run(["umount", "-l", str(path)], check=False)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def is_installed(self):
        return shutil.which(self.program) is not None


class S3fs(Peer):
    name = "s3fs"
    program = "s3fs"

    def command(self, bucket, path):
        options = f"url={self.weed.endpoint},use_path_request_style,use_cache={self.directory / 'cache'},parallel_count=8"
        return ["s3fs", bucket, str(path), "-f", "-o", options]


class Rclone(Peer):
    name = "rclone"
    program = str(Path(sys.executable).parent / "rclone")

    def command(self, bucket, path):
        remote = (
            f":s3,provider=SeaweedFS,access_key_id={servers.ACCESS_KEY},secret_access_key={servers.SECRET_KEY},"
            f'endpoint="{self.weed.endpoint}":{bucket}'
        )
        cache = str(self.directory / "cache")
        return [self.program, "mount", remote, str(path), "--vfs-cache-mode", "full", "--cache-dir", cache, "--config", ""]


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


def create_small(directory):
    shutil.rmtree(directory / "small", ignore_errors=True)
    (directory / "small").mkdir()
    content = BLOCK[: 8 << 10]
    start = time.monotonic()
    for index in range(2_000):
        descriptor = os.open(directory / "small" / f"{index}.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, content)
        os.close(descriptor)
    return time.monotonic() - start


def stat_often(directory):
    paths = [str(directory / "small" / f"{index}.bin") for index in range(2_000)]
    start = time.monotonic()
    for _ in range(50):
        for path in paths:
            os.stat(path)
    return time.monotonic() - start


def read_whole(path):
    buffer = bytearray(MIB)
    start = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.monotonic() - start


def ranged_gets(bucket, size, path):
    """A plain client: a presigned URL, connections that stay, ranges of 8 MiB in parallel, written where they belong."""
    url = urlsplit(bucket.client.generate_presigned_url("get_object", {"Bucket": bucket.name, "Key": "large.bin"}))
    local = threading.local()
    start = time.monotonic()
    with open(path, "wb") as file, ThreadPoolExecutor(CONNECTIONS) as pool:

        def fetch(offset):
            if not hasattr(local, "connection"):
                local.connection = HTTPConnection(url.netloc)
            end = min(offset + PART, size) - 1
            local.connection.request("GET", f"{url.path}?{url.query}", headers={"Range": f"bytes={offset}-{end}"})
            answer = local.connection.getresponse()
            position = offset
            buffer = bytearray(MIB)
            while count := answer.readinto(buffer):
                os.pwrite(file.fileno(), memoryview(buffer)[:count], position)
                position += count
            if position != end + 1:
                raise RuntimeError(f"{position - offset} bytes of {end + 1 - offset}, status {answer.status}")

        list(pool.map(fetch, range(0, size, PART)))
    seconds = time.monotonic() - start
    path.unlink()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
