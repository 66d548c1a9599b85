"""Renaming a directory whose files are in the bucket: at once here, object by object there, whatever dies meanwhile."""

import random
import time

from harness.processes import wait_until

FILES = 300


def fill(mount):
    """Files in directories below `run`; returns their keys below it, with their content."""
    content = {f"part-{index % 5}/deep/file-{index:03}": f"content {index}" for index in range(FILES)}
    for name, text in content.items():
        path = mount.path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    mount.sync()
    return content


def read_all(top):
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_a_deep_rename_goes_on_after_each_kill_and_status_tells_what_is_left(bucket, make_mount):
    moments = random.Random(7)
    mount = make_mount(bucket, "-o", "upload_delay=100ms").start()
    content = fill(mount)
    (mount.path / "run").rename(mount.path / "archive")
    left = [mount.status()["pending"]["operations"]]
    for _ in range(4):
        mount.kill()
        mount.start()
        assert not (mount.path / "run").exists()
        assert read_all(mount.path / "archive") == content
        time.sleep(moments.uniform(0, 0.4))
        left.append(mount.status()["pending"]["operations"])
    assert left[0] >= FILES and left == sorted(left, reverse=True), left
    mount.sync()
    assert mount.status()["pending"]["operations"] == 0
    assert bucket.keys() == sorted(f"archive/{name}" for name in content)
    assert all(bucket.read(f"archive/{name}").decode() == text for name, text in content.items())


def test_a_deep_rename_undone_while_it_is_under_way_leaves_every_object_at_its_old_key(bucket, make_mount):
    mount = make_mount(bucket, "-o", "upload_delay=0s").start()
    content = fill(mount)
    (mount.path / "run").rename(mount.path / "archive")
    wait_until(lambda: any(key.startswith("archive/") for key in bucket.keys()), "the first object has moved")
    (mount.path / "archive").rename(mount.path / "run")
    mount.sync()
    assert bucket.keys() == sorted(f"run/{name}" for name in content)
    assert all(bucket.read(f"run/{name}").decode() == text for name, text in content.items())
