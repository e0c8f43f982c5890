"""Runs programs: one place that knows the search path, the environment and the texts of failures."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from testcluster.errors import CommandError, TestClusterError

# A login without root's profile has no sbin folders on its PATH; Go is often installed off it.
_EXTRA_FOLDERS = ("/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")


def search_path() -> str:
    """The caller's PATH plus the folders where system tools and Go live."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join([*folders, *(f for f in _EXTRA_FOLDERS if f not in folders)])


def find(program: str) -> str | None:
    """The full path of a program, None when the machine has none."""
    return shutil.which(program, path=search_path())


def require(program: str) -> str:
    """The full path of a program. Raises TestClusterError when there is none."""
    path = find(program)
    if path is None:
        raise TestClusterError(f"{program} is not installed; run: python -m testcluster setup")
    return path


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment with the full search path."""
    return {**os.environ, "PATH": search_path(), **(extra or {})}


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float | None = 60,
) -> str:
    """Standard output of a command. Raises CommandError when it fails or takes too long."""
    words = [os.fspath(word) for word in command]
    program = find(words[0]) or words[0]
    try:
        done = subprocess.run(
            [program, *words[1:]],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env=environment(env),
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        said: bytes = slow.stderr or b""  # bytes also where text was asked for
        raise CommandError(words, None, said.decode(errors="replace")) from None
    except FileNotFoundError:
        raise TestClusterError(f"{words[0]} is not installed") from None
    if done.returncode != 0:
        raise CommandError(words, done.returncode, done.stderr or done.stdout)
    return done.stdout


def succeeds(command: Sequence[str], *, timeout: float = 20) -> bool:
    """Whether a command exists, ends in time and with 0."""
    try:
        run(command, timeout=timeout)
    except TestClusterError:
        return False
    return True
