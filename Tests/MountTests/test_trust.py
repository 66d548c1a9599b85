"""What nobody must see: secrets stay out of logs, messages, command lines and the state directory, whatever fails."""

import os
import re
import stat
from pathlib import Path

from harness import servers
from harness.mount import sluice
from harness.processes import wait_until

TOKEN = "IQoJb3JpZ2luX2VjEMb//a+session+token+that+nobody/may/see=="
WRONG_SECRET = "wJalrXUtnFEMI/K7MDENG/a+wrong+secret"
# A signature is 64 hexadecimal digits behind its name; a header that is shown whole would have the name as well.
TRACES = re.compile(rb"AWS4-HMAC|[Ss]ignature=[0-9a-f]{16}|x-amz-security-token", re.IGNORECASE)


def commands():
    """The command line of every process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield entry.name, (entry / "cmdline").read_bytes()
            except OSError:
                pass


def assert_kept(secrets, **places):
    for place, text in places.items():
        text = text if isinstance(text, bytes) else text.encode()
        for secret in secrets:
            assert secret.encode() not in text, f"a secret is in {place}"
        assert not TRACES.search(text), f"a signature or a token is in {place}"


def assert_kept_everywhere(mount, secrets, *outputs):
    """In what the commands say, in the command lines and in all that lies in the state directory."""
    assert_kept(secrets, **{f"output_{index}": output for index, output in enumerate(outputs)})
    assert_kept(secrets, status=sluice("status", mount.path).stdout, json=sluice("status", mount.path, "--json").stdout)
    for pid, command in commands():
        # The tests' servers may have theirs; the daemon and whatever it starts must not.
        if b"sluice" in command.split(b"\0")[0]:
            assert_kept(secrets, **{f"command_{pid}": command})
    for path in mount.state.rglob("*"):
        if path.is_file():
            assert_kept(secrets, **{str(path): path.read_bytes()})


def test_no_failure_shows_a_secret(network, make_mount):
    secrets = [servers.SECRET_KEY]
    mount = make_mount(network.bucket, "-o", "metadata_ttl=500ms").start()
    (mount.path / "file").write_bytes(b"content")
    mount.sync()
    network.proxy.portal = True
    (mount.path / "portal").write_bytes(b"content")
    wait_until(lambda: mount.status()["link"]["state"] == "offline", "the login page is noticed", 60)
    network.proxy.portal = False
    network.proxy.resets = 0.3
    for index in range(10):
        (mount.path / f"reset-{index}").write_bytes(b"content" * 1000)
    network.proxy.resets = 0
    network.proxy.cut()
    sync = sluice("sync", mount.path, "--timeout", 1)
    assert sync.returncode == 3
    network.bucket.client.put_object(Bucket=network.bucket.name, Key="file", Body=b"theirs")
    (mount.path / "file").write_bytes(b"ours")
    assert_kept_everywhere(mount, secrets, sync.stdout, sync.stderr)
    network.proxy.restore()
    mount.sync(timeout=120)
    assert mount.status()["conflicts"]
    assert_kept_everywhere(mount, secrets)


def test_keys_that_are_refused_are_not_shown(s3_bucket, make_mount):
    secrets = [WRONG_SECRET, TOKEN]
    mount = make_mount(s3_bucket)
    right = dict(s3_bucket.environment)
    for wrong in (
        {"AWS_SECRET_ACCESS_KEY": WRONG_SECRET},
        {"AWS_SECRET_ACCESS_KEY": WRONG_SECRET, "AWS_SESSION_TOKEN": TOKEN},
        {"AWS_SECRET_ACCESS_KEY": WRONG_SECRET + "\n"},
    ):
        s3_bucket.environment = {**right, **wrong}
        refused = mount.try_start()
        assert refused.returncode != 0
        check = sluice("check", s3_bucket.source, *s3_bucket.options, environment=s3_bucket.environment)
        assert check.returncode == 1
        assert_kept(secrets, out=refused.stdout, told=refused.stderr, check=check.stdout, check_told=check.stderr)


def test_keys_that_go_bad_while_a_mount_runs_are_not_shown(s3_bucket, make_mount, tmp_path):
    file = tmp_path / "credentials"

    def write(secret, token=""):
        new = tmp_path / "credentials.new"
        new.write_text(f"[default]\naws_access_key_id={servers.ACCESS_KEY}\naws_secret_access_key={secret}\n{token}")
        os.replace(new, file)

    write(servers.SECRET_KEY)
    s3_bucket.environment |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    s3_bucket.environment |= {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": str(tmp_path / "none")}
    mount = make_mount(s3_bucket).start()
    write(WRONG_SECRET, f"aws_session_token={TOKEN}\n")
    (mount.path / "file").write_bytes(b"content")
    sync = sluice("sync", mount.path, "--timeout", 3)
    assert sync.returncode == 3
    assert_kept_everywhere(mount, [servers.SECRET_KEY, WRONG_SECRET, TOKEN], sync.stdout, sync.stderr)
    write(servers.SECRET_KEY)
    mount.sync(timeout=120)
    assert s3_bucket.read("file") == b"content"
    assert_kept_everywhere(mount, [servers.SECRET_KEY, WRONG_SECRET, TOKEN])


def test_the_state_directory_is_closed_to_others(s3_bucket, make_mount):
    mount = make_mount(s3_bucket).start()
    (mount.path / "file").write_bytes(b"content")
    mount.sync()
    assert stat.S_IMODE(mount.state.stat().st_mode) == 0o700
    for path in mount.state.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
