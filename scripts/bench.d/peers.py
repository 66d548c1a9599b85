"""Other drivers that mount a bucket."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness import servers
from harness.mount import is_mounted
from harness.processes import wait_until


class Peer:
    """Another driver, mounted with an empty cache for each measurement."""

    def __init__(self, directory, weed, endpoint=None):
        self.directory = directory / self.name
        self.weed = weed
        self.endpoint = endpoint or weed.endpoint

    def around(self, make):
        bucket_name = f"bench-{self.name}"

        def measure():
            client = servers.client(self.weed.endpoint)
            if bucket_name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=bucket_name)
            return self.mounted(bucket_name, lambda path: make(path)())

        return measure

    def around_bucket(self, bucket, action):
        return lambda: self.mounted(bucket.name, action)

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
        options = f"url={self.endpoint},use_path_request_style,use_cache={self.directory / 'cache'},parallel_count=8"
        return ["s3fs", bucket, str(path), "-f", "-o", options]


class Rclone(Peer):
    name = "rclone"
    program = str(Path(sys.executable).parent / "rclone")

    def command(self, bucket, path):
        remote = (
            f":s3,provider=SeaweedFS,access_key_id={servers.ACCESS_KEY},secret_access_key={servers.SECRET_KEY},"
            f'endpoint="{self.endpoint}":{bucket}'
        )
        cache = str(self.directory / "cache")
        return [self.program, "mount", remote, str(path), "--vfs-cache-mode", "full", "--cache-dir", cache, "--config", ""]
