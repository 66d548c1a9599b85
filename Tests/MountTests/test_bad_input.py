"""What cannot work is refused: one line that says what is wrong and what to do, nothing created, nothing lost."""

import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from harness import servers
from harness.mount import SLUICE, is_mounted, sluice
from harness.processes import wait_until

FAILED = 1
USAGE = 2


def assert_refused(result, code, *words):
    """One line on standard error, with each of `words`, and the exit code."""
    assert result.returncode == code, f"exit code {result.returncode}, stderr: {result.stderr!r}"
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, f"not one line: {lines}"
    assert lines[0].startswith("sluice: ")
    for word in words:
        assert word in lines[0], f"{word!r} is missing in {lines[0]!r}"


@pytest.fixture
def place(tmp_path):
    """An empty mount point, and a state directory that does not exist; after the test both must still be so."""

    class Place:
        path = tmp_path / "mount point"
        state = tmp_path / "state"

        def mount(self, source, *options, environment=None, path=None, state=None):
            path = self.path if path is None else path
            arguments = ["mount", source, path, "--state-dir", state or self.state, *options]
            return sluice(*arguments, environment=environment, timeout=30)

        def mount_bucket(self, bucket, *options, environment=None, **places):
            variables = {**bucket.environment, **(environment or {})}
            return self.mount(bucket.source, *bucket.options, *options, environment=variables, **places)

    place = Place()
    place.path.mkdir()
    yield place
    assert not is_mounted(place.path)
    assert list(place.path.iterdir()) == []
    assert not place.state.exists(), "a mount that was refused left a state directory"


# The source


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("gs://bucket", "s3://BUCKET"),
        ("bucket", "s3://BUCKET"),
        ("/srv/bucket", "file:///DIRECTORY"),
        ("", "s3://BUCKET"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://bucket/a/../b", ".."),
        ("s3://key:secret@bucket", "keys never into a URL"),
        ("file://relative/path", "absolute"),
    ],
)
def test_a_source_that_is_none_is_wrong_usage(place, source, says):
    assert_refused(place.mount(source), USAGE, source, says)


def test_a_bucket_directory_that_does_not_exist_is_named(place, tmp_path):
    missing = tmp_path / "missing"
    assert_refused(place.mount(f"file://{missing}"), FAILED, str(missing), "create the directory")
    assert not missing.exists()


