"""What scripts/bench measures with, and what it makes of that; nothing is measured here."""

import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from harness import servers
from harness.mount import REPOSITORY
from harness.proxy import Proxy


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts/bench.d"))
    from bench import Bench

    bench = Bench(tmp_path, SimpleNamespace(endpoint=""), [], rounds=3, is_quick=True)
    bench.begin("group", "What was done.")
    yield bench
    computed = ("computed_bucket", "computed_objects")
    for name in (*computed, "bench", "drivers", "mounted", "objects", "plain_client", "plot", "programs", "report"):
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


def test_a_walk_finds_every_name_of_a_tree(bench, tmp_path):
    from programs import Program

    for number in range(3):
        (tmp_path / f"tree/{number}/below").mkdir(parents=True)
        (tmp_path / f"tree/{number}/below/file").touch()
    whole, first, names = Program(tmp_path, "walk").numbers(tmp_path / "tree")
    assert names == 9 and 0 < first < whole


def test_a_plain_client_lists_page_by_page_and_a_proxy_counts_that(bench, s3_bucket, weed):
    from plain_client import PlainClient

    with Proxy(("127.0.0.1", weed.port)) as proxy:
        client = PlainClient(proxy.endpoint, s3_bucket.name)
        for key in ("top/a b", "top/c", "top/d/e", "other"):
            client.put(key, b"data")
        keys = [page.count(b"<Key>") for page in client.pages("top/", MaxKeys=2)]
        assert client.get(client.url("top/a b")) == b"data"
        assert keys == [2, 1] and proxy.requests == {"PUT": 4, "LIST": 2, "GET": 1}
    assert len(s3_bucket.all_keys()) == 4


def test_a_computed_bucket_is_listed_and_read_as_a_stored_one(bench):
    from computed_bucket import ComputedBucket
    from computed_objects import content

    with ComputedBucket(3, 11) as bucket:
        client = servers.client(bucket.endpoint)

        def pages(**options):
            found = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, **options))
            names = [item["Key"] for page in found for item in page.get("Contents", [])]
            names += [item["Prefix"] for page in found for item in page.get("CommonPrefixes", [])]
            return len(found), names

        keys = [f"top/{directory}/{file:02}.bin" for directory in range(3) for file in range(11)]
        assert list(bucket.keys) == keys and bucket.directories == 3
        assert pages() == (1, keys)
        assert pages(Prefix="top/1/", Delimiter="/", PaginationConfig={"PageSize": 5}) == (3, keys[11:22])
        assert pages(Prefix="top/", Delimiter="/", PaginationConfig={"PageSize": 2}) == (2, ["top/0/", "top/1/", "top/2/"])
        assert pages(Prefix="top/1/0", StartAfter="top/1/07.bin") == (1, keys[19:21])
        assert pages(Prefix="top/1/1") == (1, keys[21:22]) and pages(Prefix="other/") == (1, [])
        assert bucket.counts().requests == {"LIST": 9} and bucket.counts().most_listings == 1

        assert client.head_object(Bucket=bucket.name, Key=keys[12])["ContentLength"] == len(content(12)) == 4096
        assert client.get_object(Bucket=bucket.name, Key=keys[12])["Body"].read() == content(12) != content(13)
        part = client.get_object(Bucket=bucket.name, Key=keys[12], Range="bytes=15-31")
        assert part["Body"].read() == content(12)[15:32] and part["ContentRange"] == "bytes 15-31/4096"
        with pytest.raises(ClientError):
            client.head_object(Bucket=bucket.name, Key="top/1/11.bin")
        with pytest.raises(ClientError):
            client.put_object(Bucket=bucket.name, Key=keys[0], Body=b"data")
