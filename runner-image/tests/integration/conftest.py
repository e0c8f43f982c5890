"""These tests hold the runner against the real library, in an environment that has it and the test tools."""

import importlib.util

import pytest

if importlib.util.find_spec("metadata") is None:
    raise pytest.UsageError(
        "runner-image/tests/integration needs openmetadata-ingestion in this environment: "
        "pip install --require-hashes -r runner-image/locks/build.txt && "
        "pip install --require-hashes --no-build-isolation -r runner-image/locks/2.0.txt && "
        "pip install pytest pytest-timeout hypothesis"
    )
