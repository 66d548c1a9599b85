"""Real S3 servers on 127.0.0.1: SeaweedFS for data, moto for the answers that SeaweedFS does not give."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from harness.processes import free_ports, wait_until

ACCESS_KEY = "sluice-test"
SECRET_KEY = "sluice-test-secret"
REGION = "us-east-1"
TOOLS = Path(sys.executable).parent


def credentials():
    """The environment variables that the servers accept."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client(endpoint):
    """A boto3 client that fails fast and looks at the bucket around Sluice."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(
            signature_version="s3v4", retries={"max_attempts": 3}, connect_timeout=5, s3={"addressing_style": "path"}
        ),
    )


class Server:
    """A child process that speaks S3 at `endpoint`; its output goes to `log`, `leftovers` are removed at the end."""

    def __init__(self, command, port, log, leftovers=()):
        self.port = port
        self.leftovers = [Path(path) for path in leftovers]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            wait_until(self._answers, f"{command[0]} answers on {self.endpoint} (see {log})", timeout=60)
        except BaseException:
            self.stop()
            raise

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}, see {self.log}")
        try:
            client(self.endpoint).list_buckets()
            return True
        except (BotoCoreError, ClientError):
            return False

    def stop(self):
        """Ends it at once: the data is thrown away, and SeaweedFS takes 10 s and more to end by itself."""
        self.process.kill()
        self.process.wait()
        for path in self.leftovers:
            path.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def seaweedfs(directory):
    """SeaweedFS with one identity, its data and log in `directory`."""
    directory = Path(directory)
    (directory / "data").mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3 = free_ports(4)
    command = [
        str(TOOLS / "weed"),
        f"-logdir={directory}",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={directory / 'data'}",
        f"-master.port={master}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-master.electionTimeout=1s",
        f"-volume.port={volume}",
        "-volume.max=200",
        "-volume.preStopSeconds=0",
        "-volume.minFreeSpace=1GiB",
        f"-filer.port={filer}",
        f"-filer.localSocket={directory / 'filer.sock'}",
        "-s3",
        f"-s3.port={s3}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={directory / 'identities.json'}",
        f"-s3.localSocket={directory / 's3.sock'}",
        "-s3.autoCreateBucket=false",
    ]
    sockets = [
        f"/tmp/seaweedfs-{role}-grpc-{port + 10_000}.sock"
        for role, port in (("master", master), ("volume", volume), ("filer", filer), ("s3", s3))
    ]
    return Server(command, s3, directory / "seaweedfs.log", leftovers=sockets)


def moto(directory):
    """moto's server: many of S3's error answers, data in memory."""
    (port,) = free_ports(1)
    command = [str(TOOLS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    return Server(command, port, Path(directory) / "moto.log")


def environment(weed, bucket, moto_server=None):
    """The variables by which Swift tests find the servers."""
    variables = {
        **os.environ,
        **credentials(),
        "SLUICE_TEST_S3_ENDPOINT": weed.endpoint,
        "SLUICE_TEST_S3_BUCKET": bucket,
        "SLUICE_TEST_S3_SERVER": "seaweedfs",
    }
    if moto_server:
        variables["SLUICE_TEST_MOTO_ENDPOINT"] = moto_server.endpoint
    return variables
