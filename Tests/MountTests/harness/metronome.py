"""How slow the machine is at present: the longest that a small synced write took, which bounds what a timer can keep."""

import os
import threading
import time


class Metronome:
    """Writes and syncs a small file on a disk each 50 ms while the context lasts. `worst_ns` is the longest beat."""

    PAUSE = 0.05

    def __init__(self, path):
        self.path = path
        self.worst_ns = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def _beat(self):
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
