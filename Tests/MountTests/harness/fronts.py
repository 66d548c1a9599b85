"""What stands in front of a store on 127.0.0.1: certificates and TLS, and a proxy that tunnels (CONNECT)."""

import asyncio
import os
import ssl
import subprocess
import threading
from datetime import datetime

from harness.clock import FakeClock


class Authority:
    """A private certificate authority in `directory`; `file` is what clients must trust."""

    def __init__(self, directory, name="sluice test authority"):
        self.directory = directory
        self.name = name
        directory.mkdir(parents=True, exist_ok=True)
        self.file = directory / "authority.pem"
        self.key = directory / "authority.key"
        self._request(self.file, self.key, name, datetime(2000, 1, 1), 36_500, [])

    def certificate(self, *hosts, start=None, days=3650):
        """A certificate and its key, one file, for host names and addresses, valid from `start` for so many days."""
        label = "-".join(hosts).replace("*", "any") + (f"-{start:%Y%m%d}-{days}" if start else "")
        file, key = self.directory / f"{label}.pem", self.directory / f"{label}.key"
        names = ",".join(("IP:" if host[0].isdigit() else "DNS:") + host for host in hosts)
        signer = ["-CA", self.file, "-CAkey", self.key, "-addext", f"subjectAltName={names}"]
        signer += ["-addext", "basicConstraints=critical,CA:false"]
        self._request(file, key, hosts[0], start or datetime(2001, 1, 1), days if start else 36_000, signer)
        file.write_text(file.read_text() + key.read_text())
        return file

    def _request(self, file, key, name, start, days, more):
        """`openssl` dates a certificate by its clock, which is set to `start`."""
        clock = FakeClock(self.directory / "clock", int((start - datetime.now()).total_seconds()))
        command = ["openssl", "req", "-x509", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", file]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", str(days), *more]
        environment = {**os.environ, **clock.environment}
        subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment)


class _Front:
    """Serves connections on 127.0.0.1:`port` in a thread of its own, from `with` to its end."""

    tls = None

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self.server = None
        self.tasks = set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    async def _listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _close(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(asyncio.current_task())
            writer.close()

    @staticmethod
    async def tunnel(reader, writer, target):
        """Moves bytes both ways until either side ends."""
        to_reader, to_writer = await asyncio.open_connection(*target)
        ways = [
            asyncio.ensure_future(_copy(reader, to_writer)),
            asyncio.ensure_future(_copy(to_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_writer.close()


async def _copy(source, sink):
    while block := await source.read(64 * 1024):
        sink.write(block)
        await sink.drain()


class TLSFront(_Front):
    """Ends TLS in front of a server on 127.0.0.1; `use(certificate)` changes the certificate of new connections."""

    def __init__(self, target_port, certificate, minimum=None, maximum=None):
        super().__init__()
        self.target = ("127.0.0.1", target_port)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.set_ciphers("DEFAULT:@SECLEVEL=0")
        if minimum:
            self.tls.minimum_version = minimum
        if maximum:
            self.tls.maximum_version = maximum
        self.use(certificate)

    def use(self, certificate):
        self.tls.load_cert_chain(certificate)

    @property
    def endpoint(self):
        return f"https://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        await self.tunnel(reader, writer, self.target)


class TunnelProxy(_Front):
    """An HTTP proxy that leads every CONNECT to `target_port` of 127.0.0.1; `asked` are the hosts it was asked for."""

    def __init__(self, target_port):
        super().__init__()
        self.target = ("127.0.0.1", target_port)
        self.asked = []

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        method, host = head.decode("latin-1").split(" ")[:2]
        self.asked.append(f"{method} {host}")
        if method != "CONNECT":
            writer.write(b"HTTP/1.1 405 only CONNECT\r\nContent-Length: 0\r\n\r\n")
            return await writer.drain()
        writer.write(b"HTTP/1.1 200 connected\r\n\r\n")
        await writer.drain()
        await self.tunnel(reader, writer, self.target)
