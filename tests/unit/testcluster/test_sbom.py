"""SBOMs of images of a few files."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from testcluster import sbom
from testcluster.sbom import SCHEMA_VERSION

Layer = Mapping[str, str]
PACKAGES = "opt/venv/lib/python3.11/site-packages"
FASTAPI = f"{PACKAGES}/fastapi-0.165.0.dist-info/METADATA"
LAYERS: list[Layer] = [
    {
        "usr/lib/os-release": "ID=debian\nVERSION_CODENAME=bookworm\n",
        "var/lib/dpkg/status": (
            "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u13\n\n"
            "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
        ),
    },
    {
        "opt/locks/operator.txt": "fastapi==0.165.0 \\\n    --hash=sha256:"
        + "a" * 64
        + " \\\n    --hash=sha256:"
        + "b" * 64,
        FASTAPI: "Name: fastapi\nVersion: 0.165.0\nLicense-Expression: MIT\nLicense: a text\n\nAbout it.",
        f"{PACKAGES}/PyYAML-6.0.dist-info/METADATA": (
            "Name: PyYAML\nVersion: 6.0\nClassifier: License :: OSI Approved :: MIT License\nLicense: MIT\n\n"
        ),
        f"{PACKAGES}/old_one-1.dist-info/METADATA": "Name: old_one\nVersion: 1\nLicense: All\n the\n text\n\n",
        f"{PACKAGES}/fastapi/METADATA": "Name: not a package\nVersion: 1\n\n",
    },
]


def archive(path: Path, layers: list[Layer], created: str = "2026-11-29T17:00:00.123456789Z") -> Path:
    """A docker-archive of these layers."""
    config = json.dumps({"created": created}).encode()
    manifest = {"Config": f"{'c' * 64}.json", "RepoTags": ["localhost/probe:0123"]}
    with tarfile.open(path, "w") as outer:
        manifest["Layers"] = [f"{number}.tar" for number in range(len(layers))]
        _add(outer, "manifest.json", json.dumps([manifest]).encode())
        _add(outer, f"{'c' * 64}.json", config)
        for number, files in enumerate(layers):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as layer:
                for name, text in files.items():
                    _add(layer, name, text.encode())
            _add(outer, f"{number}.tar", buffer.getvalue())
    return path


def _add(target: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    target.addfile(entry, io.BytesIO(content))


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    return archive(tmp_path / "probe.tar", LAYERS)


def bill(path: Path) -> dict[str, Any]:
    text = sbom.document(sbom.read(path))
    assert JsonStrictValidator(SCHEMA_VERSION).validate_str(text) is None
    return dict(json.loads(text))


def parts(path: Path) -> dict[str, dict[str, Any]]:
    return {part["purl"]: part for part in bill(path).get("components", [])}


def test_the_packages_of_python_and_of_debian_are_listed(probe: Path) -> None:
    assert sorted(parts(probe)) == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=bookworm",
        "pkg:pypi/fastapi@0.165.0",
        "pkg:pypi/old-one@1",
        "pkg:pypi/pyyaml@6.0",
    ]


def test_a_license_is_never_a_whole_text(probe: Path) -> None:
    licenses = {purl: [one["license"] for one in part.get("licenses", [])] for purl, part in parts(probe).items()}
    assert licenses["pkg:pypi/fastapi@0.165.0"] == [{"id": "MIT", "acknowledgement": "declared"}]
    assert licenses["pkg:pypi/pyyaml@6.0"] == [{"name": "MIT License", "acknowledgement": "declared"}]
    assert licenses["pkg:pypi/old-one@1"] == []


def test_the_hashes_are_those_of_the_lock(probe: Path) -> None:
    (reference,) = parts(probe)["pkg:pypi/fastapi@0.165.0"]["externalReferences"]
    assert reference["type"] == "distribution"
    assert [one["content"] for one in reference["hashes"]] == ["a" * 64, "b" * 64]
    assert "externalReferences" not in parts(probe)["pkg:pypi/pyyaml@6.0"]


@pytest.mark.parametrize("marker", [f"{PACKAGES}/.wh.fastapi-0.165.0.dist-info", f"{PACKAGES}/.wh..wh..opq"])
def test_what_a_later_layer_removes_is_not_in_the_image(tmp_path: Path, marker: str) -> None:
    later: Layer = {f"{PACKAGES}/later-2.dist-info/METADATA": "Name: later\nVersion: 2\n\n", marker: ""}
    found = parts(archive(tmp_path / "probe.tar", [*LAYERS, later]))
    assert "pkg:pypi/fastapi@0.165.0" not in found
    assert "pkg:pypi/later@2" in found


def test_the_same_archive_gives_the_same_document(probe: Path) -> None:
    first, second = (sbom.document(sbom.read(probe)) for _ in range(2))
    assert first == second
    found = json.loads(first)
    assert found["metadata"]["timestamp"] == "2026-11-29T17:00:00+00:00"
    assert found["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]


def test_an_image_without_packages_has_an_empty_bill(tmp_path: Path) -> None:
    assert parts(archive(tmp_path / "probe.tar", [{"pause": "a program"}])) == {}
