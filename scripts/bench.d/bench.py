"""One run of measurements: subjects, their seconds, and what is aimed at."""

import os
import statistics


class Bench:
    def __init__(self, directory, size, rounds, peers):
        self.directory = directory
        self.size = size
        self.rounds = rounds
        self.peers = peers
        self.tables = []
        self.targets = []
        self.notes = []

    def compare(self, title, subjects, rounds=0):
        """Rounds of all subjects in rotated order, `rounds` or more; each is a function that returns its seconds. Ratios to
        the first."""
        seconds = {name: [] for name, _ in subjects}
        for index in range(max(rounds, self.rounds)):
            shift = index % len(subjects)
            for name, subject in subjects[shift:] + subjects[:shift]:
                os.sync()
                seconds[name].append(subject())
        rows = [(name, statistics.median(values)) for name, values in seconds.items()]
        self.tables.append((title, rows))
        return {name: rows[0][1] / value for name, value in rows}

    def target(self, text, value, least):
        self.targets.append((f"{text}: {value:.2f}, at least {least}", value >= least))

    def limit(self, text, value, bound):
        self.targets.append((f"{text}: {value:.1f}, under {bound:.1f}", value < bound))

    def note(self, text):
        self.notes.append(text)

    def report(self):
        for title, rows in self.tables:
            print(f"\n{title}")
            base = rows[0][1]
            for name, seconds in rows:
                print(f"  {name:<34} {seconds:8.3f} s   {base / seconds:6.2f} of {rows[0][0]}")
        print()
        for text in self.notes:
            print(text)
        print()
        for text, is_met in self.targets:
            print(f"{'met    ' if is_met else 'NOT MET'}  {text}")
        return all(is_met for _, is_met in self.targets)
