"""The checkout whose operator and gateway are measured: this one, or the one that OPERATOR names.

The benchmark itself, and the objects that it writes, are always this checkout's, so that two commits are measured in
the same way. Definition, Roles and programs are the subject's own.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from testcluster.commands import run
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing.install import install_crd

VARIABLE: Final = "OPERATOR"
OPERATOR_MODULE: Final = "ingestion_operator"
GATEWAY_MODULE: Final = "ingestion_operator.gateway"
_CRD_FILE: Final = Path("crds", "ingestion.openmetadata.org_ingestionpipelines.yaml")


@dataclass(frozen=True)
class Subject:
    """What is measured."""

    checkout: Path = CHECKOUT

    @classmethod
    def named(cls) -> Self:
        """Return the checkout named by OPERATOR, else this one. Raises TestClusterError where it is not a checkout."""
        name = os.environ.get(VARIABLE)
        if not name:
            return cls()
        checkout = Path(name).expanduser().resolve()
        if not (checkout / "operator" / OPERATOR_MODULE).is_dir() or not (checkout / _CRD_FILE).is_file():
            raise TestClusterError(
                f"{VARIABLE}={name} is not a checkout of this project: name one, or unset {VARIABLE}"
            )
        return cls(checkout)

    @property
    def is_other(self) -> bool:
        """Return whether another checkout than this one is measured."""
        return self.checkout != CHECKOUT

    @property
    def commit(self) -> str:
        """Return the short hash of the commit that is checked out."""
        return run(["git", "-C", self.checkout, "rev-parse", "--short", "HEAD"]).strip()

    def program(self, module: str, *arguments: str) -> tuple[str, ...]:
        """Return what Python runs for one of the programs, with arguments before those that every start has."""
        if not self.is_other:
            return ("-m", module, *arguments)
        path = str(self.checkout / "operator")
        code = f"import runpy, sys; sys.path.insert(0, {path!r}); runpy.run_module({module!r}, run_name='__main__')"
        return ("-c", code, *arguments)

    def manifest(self, name: str) -> str:
        """Return the path of one of the subject's manifests."""
        return str(self.checkout / "manifests" / name)

    def install(self, cluster: Cluster) -> None:
        """Install the subject's CRD and wait until it is served."""
        if not self.is_other:
            install_crd(cluster)
            return
        path = str(self.checkout / _CRD_FILE)
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", path)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", path)
