"""A directory where a driver works, and what its processes use."""

import time
from dataclasses import dataclass
from pathlib import Path

from harness.processes import memory


@dataclass
class Mounted:
    path: Path
    # The driver's process; None where there is none.
    pid: int | None = None

    def memory_mb(self, kind):
        """Of all its processes, by the name in proc_pid_status(5): VmRSS now, RssAnon of it without files, VmHWM at most."""
        return sum(memory(pid, kind) for pid in family(self.pid)) / 1e6

    def cpu_seconds(self):
        """User and system time so far (proc_pid_stat(5)), in steps of 10 ms."""
        return sum(sum(map(int, stat_fields(pid)[11:13])) for pid in family(self.pid)) / 100

    def wakeups_per_second(self, seconds):
        """How often its threads woke after they had waited; those that end meanwhile are not counted."""
        before = self._waits()
        time.sleep(seconds)
        return sum(count - before.get(thread, 0) for thread, count in self._waits().items()) / seconds

    def _waits(self):
        statuses = [status for pid in family(self.pid) for status in Path(f"/proc/{pid}/task").glob("*/status")]
        return {status: int(status.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]) for status in statuses}


def family(pid):
    """A process and all below it."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(member for task in tasks for child in task.read_text().split() for member in family(int(child)))]


def stat_fields(pid):
    """From the state on, the third."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
