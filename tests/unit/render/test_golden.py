"""CronJobs as whole files, for a reader to judge.

After an intended change: `REWRITE_GOLDEN=1 pytest tests/unit/render`, then read the difference before committing it.
"""

import os
from pathlib import Path

import pytest
import yaml

from testing.golden import GOLDEN, rendered

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_rendered_cronjob_is_the_one_in_the_golden_file(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    text = yaml.safe_dump(rendered(name), sort_keys=False, width=110, allow_unicode=True)
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(text)
    assert path.exists(), f"no {path.name} yet: run REWRITE_GOLDEN=1 pytest tests/unit/render"
    assert path.read_text() == text, f"{path.name} differs: if intended, REWRITE_GOLDEN=1 pytest tests/unit/render"


def test_every_golden_file_belongs_to_a_pipeline() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(GOLDEN)
