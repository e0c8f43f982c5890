"""What the runner takes for granted of the real openmetadata-ingestion, in an environment that has it."""

import subprocess
from pathlib import Path

import pytest

from testcluster.locations import CHECKOUT


@pytest.mark.timeout(1500)
def test_the_runner_fits_the_real_library(library_python: Path) -> None:
    # The library's own warnings are not ours to fix.
    command = [str(library_python), "-m", "pytest", "-q", "-W", "default", "runner-image/tests/integration"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
