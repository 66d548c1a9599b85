"""A TCP proxy with faults: the network between Sluice and its store, as a robot knows it."""

import random
import re
import socket
import struct
import threading
import time
from collections import Counter

REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")
PORTAL = b"<html><body>Welcome! Please log in to use this network.</body></html>"


class Proxy:
    """Forwards `host`:`port` to `target`, until a fault is set; each holds until it is set back.

    `cut()` drops every connection and refuses new ones until `restore()`. Set while it runs:

    - `bytes_per_second` slows what the client sends; `delay` is the seconds that each block takes, both ways.
    - `swallows`: a black hole. Connections are made and what is sent is taken, and nothing goes on or comes back.
    - `resets`: the share of blocks at which the connection is reset.
    - `cut_after`: each connection is reset when the client has sent so many bytes over it.
    - `corrupts`: a pair of byte strings of one length; the first becomes the second in what passes, both ways.
    - `portal`: every request is answered with a login page.
    - `holds`: a request whose first line contains these bytes is taken whole and kept in `held`, the client's
      connection is reset, and `deliver()` sends it to the store at last.

    `sent_bytes` counts what the client sent, `received_bytes` what the store did. `requests` counts by methods, a GET that
    lists as LIST, or as LIST 1 if it asks for one key.
    """

    BLOCK = 64 * 1024

    def __init__(self, target, bytes_per_second=None, host="127.0.0.1"):
        self.target = target
        self.host = host
        self.bytes_per_second = bytes_per_second
        self.delay = 0
        self.swallows = False
        self.resets = 0
        self.cut_after = None
        self.corrupts = None
        self.portal = False
        self.holds = None
        self.held = []
        self.sent_bytes = 0
        self.received_bytes = 0
        self.requests = Counter()
        self.random = random.Random(1)
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = None
        self.port = 0
        self.restore()
        name = f"[{host}]" if ":" in host else host
        self.endpoint = f"http://{name}:{self.port}"

    def restore(self):
        """Listens (again, on the same port)."""
        if self.listener:
            return
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self):
        """The network is gone: connections break, new ones are refused."""
        listener, self.listener = self.listener, None
        if listener:
            _close(listener)
        with self.lock:
            connections, self.connections = self.connections, set()
        for connection in connections:
            _close(connection)

    def deliver(self):
        """Sends the oldest request of `held` to the store; returns the status line of its answer."""
        with socket.create_connection(self.target) as server:
            server.sendall(self.held.pop(0))
            return server.recv(self.BLOCK).split(b"\r\n")[0].decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                if self.listener is not listener:
                    return
                continue
            with self.lock:
                self.connections |= {client, server}
            for source, sink, brake in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._forward, args=(source, sink, brake), daemon=True).start()

    def _forward(self, source, sink, is_client):
        sent = 0
        try:
            while block := source.recv(self.BLOCK):
                if is_client:
                    sent += len(block)
                    block = self._take(source, block, sent)
                else:
                    block = self._answer(block)
                time.sleep(self.delay)
                if self.swallows or not block:
                    continue
                if self.random.random() < self.resets:
                    raise ConnectionResetError
                sink.sendall(block)
        except ConnectionResetError:
            _reset(source)
        except OSError:
            pass
        finally:
            with self.lock:
                self.connections -= {source, sink}
            _close(source)
            _close(sink)

    def _take(self, client, block, sent):
        """What of a block that the client has sent goes on to the store."""
        with self.lock:
            self.sent_bytes += len(block)
            if request := REQUEST.match(block):
                self.requests[kind(request[1].decode(), request[2].decode("latin-1"))] += 1
        if self.bytes_per_second:
            time.sleep(len(block) / self.bytes_per_second)
        if self.cut_after is not None and sent > self.cut_after:
            raise ConnectionResetError
        if self.portal:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PORTAL)}\r\n"
            client.sendall(head.encode() + b"Connection: close\r\n\r\n" + PORTAL)
            raise OSError
        if self.holds and self.holds in block.split(b"\r\n", 1)[0]:
            self.held.append(_whole_request(client, block))
            raise ConnectionResetError
        return self._pass(block)

    def _answer(self, block):
        """What of a block that the store has sent goes on to the client."""
        with self.lock:
            self.received_bytes += len(block)
        return self._pass(block)

    def _pass(self, block):
        return block.replace(*self.corrupts) if self.corrupts else block


def kind(method, target):
    """Of a request, by the names that are counted."""
    if "list-type=2" not in target:
        return method
    return "LIST 1" if "max-keys=1&" in target else "LIST"


def _whole_request(client, data):
    """A request with its body, of which `data` has arrived."""
    while b"\r\n\r\n" not in data:
        data += client.recv(Proxy.BLOCK)
    head, body = data.split(b"\r\n\r\n", 1)
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < (int(lengths[0]) if lengths else 0):
        body += client.recv(Proxy.BLOCK)
    return head + b"\r\n\r\n" + body


def _reset(connection):
    """Makes the close send a reset instead of an end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    except OSError:
        pass


def _close(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
