"""kill -9 of the daemon at any moment: what was acknowledged is in the next mount, in its order, and reaches the bucket.

SLUICE_TEST_KILLS=100 makes it more kills than the few of every run; SLUICE_TEST_SEED=7 other moments.
"""

import hashlib
import os
import random
import time

from harness.campaign import Campaign, rounds
from harness.history import after_kill
from harness.mount import timed
from harness.observer import Observer
from harness.processes import wait_until

KILLS = int(os.environ.get("SLUICE_TEST_KILLS", 5))
SEED = int(os.environ.get("SLUICE_TEST_SEED", 20))
RECORDERS_AT_ONCE = 3
RECOVERY_STEPS = 12
MEBIBYTE = 1 << 20


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


# Recorders


def test_what_recorders_wrote_before_each_kill_is_there_and_reaches_the_bucket(bucket, make_mount, recorders):
    choices = random.Random(SEED)
    mount = make_mount(bucket).start()
    campaign = Campaign(mount, recorders)
    with Observer(bucket) as observer:
        for number, names in enumerate(rounds(choices, KILLS, RECORDERS_AT_ONCE)):
            campaign.record(number, names)
            time.sleep(choices.uniform(0.05, 0.7))
            mount.kill(recorders.wait)
            mount.start()
            campaign.verify(after_kill)
        campaign.assert_everything_is_in_the_bucket()
    campaign.assert_existed(observer.seen)
    print(f"{KILLS} kills survived, {campaign.acknowledged_bytes} bytes acknowledged, 0 lost")


def test_names_and_attributes_changed_before_a_kill_are_so_after_it(bucket, make_mount):
    mount = make_mount(bucket).start()
    (mount.path / "kept").write_text("kept")
    (mount.path / "gone").write_text("gone")
    (mount.path / "old").write_text("moved")
    (mount.path / "directory").mkdir()
    mount.sync()
    assert {"kept", "gone", "old"} == set(bucket.keys())
    (mount.path / "gone").unlink()
    (mount.path / "old").rename(mount.path / "directory" / "new")
    (mount.path / "kept").chmod(0o640)
    os.utime(mount.path / "kept", ns=(10**18, 10**18))
    os.symlink("kept", mount.path / "link")
    mount.kill()
    mount.start()
    assert sorted(path.name for path in mount.path.iterdir()) == ["directory", "kept", "link"]
    assert (mount.path / "directory" / "new").read_text() == "moved"
    assert (mount.path / "kept").stat().st_mode & 0o777 == 0o640
    assert (mount.path / "kept").stat().st_mtime_ns == 10**18
    assert os.readlink(mount.path / "link") == "kept"
    mount.sync()
    assert bucket.keys() == ["directory/new", "kept", "link"]


# Uploads


def write_files_of_each_kind(mount):
    """Files that go in one piece and files that go in parts; their bytes."""
    sizes = {"single-0": 3, "parts-0": 20, "single-1": 5, "parts-1": 26}
    files = {name: pattern(size * MEBIBYTE, name) for name, size in sizes.items()}
    for name, data in files.items():
        (mount.path / name).write_bytes(data)
    return files


def test_uploads_cut_by_kills_end_right_without_a_conflict_with_themselves(network, make_mount):
    moments = random.Random(SEED)
    mount = make_mount(network.bucket).start()
    network.proxy.bytes_per_second = 12 * MEBIBYTE
    files = write_files_of_each_kind(mount)
    with Observer(network.bucket) as observer:
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.2, 0.9))
            mount.kill()
            mount.start()
        network.proxy.bytes_per_second = None
        mount.sync(timeout=60)
    assert observer.seen and observer.seen <= set(files.items())
    assert network.bucket.keys() == sorted(files)
    for name, data in files.items():
        assert network.bucket.read(name) == data
    assert mount.status()["conflicts"] == []
    assert network.bucket.multipart_uploads() == []


