"""A TCP proxy with a switch and a brake: the network between Sluice and its store, as a robot knows it."""

import socket
import threading
import time


class Proxy:
    """Forwards 127.0.0.1:`port` to `target`; `cut()` drops every connection and refuses new ones until `restore()`.

    `bytes_per_second`, when set, slows what the client sends, so that a test can act while an upload is under way.
    `sent_bytes` counts what the client sent.
    """

    BLOCK = 64 * 1024

    def __init__(self, target, bytes_per_second=None):
        self.target = target
        self.bytes_per_second = bytes_per_second
        self.sent_bytes = 0
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = None
        self.port = 0
        self.restore()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def restore(self):
        """Listens (again, on the same port)."""
        if self.listener:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
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

    def _count(self, size):
        with self.lock:
            self.sent_bytes += size
        if self.bytes_per_second:
            time.sleep(size / self.bytes_per_second)

    def _forward(self, source, sink, brake):
        try:
            while block := source.recv(self.BLOCK):
                if brake:
                    self._count(len(block))
                sink.sendall(block)
        except OSError:
            pass
        finally:
            with self.lock:
                self.connections -= {source, sink}
            _close(source)
            _close(sink)


def _close(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
