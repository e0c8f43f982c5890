"""What is in an image, as a CycloneDX document: its Python and Debian packages, from its layers.

    python -m testcluster.images operator runner --sbom bills/

Everything comes from the archive, so the same archive gives the same document, byte for byte.
"""

import email
import json
import re
import tarfile
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from pathlib import Path, PurePosixPath

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from testcluster.errors import TestClusterError

SCHEMA_VERSION = SchemaVersion.V1_6
"""Of the document; newer ones are still unknown to many readers."""

_METADATA = re.compile(r"\.dist-info/METADATA$")
_LOCK = re.compile(r"^opt/locks/.*\.txt$")
_DEBIAN = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"

Files = dict[str, str]
"""Texts by their path in the image, without the first slash."""


@dataclass(frozen=True)
class Contents:
    """The data of an image: its reference, the digest of its configuration, its age."""

    reference: str
    digest: str
    created: datetime
    files: Files


def read(archive: Path) -> Contents:
    """Read the only image of a docker-archive. Raises TestClusterError if it is none."""
    with tarfile.open(archive) as outer:
        (image,) = json.loads(_content(outer, "manifest.json"))
        configuration = json.loads(_content(outer, image["Config"]))
        files: Files = {}
        for name in image["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                _lay(files, layer)
    return Contents(
        reference=image["RepoTags"][0],
        digest=PurePosixPath(image["Config"]).name.removesuffix(".json"),
        created=datetime.fromisoformat(re.sub(r"\.\d+", "", configuration["created"])),
        files=files,
    )


def document(contents: Contents) -> str:
    """The CycloneDX document, as JSON."""
    name, _, tag = contents.reference.rpartition(":")
    image = Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=tag,
        bom_ref=contents.reference,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=contents.digest)],
    )
    found = {str(part.purl): part for part in (*_python_packages(contents.files), *_debian_packages(contents.files))}
    bom = Bom(
        components=found.values(),
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, contents.digest),
        metadata=BomMetaData(component=image, timestamp=contents.created),
    )
    bom.register_dependency(image, found.values())
    return make_outputter(bom, OutputFormat.JSON, SCHEMA_VERSION).output_as_string(indent=2) + "\n"


def locked(text: str) -> dict[PackageURL, list[str]]:
    """The packages that a lock file names, each with the SHA-256 of every file that pip may take for it."""
    found: dict[PackageURL, list[str]] = {}
    for requirement in text.replace("\\\n", "").splitlines():
        if match := re.match(r"([\w.-]+)==([\w.+!-]+)", requirement):
            found[_pypi(match[1], match[2])] = re.findall(r"--hash=sha256:(\w+)", requirement)
    return found


def _lay(files: Files, layer: tarfile.TarFile) -> None:
    """Put a layer on top of those below: first what it removes, then what it brings."""
    brought: Files = {}
    for member in layer:
        path = PurePosixPath(member.name.removeprefix("/"))
        if path.name == _OPAQUE:
            _remove(files, f"{path.parent}/")
        elif path.name.startswith(_WHITEOUT):
            gone = str(path.with_name(path.name.removeprefix(_WHITEOUT)))
            files.pop(gone, None)
            _remove(files, f"{gone}/")
        elif _has_package_data(str(path)) and (content := layer.extractfile(member)):
            brought[str(path)] = content.read().decode(errors="replace")
    files.update(brought)


def _remove(files: Files, folder: str) -> None:
    for path in [path for path in files if path.startswith(folder)]:
        del files[path]


def _has_package_data(path: str) -> bool:
    return path in (_DEBIAN, _RELEASE) or bool(_METADATA.search(path) or _LOCK.search(path))


def _python_packages(files: Files) -> Iterator[Component]:
    hashes: dict[PackageURL, list[str]] = {}
    for path, text in files.items():
        if _LOCK.search(path):
            hashes |= locked(text)
    for path, text in files.items():
        if _METADATA.search(path):
            metadata = email.message_from_string(text)
            purl = _pypi(metadata["Name"], metadata["Version"])
            yield Component(
                type=ComponentType.LIBRARY,
                name=metadata["Name"],
                version=metadata["Version"],
                purl=purl,
                bom_ref=str(purl),
                licenses=_licenses(metadata),
                external_references=_files_of(purl, hashes.get(purl, [])),
            )


def _debian_packages(files: Files) -> Iterator[Component]:
    release = dict(line.split("=", 1) for line in files.get(_RELEASE, "").splitlines() if "=" in line)
    distribution, codename = release.get("ID", "debian"), release.get("VERSION_CODENAME")
    for stanza in files.get(_DEBIAN, "").split("\n\n"):
        package = email.message_from_string(stanza)
        if package["Status"] == "install ok installed":
            qualifiers = {"arch": package["Architecture"], **({"distro": codename} if codename else {})}
            purl = PackageURL("deb", distribution, package["Package"], package["Version"], qualifiers)
            yield Component(
                type=ComponentType.LIBRARY,
                name=package["Package"],
                version=package["Version"],
                purl=purl,
                bom_ref=str(purl),
            )


def _licenses(metadata: "Message[str, str]") -> Iterable[License]:
    """The package's own licence field: an expression, else classifiers, else a name; a whole text is not a name."""
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License :: ")]
    named = metadata["License-Expression"] or metadata["License"] or ""
    said = [value.rpartition(" :: ")[2] for value in classifiers]
    if metadata["License-Expression"] or not said:
        said = [] if "\n" in named or not named else [named]
    make = LicenseFactory().make_from_string
    return [make(value, license_acknowledgement=LicenseAcknowledgement.DECLARED) for value in said]


def _files_of(purl: PackageURL, hashes: list[str]) -> list[ExternalReference]:
    """Where the lock's hashes belong: they are of the files on an index, one of which was installed."""
    if not hashes:
        return []
    found = [HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes]
    return [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=found)]


def _pypi(name: str, version: str) -> PackageURL:
    return PackageURL("pypi", name=re.sub(r"[-_.]+", "-", name).lower(), version=version)


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    if found is None:
        raise TestClusterError(f"{archive.name!s} is not a docker-archive: {name} is not a file")
    return found.read()
