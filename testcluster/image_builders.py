"""Builds a Dockerfile into a docker-archive: with Docker where an engine runs, else buildah."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from testcluster import base_image, commands, kind, prerequisites
from testcluster.errors import CommandError
from testcluster.locations import cache
from testcluster.progress import step

_MACHINE_CERTIFICATES = Path("/etc/ssl/certs")


class Builder(ABC):
    """Turns a context folder with a Dockerfile into an archive."""

    @property
    @abstractmethod
    def base(self) -> str:
        """What the images start from, part of their key; empty for the Dockerfile's own."""

    @abstractmethod
    def prepare(self) -> None:
        """Makes the base image if this builder needs one of its own."""

    @abstractmethod
    def build(self, context: Path, reference: str, arguments: Mapping[str, str], log: Path) -> None:
        """Builds ``context``/Dockerfile. Raises CommandError with the end of the output."""

    @abstractmethod
    def save(self, reference: str, archive: Path) -> None:
        """Writes a built image as a docker-archive."""


class Docker(Builder):
    """The engine of the machine; the Dockerfiles' own base image."""

    base = ""

    def prepare(self) -> None:
        pass  # the engine pulls what a Dockerfile names

    def build(self, context: Path, reference: str, arguments: Mapping[str, str], log: Path) -> None:
        command = ["docker", "build", "--progress=plain", "--tag", reference]
        _logged([*command, *_build_arguments(arguments), str(context)], {}, log)

    def save(self, reference: str, archive: Path) -> None:
        commands.run(["docker", "save", "--output", str(archive), reference], timeout=600)


class Buildah(Builder):
    """buildah without a daemon, on a base image made here.

    Its images and cached layers are in ``buildah`` in our cache, apart from those of other users
    of buildah; removing that folder costs nothing but the next build's time.
    """

    def __init__(self) -> None:
        prerequisites.check(prerequisites.IMAGES)
        root = cache() / "buildah"
        self._command = ["buildah", "--root", str(root), "--runroot", f"{root}-run"]
        self._environment = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"}
        if not self._works():
            # Overlay on overlay, for example inside a container: slow copies work everywhere.
            self._command[2] = f"{root}-vfs"
            self._environment["STORAGE_DRIVER"] = "vfs"

    @property
    def base(self) -> str:
        return base_image.reference()

    def prepare(self) -> None:
        try:
            self._run("inspect", "--type", "image", self.base)
        except CommandError:
            archive = base_image.archive()
            with step("loading the base image"):
                self._run("pull", "--quiet", f"docker-archive:{archive}", timeout=600)

    def build(self, context: Path, reference: str, arguments: Mapping[str, str], log: Path) -> None:
        given = _build_arguments({"BASE_IMAGE": self.base, **arguments})
        certificates = f"{_MACHINE_CERTIFICATES}:{_MACHINE_CERTIFICATES}:ro"
        options = ["--layers", "--format", "docker", "--volume", certificates, "--tag", reference]
        _logged([*self._command, "build", *options, *given, str(context)], self._environment, log)

    def save(self, reference: str, archive: Path) -> None:
        target = f"docker-archive:{archive}:{reference}"
        self._run("push", "--quiet", reference, target, timeout=600)

    def _works(self) -> bool:
        try:
            self._run("info")
        except CommandError:
            return False
        return True

    def _run(self, *words: str, timeout: float = 60) -> str:
        return commands.run([*self._command, *words], env=self._environment, timeout=timeout)


def choose() -> Builder:
    """Docker where an engine answers, else buildah. Raises TestClusterError when that is missing."""
    return Docker() if kind.docker_runs() else Buildah()


def _build_arguments(arguments: Mapping[str, str]) -> list[str]:
    return [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]


def _logged(command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    program = commands.require(command[0])
    with log.open("wb") as output:
        code = subprocess.run(
            [program, *command[1:]],
            env=commands.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        ).returncode
    if code != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise CommandError(list(command), code, f"{end}\n(all of it: {log})")
