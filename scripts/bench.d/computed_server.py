"""An S3 server of computed objects, which is a process of its own. It only reads, has every bucket, and looks at no signature.

  computed_server.py NUMBER...   the shape of its keys

Prints its port, and answers `GET /.counts` with what it was asked so far."""

import json
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from computed_objects import Keys, content, etag
from harness.proxy import kind
from objects import FILE_SIZE

PAGE = 1000
LISTED_TIME, HEADER_TIME = "2025-01-01T00:00:00.000Z", "Wed, 01 Jan 2025 00:00:00 GMT"


class Counting:
    """What was asked, by kinds as the proxy of the tests has them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = Counter()
        self.listings = 0
        self.most_listings = 0
        # By the monotonic clock, which all processes share.
        self.listed_at = 0

    def begin(self, asked):
        with self.lock:
            self.requests[asked] += 1
            self.listings += asked == "LIST"
            self.most_listings = max(self.most_listings, self.listings)

    def end(self, asked):
        if asked == "LIST":
            with self.lock:
                self.listings -= 1
                self.listed_at = time.monotonic()

    def text(self):
        with self.lock:
            return json.dumps([self.requests, self.most_listings, self.listed_at])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out as one piece.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/.counts":
            return self.answer(200, self.server.counting.text().encode(), {"Content-Type": "application/json"})
        asked = kind(self.command, self.path)
        self.server.counting.begin(asked)
        self.read()
        self.wfile.flush()
        self.server.counting.end(asked)

    do_HEAD = do_GET

    def do_PUT(self):
        self.server.counting.begin(self.command)
        # Its body is not read.
        self.close_connection = True
        self.refuse(501, "NotImplemented")

    do_POST = do_DELETE = do_PUT

    def read(self):
        url = urlsplit(self.path)
        key = unquote(url.path).removeprefix("/").partition("/")[2]
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if key:
            self.object(self.server.keys.find(key))
        elif "list-type" in query:
            self.list(query)
        else:
            self.refuse(501, "NotImplemented")

    def object(self, index):
        if index is None:
            return self.refuse(404, "NoSuchKey")
        data, headers = content(index), {"ETag": etag(index), "Last-Modified": HEADER_TIME}
        if not (asked := self.headers["Range"]):
            return self.answer(200, data, headers)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or FILE_SIZE), FILE_SIZE - 1)
        if first > last:
            return self.refuse(416, "InvalidRange")
        self.answer(206, data[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{FILE_SIZE}"})

    def list(self, query):
        keys, prefix, token = self.server.keys, query.get("prefix", ""), query.get("continuation-token")
        first = max(bisect_left(keys, prefix), bisect_right(keys, query.get("start-after", "")))
        limit = min(int(query.get("max-keys", PAGE)), PAGE)
        found, common, following = keys.page(prefix, query.get("delimiter"), int(token) if token else first, limit)
        is_encoded = query.get("encoding-type") == "url"
        text = quote if is_encoded else str
        parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>']
        if is_encoded:
            parts.append("<EncodingType>url</EncodingType>")
        parts += [
            f"<Contents><Key>{text(key)}</Key><LastModified>{LISTED_TIME}</LastModified>"
            f"<ETag>{etag(index)}</ETag><Size>{FILE_SIZE}</Size></Contents>"
            for key, index in found
        ]
        parts += [f"<CommonPrefixes><Prefix>{text(name)}</Prefix></CommonPrefixes>" for name in common]
        if following is not None:
            parts.append(f"<NextContinuationToken>{following}</NextContinuationToken>")
        parts.append(f"<IsTruncated>{'false' if following is None else 'true'}</IsTruncated></ListBucketResult>")
        self.answer(200, "".join(parts).encode(), {"Content-Type": "application/xml"})

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {"Content-Type": "application/xml"})

    def answer(self, status, data, headers):
        self.send_response(status)
        self.send_header("x-amz-request-id", "computed")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, shape):
        self.keys = Keys(shape)
        self.counting = Counting()
        super().__init__(("127.0.0.1", 0), Handler)


if __name__ == "__main__":
    server = Server([int(word) for word in sys.argv[1:]])
    print(server.server_port, flush=True)
    server.serve_forever()
