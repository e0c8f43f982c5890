"""Which worker of pytest-xdist runs which test."""

from collections.abc import Sequence
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling


class ClusterOnOneWorker(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Gives tests to workers module by module, and all of the cluster as if they were one module."""

    def __init__(self, config: pytest.Config, log: object, on_the_cluster: Sequence[PurePath]) -> None:
        """`on_the_cluster` are folders, relative to the checkout."""
        super().__init__(config, log)
        self._on_the_cluster = on_the_cluster

    def _split_scope(self, nodeid: str) -> str:
        module = PurePath(nodeid.partition("::")[0])
        return "cluster" if any(module.is_relative_to(folder) for folder in self._on_the_cluster) else str(module)
