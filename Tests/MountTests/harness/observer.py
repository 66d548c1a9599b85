"""Watches a bucket from outside: each object that any reader could have seen is kept, with its bytes."""

from botocore.exceptions import BotoCoreError, ClientError

from harness.background import Background


class Observer(Background):
    """Looks at `bucket` all the time while the context lasts. `seen` are pairs of key and bytes, each once."""

    def __init__(self, bucket, pause=0.05):
        super().__init__()
        self.bucket = bucket
        self.pause = pause
        self.seen = set()
        self.versions = {}

    def work(self):
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
