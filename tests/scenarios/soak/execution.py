"""One soak: everything started, used and disturbed for a time, brought to rest, removed, and judged."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.logs.layout import Segment
from testcluster.handle import Cluster
from testcluster.progress import show
from testing.fake_openmetadata_client import FakeServerClient, start_fake_openmetadata
from testing.fault_proxy import FaultProxy
from testing.gateway import write_credentials
from testing.gateway_process import GatewayProcess, start_gateway, write_account_kubeconfig
from testing.installation import OWN
from testing.operator_process import start_operator
from testing.waiting import wait_for
from tests.scenarios.soak.callers import Callers
from tests.scenarios.soak.faults import Faults
from tests.scenarios.soak.flatness import Lives
from tests.scenarios.soak.kubelet import SimulatedKubelet
from tests.scenarios.soak.observer import Observer
from tests.scenarios.soak.plan import names, steps
from tests.scenarios.soak.program_logs import problems
from tests.scenarios.soak.programs import Program, Sampling
from tests.scenarios.soak.reported import report_problems

OPERATOR: Final = "ingestion-operator"
_SETTLE_SECONDS: Final = 150
_REMOVAL_SECONDS: Final = 60
_PROGRESS_SECONDS: Final = 60


@dataclass(frozen=True)
class Scale:
    """How much is done at a time."""

    pipelines: int
    seconds_between_steps: float
    mean_seconds_between_faults: float
    ends_of_programs: float
    """How often each way to end a program comes, beside 1 for each other fault: growth needs long lives."""


LONG: Final = Scale(pipelines=24, seconds_between_steps=0.5, mean_seconds_between_faults=20, ends_of_programs=0.02)
SHORT: Final = Scale(pipelines=6, seconds_between_steps=0.1, mean_seconds_between_faults=3, ends_of_programs=1)


@dataclass
class Result:
    """What came of it."""

    seed: int
    seconds: float
    steps: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    containers: int = 0
    lives: dict[str, dict[str, Lives]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


@dataclass
class _Environment:
    operator: Program[Any]
    gateway: Program[GatewayProcess]
    proxies: dict[str, FaultProxy]
    fake_server: FakeServerClient
    kube: KubernetesCluster
    observer: Observer
    kubelet: SimulatedKubelet
    archive: Path


def soak(cluster: Cluster, folder: Path, *, seed: int, seconds: float, scale: Scale) -> Result:
    """Run in a namespace of its own, with all files in `folder`; the namespace is deleted afterwards."""
    namespace = f"soak-{seed}"
    result = Result(seed, seconds)
    cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s", timeout=130)
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("label", "namespace", namespace, f"{OWN}=soak")
    try:
        with (
            _open_environment(cluster, namespace, folder, seed, scale) as environment,
            (folder / "steps.jsonl").open("w") as log,
        ):
            with Sampling(environment.operator, environment.gateway) as sampling:
                _run(cluster, namespace, environment, result, scale, log)
            result.lives = sampling.lives
            result.violations += _logged(folder)
            result.runs, result.containers = len(environment.observer.run_ids()), environment.kubelet.ended
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    return result


def _run(cluster: Cluster, namespace: str, environment: _Environment, result: Result, scale: Scale, log: Any) -> None:
    faults = Faults(
        environment.operator, environment.gateway, environment.proxies, environment.fake_server,
        seed=result.seed, mean_pause_seconds=scale.mean_seconds_between_faults, ends_of_programs=scale.ends_of_programs,
    )  # fmt: skip
    callers = Callers(
        cluster, environment.kube, namespace, host_port=environment.fake_server.host_port,
        gateway_port=lambda: environment.gateway.running.port, is_disturbed=faults.is_disturbed, log=log,
    )  # fmt: skip
    begin = said = time.monotonic()
    with faults:
        for step in steps(result.seed, scale.pipelines):
            callers.execute(step)
            if time.monotonic() - begin > result.seconds or faults.failure is not None:
                break
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                show(f"  {said - begin:.0f} s, {step.number} steps, {sum(faults.injected.values())} faults")
            time.sleep(scale.seconds_between_steps)  # the pace, nothing is waited for
    if faults.failure is not None:
        raise faults.failure
    result.steps, result.faults, result.refused = dict(callers.done), dict(faults.injected), dict(callers.refused)
    result.violations += callers.violations + _settled(environment, callers) + _removed(environment, callers)
    result.violations += environment.observer.violations() + _archive_problems(environment)


def _settled(environment: _Environment, callers: Callers) -> list[str]:
    """Wait until every run of a pipeline that is there has ended and OpenMetadata received; return what is missing."""
    try:
        wait_for(
            "the last runs", lambda: not environment.observer.unfinished(callers.accepted), timeout=_SETTLE_SECONDS
        )
    except AssertionError:
        return environment.observer.unfinished(callers.accepted)
    return report_problems(environment.observer.records(), environment.fake_server.runs())


def _removed(environment: _Environment, callers: Callers) -> list[str]:
    """Delete all pipelines; return what has not gone with them."""
    callers.remove_all()
    try:
        wait_for("all to be gone", lambda: not environment.observer.left(), timeout=_REMOVAL_SECONDS)
    except AssertionError:
        return [f"{name} is left, after all pipelines were deleted" for name in environment.observer.left()]
    return []


def _archive_problems(environment: _Environment) -> list[str]:
    """Return the files of the archive that are not segments, or belong to an unknown run."""
    known = environment.observer.run_ids()
    files = [path.relative_to(environment.archive) for path in environment.archive.rglob("*") if path.is_file()]
    return [
        f"the archive has {path}, of no run"
        for path in files
        if len(path.parts) != 5 or path.parts[2] not in known or Segment.parse(path.name) is None
    ]


def _logged(folder: Path) -> list[str]:
    """Return what the programs have logged, in all their lives, that must not be."""
    logs = [(path.parent.name, path.read_text().splitlines()) for path in sorted(folder.glob("*-*/*.log"))]
    return [problem for program, lines in logs for problem in problems(program, lines)]


@contextmanager
def _open_environment(
    cluster: Cluster, namespace: str, folder: Path, seed: int, scale: Scale
) -> Iterator[_Environment]:
    settings, archive = folder / "settings.yaml", folder / "archive"
    archive.mkdir()
    settings.write_text(yaml.safe_dump(_settings(archive)))
    token = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ingestion-bot", "namespace": namespace}}
    with ExitStack() as stack:
        kubeconfig = str(cluster.kubeconfig)
        kube = KubernetesCluster(connect(read_configuration(kubeconfig)))
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(token | {"stringData": {"token": "eyJ.eyJ.x"}}))
        fake_server = stack.enter_context(start_fake_openmetadata())
        fake_server.register_service("shop", "Postgres")
        for name in names(scale.pipelines):
            fake_server.register_pipeline(f"shop.{name}")
        accounts = {
            "operator": write_account_kubeconfig(
                cluster, namespace, folder / "operator-account", manifest="rbac.yaml", account=OPERATOR
            ),
            "gateway": write_account_kubeconfig(cluster, namespace, folder / "gateway-account"),
        }
        proxies = {name: stack.enter_context(FaultProxy(account)) for name, account in accounts.items()}
        through = {name: proxy.write_kubeconfig(folder / f"{name}-proxied") for name, proxy in proxies.items()}
        credentials = write_credentials(folder / "credentials", plain=("admin", "secret"))
        observer = stack.enter_context(Observer(lambda: connect(read_configuration(kubeconfig)), namespace))
        kubelet = stack.enter_context(SimulatedKubelet(kube, namespace, seed))
        operator = Program(
            "operator",
            folder,
            lambda life: start_operator(
                life,
                kubeconfig=through["operator"],
                namespace=namespace,
                settings=settings,
                observer=cluster.kubeconfig,
                pod="operator-0",
            ),
            lambda process: process.pid,
        )
        gateway = Program(
            "gateway",
            folder,
            lambda life: start_gateway(
                life,
                kubeconfig=through["gateway"],
                namespace=namespace,
                settings=settings,
                credentials=credentials,
            ),
            lambda running: running.process.pid,
        )
        stack.enter_context(operator)
        stack.enter_context(gateway)
        yield _Environment(operator, gateway, proxies, fake_server, kube, observer, kubelet, archive)


def _settings(archive: Path) -> dict[str, Any]:
    return {
        "runnerImages": {"2.0": {"image": "localhost/none:1", "version": "2.0.6.0"}},
        "defaultServerVersion": "2.0",
        # The simulated kubelet writes the pods' status: no node may take them.
        "podTemplate": {"spec": {"nodeSelector": {f"{constants.GROUP}/soak": "nowhere"}}},
        "startTimeout": "1h",
        "logArchive": {"url": f"file://{archive}"},
    }
