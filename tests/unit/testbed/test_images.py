import subprocess
from pathlib import Path

import pytest

from tests.cluster.errors import TestBedError
from tools.images import Image, copied_files, key

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


def test_copied_files_are_those_the_dockerfile_names_and_git_does_not_ignore(checkout: Path) -> None:
    assert copied_files(IMAGE, checkout) == [
        Path("package/module.py"),
        Path("read me.txt"),
        Path("setup.cfg"),
    ]


def test_copied_files_refuses_a_copy_of_nothing(checkout: Path) -> None:
    (checkout / "image" / "setup.cfg").unlink()

    with pytest.raises(TestBedError, match=r"copies setup\.cfg"):
        copied_files(IMAGE, checkout)


def test_key_stays_when_an_unrelated_file_changes(checkout: Path) -> None:
    before = key(IMAGE, "base", checkout)
    (checkout / "image" / "unrelated.txt").write_text("changed")
    (checkout / "image" / "package" / "__pycache__" / "module.pyc").write_text("changed")

    assert key(IMAGE, "base", checkout) == before


def test_key_changes_with_content_mode_dockerfile_arguments_and_base(checkout: Path) -> None:
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
