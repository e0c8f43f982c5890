"""What the machine must have, checked all at once, and one command that installs it."""

import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from testcluster import commands
from testcluster.errors import CommandError, TestClusterError
from testcluster.progress import step

GO_VERSION = (1, 26, 6)


def _program(name: str) -> Callable[[], bool]:
    return lambda: commands.find(name) is not None


def _has_seccomp_headers() -> bool:
    return commands.succeeds(["pkg-config", "--exists", "libseccomp"])


def _has_static_busybox() -> bool:
    # The dynamic busybox has the same path, and would not start in an image of one file.
    path = commands.find("busybox")
    return path is not None and b"ld-linux" not in Path(path).read_bytes()[:4096]


@dataclass(frozen=True)
class Package:
    """A Debian package, and how to see that what it brings is there."""

    name: str
    present: Callable[[], bool]


CLUSTER = (
    Package("nftables", _program("nft")),
    Package("iproute2", _program("ip")),
    Package("util-linux", _program("nsenter")),
    Package("mount", _program("umount")),
    Package("busybox-static", _has_static_busybox),
    Package("gcc", _program("gcc")),
    Package("libc6-dev", lambda: Path("/usr/include/stdio.h").exists()),
    Package("pkg-config", _program("pkg-config")),
    Package("libseccomp-dev", _has_seccomp_headers),
)
POLICIES = (
    # kube-router's, only while a test has NetworkPolicies enforced.
    Package("iptables", _program("iptables-restore")),
    Package("ipset", _program("ipset")),
)
IMAGES = (
    Package("buildah", _program("buildah")),
    Package("debootstrap", _program("debootstrap")),
    Package("git", _program("git")),
)


def missing(packages: Iterable[Package]) -> list[str]:
    """The names of the packages whose contents the machine lacks."""
    return [package.name for package in packages if not package.present()]


TESTS = (
    # Tests compare the seed with a PostgreSQL of their own, without a cluster.
    Package("postgresql-15", lambda: Path("/usr/lib/postgresql/15/bin/initdb").exists()),
    # promtool tries the alerts, and tests start the server; it is not used as a service.
    Package("prometheus", _program("promtool")),
)


def install_command(names: Iterable[str]) -> str:
    """The one command that installs packages."""
    return f"apt-get update && apt-get install -y --no-install-recommends {' '.join(names)}"


def check(packages: Iterable[Package], *, go: bool = False, root: bool = True) -> None:
    """Raises one TestClusterError that lists everything missing and the command that brings it."""
    problems = []
    if root and os.geteuid() != 0:
        problems.append("root is needed: sudo -E python -m testcluster up (or start Docker)")
    if go:
        problems += _go_problems()
    if names := missing(packages):
        problems.append(f"packages are missing; as root: {install_command(names)}")
        problems.append("  (the same in one word: python -m testcluster setup)")
    if problems:
        raise TestClusterError("this machine is not ready:\n  " + "\n  ".join(problems))


def setup() -> list[str]:
    """Installs the missing Debian packages and returns their names; does nothing if all is there.

    Raises TestClusterError without root, without apt-get, or when apt-get fails.
    """
    names = missing((*CLUSTER, *POLICIES, *IMAGES, *TESTS))
    if not names:
        return []
    if os.geteuid() != 0 or commands.find("apt-get") is None:
        raise TestClusterError(f"packages are missing; as root: {install_command(names)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-y", "-q", "--no-install-recommends"]
    try:
        with step("apt-get update"):
            commands.run(["apt-get", "update", "-q"], env=quiet, timeout=600)
        with step(f"installing {', '.join(names)}"):
            commands.run(["apt-get", "install", *options, *names], env=quiet, timeout=1800)
    except CommandError as failure:
        raise TestClusterError(f"{failure}\nby hand: {install_command(names)}") from failure
    if "prometheus" in names and commands.find("systemctl") is not None:
        # Debian starts it. Where no systemd runs there is nothing to stop.
        commands.succeeds(["systemctl", "disable", "--now", "prometheus", "prometheus-node-exporter"])
    return names


def _go_problems() -> list[str]:
    wanted = ".".join(map(str, GO_VERSION))
    program = commands.find("go")
    if program is None:
        return [f"Go >= {wanted} is missing: https://go.dev/doc/install"]
    # GOTOOLCHAIN=local: the installed version, not the one a go.mod would make it fetch.
    found = subprocess.run(
        [program, "env", "GOVERSION"],
        env=commands.environment({"GOTOOLCHAIN": "local"}),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    numbers = found.removeprefix("go").split("-")[0].split(".")
    if not all(number.isdigit() for number in numbers):
        return []  # a development build of Go: the build itself fails if it is too old
    if tuple(map(int, numbers)) < GO_VERSION:
        return [f"Go is {found}, at least {wanted} is needed: https://go.dev/doc/install"]
    return []
