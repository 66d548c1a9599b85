"""What the measurements run on."""

import datetime
import mmap
import os
import platform
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

from drivers import TOOLS
from harness.mount import sluice

# How long an idle processor of a virtual machine polls before it halts (the kernel's cpuidle haltpoll).
HALT_POLL = Path("/sys/module/haltpoll/parameters")
POLL_NS = 20_000_000


def facts(directory, rounds, peers, is_awake):
    """Pairs of a name and its value; `directory` is where the local bytes are; `is_awake`: idle processors poll."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    versions = [("sluice", sluice("--version").stdout.strip()), *((peer.name, peer.version()) for peer in peers)]
    return [
        ("date", datetime.date.today().isoformat()),
        ("rounds", str(rounds)),
        ("processor", f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores"),
        ("idle processors", f"poll for {POLL_NS // 1_000_000} ms before they halt" if is_awake else "halt"),
        ("memory", f"{int(memory) / (1 << 20):.0f} GiB"),
        ("system", f"{platform.freedesktop_os_release()['PRETTY_NAME']}, kernel {platform.release().split('-')[0]}"),
        ("file system", output("findmnt", "--noheadings", "--output", "FSTYPE", "--target", directory)),
        ("server", f"SeaweedFS {output(TOOLS / 'weed', 'version').split()[2]} on the same machine"),
        ("drivers", ", ".join(f"{name} {version}" for name, version in versions)),
        ("links", "a program between, without slow start"),
    ]


def ready_memory(size):
    """Takes so many bytes of memory and frees them. A virtual machine gives what lies free back to its host within seconds, and
    has to ask for each page again, for microseconds: who is the first to write after a pause pays for all."""
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


@contextmanager
def processors_awake():
    """A virtual processor that halts is woken by the host, for 50 to 100 µs, where a real one needs a few: so long would each
    request to a file system wait. Where the guest can poll instead, it does for this time; whether it can."""
    wanted = {"guest_halt_poll_ns": POLL_NS, "guest_halt_poll_grow_start": POLL_NS, "guest_halt_poll_allow_shrink": "N"}
    if not all(os.access(HALT_POLL / name, os.W_OK) for name in wanted):
        yield False
        return
    former = {name: (HALT_POLL / name).read_text() for name in wanted}
    try:
        for name, value in wanted.items():
            (HALT_POLL / name).write_text(str(value))
        yield True
    finally:
        for name, value in former.items():
            (HALT_POLL / name).write_text(value)


def output(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout.strip()
