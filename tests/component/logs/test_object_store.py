"""ObjectStore over real folders, and a bucket that is not there."""

import base64
import gzip
import hashlib
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion_operator.adapters.object_store import ObjectStore
from ingestion_operator.errors import NotFound, StoreError
from ingestion_operator.logs.cursor import Position
from ingestion_operator.logs.layout import AttemptKey, RunKey, Segment
from ingestion_operator.logs.retention import sweep
from testing.raw_server import raw_server

ATTEMPT = AttemptKey(RunKey("data", "nightly", "0c6f3a3e-1a2b-4c3d-8e4f-5a6b7c8d9e0f"), "nightly-1-a")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "with space" / "ärchive"


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    return ObjectStore(folder.as_uri(), create=True)


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(stored.key for stored in store.list(prefix))


def test_what_was_put_can_be_got_listed_and_deleted(store: ObjectStore, folder: Path) -> None:
    store.put("a/b/1.gz", b"one")
    store.put("a/b/1.gz", b"two!")
    store.put("a/bc/2.gz", b"")
    assert store.get("a/b/1.gz") == b"two!"
    assert keys(store) == ["a/b/1.gz", "a/bc/2.gz"]
    (stored,) = store.list("a/b")
    assert (stored.key, stored.size) == ("a/b/1.gz", 4)
    assert abs(stored.modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert (folder / "a" / "b" / "1.gz").read_bytes() == b"two!"
    store.delete(["a/b/1.gz", "a/bc/2.gz"])
    assert keys(store) == []
    assert list(folder.iterdir()) == []


def test_what_is_not_there_is_not_found_and_no_error_to_delete(store: ObjectStore) -> None:
    with pytest.raises(NotFound, match=r"a/b does not exist"):
        store.get("a/b")
    store.put("a/c", b"")
    store.delete(["a/b", "a/c", "a/d"])
    assert keys(store) == []
    assert keys(store, "a") == []


def test_a_missing_folder_is_a_temporary_store_error(folder: Path) -> None:
    store = ObjectStore(folder.as_uri(), create=False)
    with pytest.raises(StoreError, match="cannot list data") as caught:
        keys(store, "data")
    assert "\n" not in str(caught.value)
    folder.mkdir(parents=True)
    assert keys(store, "data") == []


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write a"):
        ObjectStore((tmp_path / "file" / "archive").as_uri(), create=True).put("a", b"")


def test_a_missing_bucket_is_a_store_error_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-of-a-key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-key-itself")
        monkeypatch.setenv("AWS_REGION", "somewhere")
        store = ObjectStore("s3://bucket/prefix", create=True, request_seconds=0.5, attempts=2)
        begin = time.monotonic()
        with pytest.raises(StoreError, match="s3://bucket/prefix: cannot list all") as caught:
            keys(store)
        assert time.monotonic() - begin < 5
        assert "the-key-itself" not in str(caught.value)


BLOB_KEY = base64.b64encode(b"the-key-itself").decode()
AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_ACCOUNT_KEY": BLOB_KEY}


class TestOtherClouds:
    """As far as it can be seen without them: which requests are sent, and the error when they fail."""

    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in os.environ:
            if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
                monkeypatch.delenv(name)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "*")

    @pytest.mark.parametrize(
        ("url", "reported", "endpoint", "path"),
        [
            (
                "gs://bucket/some/prefix",
                {"GOOGLE_SKIP_SIGNATURE": "true"},
                "GOOGLE_BASE_URL",
                "/bucket/some%2Fprefix%2Fa%2Fb",
            ),
            ("az://container/some/prefix", AZURE, "AZURE_STORAGE_ENDPOINT", "/container/some/prefix/a/b"),
            (
                "abfss://container@account.dfs.core.windows.net/some/prefix",
                {"AZURE_STORAGE_ACCOUNT_KEY": BLOB_KEY},
                "AZURE_STORAGE_ENDPOINT",
                "/container/some/prefix/a/b",
            ),
        ],
    )
    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("NoSuchKey", NotFound),
            ("BlobNotFound", NotFound),
            ("NoSuchBucket", StoreError),
            ("ContainerNotFound", StoreError),
        ],
    )
    def test_objects_are_read_below_the_prefix(
        self,
        monkeypatch: pytest.MonkeyPatch,
        url: str,
        reported: dict[str, str],
        endpoint: str,
        path: str,
        code: str,
        error: type[Exception],
    ) -> None:
        body = (
            f"\ufeff<?xml version='1.0'?><Error><Code>{code}</Code><Message>Not there.\nRequestId:1</Message></Error>"
        )
        answer = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n{body}"
        with raw_server(answer.encode()) as server:
            monkeypatch.setenv(endpoint, f"http://127.0.0.1:{server.port}")
            for name, value in reported.items():
                monkeypatch.setenv(name, value)
            with pytest.raises(error) as caught:
                ObjectStore(url, create=True).get("a/b")
            (request,) = server.requests
        assert request.decode().startswith(f"GET {path} HTTP/1.1\r\n")
        assert BLOB_KEY not in str(caught.value)
        if error is StoreError:
            assert str(caught.value).endswith(f"404 Not Found: {code}: Not there.")

    @pytest.mark.parametrize(
        ("url", "reported", "words"),
        [
            ("s3://", {}, 'Unable to recognise URL "s3://"'),
            ("gs://", {}, 'Unable to recognise URL "gs://"'),
            ("az://", {}, 'Unable to recognise URL "az://"'),
            ("az://container/prefix", {}, "Account must be specified"),
            ("az://container", AZURE | {"AZURE_STORAGE_ACCOUNT_KEY": "the-key-itself"}, "Invalid Access Key"),
            (
                "gs://bucket",
                {"GOOGLE_SERVICE_ACCOUNT": "/nowhere/key.json"},
                "Unable to open service account file from /nowhere",
            ),
            ("gs://bucket", {"GOOGLE_SERVICE_ACCOUNT": "{damaged}"}, "Unable to decode service account file"),
            ("gs://bucket", {"GOOGLE_APPLICATION_CREDENTIALS": "{damaged}"}, "Unable to decode service account file"),
        ],
    )
    def test_incomplete_or_wrong_variables_are_store_errors(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, reported: dict[str, str], words: str
    ) -> None:
        damaged = tmp_path / "key.json"
        damaged.write_text('{"private_key": "the-key-itself"')
        for name, value in reported.items():
            monkeypatch.setenv(name, value.format(damaged=damaged))
        with pytest.raises(StoreError, match=f"log archive {url}: cannot write a: .*{words}") as caught:
            ObjectStore(url, create=True).put("a", b"")
        assert "\n" not in str(caught.value)
        assert "the-key-itself" not in str(caught.value)

    def test_a_shared_access_signature_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is part of the address that is asked."""
        for name, value in {
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_STORAGE_SAS_TOKEN": "sv=2020&sig=the-key-itself",
            "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1",
        }.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(StoreError, match="az://container: cannot list all") as caught:
            keys(ObjectStore("az://container", create=True, attempts=1))
        assert "the-key-itself" not in str(caught.value)


def test_the_sweep_leaves_no_empty_folders(store: ObjectStore, folder: Path) -> None:
    store.put(f"{ATTEMPT.folder}/{Segment(0, 0, Position(0, 0), is_end=True).name}", gzip.compress(b""))
    assert sweep(store, datetime.now(UTC) + timedelta(minutes=1)).runs == 1
    assert list(folder.iterdir()) == []


_READ_PAGES = r"""
import hashlib, re, sys
from pathlib import Path
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.adapters.object_store import ObjectStore
from tests.component.logs.test_object_store import ATTEMPT

