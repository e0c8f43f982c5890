"""The SBOM of an image that was built here."""

import json
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from testcluster import images, sbom
from testcluster.locations import CHECKOUT

LOCK = CHECKOUT / "locks" / "operator.txt"


@pytest.fixture(scope="module")
def text(built: dict[str, str]) -> str:
    """The operator's."""
    ((reference, archive),) = images.archives(["operator"]).values()
    assert reference == built["operator"]
    return sbom.document(sbom.read(archive))


def test_it_is_valid(text: str) -> None:
    assert JsonStrictValidator(sbom.SCHEMA_VERSION).validate_str(text) is None


def test_python_has_the_locked_packages_and_no_others(text: str) -> None:
    listed: dict[str, dict[str, Any]] = {part["purl"]: part for part in json.loads(text)["components"]}
    locked = {str(purl): hashes for purl, hashes in sbom.locked(LOCK.read_text()).items()}
    assert len(locked) > 20
    assert sorted(purl for purl in listed if purl.startswith("pkg:pypi/")) == sorted(locked)
    for purl, hashes in locked.items():
        (files,) = listed[purl]["externalReferences"]
        assert {one["content"] for one in files["hashes"]} == set(hashes)
    assert [purl for purl in listed if purl.startswith("pkg:deb/debian/libc6@")]
