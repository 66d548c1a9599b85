"""Fixtures: the servers of a run, a bucket and mounts for each test; whatever a test leaves is ended here."""

import itertools
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("harness.twins")

from harness import servers  # noqa: E402
from harness.mount import SLUICE, Mount  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from harness.recorders import Recorders  # noqa: E402
from harness.stores import DirectoryBucket, S3Bucket  # noqa: E402
from harness.twins import Twin  # noqa: E402

_numbers = itertools.count(1)


def pytest_configure():
    if not SLUICE.exists():
        pytest.exit(f"{SLUICE} is not there: run swift build first, or set SLUICE", returncode=2)
    # A shell starts what is to run in the background with SIGINT ignored, and every program that a test interrupts inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Keeps each phase's outcome, so that the teardown of a failed test can show the daemons' logs."""
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)


@pytest.fixture(scope="session")
def weed(tmp_path_factory):
    """SeaweedFS, shared by the run; each test has its own bucket."""
    with servers.seaweedfs(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture
def make_bucket(request, tmp_path):
    """Makes a bucket of a kind, `file` or `s3`; removed after the test."""
    made = []

    def make(kind, endpoint=None):
        number = next(_numbers)
        if kind == "file":
            bucket = DirectoryBucket(tmp_path / f"bucket-{number}")
        else:
            bucket = S3Bucket(request.getfixturevalue("weed").endpoint, f"test-{number}", endpoint)
        made.append(bucket)
        return bucket

    yield make
    for bucket in made:
        bucket.remove()


@pytest.fixture(params=["file", "s3"])
def bucket(request, make_bucket):
    """Each test that asks for a bucket runs against the directory store and against SeaweedFS."""
    return make_bucket(request.param)


@pytest.fixture
def s3_bucket(make_bucket):
    return make_bucket("s3")


@pytest.fixture
def file_bucket(make_bucket):
    return make_bucket("file")


@pytest.fixture
def network(weed, make_bucket):
    """A bucket behind a proxy: `network.proxy` cuts and slows the way to `network.bucket`."""
    with Proxy(("127.0.0.1", weed.port)) as proxy:
        yield SimpleNamespace(proxy=proxy, bucket=make_bucket("s3", endpoint=proxy.endpoint))


@pytest.fixture
def make_mount(request, tmp_path):
    """Makes a Mount that is ended after the test; each has its own mount point and, unless given, an empty state."""
    made = []

    def make(bucket, *options, state=None, path=None):
        number = len(made) + 1
        path = path or tmp_path / f"mount-{number}"
        mount = Mount(bucket, path, state or tmp_path / f"state-{number}", options)
        made.append(mount)
        return mount

    yield make
    report = getattr(request.node, "report_call", None)
    for mount in made:
        mount.destroy()
        if report and report.failed and mount.log():
            print(f"--- log of {mount.path.name}\n{mount.log()[-8000:]}", file=sys.stderr)


@pytest.fixture
def recorders(tmp_path):
    """Starts recorders whose every call is noted; whatever still runs is ended after the test."""
    with Recorders(tmp_path / "recorders") as running:
        yield running


@pytest.fixture
def mount(bucket, make_mount):
    """A running mount of `bucket`."""
    return make_mount(bucket).start()


@pytest.fixture
def twin(bucket, make_mount, tmp_path):
    """A plain directory and a mount, for programs that must do the same in both; on either store."""
    return Twin(bucket, tmp_path / "plain", make_mount)


@pytest.fixture
def local_twin(file_bucket, make_mount, tmp_path):
    """As `twin`, on the directory store alone."""
    return Twin(file_bucket, tmp_path / "plain", make_mount)


@pytest.fixture
def unused_endpoint():
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"
