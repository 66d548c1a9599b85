"""Watches a bucket from outside: each object that any reader could have seen is kept, with its bytes."""

import threading

from botocore.exceptions import BotoCoreError, ClientError


class Observer:
    """Looks at `bucket` all the time while the context lasts. `seen` are pairs of key and bytes, each once."""

    def __init__(self, bucket, pause=0.05):
        self.bucket = bucket
        self.pause = pause
        self.seen = set()
        self.versions = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def _watch(self):
        while not self.ended.wait(self.pause):
            try:
                self._look()
            except (OSError, BotoCoreError, ClientError):
                continue  # replaced or deleted while we looked

    def _look(self):
        for key, version in self.bucket.versions().items():
            if self.versions.get(key) != version:
                self.seen.add((key, self.bucket.read(key)))
                self.versions[key] = version
