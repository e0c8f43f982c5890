"""A real folder as the archive."""

from pathlib import Path

import pytest

from ingestion_operator.adapters.object_store import ObjectStore
from testing.archive_harness import ArchiveHarness


@pytest.fixture
def harness(tmp_path: Path) -> ArchiveHarness:
    """What surrounds an archiver, with a folder of this test alone."""
    return ArchiveHarness(ObjectStore(f"file://{tmp_path}/archive", create=True))
