"""The base image where no registry can be had: Debian with Python, from the machine's mirror."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from testcluster import archives, commands, mirrors
from testcluster.archives import write_image
from testcluster.locations import cache, exclusive
from testcluster.progress import step

_RECIPE = 1  # count up when the code below makes another image out of the same values
_SUITE = "bookworm"  # its Python is 3.11
_PACKAGES = ("ca-certificates", "python3", "python3-venv", "tzdata")
_PROCESS = {
    "Cmd": ["python3"],
    "Env": [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
    ],
}
_UNNEEDED = ("usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/log")


def reference() -> str:
    """The image's reference, whose tag depends on everything that makes it."""
    recipe = json.dumps([_RECIPE, _SUITE, _PACKAGES, _UNNEEDED, _PROCESS])
    return f"localhost/python:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def archive() -> Path:
    """A docker-archive of the base image, made on the first call (two minutes).

    Raises TestClusterError when no mirror is configured or debootstrap fails.
    """
    path = cache() / "images" / f"python-{reference().rpartition(':')[2]}.tar"
    with exclusive("base-image"):
        if not path.exists():
            _make(path)
            archives.forget_old("python", keep=2)
    return path


def _make(path: Path) -> None:
    mirror = mirrors.find(_SUITE)
    path.parent.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=".base-", dir=path.parent))
    try:
        include = f"--include={','.join(_PACKAGES)}"
        bootstrap = ["debootstrap", "--variant=minbase", include, _SUITE, str(root), mirror]
        with step("making the base image with debootstrap"):
            commands.run(bootstrap, timeout=1800)
        _shrink(root)
        with tempfile.TemporaryFile(dir=path.parent) as layer:
            subprocess.run(
                ["tar", "--create", "--numeric-owner", "--sort=name", "--directory", root, "."],
                stdout=layer,
                check=True,
            )
            write_image(path, reference(), layer, _PROCESS)
    finally:
        _remove(root)


def _shrink(root: Path) -> None:
    for folder in _UNNEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    for content in (root / "var/lib/apt/lists").iterdir():
        shutil.rmtree(content) if content.is_dir() else content.unlink()
    for document in (root / "usr/share/doc").rglob("*"):
        if document.is_file() and document.name != "copyright":
            document.unlink()


def _remove(root: Path) -> None:
    # An interrupted debootstrap leaves these; deleting through them would reach the kernel's files.
    for mount in ("proc", "sys", "dev"):
        if (root / mount).is_mount():
            commands.run(["umount", "--lazy", str(root / mount)])
    shutil.rmtree(root, ignore_errors=True)
