"""TLS between a mount and its store: who is trusted, who is not, and what a person is told."""

import ssl
from datetime import datetime

import pytest

from harness.fronts import Authority, TLSFront, TunnelProxy
from harness.mount import sluice
from harness.processes import wait_until


# What the machine that runs the tests may say of its own.
UNSET = {name: "" for name in ("AWS_CA_BUNDLE", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy")}


@pytest.fixture
def store_at(make_bucket):
    """Makes a bucket that a mount reaches at an endpoint, and in no other way than the test says."""

    def make(endpoint):
        bucket = make_bucket("s3", endpoint=endpoint)
        bucket.environment |= {**UNSET, "NO_PROXY": ""}
        return bucket

    return make


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(weed, store_at):
    """Makes a bucket that a mount reaches through TLS with a certificate; returns it and what ends the TLS."""
    fronts = []

    def make(certificate, **versions):
        front = TLSFront(weed.port, certificate, **versions)
        fronts.append(front)
        front.__enter__()
        return store_at(front.endpoint), front

    yield make
    for front in fronts:
        front.__exit__()


def refusal(mount):
    """What is told when a mount is refused, whose state directory was never used."""
    result = mount.try_start()
    assert result.returncode == 1, result.stderr
    return result.stderr


def test_a_private_authority_is_trusted_when_it_is_named(secure, authority, make_mount):
    bucket, _ = secure(authority.certificate("127.0.0.1"))
    mount = make_mount(bucket, "-o", f"ca_bundle={authority.file}").start()
    (mount.path / "file").write_bytes(b"through TLS" * 100_000)
    mount.sync()
    assert bucket.read("file") == b"through TLS" * 100_000
    assert mount.status()["warnings"] == []
    mount.stop()
    bucket.environment["AWS_CA_BUNDLE"] = str(authority.file)
    assert (make_mount(bucket).start().path / "file").read_bytes() == b"through TLS" * 100_000


def test_a_profile_names_the_authority(secure, authority, make_mount, tmp_path):
    bucket, _ = secure(authority.certificate("127.0.0.1"))
    config = tmp_path / "config"
    config.write_text(f"[profile robot]\nca_bundle = {authority.file}\n")
    bucket.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "robot"}
    (make_mount(bucket).start().path / "file").write_bytes(b"x")


def test_an_authority_that_nobody_named_is_refused(secure, authority, make_mount):
    bucket, _ = secure(authority.certificate("127.0.0.1"))
    told = refusal(make_mount(bucket))
    assert "certificate" in told and "ca_bundle" in told
    check = sluice("check", bucket.source, *bucket.options, environment=bucket.environment)
    assert check.returncode == 1 and "ca_bundle" in check.stdout


def test_another_authority_is_refused(secure, authority, make_mount, tmp_path):
    bucket, _ = secure(authority.certificate("127.0.0.1"))
    other = Authority(tmp_path / "other", "somebody else")
    told = refusal(make_mount(bucket, "-o", f"ca_bundle={other.file}"))
    assert "certificate" in told and "ca_bundle" in told


def test_a_certificate_of_another_host_is_refused(secure, authority, make_mount):
    bucket, _ = secure(authority.certificate("store.example", "10.0.0.1"))
    told = refusal(make_mount(bucket, "-o", f"ca_bundle={authority.file}"))
    assert "subject name" in told and "host name" in told


def test_an_expired_certificate_is_refused(secure, authority, make_mount):
    bucket, _ = secure(authority.certificate("127.0.0.1", start=datetime(2020, 1, 1), days=30))
    told = refusal(make_mount(bucket, "-o", f"ca_bundle={authority.file}"))
    assert "certificate has expired" in told and "clock" in told


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_of_tls_are_refused(secure, authority, make_mount):
    bucket, _ = secure(
        authority.certificate("127.0.0.1"), minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1
    )
    told = refusal(make_mount(bucket, "-o", f"ca_bundle={authority.file}"))
    assert "SSL" in told or "TLS" in told


def test_a_file_of_certificates_that_is_not_there_is_wrong_usage(secure, authority, make_mount, tmp_path):
    bucket, _ = secure(authority.certificate("127.0.0.1"))
    result = make_mount(bucket, "-o", f"ca_bundle={tmp_path / 'missing.pem'}").try_start()
    assert result.returncode == 2 and "missing.pem" in result.stderr


def test_a_certificate_that_goes_bad_stops_uploads_until_it_is_good_again(secure, authority, make_mount):
    good = authority.certificate("127.0.0.1")
    bucket, front = secure(good)
    mount = make_mount(bucket, "-o", f"ca_bundle={authority.file}").start()
    (mount.path / "first").write_bytes(b"first")
    mount.sync()
    mount.stop()
    front.use(authority.certificate("127.0.0.1", start=datetime(2020, 1, 1), days=30))
    started = mount.try_start()
    assert started.returncode == 0 and "certificate has expired" in started.stderr
    (mount.path / "second").write_bytes(b"second")
    link = wait_until(
        lambda: (link := mount.status()["link"])["state"] == "offline" and link, "the status knows of it", 60
    )
    assert "certificate has expired" in link["reason"]
    assert bucket.keys() == ["first"]
    front.use(good)
    mount.sync(timeout=120)
    assert bucket.read("second") == b"second"
    assert mount.status()["errors"] == [] and mount.status()["link"]["state"] == "online"


# Proxies


def test_a_proxy_of_the_environment_is_used(weed, authority, store_at, make_mount):
    bucket = store_at("https://store.example")
    with TLSFront(weed.port, authority.certificate("store.example")) as front, TunnelProxy(front.port) as proxy:
        bucket.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.port}"
        mount = make_mount(bucket, "-o", f"ca_bundle={authority.file}").start()
        (mount.path / "file").write_bytes(b"through a tunnel" * 100_000)
        mount.sync()
        assert bucket.read("file") == b"through a tunnel" * 100_000
        assert set(proxy.asked) == {"CONNECT store.example:443"}
        mount.stop()


def test_a_store_on_this_machine_is_never_asked_through_a_proxy(s3_bucket, make_mount):
    with TunnelProxy(1) as proxy:
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            s3_bucket.environment[name] = f"http://127.0.0.1:{proxy.port}"
        mount = make_mount(s3_bucket).start()
        (mount.path / "file").write_bytes(b"x")
        mount.sync()
        assert s3_bucket.read("file") == b"x" and proxy.asked == []
        mount.stop()


def test_hosts_of_no_proxy_are_not_asked_through_a_proxy(store_at, make_mount):
    bucket = store_at("https://store.invalid")
    with TunnelProxy(1) as proxy:
        bucket.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.port}"
        bucket.environment["NO_PROXY"] = "other.example,store.invalid"
        told = refusal(make_mount(bucket))
        assert "store.invalid" in told and proxy.asked == []


def test_an_endpoint_without_encryption_is_warned_of(store_at):
    bucket = store_at("http://store.invalid")
    check = sluice("check", bucket.source, *bucket.options, environment=bucket.environment)
    assert "http://store.invalid is not encrypted" in check.stdout
