import os
import re
import subprocess
from pathlib import Path

import pytest

from testcluster.archives import forget_old
from testcluster.errors import TestClusterError
from testcluster.images import (
    DEFAULT_OPENMETADATA,
    IMAGES,
    RUNNER,
    Image,
    copied_files,
    key,
    openmetadata_versions,
    runner_name,
)
from testcluster.locations import CHECKOUT

DOCKERFILE = """\
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE_IMAGE} AS build
COPY --chown=0:0 \\
     setup.cfg package /src/
COPY ["read me.txt", "/"]
FROM ${BASE_IMAGE}
COPY --from=build /opt/venv /opt/venv
ADD https://example.org/file.tgz /tmp/
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    context = tmp_path / "image"
    (context / "package" / "__pycache__").mkdir(parents=True)
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "setup.cfg").write_text("")
    (context / "read me.txt").write_text("hello")
    (context / "unrelated.txt").write_text("not copied")
    (context / "package" / "module.py").write_text("VALUE = 1\n")
    (context / "package" / "__pycache__" / "module.pyc").write_text("bytecode")
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


IMAGE = Image("localhost/probe", Path("image/Dockerfile"), Path("image"))


def test_copied_files_are_named_and_not_ignored_by_git(checkout: Path) -> None:
    assert copied_files(IMAGE, checkout) == [
        Path("package/module.py"),
        Path("read me.txt"),
        Path("setup.cfg"),
    ]


def test_copied_files_refuses_a_copy_of_nothing(checkout: Path) -> None:
    (checkout / "image" / "setup.cfg").unlink()

    with pytest.raises(TestClusterError, match=r"copies setup\.cfg"):
        copied_files(IMAGE, checkout)


def test_key_stays_when_an_unrelated_file_changes(checkout: Path) -> None:
    before = key(IMAGE, "base", checkout)
    (checkout / "image" / "unrelated.txt").write_text("changed")
    (checkout / "image" / "package" / "__pycache__" / "module.pyc").write_text("changed")

    assert key(IMAGE, "base", checkout) == before


def test_key_changes_with_every_input_of_the_build(checkout: Path) -> None:
    keys = [key(IMAGE, "base", checkout), key(IMAGE, "another base", checkout)]
    with_argument = Image(IMAGE.repository, IMAGE.dockerfile, IMAGE.context, {"VERSION": "2"})
    keys.append(key(with_argument, "base", checkout))
    module = checkout / "image" / "package" / "module.py"
    module.write_text("VALUE = 2\n")
    keys.append(key(IMAGE, "base", checkout))
    module.chmod(0o755)
    keys.append(key(IMAGE, "base", checkout))
    (checkout / "image" / "Dockerfile").write_text(DOCKERFILE + "USER 65532\n")
    keys.append(key(IMAGE, "base", checkout))

    assert len(set(keys)) == len(keys)


def test_the_default_image_needs_no_build_arguments() -> None:
    dockerfile = (CHECKOUT / IMAGES["runner"].dockerfile).read_text()

    default = re.search(r"^ARG OPENMETADATA_INGESTION_VERSION=(.+)$", dockerfile, re.MULTILINE)
    extras = re.search(r"^ARG EXTRAS=(.+)$", dockerfile, re.MULTILINE)

    assert default is not None
    assert extras is not None
    assert openmetadata_versions()[DEFAULT_OPENMETADATA] == default[1]
    for minor, release in openmetadata_versions().items():
        wanted = (CHECKOUT / RUNNER / "locks" / f"{minor}.in").read_text().splitlines()
        assert f"openmetadata-ingestion[{extras[1]}]=={release}" in wanted


def test_each_version_with_a_lock_has_an_image_of_its_own() -> None:
    assert set(openmetadata_versions()) == {"1.12", "1.13", "2.0"}
    for minor, release in openmetadata_versions().items():
        assert release.startswith(f"{minor}.")
        arguments = IMAGES[runner_name(minor)].arguments
        assert arguments.get("OPENMETADATA_INGESTION_VERSION", release) == release
    assert len({key(IMAGES[runner_name(minor)], "") for minor in openmetadata_versions()}) == len(
        openmetadata_versions()
    )


def test_old_images_are_removed_by_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGESTION_OPERATOR_CACHE", str(tmp_path))
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("runner-1.13-aaaaaaaaaaaa.tar", "runner-aaaaaaaaaaaa.tar", "runner-bbbbbbbbbbbb.tar"):
        (folder / name).write_text("")
    for beside in ("runner-aaaaaaaaaaaa.log", "runner-aaaaaaaaaaaa.cdx.json"):
        (folder / beside).write_text("")
    os.utime(folder / "runner-aaaaaaaaaaaa.tar", (1, 1))
    os.utime(folder / "runner-1.13-aaaaaaaaaaaa.tar", (0, 0))

    forget_old("runner", keep=1)

    assert {path.name for path in folder.iterdir()} == {"runner-1.13-aaaaaaaaaaaa.tar", "runner-bbbbbbbbbbbb.tar"}
