"""Work beside a test."""

import threading


class Background:
    """Runs `work` of the class in a thread while the context lasts; that returns soon after `ended` is set."""

    def __init__(self):
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
