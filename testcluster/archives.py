"""docker-archives: image files that docker, buildah, kind and containerd all read."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from testcluster.errors import TestClusterError
from testcluster.locations import cache

BILL_SUFFIX = ".cdx.json"
"""Of what is in an image, beside its archive."""

_CREATED = "2000-01-01T00:00:00Z"  # always the same: equal content, equal image
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def references(archive: Path) -> dict[str, str]:
    """The tags in a docker-archive, each with the digest of its image's configuration.

    Raises TestClusterError when the file is not a docker-archive.
    """
    try:
        with tarfile.open(archive) as content:
            manifest = content.extractfile("manifest.json")
            images = json.loads(manifest.read()) if manifest else []
    except (OSError, KeyError, tarfile.TarError, ValueError) as problem:
        raise TestClusterError(f"{archive} is not a docker-archive: {problem}") from problem
    return {tag: image["Config"] for image in images for tag in image["RepoTags"] or ()}


def write_image(archive: Path, reference: str, layer: IO[bytes], process: Mapping[str, object]) -> None:
    """Writes an image of one layer without a builder.

    ``layer`` is an uncompressed tar, ``process`` the ``config`` part of the image's configuration
    (Entrypoint, User, Env, ...). The file appears under its name only when it is complete.
    """
    digest = _digest(layer)
    configuration = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": dict(process),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            # Builders count layers here, and compare the time when they search cached ones.
            "history": [{"created": _CREATED, "created_by": "ingestion-operator test cluster"}],
            "created": _CREATED,
        }
    ).encode()
    image = {
        "Config": f"{hashlib.sha256(configuration).hexdigest()}.json",
        "RepoTags": [reference],
        "Layers": [f"{digest}.tar"],
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with tarfile.open(unfinished, mode="w") as content:
            _add(content, f"{image['Config']}", io.BytesIO(configuration))
            _add(content, f"{digest}.tar", layer)
            _add(content, "manifest.json", io.BytesIO(json.dumps([image]).encode()))
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)


def forget_old(name: str, keep: int = 3) -> None:
    """Removes all but the newest archives of an image from the cache, and what lies beside them."""
    # A tag is 12 hexadecimal digits: the images of `runner-1.13` are not those of `runner`.
    found = (cache() / "images").glob(f"{name}-{'[0-9a-f]' * 12}.tar")
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in newest[keep:]:
        archive.unlink(missing_ok=True)
        for suffix in (".log", BILL_SUFFIX):
            archive.with_suffix(suffix).unlink(missing_ok=True)


def layer_of(files: Mapping[str, Path]) -> io.BytesIO:
    """A layer with executable files of this machine, under the given paths in the image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as content:
        for name, source in files.items():
            _add(content, name, io.BytesIO(source.read_bytes()), mode=0o755)
    return buffer


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    content.seek(0)
    while block := content.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _add(target: tarfile.TarFile, name: str, content: IO[bytes], mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, io.SEEK_END)
    entry.mode = mode
    content.seek(0)
    target.addfile(entry, content)
