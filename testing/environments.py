"""Virtual environments for programs that cannot share ours, kept in the cache by the hashes of their locks."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testcluster.commands import run
from testcluster.locations import cache, exclusive
from testcluster.progress import step

_INSTALL_SECONDS = 1200


@dataclass(frozen=True)
class Lock:
    """A requirements file with hashes, and the options that pip needs for it."""

    path: Path
    options: tuple[str, ...] = ()


def python_of(name: str, locks: Sequence[Lock]) -> Path:
    """Return the interpreter of an environment with all the locks installed, made on first use.

    Raises CommandError with pip's words when an installation fails.
    """
    content = b"".join(lock.path.read_bytes() + repr(lock.options).encode() for lock in locks)
    key = hashlib.sha256(content + sys.version.encode()).hexdigest()[:16]
    home = cache() / "venvs" / f"{name}-{key}"
    python, complete = home / "bin" / "python", home / "complete"
    with exclusive(f"venv-{name}"):
        if not complete.exists():
            shutil.rmtree(home, ignore_errors=True)
            with step(f"making the environment of {name}"):
                run([sys.executable, "-m", "venv", str(home)], timeout=_INSTALL_SECONDS)
                for lock in locks:
                    words = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", *lock.options]
                    run([python, "-m", "pip", *words, "-r", str(lock.path)], timeout=_INSTALL_SECONDS)
                # Packages have templates that are not Python: what does not compile is never imported.
                subprocess.run([python, "-m", "compileall", "-q", str(home / "lib")], check=False, capture_output=True)
            complete.touch()
    return python
