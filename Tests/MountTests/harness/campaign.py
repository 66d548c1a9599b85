"""Rounds of recorders and faults on one mount: what each round promised is asked of the tree, and of the bucket at the end."""

import hashlib

from harness.processes import wait_until
from harness.recorders import ALL_RECORDERS, check_transactions
from harness.twins import sha256


def rounds(choices, count, at_once):
    """For each of `count` rounds the names of `at_once` recorders, none twice: all of them in turn, shuffled."""
    names = []
    for _ in range(count):
        if len(names) < at_once:
            shuffled = choices.sample(ALL_RECORDERS, len(ALL_RECORDERS))
            names += sorted(shuffled, key=lambda name: name in names)
        yield names[:at_once]
        del names[:at_once]


class Campaign:
    """Each round records into a directory of its own: `record`, then a fault, then `verify`; at the end the bucket.

    `given`: what the bucket had before below `given/NUMBER/`, path to bytes; a recorder changes it in that round.
    """

    def __init__(self, mount, recorders, given=None):
        self.mount = mount
        self.recorders = recorders
        self.given = given or {}
        self.running = []
        self.histories = []
        self.files = {}
        self.acknowledged_bytes = 0

    def record(self, number, names):
        """Starts the recorders `names` and waits until each has written."""
        self.running = []
        for name in names:
            directory = self.mount.path / f"round-{number}" / name
            directory.mkdir(parents=True)
            self.running.append(self.recorders.start(name, directory))
        if number in self.given:
            directory = self.mount.path / "given" / str(number)
            self.running.append(self.recorders.start("patch", directory, self.given[number]))
        wait_until(lambda: all(recording.has_begun() for recording in self.running), "every recorder writes", 60)

    def verify(self, promised, until_ns=None):
        """The tree keeps `promised(calls)` for every recorder of the round; what it is now must never change again."""
        for recording in self.running:
            history = recording.history(until_ns)
            problems = history.problems(promised(history.calls))
            assert not problems, f"{recording.directory}: {problems[:10]}; cut at {until_ns}; {history.tail()}"
            if recording.name == "transactions":
                check_transactions(recording.directory, self.recorders.directory / "database")
            self.histories.append(history)
            self.acknowledged_bytes += history.acknowledged_bytes
            for path in recording.directory.rglob("*"):
                if not path.is_symlink() and path.is_file():
                    self.files[str(path.relative_to(self.mount.path))] = sha256(path)

    def assert_everything_is_in_the_bucket(self):
        """Every file of every round, byte for byte as it was verified, and no object or upload but those."""
        bucket = self.mount.bucket
        self.mount.sync()
        links = self._links()
        assert set(bucket.keys()) == set(self.files) | links
        for key, digest in self.files.items():
            assert sha256(self.mount.path / key) == digest, f"{key} changed after it was recovered"
            assert bucket.sha256(key) == digest, f"{key} differs in the bucket"
        assert self.mount.status()["conflicts"] == []
        if bucket.kind == "s3":
            assert bucket.multipart_uploads() == []

    def assert_existed(self, objects):
        """Each pair of key and bytes is a state that the file had at one moment, or was recovered to."""
        roots = {history.root: history for history in self.histories}
        links = self._links()
        for key, data in objects:
            path = self.mount.path / key
            history = next(roots[str(parent)] for parent in path.parents if str(parent) in roots)
            name = str(path.relative_to(history.root))
            is_recovered = hashlib.sha256(data).hexdigest() == self.files.get(key)
            if key not in links and not is_recovered and not history.had(name, data):
                raise AssertionError(f"{key} was seen in the bucket as it never was: {history.nearest(name, data)}")

    def _links(self):
        return {str(path.relative_to(self.mount.path)) for path in self.mount.path.rglob("*") if path.is_symlink()}
