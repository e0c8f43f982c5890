"""Builds this repository's container images and makes them available to the test cluster.

    python -m testcluster.images operator runner --load
    python -m testcluster.images runner --openmetadata 1.13
    python -m testcluster.images operator runner --sbom bills/

An image is named by its content: the tag is a hash over the Dockerfile, the files it copies, its
build arguments and its base image. What is unchanged is neither built nor loaded again.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from testcluster import image_builders, provider, sbom
from testcluster.archives import BILL_SUFFIX, forget_old
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT, cache, exclusive
from testcluster.progress import show, step

RUNNER: Final = Path("runner-image")
DEFAULT_OPENMETADATA: Final = "2.0"
"""The minor version of OpenMetadata that the image `runner` is for; others are in its name, as in `runner-1.13`."""

# One fixed time for all copied files: with their own, a fresh clone would miss every cached layer.
_FILE_TIME = 946_684_800  # 2000-01-01; zip files, hence wheels, know nothing before 1980


@dataclass(frozen=True)
class Image:
    """An image of this repository. Paths are relative to the checkout, in files to the context."""

    repository: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)


def openmetadata_versions() -> dict[str, str]:
    """The minor versions with a lock, each with the release of openmetadata-ingestion that it installs."""
    found = {}
    for file in sorted((CHECKOUT / RUNNER / "locks").glob("[0-9]*.in")):
        match = re.search(r"^openmetadata-ingestion\[.*\]==(\S+)$", file.read_text(), re.MULTILINE)
        if match is None:
            raise TestClusterError(f"{file} names no release of openmetadata-ingestion")
        found[file.stem] = match[1]
    return found


def runner_name(openmetadata: str) -> str:
    """The name of the runner's image for a minor version of OpenMetadata."""
    return "runner" if openmetadata == DEFAULT_OPENMETADATA else f"runner-{openmetadata}"


def _runners() -> dict[str, Image]:
    return {
        runner_name(minor): Image(
            "localhost/ingestion-runner",
            RUNNER / "Dockerfile",
            RUNNER,
            # The Dockerfile's own default; so that `docker build` without arguments makes the same image.
            {} if minor == DEFAULT_OPENMETADATA else {"OPENMETADATA_INGESTION_VERSION": release},
        )
        for minor, release in openmetadata_versions().items()
    }


IMAGES: Mapping[str, Image] = {
    "operator": Image("localhost/ingestion-operator", Path("operator/Dockerfile"), Path()),
    **_runners(),
    "fake-openmetadata": Image(
        "localhost/fake-openmetadata",
        Path("testing/fake_openmetadata/Dockerfile"),
        Path("testing/fake_openmetadata"),
    ),
    "postgres": Image(
        "localhost/postgres-seeded",
        Path("testing/postgres/Dockerfile"),
        Path("testing/postgres"),
    ),
    "mariadb": Image(
        "localhost/mariadb-seeded",
        Path("testing/mariadb/Dockerfile"),
        Path("testing/mariadb"),
    ),
}


# What an installation and its tests need. Only `make test-types` uses MariaDB.
_DEFAULT_IMAGES: Final = ["operator", "runner", "fake-openmetadata", "postgres"]


def ensure(names: Iterable[str], images: Mapping[str, Image] = IMAGES) -> dict[str, str]:
    """The references of images, built unless an archive of the same content is in the cache.

    Raises TestClusterError for an unknown name, a missing prerequisite or a failed build.
    """
    return {name: reference for name, (reference, _) in archives(names, images).items()}


def load(cluster: Cluster, names: Iterable[str], images: Mapping[str, Image] = IMAGES) -> dict[str, str]:
    """Like ``ensure``, and the cluster's pods can use the images."""
    found = archives(names, images)
    for _, archive in found.values():
        cluster.load(archive)
    return {name: reference for name, (reference, _) in found.items()}


