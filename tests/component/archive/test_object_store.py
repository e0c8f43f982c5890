"""ObjectStore over real folders, and a bucket that is not there."""

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

from ingestion_operator.archive.cursor import Position
from ingestion_operator.archive.layout import AttemptKey, RunKey, Segment
from ingestion_operator.archive.retention import sweep
from ingestion_operator.errors import NotFound, StoreError
from ingestion_operator.object_store import ObjectStore

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
    with pytest.raises(NotFound, match=r"there is no a/b"):
        store.get("a/b")
    store.put("a/c", b"")
    store.delete(["a/b", "a/c", "a/d"])
    assert keys(store) == []
    assert keys(store, "a") == []


def test_a_folder_that_is_not_there_is_a_fault_of_the_store_until_it_is(folder: Path) -> None:
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


def test_a_bucket_that_is_away_is_a_fault_of_the_store_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_url_that_says_too_little_is_a_fault_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(StoreError, match="Account must be specified"):
        ObjectStore("az://container/prefix", create=True).put("a", b"")


def test_the_sweep_leaves_no_empty_folders(store: ObjectStore, folder: Path) -> None:
    store.put(f"{ATTEMPT.folder}/{Segment(0, 0, Position(0, 0), is_end=True).name}", gzip.compress(b""))
    assert sweep(store, datetime.now(UTC) + timedelta(minutes=1)).runs == 1
    assert list(folder.iterdir()) == []


_READ_PAGES = r"""
import hashlib, re, sys
from pathlib import Path
from ingestion_operator.archive.reader import ArchiveReader
from ingestion_operator.object_store import ObjectStore
from tests.component.archive.test_object_store import ATTEMPT

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
