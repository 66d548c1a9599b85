"""What requests cost that no file system is part of: a plain HTTP client with presigned URLs over connections that stay."""

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from html import unescape
from http.client import HTTPConnection
from urllib.parse import urlsplit

from harness import servers
from harness.mount import timed
from objects import MIB

PART = 8 * MIB
CONNECTIONS = 8
NEXT_PAGE = re.compile(rb"<NextContinuationToken>([^<]+)<")


class PlainClient:
    """Each thread has a connection."""

    def __init__(self, endpoint, bucket_name):
        self.client = servers.client(endpoint)
        self.bucket_name = bucket_name
        self.netloc = urlsplit(endpoint).netloc
        self.local = threading.local()

    def url(self, key):
        return self._presigned("get_object", Key=key)

    def _presigned(self, operation, **parameters):
        url = urlsplit(self.client.generate_presigned_url(operation, {"Bucket": self.bucket_name, **parameters}))
        return f"{url.path}?{url.query}"

    def get(self, url, start=None, end=None):
        """The body, or its bytes from `start` to before `end`."""
        return self._whole(self._ask(url, start, end))

    def put(self, key, data):
        self._whole(self._request("PUT", self._presigned("put_object", Key=key), data))

    def upload(self, key, data):
        """In parts of 8 MiB, in parallel, if it is larger."""
        if len(data) <= PART:
            return self.put(key, data)
        place = {"Bucket": self.bucket_name, "Key": key}
        place["UploadId"] = self.client.create_multipart_upload(**place)["UploadId"]

        def send(number):
            url = self._presigned("upload_part", Key=key, UploadId=place["UploadId"], PartNumber=number + 1)
            answer = self._request("PUT", url, data[number * PART : (number + 1) * PART])
            self._whole(answer)
            return {"PartNumber": number + 1, "ETag": answer.getheader("ETag")}

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            parts = list(pool.map(send, range(-(-len(data) // PART))))
        self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})

    def pages(self, prefix, **options):
        """The bodies that a listing has, one after the other; `options` of ListObjectsV2, by boto's names."""
        # A connection that lay idle for minutes may be closed by now; it is made anew with the next request.
        if hasattr(self.local, "connection"):
            self.local.connection.close()
        place = {}
        while place is not None:
            page = self.get(self._presigned("list_objects_v2", Prefix=prefix, **options, **place))
            yield page
            more = NEXT_PAGE.search(page)
            place = {"ContinuationToken": unescape(more[1].decode())} if more else None

    @staticmethod
    def _whole(answer):
        body = answer.read()
        if answer.status not in (200, 206):
            raise RuntimeError(f"status {answer.status}")
        return body

    def _ask(self, url, start, end):
        return self._request("GET", url, headers={} if start is None else {"Range": f"bytes={start}-{end - 1}"})

    def _request(self, method, url, body=None, headers=None):
        if not hasattr(self.local, "connection"):
            self.local.connection = HTTPConnection(self.netloc)
            self.local.buffer = bytearray(MIB)
        self.local.connection.request(method, url, body, headers or {})
        return self.local.connection.getresponse()

    def download(self, objects, directory):
        """Seconds for URLs with sizes: ranges of 8 MiB in parallel, written where they belong in a file for each object."""
        paths = [directory / f"got-{number}" for number in range(len(objects))]
        seconds = timed(lambda: self._write(objects, paths))
        for path in paths:
            path.unlink()
        return seconds

    def _write(self, objects, paths):
        with ExitStack() as files, ThreadPoolExecutor(CONNECTIONS) as pool:
            opened = [files.enter_context(open(path, "wb")) for path in paths]
            pieces = [(entry, file, offset) for entry, file in zip(objects, opened) for offset in range(0, entry[1], PART)]
            list(pool.map(self._fetch, pieces))

    def _fetch(self, piece):
        (url, size), file, offset = piece
        end = min(offset + PART, size)
        answer = self._ask(url, offset, end)
        position = offset
        while count := answer.readinto(self.local.buffer):
            os.pwrite(file.fileno(), memoryview(self.local.buffer)[:count], position)
            position += count
        if position != end:
            raise RuntimeError(f"{position - offset} bytes of {end - offset}, status {answer.status}")