def write_bills(names: Iterable[str], folder: Path) -> list[Path]:
    """Write into a folder what is in each image, as CycloneDX; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for _, archive in archives(names).values():
        target = folder / archive.with_suffix(BILL_SUFFIX).name
        target.write_text(sbom.document(sbom.read(archive)))
        written.append(target)
    return written


def copied_files(image: Image, checkout: Path = CHECKOUT) -> list[Path]:
    """The files that the Dockerfile copies, relative to the context, as git sees them.

    Untracked files count, ignored ones do not. Raises TestClusterError when a COPY finds nothing.
    """
    context = checkout / image.context
    found: set[Path] = set()
    for source in _copy_sources((checkout / image.dockerfile).read_text()):
        files = _listed(context, source)
        if not files:
            raise TestClusterError(f"{image.dockerfile} copies {source}, which {context} does not have")
        found.update(files)
    return sorted(found)


def archives(names: Iterable[str], images: Mapping[str, Image] = IMAGES) -> dict[str, tuple[str, Path]]:
    """Like ``ensure``, each with its docker-archive."""
    builder = image_builders.choose()
    result = {}
    for name in names:
        if name not in images:
            raise TestClusterError(f"there is no image {name!r}; there are: {', '.join(images)}")
        image = images[name]
        if not (CHECKOUT / image.dockerfile).is_file():
            raise TestClusterError(f"{image.dockerfile} does not exist")
        tag = key(image, builder.base)
        archive = cache() / "images" / f"{name}-{tag}.tar"
        reference = f"{image.repository}:{tag}"
        with exclusive(f"image-{name}"):
            if archive.exists():
                os.utime(archive)  # in use: the oldest ones are removed
            else:
                _build(builder, image, reference, archive)
                forget_old(name)
        result[name] = (reference, archive)
    return result


def key(image: Image, base: str, checkout: Path = CHECKOUT) -> str:
    """12 hexadecimal digits that change with anything that makes the image."""
    digest = hashlib.sha256()
    context = checkout / image.context
    for part in (base, json.dumps(dict(image.arguments), sort_keys=True)):
        digest.update(f"{len(part)} {part}\n".encode())
    digest.update((checkout / image.dockerfile).read_bytes())
    for file in copied_files(image, checkout):
        content = (context / file).read_bytes()
        digest.update(f"{file} {_mode(context / file):o} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _build(
    builder: image_builders.Builder,
    image: Image,
    reference: str,
    archive: Path,
) -> None:
    """Builds from a copy of the files that count, so that nothing else can get into the image."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}")
    unfinished.unlink(missing_ok=True)
    builder.prepare()
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        context = Path(folder)
        for file in copied_files(image):
            _copy(CHECKOUT / image.context / file, context / file)
        _copy(CHECKOUT / image.dockerfile, context / "Dockerfile")
        if not reference.endswith(key(image, builder.base)):
            raise TestClusterError(f"files of {reference} were edited while it was built; run it again")
        for path in [context, *context.rglob("*")]:
            os.utime(path, (_FILE_TIME, _FILE_TIME))
        with step(f"building {reference}"):
            builder.build(context, reference, image.arguments, archive.with_suffix(".log"))
    with step(f"saving {reference}"):
        builder.save(reference, unfinished)
    unfinished.replace(archive)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(_mode(source))


def _copy_sources(dockerfile: str) -> list[str]:
    """The sources of COPY and ADD instructions, except those from other stages and from URLs."""
    sources: list[str] = []
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction.upper() not in ("COPY", "ADD") or "--from=" in rest:
            continue
        options = re.match(r"(\s*--\S+)*\s*", rest)
        operands = rest[options.end() :] if options else rest
        words = json.loads(operands) if operands.startswith("[") else shlex.split(operands)
        sources += [word for word in words[:-1] if "://" not in word]
    return sources


def _listed(context: Path, source: str) -> list[Path]:
    """The files below a source of a COPY, relative to the context."""
    pattern = source.strip("/") or "."
    matches = sorted(context.glob(pattern)) if pattern != "." else [context]
    names = [str(path.relative_to(context)) for path in matches]
    if not names:
        return []
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *names],
        cwd=context,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        raise TestClusterError(f"git cannot list {context}: {listing.stderr.strip()}")
    files = [Path(name) for name in listing.stdout.split("\0") if name]
    return [file for file in files if (context / file).is_file()]


def main() -> int:
    """Builds, and loads if asked; prints one reference a line."""
    parser = argparse.ArgumentParser(prog="python -m testcluster.images", description=__doc__)
    choices = [*IMAGES, "all"]
    minors = sorted(openmetadata_versions())
    parser.add_argument("name", nargs="+", choices=choices, metavar="NAME", help=", ".join(choices))
    parser.add_argument(
        "--openmetadata",
        choices=minors,
        default=DEFAULT_OPENMETADATA,
        help=f"the runner's: {', '.join(minors)} (default: %(default)s)",
    )
    parser.add_argument("--load", action="store_true", help="make them available to the cluster")
    parser.add_argument(
        "--sbom",
        nargs="?",
        type=Path,
        const=cache() / "images",
        metavar="FOLDER",
        help="write an SBOM of each (CycloneDX) into the folder (default: beside the archives)",
    )
    arguments = parser.parse_args()
    given = _DEFAULT_IMAGES if "all" in arguments.name else arguments.name
    names = [runner_name(arguments.openmetadata) if name == "runner" else name for name in given]
    try:
        found = load(provider.current(), names) if arguments.load else ensure(names)
        for file in write_bills(names, arguments.sbom) if arguments.sbom else []:
            show(f"wrote {file}")
    except TestClusterError as problem:
        show(f"error: {problem}")
        return 1
    print("\n".join(found.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
