"""A bucket as the tests see it, around Sluice: a directory store, or S3 through boto3."""

import hashlib
import shutil
from pathlib import Path

from botocore.exceptions import ClientError

from harness import servers

# Where the directory store keeps what is not an object: versions and metadata, uploads under way.
DIRECTORY_STORE_PRIVATE = ".sluice-store"


class DirectoryBucket:
    """The objects of `file:///…`: one plain file for each key."""

    kind = "file"

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.source = f"file://{self.directory}"
        self.options = []
        self.environment = {}

    def keys(self):
        """Every key but the directory markers."""
        paths = (path.relative_to(self.directory) for path in self.directory.rglob("*") if not path.is_dir())
        return sorted(str(path) for path in paths if path.parts[0] != DIRECTORY_STORE_PRIVATE)

    def versions(self):
        """What tells one version of each object from the next."""
        paths = {key: (self.directory / key).stat() for key in self.keys()}
        return {key: (status.st_ino, status.st_mtime_ns, status.st_size) for key, status in paths.items()}

    def markers(self):
        """The keys of directory markers: directories of the directory store, with a slash at the end."""
        paths = (path.relative_to(self.directory) for path in self.directory.rglob("*") if path.is_dir())
        return {f"{path}/" for path in paths if path.parts[0] != DIRECTORY_STORE_PRIVATE}

    def read(self, key):
        return (self.directory / key).read_bytes()

    def sha256(self, key):
        with open(self.directory / key, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def put(self, key, data):
        """Puts an object as another client does: whole, by an atomic replace."""
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".put-by-test")
        temporary.write_bytes(data)
        temporary.replace(path)

    def delete(self, key):
        (self.directory / key).unlink()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class S3Source:
    """What a mount needs to know of a bucket that is there."""

    def __init__(self, name, endpoint):
        self.source = f"s3://{name}"
        self.options = ["--endpoint-url", endpoint, "--region", servers.REGION]
        self.environment = servers.credentials()


class S3Bucket(S3Source):
    """A bucket of an S3 server, read and written with boto3; Sluice may be sent to another `endpoint`, such as a proxy."""

    kind = "s3"

    def __init__(self, server_endpoint, name, endpoint=None):
        super().__init__(name, endpoint or server_endpoint)
        self.name = name
        self.client = servers.client(server_endpoint)
        self.client.create_bucket(Bucket=name)

    def keys(self):
        """Every key but the directory markers."""
        return [key for key in self.all_keys() if not key.endswith("/")]

    def markers(self):
        """The keys of directory markers: they end in a slash."""
        return {key for key in self.all_keys() if key.endswith("/")}

    def all_keys(self):
        return sorted(item["Key"] for item in self._listed())

    def versions(self):
        """What tells one version of each object from the next."""
        return {item["Key"]: item["ETag"] for item in self._listed() if not item["Key"].endswith("/")}

    def multipart_uploads(self):
        """The keys of uploads in parts that were neither completed nor aborted."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def _listed(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item for page in pages for item in page.get("Contents", [])]

    def read(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def sha256(self, key):
        digest = hashlib.sha256()
        for block in self.client.get_object(Bucket=self.name, Key=key)["Body"].iter_chunks(1 << 20):
            digest.update(block)
        return digest.hexdigest()

    def metadata(self, key):
        return self.client.head_object(Bucket=self.name, Key=key)["Metadata"]

    def put(self, key, data):
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def delete(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)

    def remove(self):
        try:
            for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []):
                self.client.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])
            for key in self.all_keys():
                self.delete(key)
            self.client.delete_bucket(Bucket=self.name)
        except ClientError:
            pass  # the server is thrown away at the end of the run
