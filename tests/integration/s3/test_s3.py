"""ObjectStore over a real S3 server, which is now away and now wrong."""

import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from ingestion_operator.adapters.object_store import ObjectStore
from ingestion_operator.errors import NotFound, StoreError
from testing.raw_server import raw_server
from testing.s3_server import S3Server

Call = Callable[[ObjectStore], object]


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(stored.key for stored in store.list(prefix))


CALLS: dict[str, Call] = {
    "write": lambda store: store.put("a/b", b"text"),
    "read": lambda store: store.get("a/b"),
    "list": lambda store: keys(store, "a"),
    "delete": lambda store: store.delete(["a/b"]),
}
each_call = pytest.mark.parametrize("operation", CALLS)


def failure(store: ObjectStore, operation: str) -> str:
    with pytest.raises(StoreError, match=f"log archive s3://.*: cannot {operation} a") as caught:
        CALLS[operation](store)
    return str(caught.value)


@pytest.fixture
def store(server: S3Server, bucket: str) -> ObjectStore:
    server.make_bucket(bucket)
    return ObjectStore(f"s3://{bucket}", create=True)


def test_what_was_put_can_be_got_listed_and_deleted(store: ObjectStore) -> None:
    store.put("a/b/1.gz", b"one")
    store.put("a/b/1.gz", b"two!")
    store.put("a/bc/2.gz", b"")
    assert store.get("a/b/1.gz") == b"two!"
    assert keys(store) == ["a/b/1.gz", "a/bc/2.gz"]
    (stored,) = store.list("a/b")
    assert (stored.key, stored.size) == ("a/b/1.gz", 4)
    assert abs(stored.modified - datetime.now(UTC)) < timedelta(minutes=1)
    store.delete(["a/b/1.gz", "a/bc/2.gz"])
    assert keys(store) == []


def test_what_is_not_there_is_not_found_and_no_error_to_delete(store: ObjectStore) -> None:
    with pytest.raises(NotFound, match="a/b does not exist"):
        store.get("a/b")
    store.put("a/c", b"")
    store.delete(["a/b", "a/c", "a/d"])
    assert keys(store) == []
    assert keys(store, "a") == []


def test_thousands_of_objects_are_listed_and_deleted_in_pages(server: S3Server, bucket: str) -> None:
    folder = server.make_bucket(bucket) / "logs" / "many"
    folder.mkdir(parents=True)
    for number in range(2_500):
        (folder / f"{number:04}").touch()
    store = ObjectStore(f"s3://{bucket}/logs", create=True)
    store.put("few/0", b"")
    expected = [f"many/{number:04}" for number in range(2_500)]
    assert keys(store, "many") == expected
    assert keys(store) == ["few/0", *expected]
    store.delete(expected)
    assert keys(store) == ["few/0"]


@pytest.mark.parametrize("prefix", ["some", "some/prefix", "some/prefix/", "with space/ärchive"])
def test_every_operation_stays_below_the_prefix_of_the_url(server: S3Server, bucket: str, prefix: str) -> None:
    folder = server.make_bucket(bucket)
    inside = ObjectStore(f"s3://{bucket}/{prefix}", create=True)
    outside = ObjectStore(f"s3://{bucket}", create=True)
    neighbour = f"{prefix.rstrip('/')}-2/a/b"
    outside.put(neighbour, b"neighbour")
    outside.put("a/b", b"above")
    inside.put("a/b", b"inside")
    assert (folder / prefix / "a" / "b").read_bytes() == b"inside"
    assert inside.get("a/b") == b"inside"
    assert keys(inside) == keys(inside, "a") == ["a/b"]
    inside.delete(["a/b"])
    assert keys(inside) == []
    assert keys(outside) == sorted([neighbour, "a/b"])


@each_call
def test_a_bucket_that_is_not_there_is_a_fault_of_the_store(server: S3Server, bucket: str, operation: str) -> None:
    store = ObjectStore(f"s3://{bucket}/prefix", create=True)
    assert "NoSuchBucket: The specified bucket does not exist" in failure(store, operation)
    server.make_bucket(bucket)
    store.put("a/b", b"text")
    assert store.get("a/b") == b"text"