reader = ArchiveReader(ObjectStore(sys.argv[1], create=False))

def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])

Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = peak()
for index in map(int, sys.argv[2:]):
    page = reader.page(ATTEMPT, reader.find(ATTEMPT), index)
    print(index, page.total, hashlib.sha256(page.text.encode()).hexdigest())
print(peak() - before)
"""


def test_a_log_of_a_gigabyte_is_paged_in_constant_memory(store: ObjectStore, folder: Path) -> None:
    text = "".join(f"line {number:058}\n" for number in range(4096))
    count = 4096
    first = f"{ATTEMPT.folder}/{Segment(0, len(text), Position(1, 1)).name}"
    store.put(first, gzip.compress(text.encode()))
    for number in range(1, count):
        # One file under thousands of names: the archive is 1 GB of text, the disk has 1 kB.
        name = Segment(number, len(text), Position(number + 1, 1), is_end=number == count - 1).name
        (folder / ATTEMPT.folder / name).hardlink_to(folder / first)
    characters = count * len(text)
    pages = -(-characters // 2_000_000)
    assert characters > 10**9

    command = [sys.executable, "-c", _READ_PAGES, folder.as_uri(), "0", str(pages // 2), str(pages - 1)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    *answers, grown = done.stdout.splitlines()
    for answer, index in zip(answers, (0, pages // 2, pages - 1), strict=True):
        start = index * 2_000_000
        length = min(2_000_000, characters - start)
        expected = (text * 10)[start % len(text) :][:length]
        assert answer == f"{index} {pages} {hashlib.sha256(expected.encode()).hexdigest()}"
    assert int(grown) < 24 * 1024, f"{grown} KiB more at the peak"
