"""What the measurements run on."""

import datetime
import mmap
import os
import platform
import re
import subprocess
from pathlib import Path

from drivers import TOOLS
from harness.mount import sluice


def facts(directory, rounds, peers):
    """Pairs of a name and its value; `directory` is where the local bytes are."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    versions = [("sluice", sluice("--version").stdout.strip()), *((peer.name, peer.version()) for peer in peers)]
    return [
        ("date", datetime.date.today().isoformat()),
        ("rounds", str(rounds)),
        ("processor", f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores"),
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


def output(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout.strip()