@each_call
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "AWS_SECRET_ACCESS_KEY",
            "quite-another-secret",
            "403 Forbidden: SignatureDoesNotMatch: The request",
        ),
        ("AWS_ACCESS_KEY_ID", "nobody", "No user exists with the provided access key ID"),
        ("AWS_REGION", "eu-west-1", 'the region "eu-west-1" is wrong; expecting "us-east-1"'),
    ],
)
def test_an_error_about_credentials_does_not_contain_them(
    server: S3Server,
    bucket: str,
    environment: pytest.MonkeyPatch,
    operation: str,
    variable: str,
    value: str,
    words: str,
) -> None:
    server.make_bucket(bucket)
    environment.setenv(variable, value)
    reported = failure(ObjectStore(f"s3://{bucket}", create=True), operation)
    assert words in reported
    assert "\n" not in reported
    assert "<" not in reported
    for secret in (server.secret, server.key_id, "quite-another-secret", "AWS4-HMAC-SHA256"):
        assert secret not in reported


@each_call
def test_a_server_that_is_away_is_a_temporary_store_error(
    fragile_server: S3Server, bucket: str, operation: str
) -> None:
    fragile_server.make_bucket(bucket)
    store = ObjectStore(f"s3://{bucket}", create=True)
    store.put("a/b", b"text")
    fragile_server.kill()
    begin = time.monotonic()
    failure(store, operation)
    assert time.monotonic() - begin < 5
    fragile_server.start()
    assert store.get("a/b") == b"text"
    CALLS[operation](store)


@each_call
def test_a_silent_server_is_an_error_within_the_bound(server: S3Server, bucket: str, operation: str) -> None:
    server.make_bucket(bucket)
    store = ObjectStore(f"s3://{bucket}", create=True, request_seconds=0.5, attempts=2)
    store.put("a/b", b"text")
    with server.frozen():
        begin = time.monotonic()
        failure(store, operation)
        assert time.monotonic() - begin < 2 * 0.5 + 1
    CALLS[operation](store)


class TestCredentials:
    """Other sources of credentials than those of the server's fixture."""

    @pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
    def test_the_server_may_be_named_by_several_variables(
        self, server: S3Server, bucket: str, environment: pytest.MonkeyPatch, variable: str
    ) -> None:
        environment.delenv("AWS_ENDPOINT_URL")
        environment.setenv(variable, server.url)
        self._store(server, bucket).put("a", b"")

    def test_without_a_region_it_is_us_east_1(
        self, server: S3Server, bucket: str, environment: pytest.MonkeyPatch
    ) -> None:
        environment.delenv("AWS_REGION")
        self._store(server, bucket).put("a", b"")
        environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        with pytest.raises(StoreError, match="eu-west-1"):
            ObjectStore(f"s3://{bucket}", create=True).put("a", b"")

    def test_a_role_by_web_identity_is_enough(
        self, server: S3Server, bucket: str, environment: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        body = (
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{server.key_id}</AccessKeyId><SecretAccessKey>{server.secret}</SecretAccessKey>"
            "<SessionToken></SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        token = tmp_path / "token"
        token.write_text("the-pod's-own-token")
        self._forget_the_key(environment)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        environment.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        with raw_server(_answer(body), tls=tls) as issuer:
            environment.setenv("AWS_ENDPOINT_URL_STS", f"https://localhost:{issuer.port}")
            environment.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
            environment.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/logs")
            self._store(server, bucket).put("a", b"")
            (request,) = issuer.requests
        assert b"the-pod" in request
        assert b"role%2Flogs" in request

    def test_a_role_by_pod_identity_is_enough(
        self, server: S3Server, bucket: str, environment: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        credentials = {"AccessKeyId": server.key_id, "SecretAccessKey": server.secret, "Token": ""}
        token = tmp_path / "token"
        token.write_text("the-pod's-own-token")
        self._forget_the_key(environment)
        with raw_server(_answer(json.dumps(credentials | {"Expiration": "2100-01-01T00:00:00Z"}))) as agent:
            environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{agent.port}/v1/credentials")
            environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
            self._store(server, bucket).put("a", b"")
            (request,) = agent.requests
        assert b"the-pod" in request

    def test_without_credentials_the_machines_role_is_used(self, bucket: str, environment: pytest.MonkeyPatch) -> None:
        with raw_server(b"", pause=10) as metadata:
            environment.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{metadata.port}")
            store = ObjectStore(f"s3://{bucket}", create=True, request_seconds=0.5, attempts=2)
            begin = time.monotonic()
            assert "/latest/api/token" in failure(store, "read")
            assert time.monotonic() - begin < 2 * 0.5 + 1

    def _store(self, server: S3Server, bucket: str) -> ObjectStore:
        server.make_bucket(bucket)
        return ObjectStore(f"s3://{bucket}", create=True)

    def _forget_the_key(self, environment: pytest.MonkeyPatch) -> None:
        environment.delenv("AWS_ACCESS_KEY_ID")
        environment.delenv("AWS_SECRET_ACCESS_KEY")


def _answer(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
