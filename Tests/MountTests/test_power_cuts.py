"""Power cuts: the state directory as it was on the disk at an instant. What was synced is there, and what was written
longer than the flush interval ago; no name is torn, and the bucket gets what is there, whole.

SLUICE_TEST_CUTS=50 makes it more cuts than the few of every run; SLUICE_TEST_SEED=7 other moments.
"""

import os
import random
import time

import pytest

from harness.campaign import Campaign, rounds
from harness.history import after_power_cut
from harness.metronome import Metronome
from harness.observer import Observer
from harness.power import PowerDisk
from harness.stores import DirectoryBucket

CUTS = int(os.environ.get("SLUICE_TEST_CUTS", 4))
SEED = int(os.environ.get("SLUICE_TEST_SEED", 4))
RECORDERS_AT_ONCE = 3
FLUSH_INTERVAL = ["-o", "flush_interval=200ms"]
FLUSH_INTERVAL_NS = 200_000_000
SECOND_NS = 1_000_000_000


@pytest.fixture(params=["cache-kept", "cache-lost"])
def disk(request, tmp_path):
    """The disk of the state directory; what a drive's own cache holds survives a cut, or not."""
    with PowerDisk(tmp_path / "machine", loses_cache=request.param == "cache-lost") as disk:
        yield disk


@pytest.fixture
def make_machine(disk, make_mount, recorders):
    """A campaign on a mount whose state is on the disk."""

    def make(bucket, given=None):
        mount = make_mount(bucket, *FLUSH_INTERVAL, state=disk.path / "state", path=disk.directory / "mount")
        mount.launcher = disk.launcher
        return Campaign(mount.start(), recorders, given)

    return make


def cut_power(campaign, disk):
    """The daemon and its programs die with the copy of the disk; returns that. Halted before it: a request that is sent
    after the cut would reach the bucket, which lives on, without the disk that knows of it."""
    campaign.mount.freeze()
    cut = disk.copy()
    campaign.mount.kill(campaign.recorders.kill)
    return cut


def boot(campaign, disk, cut):
    """The machine comes back with the disk as it was at the cut."""
    disk.off()
    disk.on(cut.name)
    campaign.mount.start()


def promise(cut, metronome):
    """What was acknowledged longer ago than the flush interval, and what the timer of a machine as slow takes."""
    flushed_ns = cut.before_ns - FLUSH_INTERVAL_NS - SECOND_NS - 3 * metronome.worst_ns
    return lambda calls: after_power_cut(calls, cut.before_ns, flushed_ns)


def put_given(bucket, rounds, choices):
    """Files for each round that are in the bucket only, until a program changes some of their pages."""
    given = {number: {f"data-{index}": choices.randbytes(1_500_000) for index in range(2)} for number in range(rounds)}
    for number, files in given.items():
        for name, data in files.items():
            bucket.put(f"given/{number}/{name}", data)
    return given


def test_what_recorders_wrote_before_each_power_cut_is_there_as_promised(disk, make_machine, make_bucket):
    """The bucket lives on, and may be newer than what the disk knows of it."""
    bucket = make_bucket("s3")
    choices = random.Random(f"{SEED} {disk.loses_cache}")
    campaign = make_machine(bucket, put_given(bucket, CUTS, choices))
    with Observer(bucket) as observer:
        for number, names in enumerate(rounds(choices, CUTS, RECORDERS_AT_ONCE)):
            with Metronome(disk.path / "beat") as metronome:
                campaign.record(number, names)
                time.sleep(choices.uniform(0.1, 2.0))
                cut = cut_power(campaign, disk)
            boot(campaign, disk, cut)
            campaign.verify(promise(cut, metronome), until_ns=cut.after_ns)
        campaign.assert_everything_is_in_the_bucket()
    campaign.assert_existed(observer.seen)
    print(f"{CUTS} power cuts survived, {campaign.acknowledged_bytes} bytes acknowledged, 0 lost of what was promised")


@pytest.mark.parametrize("disk", ["cache-lost"], indirect=True)
def test_power_cuts_in_the_middle_of_recovery_change_nothing(disk, make_machine, make_bucket):
    bucket = make_bucket("s3")
    choices = random.Random(SEED)
    campaign = make_machine(bucket, put_given(bucket, 1, choices))
    with Metronome(disk.path / "beat") as metronome:
        campaign.record(0, ["append", "transactions", "replace", "names"])
        time.sleep(2)
        first = cut_power(campaign, disk)
    cuts = [first]
    for moment in [choices.uniform(0, 0.5) for _ in range(CUTS)]:
        disk.off()
        disk.on(cuts[-1].name)
        campaign.mount.start_and_kill_after(moment, before_the_kill=lambda: cuts.append(disk.copy()))
    boot(campaign, disk, cuts[-1])
    campaign.verify(promise(first, metronome), until_ns=first.after_ns)
    campaign.assert_everything_is_in_the_bucket()


@pytest.mark.parametrize("disk", ["cache-kept"], indirect=True)
def test_what_a_killed_daemon_had_written_is_made_safe_by_the_next(disk, make_machine, make_bucket):
    campaign = make_machine(make_bucket("s3"))
    campaign.mount.options += ["-o", "upload_delay=1h"]
    campaign.mount.stop()
    campaign.mount.start()
    with Metronome(disk.path / "beat") as metronome:
        campaign.record(0, ["append", "small-files", "names"])
        time.sleep(0.5)
        campaign.mount.kill(campaign.recorders.wait)
        campaign.mount.start()
        time.sleep(3 + 3 * metronome.worst_ns / SECOND_NS)
        cut = cut_power(campaign, disk)
    boot(campaign, disk, cut)
    campaign.verify(promise(cut, metronome), until_ns=cut.after_ns)


@pytest.mark.parametrize("disk", ["cache-kept"], indirect=True)
def test_each_of_many_moments_of_one_recording_is_a_state_to_go_on_from(disk, make_machine):
    """The bucket is a directory on the same disk: each copy is a machine of its own, which is brought to its end."""
    choices = random.Random(SEED)
    campaign = make_machine(DirectoryBucket(disk.path / "bucket"))
    cuts = []
    with Metronome(disk.path / "beat") as metronome:
        campaign.record(0, ["append_synced", "mcap", "transactions", "replace_unsynced", "names"])
        for _ in range(CUTS):
            time.sleep(choices.uniform(0.1, 1.2))
            cuts.append(disk.copy())
        campaign.mount.kill(campaign.recorders.kill)
    for cut in cuts:
        boot(campaign, disk, cut)
        campaign.files = {}
        campaign.verify(promise(cut, metronome), until_ns=cut.after_ns)
        campaign.assert_everything_is_in_the_bucket()
        campaign.mount.kill()
