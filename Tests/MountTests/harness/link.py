"""A network link of a given round trip and rate between a client and a server of 127.0.0.1 (link.c)."""

import functools
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit


@functools.cache
def _program():
    """Built once in a run; the directory is gone with it."""
    directory = tempfile.TemporaryDirectory(prefix="sluice-link-")
    program = Path(directory.name) / "link"
    subprocess.run(["gcc", "-O2", Path(__file__).with_name("link.c"), "-o", program], check=True, timeout=120)
    return directory, program


@contextmanager
def link(endpoint, rtt_ms, mbit_per_s):
    """The endpoint of `endpoint`'s server behind a link; every connection breaks when the context ends."""
    command = [_program()[1], urlsplit(endpoint).port, int(rtt_ms * 1000), int(mbit_per_s * 1_000_000 / 8)]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
