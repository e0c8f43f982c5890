import logging
import os
from pathlib import Path

import pytest
import yaml

from ingestion_operator.api.settings import load_settings
from ingestion_operator.runtime.settings_file import SettingsFile
from testing.objects import SETTINGS


def _write(path: Path, **changes: object) -> None:
    """Replace the file as a ConfigMap mount does: by a rename, so that the inode changes."""
    text = yaml.safe_dump(SETTINGS | changes)
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    _write(path)
    return path


@pytest.fixture
def file(path: Path) -> SettingsFile:
    return SettingsFile(path, load_settings(path), check_seconds=0)


def test_a_changed_file_is_reread(file: SettingsFile, path: Path) -> None:
    assert file.current().default_server_version == "2.0"
    _write(path, defaultServerVersion="1.13")
    assert file.current().default_server_version == "1.13"


def test_a_file_changed_in_place_is_reread(file: SettingsFile, path: Path) -> None:
    path.write_text(yaml.safe_dump(SETTINGS | {"defaultServerVersion": "1.13"}))
    os.utime(path, ns=(1, 1))
    assert file.current().default_server_version == "1.13"


def test_the_file_is_not_read_for_each_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [100.0]
    monkeypatch.setattr("ingestion_operator.runtime.reloading.time.monotonic", lambda: moment[0])
    file = SettingsFile(path, load_settings(path))
    file.current()
    _write(path, defaultServerVersion="1.13")
    moment[0] += 0.9
    assert file.current().default_server_version == "2.0"
    moment[0] += 0.2
    assert file.current().default_server_version == "1.13"


def test_an_unchanged_file_is_not_read_again(file: SettingsFile) -> None:
    assert file.current() is file.current()


def test_a_broken_file_keeps_the_last_good_settings(
    file: SettingsFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(path, defaultServerVersion="9.9")
    with caplog.at_level(logging.INFO):
        assert file.current().default_server_version == "2.0"
        assert file.current().default_server_version == "2.0"
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "'9.9' has no entry in runnerImages" in errors[0]
    assert str(path) in errors[0]


def test_a_corrected_file_is_used_again(file: SettingsFile, path: Path) -> None:
    _write(path, defaultServerVersion="9.9")
    file.current()
    _write(path, defaultServerVersion="1.13")
    assert file.current().default_server_version == "1.13"


def test_a_missing_file_keeps_the_last_good_settings(file: SettingsFile, path: Path) -> None:
    path.unlink()
    assert file.current().default_server_version == "2.0"
    _write(path, defaultServerVersion="1.13")
    assert file.current().default_server_version == "1.13"


def test_a_file_that_is_not_a_text_keeps_the_last_good_settings(file: SettingsFile, path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    assert file.current().default_server_version == "2.0"
