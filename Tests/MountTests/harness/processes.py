"""Processes that the tests start: free ports, waiting, and a stop that always ends them."""

import socket
import subprocess
import time
from pathlib import Path


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on, below the range from which the kernel picks by itself.

    SeaweedFS adds 10,000 to a port for its gRPC twin, so that one must be free too.
    """
    ports = []
    candidate = 12_000 + (time.time_ns() // 1000) % 8_000
    while len(ports) < count:
        candidate = candidate + 1 if candidate < 21_999 else 12_000
        if _is_free(candidate) and _is_free(candidate + 10_000):
            ports.append(candidate)
    return ports


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(condition, what, timeout=30.0, interval=0.05):
    """The first true value of `condition()`; fails with `what` when it does not come within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(interval)


def stop(process, timeout=10.0):
    """SIGTERM, then SIGKILL after `timeout` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def memory(pid, kind):
    """Bytes by the name in proc_pid_status(5), such as VmRSS."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{kind}:"))
    return int(line.split()[1]) * 1024
