"""One run of measurements: subjects in rotated order, what was found as rows, and what is aimed at."""

import os
import statistics
from dataclasses import dataclass, field
from functools import cached_property

from drivers import Disk, PassThrough, Sluice, SluiceRequests
from objects import MIB


@dataclass
class Row:
    """One quantity, of each subject a value for each round; less is better. The others are beside the first subject,
    unless that is Sluice itself."""

    what: str
    values: dict

    @property
    def base(self):
        return next(iter(self.values))

    def median(self, subject=Sluice.name):
        return statistics.median(self.values[subject])

    def ratio(self, subject=Sluice.name):
        """How many times as good as the first subject: the median of the rounds' pairs. None where that says nothing."""
        pairs = list(zip(self.values[self.base], self.values[subject]))
        if Sluice.name == self.base or any(value <= 0 for pair in pairs for value in pair):
            return None
        return statistics.median(base / value for base, value in pairs)


@dataclass
class Group:
    """What was measured together; `text` says how."""

    name: str
    text: str
    rows: list = field(default_factory=list)
    targets: list = field(default_factory=list)

    @property
    def subjects(self):
        """Those that others are beside come first."""
        bases = [row.base for row in self.rows if row.base != Sluice.name]
        return list(dict.fromkeys(bases + [name for row in self.rows for name in row.values]))


class Bench:
    def __init__(self, directory, weed, peers, rounds, is_quick):
        self.directory = directory
        self.weed = weed
        self.rounds = rounds
        self.is_quick = is_quick
        self.size = 64 * MIB if is_quick else 1 << 30
        self.disk = Disk(directory, weed)
        self.sluice = Sluice(directory, weed)
        self.requests = SluiceRequests(directory, weed)
        self.peers = [kind(directory, weed) for kind in peers]
        self.groups = []

    @cached_property
    def bare(self):
        return PassThrough(self.directory, self.weed)

    @property
    def mounts(self):
        return [self.sluice, *self.peers]

    @property
    def mounts_and_requests(self):
        """The same, and Sluice without passthrough."""
        return [self.sluice, self.requests, *self.peers]

    def begin(self, name, text):
        # What the group before left to be written is no part of this one.
        os.sync()
        self.groups.append(Group(name, text))

    def count(self, number):
        """`number` of a whole run, fewer in a quick one."""
        return max(1, number // 10) if self.is_quick else number

    def compare(self, subjects, rounds=None, once=()):
        """Rounds of all subjects; each is a name and a function that returns its values by what they are. The order is
        rotated, so that none is always the one that comes after another. Those named in `once` have the first round alone.
        Returns the new rows by what they are."""
        found = {name: [] for name, _ in subjects}
        for index in range(rounds or self.rounds):
            shift = index % len(subjects)
            for name, measure in subjects[shift:] + subjects[:shift]:
                if index > 0 and name in once:
                    continue
                os.sync()
                found[name].append(measure())
        rows = {}
        for name, rounds_of_one in found.items():
            for what in rounds_of_one[0]:
                row = rows.setdefault(what, Row(what, {}))
                row.values[name] = [values[what] for values in rounds_of_one]
        self.groups[-1].rows += rows.values()
        return rows

    def at_least(self, row, share, subject=Sluice.name):
        """Sluice is to be `share` times as good as the first subject."""
        whose = "" if subject == Sluice.name else f"; {subject}"
        text = f"{row.what}{whose}: {row.ratio(subject):.2f} of {row.base}, at least {share:.2f}"
        self.groups[-1].targets.append((text, row.ratio(subject) >= share))

    def at_least_each(self, row, share, share_of_requests):
        """The same with passthrough and without."""
        self.at_least(row, share)
        self.at_least(row, share_of_requests, self.requests.name)

    def at_most(self, row, bound):
        text = f"{row.what}: {row.median():,.1f}, at most {bound:,.1f}"
        self.groups[-1].targets.append((text, row.median() <= bound))
