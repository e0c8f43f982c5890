"""A real folder as the archive."""

from pathlib import Path

import pytest

from ingestion_operator.adapters.object_store import ObjectStore
from testing.archive_bed import Bed


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """What surrounds an archiver, with a folder of this test alone."""
    return Bed(ObjectStore(f"file://{tmp_path}/archive", create=True))
