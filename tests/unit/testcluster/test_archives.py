import io
import json
import tarfile
from pathlib import Path

import pytest

from testcluster.archives import layer_of, references, write_image
from testcluster.errors import TestClusterError


def _write(archive: Path, source: Path) -> None:
    write_image(archive, "localhost/tool:1", layer_of({"bin/tool": source}), {"Entrypoint": ["/bin/tool"]})


def test_write_image_makes_an_archive_with_correct_digests(tmp_path: Path) -> None:
    source = tmp_path / "tool"
    source.write_bytes(b"#!/bin/true\n")
    archive = tmp_path / "tool.tar"
    _write(archive, source)

    assert list(references(archive)) == ["localhost/tool:1"]
    with tarfile.open(archive) as content:
        (image,) = json.loads(_read(content, "manifest.json"))
        configuration = json.loads(_read(content, image["Config"]))
        with tarfile.open(fileobj=io.BytesIO(_read(content, image["Layers"][0]))) as layer:
            entry = layer.getmember("bin/tool")
            assert entry.mode == 0o755
            assert _read(layer, "bin/tool") == b"#!/bin/true\n"
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{image['Layers'][0].removesuffix('.tar')}"]
    assert len(configuration["history"]) == len(configuration["rootfs"]["diff_ids"])


def test_write_image_is_reproducible(tmp_path: Path) -> None:
    source = tmp_path / "tool"
    source.write_bytes(b"content")
    for name in ("first.tar", "second.tar"):
        _write(tmp_path / name, source)

    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_references_refuses_a_file_that_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("hello")

    with pytest.raises(TestClusterError, match="is not a docker-archive"):
        references(path)


def _read(content: tarfile.TarFile, name: str) -> bytes:
    member = content.extractfile(name)
    assert member is not None
    return member.read()