def still(count, pause=0.3):
    """The value of `count()`, or None if it still changes."""
    before = count()
    time.sleep(pause)
    return before if count() == before else None


def test_a_multipart_upload_goes_on_after_a_kill_where_it_was(network, make_mount):
    client, bucket = network.bucket.client, network.bucket.name
    mount = make_mount(network.bucket).start()
    size = 48 * MEBIBYTE
    (mount.path / "large.bin").write_bytes(pattern(size))
    network.proxy.bytes_per_second = 8 * MEBIBYTE

    def parts():
        """How many the store has."""
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        if not uploads:
            return 0
        return len(client.list_parts(Bucket=bucket, Key="large.bin", UploadId=uploads[0]["UploadId"]).get("Parts", []))

    done = wait_until(lambda: (count := parts()) >= 2 and count, "two parts are in the store", 30, 0.02)
    time.sleep(0.3)  # for the answers to be journaled
    mount.kill()
    network.proxy.bytes_per_second = None
    sent = wait_until(lambda: still(lambda: network.proxy.sent_bytes), "the dead daemon's bytes are through")
    mount.start()
    mount.sync(timeout=60)
    assert network.bucket.read("large.bin") == pattern(size)
    sent = network.proxy.sent_bytes - sent
    assert sent < size - done * 8 * MEBIBYTE + MEBIBYTE, f"{sent} bytes sent after the kill, {done} parts were there"


# Renames


def test_renames_cut_by_kills_are_done_or_not_done_and_reach_the_bucket(bucket, make_mount, recorders):
    moments = random.Random(SEED)
    mount = make_mount(bucket).start()
    files = {f"folder-{index % 3}/file-{index:02}": pattern(5_000 + index, index) for index in range(60)}
    directory = mount.path / "moved"
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    mount.sync()
    before = {name: path.read_bytes() for name, path in tree_files(directory)}
    for _ in range(KILLS):
        recording = recorders.start("move", directory, given=before)
        wait_until(recording.has_begun, "names are moved", 60)
        time.sleep(moments.uniform(0.1, 0.8))
        mount.kill()
        recorders.wait()
        mount.start()
        history = recording.history()
        problems = history.problems(after_kill(history.calls))
        assert not problems, f"{problems}; the last calls: {history.tail()}"
        before = {name: path.read_bytes() for name, path in tree_files(directory)}
    mount.sync()
    assert bucket.keys() == sorted(f"moved/{name}" for name in before)
    for name, data in before.items():
        assert bucket.read(f"moved/{name}") == data
    assert set(before.values()) <= set(files.values())
    assert mount.status()["conflicts"] == []


def tree_files(directory):
    return [(str(path.relative_to(directory)), path) for path in directory.rglob("*") if path.is_file()]


# Recovery


def test_kills_in_the_middle_of_recovery_change_nothing(network, make_mount, recorders):
    """The next daemon is killed as well, and the one after that: each a little later in its life."""
    network.bucket.put("given", pattern(MEBIBYTE))
    mount = make_mount(network.bucket).start()
    campaign = Campaign(mount, recorders)
    network.proxy.bytes_per_second = 4 * MEBIBYTE
    campaign.record(0, ["small-files", "names", "large-file", "transactions"])
    time.sleep(1)
    mount.kill()
    recorders.wait()
    answer = time_to_answer(mount)
    moments = [answer * step / RECOVERY_STEPS for step in range(RECOVERY_STEPS)] + [answer + 0.2, answer + 0.5]
    answered = [mount.start_and_kill_after(moment) for moment in moments]
    assert not answered[0], "the first must have been killed before the mount answered"
    network.proxy.bytes_per_second = None
    mount.start()
    campaign.verify(after_kill)
    campaign.files["given"] = hashlib.sha256(pattern(MEBIBYTE)).hexdigest()
    campaign.assert_everything_is_in_the_bucket()


def time_to_answer(mount):
    """Seconds that a recovery takes here."""
    seconds = timed(mount.start)
    mount.kill()
    return seconds