def test_a_bucket_directory_that_is_a_file_is_named(place, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    assert_refused(place.mount(f"file://{file}"), FAILED, str(file), "irectory")
    assert file.read_text() == "kept"


def test_a_bucket_that_does_not_exist_is_named(place, s3_bucket):
    result = place.mount("s3://no-such-bucket", *s3_bucket.options, environment=s3_bucket.environment)
    assert_refused(result, FAILED, "s3://no-such-bucket", "NoSuchBucket", "check its name")
    assert "no-such-bucket" not in [bucket["Name"] for bucket in s3_bucket.client.list_buckets()["Buckets"]]


def test_an_unknown_access_key_is_named_as_the_cause(place, s3_bucket):
    result = place.mount_bucket(s3_bucket, environment={"AWS_ACCESS_KEY_ID": "nobody"})
    assert_refused(result, FAILED, "InvalidAccessKeyId", "check the access key")
    assert s3_bucket.all_keys() == []


def test_a_wrong_secret_key_is_named_as_the_cause_and_not_shown(place, s3_bucket):
    result = place.mount_bucket(s3_bucket, environment={"AWS_SECRET_ACCESS_KEY": "open-sesame"})
    assert_refused(result, FAILED, "SignatureDoesNotMatch", "secret key")
    assert "open-sesame" not in result.stderr


def test_without_credentials_the_ways_to_give_them_are_named(place, s3_bucket, tmp_path):
    environment = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    result = place.mount(s3_bucket.source, *s3_bucket.options, environment=environment)
    assert_refused(result, FAILED, "credentials", "AWS_ACCESS_KEY_ID", "--profile")


def test_a_profile_that_does_not_exist_is_named(place, s3_bucket, tmp_path):
    environment = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    result = place.mount(s3_bucket.source, *s3_bucket.options, "--profile", "robot", environment=environment)
    assert_refused(result, USAGE, "robot", "profile")


@contextmanager
def server_of_another_region():
    """Answers as AWS does for a bucket that lies in eu-central-1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = (
                b"<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be "
                b"addressed using the specified endpoint.</Message></Error>"
            )
            self.send_response(301)
            self.send_header("x-amz-bucket-region", "eu-central-1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_right_region_is_named_when_the_server_tells_it(place):
    with server_of_another_region() as endpoint:
        result = place.mount(
            "s3://bucket", "--endpoint-url", endpoint, "--region", "us-east-1", environment=servers.credentials()
        )
    assert_refused(result, FAILED, "s3://bucket", "--region", "eu-central-1")


def test_an_endpoint_where_nobody_listens_is_named(place, unused_endpoint):
    result = place.mount("s3://bucket", "--endpoint-url", unused_endpoint, environment=servers.credentials())
    assert_refused(result, FAILED, "s3://bucket", "127.0.0.1", unused_endpoint.split(":")[-1], "check the network")


def test_an_endpoint_whose_host_has_no_address_is_named(place):
    result = place.mount("s3://bucket", "--endpoint-url", "http://host.invalid:9", environment=servers.credentials())
    assert_refused(result, FAILED, "host.invalid", "check the network")


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port"])
def test_an_endpoint_that_is_no_url_is_wrong_usage(place, endpoint):
    result = place.mount("s3://bucket", "--endpoint-url", endpoint, environment=servers.credentials())
    assert_refused(result, USAGE, endpoint, "http")


@contextmanager
def server_that(answer):
    """Takes connections and gives each to `answer`, which may say nothing for ever; yields the server's port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        kept = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


def say_nothing(_):
    pass


def say_unavailable(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.close()


def test_an_endpoint_that_never_answers_is_given_up_after_the_network_timeout(place):
    with server_that(say_nothing) as port:
        options = ["--endpoint-url", f"http://127.0.0.1:{port}", "-o", "network_timeout=1s"]
        start = time.monotonic()
        result = place.mount("s3://bucket", *options, environment=servers.credentials())
        assert time.monotonic() - start < 10
    assert_refused(result, FAILED, "no answer within 1.0 s", "check the network")


def test_an_interrupt_ends_a_mount_that_waits_for_the_endpoint(place):
    def catches_interrupts(pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        caught = next(line.split()[1] for line in lines if line.startswith("SigCgt:"))
        return int(caught, 16) & 1 << (signal.SIGINT - 1)

    with server_that(say_nothing) as port:
        command = [SLUICE, "mount", "s3://bucket", place.path, "--state-dir", place.state, "--foreground"]
        command += ["--endpoint-url", f"http://127.0.0.1:{port}", "-o", "network_timeout=1h"]
        environment = {**os.environ, **servers.credentials()}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: catches_interrupts(process.pid), "the daemon takes signals")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == FAILED
    assert told.splitlines() == ["sluice: ended by signal 2 before anything was mounted"]


def test_a_service_that_is_down_is_named(place):
    with server_that(say_unavailable) as port:
        options = ["--endpoint-url", f"http://127.0.0.1:{port}"]
        result = place.mount("s3://bucket", *options, environment=servers.credentials())
    assert_refused(result, FAILED, "503", "try again later")


def test_a_known_bucket_is_mounted_while_the_service_is_down(network, make_mount):
    mount = make_mount(network.bucket).start()
    (mount.path / "known").write_text("known")
    mount.stop()
    target = network.proxy.target
    with server_that(say_unavailable) as port:
        network.proxy.target = ("127.0.0.1", port)
        assert "503" in mount.try_start().stderr
        assert (mount.path / "known").read_text() == "known"
        (mount.path / "new").write_text("written meanwhile")
    network.proxy.target = target
    mount.sync(timeout=90)
    assert network.bucket.read("new") == b"written meanwhile"


# The mount point


def test_an_empty_mount_point_is_not_the_working_directory(place, file_bucket):
    assert_refused(place.mount_bucket(file_bucket, path=""), USAGE, "mount point is empty")


def test_options_may_end_with_two_hyphens(file_bucket, make_mount):
    mount = make_mount(file_bucket, "--").start()
    (mount.path / "a").write_text("a")
    mount.stop()
    assert file_bucket.keys() == ["a"]


def test_a_bucket_directory_is_not_mounted_in_itself(place, file_bucket):
    inside = file_bucket.directory / "inside"
    inside.mkdir()
    assert_refused(place.mount_bucket(file_bucket, path=inside), FAILED, str(inside), "outside of it")
    inside.rmdir()
    assert_refused(place.mount_bucket(file_bucket, path=file_bucket.directory), FAILED, "outside of it")
    assert not is_mounted(inside) and not is_mounted(file_bucket.directory)
    assert list(file_bucket.directory.iterdir()) == []


def test_a_missing_mount_point_is_named(place, bucket, tmp_path):
    missing = tmp_path / "missing"
    assert_refused(place.mount_bucket(bucket, path=missing), FAILED, str(missing), "mkdir -p")
    assert not missing.exists()


def test_a_mount_point_that_is_a_file_is_named(place, file_bucket, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    assert_refused(place.mount_bucket(file_bucket, path=file), FAILED, str(file), "not a directory")
    assert file.read_text() == "kept"


def test_a_mount_point_that_is_not_empty_is_named(place, file_bucket, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "precious").write_text("kept")
    assert_refused(place.mount_bucket(file_bucket, path=full), FAILED, str(full), "not empty")
    assert (full / "precious").read_text() == "kept"


def test_a_mount_point_that_is_mounted_already_is_named(place, file_bucket, make_bucket, make_mount):
    mount = make_mount(file_bucket).start()
    (mount.path / "a").write_text("first")
    assert_refused(
        place.mount_bucket(make_bucket("file"), path=mount.path), FAILED, str(mount.path), "already", "unmount it"
    )
    assert (mount.path / "a").read_text() == "first"


def test_the_mount_point_of_a_dead_daemon_is_named(place, file_bucket, make_mount):
    mount = make_mount(file_bucket).start()
    pid = mount.pid
    os.kill(pid, 9)
    mount.wait_for_end(pid)
    assert_refused(place.mount_bucket(file_bucket, path=mount.path), FAILED, str(mount.path), "umount -l")


@pytest.mark.skipif(os.geteuid() != 0, reason="hiding /dev/fuse takes root")
def test_without_dev_fuse_the_way_to_get_it_is_named(place, file_bucket, tmp_path):
    devices = tmp_path / "dev"
    devices.mkdir()
    script = (
        'set -e; mount -t tmpfs none "$1"; touch "$1/null"; mount --bind /dev/null "$1/null"; mount --bind "$1" /dev; '
        'mount --bind "$1/null" /dev/null; shift; exec "$@"'
    )
    command = ["unshare", "--mount", "sh", "-c", script, "sh", devices, SLUICE, "mount"]
    command += [file_bucket.source, place.path, "--state-dir", place.state]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert_refused(result, FAILED, "/dev/fuse", "modprobe fuse")


# The state directory


def test_a_state_directory_in_use_is_named(place, file_bucket, make_mount):
    mount = make_mount(file_bucket).start()
    (mount.path / "a").write_text("first")
    assert_refused(
        place.mount_bucket(file_bucket, state=mount.state), FAILED, str(mount.state), "in use", "--state-dir"
    )
    (mount.path / "b").write_text("still served")
    mount.sync()
    assert file_bucket.keys() == ["a", "b"]


def test_a_state_directory_in_the_mount_point_is_refused(place, file_bucket):
    state = place.path / "state"
    assert_refused(place.mount_bucket(file_bucket, state=state), FAILED, str(state), "hide", "--state-dir")


def test_a_state_directory_in_the_bucket_directory_is_refused(place, file_bucket, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file_bucket.directory)
    for state in (file_bucket.directory / "state", link / "state"):
        assert_refused(place.mount_bucket(file_bucket, state=state), FAILED, "taken for objects", "--state-dir")
    assert list(file_bucket.directory.iterdir()) == []


@pytest.mark.parametrize("name", ["sluice.log", "control.sock", "lock", "data"])
def test_a_state_directory_with_something_in_the_way_leaves_no_mount_behind(place, file_bucket, tmp_path, name):
    state = tmp_path / "obstructed"
    state.mkdir(mode=0o700)
    in_the_way = state / name
    if name == "data":
        in_the_way.write_text("kept")
    else:
        in_the_way.mkdir()
    assert_refused(place.mount_bucket(file_bucket, state=state), FAILED, str(state))
    assert in_the_way.exists()
    assert os.listdir(place.path) == [], "the mount point is as it was"


def test_a_state_directory_of_another_bucket_is_refused_and_kept(place, file_bucket, make_bucket, make_mount):
    mount = make_mount(file_bucket, "-o", "upload_delay=1h").start()
    (mount.path / "unsent").write_text("only here")
    mount.kill()
    other = make_bucket("file")
    assert_refused(
        place.mount_bucket(other, state=mount.state), FAILED, str(mount.state), file_bucket.source, "--state-dir"
    )
    assert other.keys() == []
    again = make_mount(file_bucket, state=mount.state).start()
    assert (again.path / "unsent").read_text() == "only here"


def test_a_state_directory_of_a_newer_schema_is_refused_and_kept(place, file_bucket, make_mount):
    mount = make_mount(file_bucket).start()
    (mount.path / "a").write_text("a")
    mount.stop()
    journal = mount.state / "journal.db"
    with sqlite3.connect(journal) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + 1}")
    database.close()
    assert_refused(
        place.mount_bucket(file_bucket, state=mount.state), FAILED, str(mount.state), "newer", "--state-dir"
    )
    with sqlite3.connect(journal) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (version + 1,)
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    again = make_mount(file_bucket, state=mount.state).start()
    assert (again.path / "a").read_text() == "a"


def test_a_journal_that_is_none_is_refused_and_kept(place, file_bucket, tmp_path):
    state = tmp_path / "damaged"
    state.mkdir(mode=0o700)
    (state / "journal.db").write_bytes(b"no database " * 1000)
    assert_refused(place.mount_bucket(file_bucket, state=state), FAILED, str(state))
    assert (state / "journal.db").read_bytes() == b"no database " * 1000


def test_a_state_directory_that_cannot_be_made_is_named(place, file_bucket):
    assert_refused(
        place.mount_bucket(file_bucket, state="/proc/sluice/state"), FAILED, "/proc/sluice/state", "--state-dir"
    )


def test_a_state_directory_that_is_a_file_is_named(place, file_bucket, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    assert_refused(place.mount_bucket(file_bucket, state=file), FAILED, str(file), "not a directory", "--state-dir")
    assert file.read_text() == "kept"


def test_a_state_directory_open_to_others_is_refused(place, file_bucket, tmp_path):
    state = tmp_path / "open"
    state.mkdir()
    state.chmod(0o755)
    assert_refused(place.mount_bucket(file_bucket, state=state), FAILED, str(state), "chmod 700")
    assert list(state.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away takes root")
def test_a_state_directory_of_another_user_is_refused(place, file_bucket, tmp_path):
    state = tmp_path / "theirs"
    state.mkdir(mode=0o700)
    os.chown(state, 12345, 12345)
    assert_refused(place.mount_bucket(file_bucket, state=state), FAILED, str(state), "12345", "--state-dir")
    assert list(state.iterdir()) == []


# Configuration


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('# comment\n\nupload_dellay = "1s"\n', 3, "upload_dellay"),
        ('region = "eu-central-1"\nupload_delay = "soon"\n', 2, "soon"),
        ('upload_delay = "-1s"\n', 1, "-1s"),
        ("upload_delay = 5\n", 1, "unit"),
        ('\ncache_limit = "10 parsecs"\n', 2, "10 parsecs"),
        ("read_only = 7\n", 1, "neither true nor false"),
        ("upload_concurrency = 0\n", 1, "from 1 to"),
        ("upload_concurrency = [1]\n", 1, "upload_concurrency"),
        ('umask = "999"\n', 1, "octal"),
        ('region = "a"\n[more]\nregion = "b"\n', 2, "more"),
        ('region = "a"\n\n[[more]]\n', 3, "more"),
        ('cache_limit = "0B"\n', 1, "16 MiB or more"),
        ('region = "a"\nnonsense\n', 2, ""),
        ('region = "a"\nregion = "b"\n', 2, "region"),
    ],
)
def test_nonsense_in_the_configuration_file_is_named_with_its_line(place, file_bucket, tmp_path, text, line, says):
    file = tmp_path / "sluice.toml"
    file.write_text(text)
    result = place.mount_bucket(file_bucket, "--config", file)
    assert_refused(result, USAGE, f"{file}, line {line}:", says)


def test_a_missing_configuration_file_is_named(place, file_bucket, tmp_path):
    result = place.mount_bucket(file_bucket, "--config", tmp_path / "missing.toml")
    assert_refused(result, USAGE, "missing.toml")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("upload_dellay=1s", "unknown key"),
        ("cache_limit=lots", "512MiB"),
        ("cache_limit=-1GiB", "-1GiB"),
        ("upload_delay", "duration"),
        ("uid=root", "numeric"),
        ("ro,nonsense", "nonsense"),
        ("bad\nkey=\x1b[31m", "bad\\n"),
        ("cache_reserve=9000TiB", "nothing could be written"),
    ],
)
def test_nonsense_in_mount_options_is_named(place, file_bucket, option, says):
    result = place.mount_bucket(file_bucket, "-o", option)
    assert_refused(result, USAGE, option.split(",")[-1].split("=")[0].split("\n")[-1], says)
    assert result.stderr.removesuffix("\n").isprintable()


def test_nonsense_in_an_environment_variable_is_named(place, file_bucket):
    result = place.mount_bucket(file_bucket, environment={"SLUICE_UPLOAD_DELAY": "soon"})
    assert_refused(result, USAGE, "SLUICE_UPLOAD_DELAY", "soon")
