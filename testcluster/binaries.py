"""Builds Kubernetes, containerd, CoreDNS, kube-router, an S3 server and Helm from their Go modules into the cache.

Each go.mod below ``go/`` pins one family of programs; they disagree on dependencies, hence a file
for each. The result is keyed by go.mod, go.sum, own sources and the flags, so a fresh checkout on the same
machine finds everything built.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from testcluster import commands, prerequisites
from testcluster.errors import TestClusterError
from testcluster.locations import CHECKOUT, cache, exclusive
from testcluster.progress import show, step

KUBERNETES_VERSION = "v1.37.2"

_GO = CHECKOUT / "testcluster" / "go"
_STRIP = "-s -w"
_VERSION = "k8s.io/component-base/version"


def _version_flags(version: str) -> str:
    # Without these the servers call themselves v0.0.0 and clients refuse them.
    major, minor, _ = version.removeprefix("v").split(".")
    values = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    return " ".join(f"-X {_VERSION}.{name}={value}" for name, value in values.items())


@dataclass(frozen=True)
class Build:
    """One call of ``go build``: packages, and the file it writes (default: named by package)."""

    packages: tuple[str, ...]
    ldflags: str = _STRIP
    tags: str = ""
    cgo: bool = False
    output: str = ""

    @property
    def programs(self) -> list[str]:
        return [self.output] if self.output else [p.rsplit("/", 1)[-1] for p in self.packages]

    def command(self, folder: Path) -> list[str]:
        tags = ["-tags", self.tags] if self.tags else []
        target = f"{folder}/{self.output}"
        ldflags = ["-ldflags", self.ldflags]
        return ["go", "build", "-trimpath", *ldflags, *tags, "-o", target, *self.packages]


@dataclass(frozen=True)
class Module:
    """A go.mod and what is built from it."""

    name: str
    builds: tuple[Build, ...]
    folder: Path = field(default=_GO)

    @property
    def source(self) -> Path:
        return self.folder / self.name

    @property
    def key(self) -> str:
        digest = hashlib.sha256()
        for part in (self.source / "go.mod", self.source / "go.sum", *sorted(self.source.glob("*.go"))):
            digest.update(part.read_bytes())
        digest.update(json.dumps([build.command(Path()) for build in self.builds]).encode())
        return digest.hexdigest()[:16]


_KUBERNETES_FLAGS = f"{_STRIP} {_version_flags(KUBERNETES_VERSION)}"
_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
_PLUGINS = "github.com/containernetworking/plugins/plugins"

CONTAINERD = Module(
    "containerd",
    (
        Build(
            (
                f"{_CONTAINERD}/containerd",
                f"{_CONTAINERD}/containerd-shim-runc-v2",
                f"{_CONTAINERD}/ctr",
                f"{_PLUGINS}/main/bridge",
                f"{_PLUGINS}/main/loopback",
                f"{_PLUGINS}/ipam/host-local",
                f"{_PLUGINS}/meta/portmap",
            ),
            tags="no_btrfs no_devmapper no_zfs",
        ),
        Build(("github.com/opencontainers/runc",), tags="seccomp", cgo=True),
    ),
)
KUBERNETES = Module(
    "kubernetes",
    (
        Build(
            tuple(
                f"k8s.io/kubernetes/cmd/{program}"
                for program in (
                    "kube-apiserver",
                    "kube-controller-manager",
                    "kube-scheduler",
                    "kubelet",
                    "kube-proxy",
                    "kubectl",
                    "kubeadm",
                )
            ),
            ldflags=_KUBERNETES_FLAGS,
        ),
        Build(("go.etcd.io/etcd/server/v3",), ldflags=_KUBERNETES_FLAGS, output="etcd"),
    ),
)
COREDNS = Module("coredns", (Build(("github.com/coredns/coredns",)),))
MODULES = (CONTAINERD, KUBERNETES, COREDNS)
"""What a cluster consists of."""

S3_SERVER = Module("versitygw", (Build(("github.com/versity/versitygw/cmd/versitygw",)),))
KUBE_ROUTER = Module("kube-router", (Build(("github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",)),))
_HELM = "helm.sh/helm/v3"
HELM_VERSION = "v3.22.0"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
_HELM_FLAGS = " ".join(
    [
        _STRIP,
        f"-X {_HELM}/internal/version.version={HELM_VERSION}",
        # Without these `helm template` takes the cluster for a Kubernetes 1.20, `helm lint` too.
        *(
            f"-X {_HELM}/pkg/{package}.k8sVersion{part}={number}"
            for package in ("chartutil", "lint/rules")
            for part, number in (("Major", _MAJOR), ("Minor", _MINOR))
        ),
    ]
)
HELM = Module(
    "helm",
    (
        Build(
            (
                "helm.sh/helm/v3/cmd/helm",
                "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
                "github.com/yannh/kubeconform/cmd/kubeconform",
            ),
            ldflags=_HELM_FLAGS,
        ),
    ),
)
"""Helm, and what checks a chart."""

CRON_ORACLE = Module(
    "robfig", (Build((".",), output="robfig"),), folder=CHECKOUT / "tests" / "integration" / "schedules"
)
"""The library by which the CronJob controller computes schedules, as a program; its source is of this repository."""


@dataclass(frozen=True)
class Binaries:
    """The folders of built programs."""

    containerd: Path
    kubernetes: Path
    coredns: Path

    def __getitem__(self, program: str) -> str:
        """The full path of a program. Raises KeyError when no module builds it."""
        for folder in (self.containerd, self.kubernetes, self.coredns):
            if (folder / program).exists():
                return str(folder / program)
        raise KeyError(program)


def ensure() -> Binaries:
    """Builds what is not in the cache. Raises CommandError when a build fails."""
    folders = [_ensure(module) for module in MODULES]
    return Binaries(*folders)


def are_built() -> bool:
    """Whether the cache has everything, so that no Go is needed."""
    return all(_folder(module).is_dir() for module in MODULES)


def ensure_kubectl() -> str:
    """The path of a kubectl for clusters that bring none: the machine's, else one built here."""
    return commands.find("kubectl") or str(_ensure(KUBERNETES) / "kubectl")


