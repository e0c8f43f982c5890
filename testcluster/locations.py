"""Where things are: the checkout, its cluster's folder, and the cache shared by all checkouts."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcluster.errors import TestClusterError
from testcluster.progress import step

CHECKOUT = Path(__file__).resolve().parents[1]

# A unix socket's path has at most 107 characters. The kubelet puts its longest one at
# <root>/pod-resources/kubelet.sock, and its root is <checkout>/.cluster/kubelet.
_LONGEST_CHECKOUT = 107 - len("/.cluster/kubelet/pod-resources/kubelet.sock")


def cache() -> Path:
    """The cache outside the checkout: $INGESTION_OPERATOR_CACHE, else below the user's cache."""
    chosen = os.environ.get("INGESTION_OPERATOR_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ingestion-operator"


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Only one process on this machine at a time runs what is inside."""
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"waiting for another process to finish with {name}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Layout:
    """Every name and path of one checkout's cluster, all derived from the checkout's path."""

    checkout: Path

    @property
    def identifier(self) -> str:
        """Names this cluster on the machine (network namespace, cgroup, links), 11 characters."""
        return "io-" + hashlib.sha256(str(self.checkout).encode()).hexdigest()[:8]

    @property
    def root(self) -> Path:
        """Everything the cluster keeps; removed by ``down``."""
        return self.checkout / ".cluster"

    @property
    def sockets(self) -> Path:
        """Short paths for unix sockets, and containerd's volatile state; removed by ``down``."""
        return Path("/run") / self.identifier

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        return self.root / "pids"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    @property
    def kubeconfigs(self) -> Path:
        return self.root / "kubeconfigs"

    @property
    def containerd(self) -> Path:
        return self.root / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.sockets / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.root / "kubelet"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    def check(self) -> None:
        """Raises TestClusterError when the checkout's path is too long for the kubelet's sockets."""
        if len(str(self.checkout)) > _LONGEST_CHECKOUT:
            raise TestClusterError(
                f"the path {self.checkout} is longer than {_LONGEST_CHECKOUT} characters: "
                "the kubelet's unix sockets do not fit; clone the repository to a shorter path"
            )


def layout() -> Layout:
    """The layout of the checkout that this file belongs to."""
    return Layout(CHECKOUT)
