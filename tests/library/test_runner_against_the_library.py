"""The runner against the real openmetadata-ingestion, in an environment that has it."""

import subprocess

import pytest

from tests.cluster.locations import CHECKOUT
from tests.support.environments import Lock, python_of

RUNNER = CHECKOUT / "runner-image"
LOCKS = [
    Lock(RUNNER / "locks" / "build.txt"),
    # The two source distributions are built by the locked setuptools.
    Lock(RUNNER / "locks" / "2.0.txt", ("--no-build-isolation", "--use-pep517")),
    Lock(RUNNER / "tests" / "requirements.txt"),
]


@pytest.mark.timeout(1500)
def test_what_the_runner_renders_and_reports_fits_the_real_library() -> None:
    python = python_of("runner-2.0", LOCKS)
    # The library's own warnings are not ours to mend.
    command = [str(python), "-m", "pytest", "-q", "-W", "default", "runner-image/tests/real"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
