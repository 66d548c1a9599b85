"""Large files: what can be sent is on its way before they are closed, and only what changed is sent."""

import os
import random

import pytest

from harness.processes import wait_until

MEBIBYTE = 1 << 20
PART = 8 * MEBIBYTE


@pytest.fixture
def growing(network, make_mount):
    """A mount behind a proxy that counts what is sent; what is durable leaves soon."""
    mount = make_mount(network.bucket, "-o", "flush_interval=100ms").start()
    return mount, network


def parts(bucket):
    """Numbers of the parts of the one upload that is under way, by key."""
    uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])
    listed = {upload["Key"]: bucket.client.list_parts(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"]) for upload in uploads}
    return {key: [part["PartNumber"] for part in answer.get("Parts", [])] for key, answer in listed.items()}


def wait_until_sent(bucket, numbers, what):
    wait_until(lambda: parts(bucket) == {"day/run.bag": numbers}, what, timeout=120)


def test_parts_leave_while_a_recording_grows_and_survive_its_rename_and_a_kill(growing):
    mount, network = growing
    data = random.Random(1).randbytes(5 * PART + 1000)
    active = mount.path / "day" / "run.bag.active"
    active.parent.mkdir()
    with open(active, "wb", buffering=0) as file:
        file.write(data[: 3 * PART])
        wait_until_sent(network.bucket, [1, 2, 3], "three parts leave before the close")
        assert network.bucket.keys() == []
        file.write(data[3 * PART :])
        wait_until_sent(network.bucket, [1, 2, 3, 4, 5], "the next two leave as well")
        # As rosbag does when it ends: the header is written over.
        os.pwrite(file.fileno(), b"HEADER", 0)
        os.fsync(file.fileno())
    active.rename(mount.path / "day" / "run.bag")
    wait_until(lambda: mount.status()["uploading"] == [], "no part is under way")
    mount.kill()
    sent = network.proxy.sent_bytes
    mount.start()
    mount.sync()
    assert network.bucket.read("day/run.bag") == b"HEADER" + data[6:]
    assert network.bucket.keys() == ["day/run.bag"] and network.bucket.multipart_uploads() == []
    assert network.proxy.sent_bytes - sent < 2 * PART, "the first part and the tail are sent, and nothing else"


def test_a_log_that_is_held_open_arrives(bucket, make_mount):
    mount = make_mount(bucket, "-o", "flush_interval=100ms,idle_upload=1s").start()
    with open(mount.path / "service.log", "wb", buffering=0) as log, open(mount.path / "x.part", "wb", buffering=0) as part:
        part.write(b"not whole yet")
        for line in range(3):
            log.write(b"line %d\n" % line)
            content = b"".join(b"line %d\n" % number for number in range(line + 1))
            wait_until(
                lambda content=content: bucket.keys() == ["service.log"] and bucket.read("service.log") == content,
                "what was written arrives while the file is open",
            )
    mount.sync()
    assert bucket.read("x.part") == b"not whole yet"


def test_a_small_change_of_a_large_file_sends_one_part(growing):
    mount, network = growing
    data = bytearray(random.Random(2).randbytes(5 * PART))
    path = mount.path / "table.db"
    path.write_bytes(data)
    mount.sync()
    sent = network.proxy.sent_bytes
    with open(path, "r+b") as file:
        file.seek(3 * PART + 4096)
        file.write(b"x" * 4096)
    with open(path, "ab") as file:
        file.write(b"appended")
    mount.sync()
    data[3 * PART + 4096 : 3 * PART + 8192] = b"x" * 4096
    assert network.bucket.read("table.db") == bytes(data) + b"appended"
    assert network.proxy.sent_bytes - sent < 1.1 * PART
