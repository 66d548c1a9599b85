"""What requests cost that no file system is part of: a plain HTTP client with presigned URLs over connections that stay."""

import multiprocessing
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from html import unescape
from http.client import HTTPConnection
from itertools import count
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


@contextmanager
def sender(endpoint, bucket_name, path):
    """A process that sends what a file has and gets, once the function is called that this gives, until the end of the block."""
    context = multiprocessing.get_context("spawn")
    is_ready, is_begun, is_over = context.Event(), context.Event(), context.Event()
    process = context.Process(target=send_growing, args=(endpoint, bucket_name, path, is_ready, is_begun, is_over))
    process.start()
    try:
        assert is_ready.wait(60), "the sender does not start"
        yield is_begun.set
    finally:
        is_over.set()
        is_begun.set()
        process.join()
    assert process.exitcode == 0, "the sender failed"


def send_growing(endpoint, bucket_name, path, is_ready, is_begun, is_over):
    """Each 8 MiB as an object, as soon as they are there, over connections in parallel."""
    client = PlainClient(endpoint, bucket_name)
    with open(path, "rb") as file, ThreadPoolExecutor(CONNECTIONS) as pool:

        def send(connection):
            for number in count(connection, CONNECTIONS):
                while os.fstat(file.fileno()).st_size < (number + 1) * PART:
                    if is_over.wait(0.02):
                        return
                if is_over.is_set():
                    return
                client.put(f"piece-{number}", os.pread(file.fileno(), PART, number * PART))

        is_ready.set()
        is_begun.wait()
        list(pool.map(send, range(CONNECTIONS)))
