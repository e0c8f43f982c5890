"""The soak in short: some seconds of random use with faults; `make soak` goes on for hours."""

from pathlib import Path

from testcluster.handle import Cluster
from tests.scenarios.soak import report
from tests.scenarios.soak.execution import SHORT, soak

SEED = 351
"""Its faults: writes of the operator are cut off; its watches are cut for too long; it is killed."""


def test_random_use_with_faults_loses_doubles_and_leaks_nothing(cluster: Cluster, tmp_path: Path) -> None:
    result = soak(cluster, tmp_path, seed=SEED, seconds=12, scale=SHORT)
    assert report.violations(result) == [], f"seed {SEED}; steps and logs are in {tmp_path}"
    assert result.containers
    assert sum(result.faults.values()) >= 2