def ensure_s3_server() -> str:
    """The path of an S3 server that keeps buckets as folders. Raises TestClusterError without Go."""
    if not _folder(S3_SERVER).is_dir():
        prerequisites.check((), go=True, root=False)
    return str(_ensure(S3_SERVER) / "versitygw")


def ensure_kube_router() -> str:
    """The path of what enforces NetworkPolicies on the built node. Raises TestClusterError without Go."""
    if not _folder(KUBE_ROUTER).is_dir():
        prerequisites.check((), go=True, root=False)
    return str(_ensure(KUBE_ROUTER) / "kube-router")


def ensure_cron_oracle() -> str:
    """The path of the program that answers when a cron expression fires. Raises TestClusterError without Go."""
    if not _folder(CRON_ORACLE).is_dir():
        prerequisites.check((), go=True, root=False)
    return str(_ensure(CRON_ORACLE) / "robfig")


def ensure_helm() -> Path:
    """The folder with helm, helm-unittest and kubeconform. Raises TestClusterError without Go."""
    if not _folder(HELM).is_dir():
        prerequisites.check((), go=True, root=False)
    return _ensure(HELM)


def built_helm() -> Path:
    """Like ``ensure_helm``, for tests, which must not wait for a build. Raises TestClusterError if it is not built."""
    folder = _folder(HELM)
    if not folder.is_dir():
        raise TestClusterError("helm, helm-unittest and kubeconform are not built yet; run: python -m testcluster helm")
    return folder


def built_kube_router() -> str:
    """Like ``ensure_kube_router``, for tests. Raises TestClusterError when it is not built yet."""
    folder = _folder(KUBE_ROUTER)
    if not folder.is_dir():
        raise TestClusterError("kube-router is not built yet; run: python -m testcluster kube-router")
    return str(folder / "kube-router")


def _folder(module: Module) -> Path:
    return cache() / "bin" / f"{module.name}-{module.key}"


def _ensure(module: Module) -> Path:
    folder = _folder(module)
    if folder.is_dir():
        return folder
    with exclusive(f"build-{module.name}"):
        if not folder.is_dir():  # another checkout may have built it meanwhile
            _build(module, folder)
    return folder


def _build(module: Module, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in folder.parent.glob(f".{module.name}-*"):
        shutil.rmtree(abandoned)
    show(f"{module.name} is not in the cache ({folder.parent}): building it, minutes the first time")
    parts = Path(tempfile.mkdtemp(prefix=f".{module.name}-", dir=folder.parent))
    try:
        for build in module.builds:
            first, *others = build.programs
            names = f"{first} and {len(others)} more" if others else first
            settings = {"CGO_ENABLED": str(int(build.cgo)), "GOFLAGS": "", "GOWORK": "off"}
            with step(f"building {names}"):
                commands.run(build.command(parts), env=settings, cwd=module.source, timeout=None)
        parts.chmod(0o755)
        parts.replace(folder)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
