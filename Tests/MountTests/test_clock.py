"""Wall clocks that are wrong by years and jump, as of machines without a real-time clock."""

import os
from datetime import datetime

import pytest

from harness.clock import FakeClock
from harness.fronts import Authority, TLSFront
from harness.processes import wait_until

DAY = 86_400
YEAR = 365 * DAY


@pytest.fixture
def make_clock(tmp_path):
    return lambda offset: FakeClock(tmp_path / "clock", offset)


def assert_written(mount, bucket, name):
    content = f"written as {name}".encode() * 1000
    (mount.path / name).write_bytes(content)
    mount.sync(timeout=120)
    assert bucket.read(name) == content
    assert mount.status()["errors"] == [] and mount.status()["link"]["state"] == "online"


@pytest.mark.parametrize("years", [-20, 20])
def test_a_clock_that_is_wrong_by_years_and_jumps_stops_nothing(s3_bucket, make_mount, make_clock, years):
    s3_bucket.put("theirs", b"theirs")
    clock = make_clock(years * YEAR)
    s3_bucket.environment |= clock.environment
    mount = make_mount(s3_bucket).start()
    shown = wait_until(mount.log, "the daemon logs its start", 60)[:4]
    assert abs(int(shown) - datetime.now().year - years) <= 1, "the daemon does not see the clock of the test"
    assert (mount.path / "theirs").read_bytes() == b"theirs"
    assert_written(mount, s3_bucket, "wrong")
    for name, offset in {"right": 0, "behind": -2 * DAY, "far ahead": 30 * YEAR, "right again": 0}.items():
        clock.jump(offset)
        assert_written(mount, s3_bucket, name)
    assert mount.status()["conflicts"] == []


def test_times_that_programs_set_stay_when_the_clock_jumps(s3_bucket, make_mount, make_clock):
    clock = make_clock(-20 * YEAR)
    s3_bucket.environment |= clock.environment
    mount = make_mount(s3_bucket).start()
    time = 1_000_000_000_123_456_789
    (mount.path / "file").write_bytes(b"file")
    os.utime(mount.path / "file", ns=(time, time))
    clock.jump(5 * YEAR)
    mount.sync(timeout=120)
    assert (mount.path / "file").stat().st_mtime_ns == time
    assert s3_bucket.metadata("file")["mtime"] == "1000000000.123456789"
    mount.stop()
    clock.jump(-30 * YEAR)
    assert (mount.start().path / "file").stat().st_mtime_ns == time


def test_a_certificate_that_is_not_valid_yet_is_waited_for(weed, make_bucket, make_mount, make_clock, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate = authority.certificate("127.0.0.1", start=datetime(2020, 1, 1), days=36_500)
    with TLSFront(weed.port, certificate) as front:
        bucket = make_bucket("s3", endpoint=front.endpoint)
        clock = make_clock(0)
        bucket.environment |= clock.environment
        mount = make_mount(bucket, "-o", f"ca_bundle={authority.file}").start()
        assert_written(mount, bucket, "before")
        mount.stop()

        clock.jump(-20 * YEAR)
        started = mount.try_start()
        assert started.returncode == 0 and "certificate is not yet valid" in started.stderr
        assert (mount.path / "before").read_bytes()
        (mount.path / "meanwhile").write_bytes(b"meanwhile")
        link = wait_until(
            lambda: (link := mount.status()["link"])["state"] == "offline" and link, "the status knows of it", 60
        )
        assert "certificate is not yet valid" in link["reason"] and "clock" in link["reason"]
        assert bucket.keys() == ["before"]

        clock.jump(0)
        mount.sync(timeout=120)
        assert bucket.read("meanwhile") == b"meanwhile"
        assert mount.status()["link"]["state"] == "online"
        mount.stop()
