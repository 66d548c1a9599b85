"""What scripts/bench makes of its measurements; nothing is measured here."""

import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from harness.mount import REPOSITORY


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts/bench.d"))
    from bench import Bench

    bench = Bench(tmp_path, SimpleNamespace(endpoint=""), [], rounds=3, is_quick=True)
    bench.begin("group", "What was done.")
    yield bench
    for name in ("bench", "drivers", "mounted", "objects", "plot", "report"):
        sys.modules.pop(name, None)


def subjects(order, seconds):
    """Each notes its name and takes the seconds of its rounds."""
    rounds = {name: iter(values) for name, values in seconds.items()}

    def measure(name):
        order.append(name)
        return {"work, s": next(rounds[name])}

    return [(name, lambda name=name: measure(name)) for name in seconds]


def test_subjects_take_turns_and_ratios_are_of_pairs(bench):
    order = []
    row = bench.compare(subjects(order, {"disk": [1, 8, 4], "sluice": [2, 2, 4]}))["work, s"]
    assert order == ["disk", "sluice", "sluice", "disk", "disk", "sluice"]
    assert row.median("disk") == 4 and row.median() == 2
    assert row.ratio() == 1, "the median of 1/2, 4 and 1, not the ratio of the medians"


def test_targets_say_whether_they_are_met(bench):
    row = bench.compare(subjects([], {"disk": [1, 1, 1], "sluice": [2, 2, 2]}))["work, s"]
    bench.at_least(row, 0.5)
    bench.at_least(row, 0.6)
    bench.at_most(row, 2)
    bench.at_most(row, 1.9)
    assert [is_met for _, is_met in bench.groups[0].targets] == [True, False, True, False]


def test_the_document_has_every_row_and_a_plot(bench, tmp_path):
    import report

    bench.compare(subjects([], {"disk": [1, 1, 1], "sluice": [2, 2, 2]}))
    bench.compare([("sluice", lambda: {"memory <MB>": 50})])
    report.write_document(tmp_path, "scripts/bench", [("rounds", "3")], bench.groups)
    lines = [" ".join(line.split()) for line in (tmp_path / "benchmarks.md").read_text().splitlines()]
    assert "| work, s | 1 | 2 (0.50) |" in lines and "| memory <MB> | | 50 |" in lines and "What was done." in lines
    plot = ElementTree.parse(tmp_path / "benchmarks-group.svg")
    titles = [title.text for title in plot.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["0.50"], "a dot for the row that is beside the disk, none for the other"
