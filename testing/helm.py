"""Helm and what checks a chart, built by the test cluster."""

import json
from pathlib import Path
from typing import Any

import yaml

from testcluster.binaries import built_helm
from testcluster.commands import run
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT

CHART = CHECKOUT / "charts" / "ingestion-operator"
MAXIMAL = CHART / "ci" / "maximal-values.yaml"
_DIRECT = {"NO_PROXY": "*", "no_proxy": "*"}


def program(name: str) -> str:
    """The path of helm, helm-unittest or kubeconform. Raises TestClusterError with the command that builds them."""
    return str(built_helm() / name)


def template(release: str, namespace: str, *options: str) -> list[dict[str, Any]]:
    """The objects of a release, rendered without a cluster. Raises CommandError with what helm refused."""
    return [body for body in yaml.safe_load_all(template_text(release, namespace, *options)) if body]


def template_text(release: str, namespace: str, *options: str) -> str:
    """Like ``template``, as Helm writes it."""
    return run([program("helm"), "template", release, str(CHART), "--namespace", namespace, *options])


class Helm:
    """Helm in one namespace of a cluster."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self._options = ["--kubeconfig", str(cluster.kubeconfig), "--namespace", namespace]
        self._folder = folder

    def install(
        self, release: str, values: dict[str, Any], *, chart: Path = CHART, take_ownership: bool = False
    ) -> str:
        """helm upgrade --install, until everything is available; return what it prints."""
        file = self._folder / f"{release}.json"
        file.write_text(json.dumps(values))
        options = ["--take-ownership"] if take_ownership else []
        words = ["upgrade", "--install", release, str(chart), "--values", str(file), *options]
        return self._helm(*words, "--wait", "--timeout=120s")

    def rollback(self, release: str) -> None:
        """helm rollback to the revision before, until everything is available."""
        self._helm("rollback", release, "--wait", "--timeout=120s")

    def uninstall(self, release: str) -> None:
        """helm uninstall, until everything is gone; also where there is nothing."""
        self._helm("uninstall", release, "--ignore-not-found", "--wait", "--timeout=60s")

    def _helm(self, *words: str) -> str:
        return run([program("helm"), *words, *self._options], env=_DIRECT, timeout=150)
