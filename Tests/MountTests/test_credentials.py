"""Credentials that come late, end, change and are refused: programs write on, and everything arrives. No secret shows."""

import json
import os
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import servers
from harness.processes import wait_until

# For what happens by itself within seconds: a bound for a busy machine.
SOON = 90


class Home:
    """A home directory of its own; a bucket's mounts live there without any keys in their environment."""

    def __init__(self, path, bucket, **environment):
        self.path = path
        (path / ".aws").mkdir(parents=True)
        bucket.environment = {
            "HOME": str(path),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": servers.REGION,
            **environment,
        }

    def write(self, name, text, mode=0o600):
        """Appears at once and whole."""
        file = self.path / ".aws" / name
        temporary = file.with_suffix(".new")
        temporary.write_text(text)
        temporary.chmod(mode)
        temporary.replace(file)

    def give_keys(self, key=servers.ACCESS_KEY, secret=servers.SECRET_KEY, **options):
        self.write("credentials", f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n", **options)


@pytest.fixture
def home(tmp_path):
    def make(bucket, **environment):
        return Home(tmp_path / "home", bucket, **environment)

    return make


def waits_for_keys(mount, *words):
    """Waits until status gives the lack of credentials as the reason; it must hold all words."""

    def tells():
        link = mount.status()["link"]
        return link["state"] == "offline" and all(word in (link.get("reason") or "") for word in words) and link.get("reason")

    return wait_until(tells, f"status tells of {words}", SOON)


def nothing_failed(mount):
    status = mount.status()
    assert status["errors"] == [] and status["conflicts"] == []
    assert "write-back failed" not in mount.log()
    told = mount.log() + json.dumps(status)
    assert servers.SECRET_KEY not in told
    with open(f"/proc/{mount.pid}/cmdline", "rb") as arguments:
        assert servers.SECRET_KEY.encode() not in arguments.read()


def arrives(bucket, key, content):
    wait_until(lambda: key in bucket.keys() and bucket.read(key) == content, f"{key} is sent by itself", SOON)


def is_online(mount):
    wait_until(lambda: mount.status()["link"]["state"] == "online", "the link is online", SOON)
    assert mount.status()["link"].get("reason") is None


def test_a_first_boot_without_network_and_credentials_writes_lists_and_sends_later(network, make_mount, home):
    place = home(network.bucket)
    network.bucket.put("taken", b"of somebody else")
    network.proxy.cut()
    refused = make_mount(network.bucket).try_start()
    assert refused.returncode == 1 and "-o mount_offline" in refused.stderr
    mount = make_mount(network.bucket, "-o", "mount_offline")
    mount.start()
    (mount.path / "directory").mkdir()
    (mount.path / "directory" / "first.active").write_bytes(b"recorded")
    (mount.path / "directory" / "first.active").rename(mount.path / "directory" / "first")
    (mount.path / "taken").write_bytes(b"of this machine")
    assert sorted(os.listdir(mount.path)) == ["directory", "taken"]
    assert os.listdir(mount.path / "directory") == ["first"]
    assert (mount.path / "directory" / "first").read_bytes() == b"recorded"
    waits_for_keys(mount, "no credentials found", ".aws/credentials")
    network.proxy.restore()
    nothing_failed(mount)
    place.give_keys()
    arrives(network.bucket, "directory/first", b"recorded")
    wait_until(lambda: mount.status()["pending"]["files"] == 0, "everything is sent", SOON)
    assert network.bucket.read("taken") == b"of somebody else"
    conflicts = [key for key in network.bucket.keys() if key.startswith("taken.conflict-")]
    assert [network.bucket.read(key) for key in conflicts] == [b"of this machine"]
    assert mount.status()["errors"] == []
    is_online(mount)


def test_credentials_that_vanish_are_waited_for_and_taken_up(s3_bucket, make_mount, home):
    place = home(s3_bucket)
    place.give_keys(mode=0o644)
    mount = make_mount(s3_bucket)
    told = mount.try_start()
    assert told.returncode == 0 and "chmod 600" in told.stderr
    (mount.path / "before").write_bytes(b"before")
    arrives(s3_bucket, "before", b"before")
    place.write("credentials", "")
    (mount.path / "during").write_bytes(b"during" * 100_000)
    waits_for_keys(mount, "no credentials found")
    (mount.path / "during").rename(mount.path / "after")
    nothing_failed(mount)
    mount.kill()
    assert "no credentials found" in mount.try_start().stderr
    assert (mount.path / "after").read_bytes() == b"during" * 100_000
    waits_for_keys(mount, "no credentials found")
    place.give_keys()
    arrives(s3_bucket, "after", b"during" * 100_000)
    is_online(mount)
    nothing_failed(mount)


def test_keys_that_the_store_refuses_are_waited_for(s3_bucket, make_mount, home):
    place = home(s3_bucket)
    place.give_keys()
    mount = make_mount(s3_bucket).start()
    place.give_keys(key="revoked")
    (mount.path / "file").write_bytes(b"content")
    waits_for_keys(mount, "InvalidAccessKeyId")
    time.sleep(3)
    waits_for_keys(mount, "InvalidAccessKeyId")
    nothing_failed(mount)
    place.give_keys()
    arrives(s3_bucket, "file", b"content")
    is_online(mount)


def test_credentials_of_a_program_are_renewed_and_waited_for_when_they_end(s3_bucket, make_mount, home):
    place = home(s3_bucket)
    keys = f'"Version":1,"AccessKeyId":"{servers.ACCESS_KEY}","SecretAccessKey":"{servers.SECRET_KEY}"'
    place.write(
        "keys.sh",
        f"""
        echo >> "$HOME/asked"
        test -e "$HOME/alive" || exit 7
        echo '{{{keys},"Expiration":"'$(date -u -d "+6 seconds" +%Y-%m-%dT%H:%M:%SZ)'"}}'
        """,
    )
    place.write("config", f"[default]\ncredential_process = sh '{place.path}/.aws/keys.sh'\n")
    alive = place.path / "alive"
    alive.touch()
    mount = make_mount(s3_bucket).start()

    def is_renewed():
        (mount.path / "first").write_bytes(b"first")
        time.sleep(0.5)
        return (place.path / "asked").stat().st_size >= 2

    wait_until(is_renewed, "the program is asked again before its keys end", SOON)
    arrives(s3_bucket, "first", b"first")
    alive.unlink()
    (mount.path / "second").write_bytes(b"second")

    def has_ended():
        # Requests are what shows that keys have ended.
        (mount.path / "second").write_bytes(b"second")
        link = mount.status()["link"]
        return link["state"] == "offline" and "have expired" in link.get("reason", "") and "ended with 7" in link["reason"]

    wait_until(has_ended, "status tells that the keys have ended", SOON, interval=0.5)
    nothing_failed(mount)
    (mount.path / "third").write_bytes(b"third")
    assert mount.status()["pending"]["files"] >= 1
    alive.touch()
    arrives(s3_bucket, "third", b"third")
    is_online(mount)
    nothing_failed(mount)


def keys_document():
    document = {"Code": "Success", "AccessKeyId": servers.ACCESS_KEY, "SecretAccessKey": servers.SECRET_KEY}
    return json.dumps({**document, "Expiration": "2096-10-02T07:06:40Z"})


@contextmanager
def instance_metadata():
    """The metadata service of an instance that speaks version 2 alone; yields the server, which keeps its requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self):
            is_token = self.path == "/latest/api/token" and "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
            self.answer(*((200, "session") if is_token else (403, "")))

        def do_GET(self):
            roles = "/latest/meta-data/iam/security-credentials/"
            if self.headers.get("X-aws-ec2-metadata-token") != "session":
                self.answer(401, "")
            elif self.path == roles and self.server.has_role:
                self.answer(200, "robot")
            elif self.path == roles + "robot" and self.server.has_role:
                self.answer(200, keys_document())
            else:
                self.answer(404, "")

        def answer(self, status, text):
            self.server.asked.append((self.command, self.path, status))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    (server.asked, server.has_role) = ([], True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_instance_gives_keys_by_version_2_without_a_proxy_and_a_role_may_come_later(s3_bucket, make_mount, home):
    with instance_metadata() as server:
        home(
            s3_bucket,
            AWS_EC2_METADATA_DISABLED="false",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://localhost:{server.server_port}/",
            # Requests to the store's address go straight, all others to a proxy that is not there.
            http_proxy="http://127.0.0.1:1",
            no_proxy="127.0.0.1",
        )
        mount = make_mount(s3_bucket).start()
        (mount.path / "file").write_bytes(b"content")
        arrives(s3_bucket, "file", b"content")
        nothing_failed(mount)
        assert [status for _, _, status in server.asked] == [200, 200, 200]
        mount.stop()
        server.has_role = False
        assert "knows no role" in mount.try_start().stderr
        (mount.path / "late").write_bytes(b"late")
        waits_for_keys(mount, "knows no role")
        nothing_failed(mount)
        server.has_role = True
        arrives(s3_bucket, "late", b"late")
        is_online(mount)
        assert all(status != 401 for _, _, status in server.asked)
