"""How slow the machine is at present: the longest that a small synced write took, which bounds what a timer can keep."""

import os
import time

from harness.background import Background


class Metronome(Background):
    """Writes and syncs a small file on a disk each 50 ms while the context lasts. `worst_ns` is the longest beat."""

    PAUSE = 0.05

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.worst_ns = 0

    def work(self):
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while not self.ended.is_set():
                start = time.monotonic_ns()
                time.sleep(self.PAUSE)
                os.pwrite(file, b"beat", 0)
                os.fdatasync(file)
                self.worst_ns = max(self.worst_ns, time.monotonic_ns() - start)
        finally:
            os.close(file)
