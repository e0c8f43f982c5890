"""Where operator and gateway spend processor time and memory: `make profile N=300`.

The real programs run as processes beside the test bed's cluster: started STARTS times, then at work with py-spy beside
them, then with their allocations traced. The load: N pipelines appear, then deploys, triggers and status calls through
the gateway, one after the other and 100 at once. Prints tables; stacks, samples and machine go to
benchmarks/results/profile.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import yaml

from benchmarks.admissions import Admissions
from benchmarks.gateway import SETTINGS
from benchmarks.measuring import Measuring
from benchmarks.population import Population
from benchmarks.process_start import Start, start_gateway_once, start_operator_once
from benchmarks.profiling.folded import package_of, profile
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.api.settings import Settings
from testcluster import cluster as testbed
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testcluster.progress import say, step
from testing.environments import Lock, python_of
from testing.gateway import write_credentials
from testing.gateway_process import start_gateway, write_account_kubeconfig
from testing.installation import install_definition
from testing.machine import facts
from testing.operator_process import start_operator
from testing.process import processor_seconds, resident_mib
from testing.waiting import wait_for

NAMESPACE: Final = "profile"
RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "profile"
_SEQUENTIAL: Final = 50
_SAMPLES_PER_SECOND: Final = "100"
_ROWS: Final = 15
_MIB: Final = 1024 * 1024
_TRACED: Final = ("-m", "benchmarks.profiling.traced")


@dataclass(frozen=True)
class Stage:
    """Both programs at work."""

    pids: dict[str, int]
    population: Population
    measuring: Measuring

    def play(self, size: int) -> None:
        """Put the load on them."""
        self.population.grow(size)
        self.measuring.warm_up()
        self.measuring.sequential(_SEQUENTIAL)
        self.measuring.at_once()


@contextmanager
def stage(bed: Cluster, *, traces: Path | None = None) -> Iterator[Stage]:
    """Start both in a namespace of their own; with `traces` they write what they have allocated to that folder."""
    api = connect(read_configuration(str(bed.kubeconfig)), pool_size=16)
    cluster = KubernetesCluster(api)

    def program(module: str, name: str) -> Sequence[str]:
        return ("-m", module) if traces is None else (*_TRACED, module, str(traces / f"{name}.json"))

    _remove_namespace(bed)
    bed.kubectl("create", "namespace", NAMESPACE)
    with ExitStack() as stack:
        stack.callback(_remove_namespace, bed)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        operator = stack.enter_context(
            start_operator(
                folder,
                kubeconfig=bed.kubeconfig,
                namespace=NAMESPACE,
                settings=settings,
                program=program("ingestion_operator", "operator"),
            )
        )
        gateway = stack.enter_context(
            start_gateway(
                folder,
                kubeconfig=write_account_kubeconfig(bed, NAMESPACE, folder / "kubeconfig"),
                namespace=NAMESPACE,
                settings=settings,
                credentials=write_credentials(folder / "credentials", plain=("admin", "secret")),
                program=program("ingestion_operator.gateway", "gateway"),
            )
        )
        admissions = stack.enter_context(Admissions(connect(read_configuration(str(bed.kubeconfig))), NAMESPACE))
        yield Stage(
            {"operator": operator.pid, "gateway": gateway.process.pid},
            Population(cluster, NAMESPACE, Settings.model_validate(SETTINGS)),
            Measuring(gateway.port, cluster, NAMESPACE, admissions),
        )


def _remove_namespace(bed: Cluster) -> None:
    with step(f"deleting namespace {NAMESPACE}"):
        bed.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=600s", timeout=620)


def processor_time(bed: Cluster, size: int) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Play with py-spy beside both; return their figures, and the calls that failed."""
    spy = python_of("profiler", [Lock(Path(__file__).with_name("profiler.lock"))]).with_name("py-spy")
    with stage(bed) as found:
        figures = {name: {"empty_mib": resident_mib(pid)} for name, pid in found.pids.items()}
        before = {name: processor_seconds(pid) for name, pid in found.pids.items()}
        spies = [
            subprocess.Popen(
                [spy, "record", "--pid", str(pid), "--rate", _SAMPLES_PER_SECOND, "--format", "raw",
                 "--output", RESULTS / f"{name}.folded"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name, pid in found.pids.items()
        ]  # fmt: skip
        found.play(size)
        for one in spies:
            one.send_signal(signal.SIGINT)
            one.wait(timeout=60)
        for name, pid in found.pids.items():
            figures[name] |= {
                "loaded_mib": resident_mib(pid),
                "cpu_s": round(processor_seconds(pid) - before[name], 2),
            }
    return figures, found.measuring.errors


def memory(bed: Cluster, size: int) -> dict[str, Counter[str]]:
    """Play with traced allocations; return by program and package the bytes that the pipelines have added."""
    with tempfile.TemporaryDirectory() as temporary, stage(bed, traces=Path(temporary)) as found:
        before = {name: _alive(Path(temporary), name, pid) for name, pid in found.pids.items()}
        found.play(size)
        after = {name: _alive(Path(temporary), name, pid) for name, pid in found.pids.items()}
    for counts in before.values():
        for package, count in counts.items():
            counts[package] = -count
    return {name: Counter({key: after[name][key] + before[name][key] for key in after[name]}) for name in after}


def starts(bed: Cluster, count: int) -> dict[str, list[Start]]:
    """Start both so often, one after the other, in an empty namespace."""
    _remove_namespace(bed)
    bed.kubectl("create", "namespace", NAMESPACE)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        account = write_account_kubeconfig(bed, NAMESPACE, folder / "kubeconfig")
        credentials = write_credentials(folder / "credentials", plain=("admin", "secret"))
        found = {
            "operator": [
                start_operator_once(kubeconfig=bed.kubeconfig, namespace=NAMESPACE, settings=settings)
                for _ in range(count)
            ],
            "gateway": [
                start_gateway_once(kubeconfig=account, namespace=NAMESPACE, settings=settings, credentials=credentials)
                for _ in range(count)
            ],
        }
    _remove_namespace(bed)
    return found


def _alive(folder: Path, name: str, pid: int) -> Counter[str]:
    file = folder / f"{name}.json"
    os.kill(pid, signal.SIGUSR1)
    wait_for(f"the allocations of the {name}", file.exists, timeout=60)
    found: Counter[str] = Counter()
    for source, (size, _) in json.loads(file.read_text()).items():
        found[package_of(source)] += size
    file.unlink()
    return found


def _spread(starts: Sequence[Start]) -> str:
    clock, processor = zip(*starts, strict=True)
    return " and ".join(
        f"{min(values):.2f} / {median(values):.2f} / {max(values):.2f} s {what}"
        for values, what in ((clock, "on the clock"), (processor, "of processor time"))
    )


def _show(name: str, figures: dict[str, float], added: Counter[str], size: int) -> list[str]:
    with (RESULTS / f"{name}.folded").open() as lines:
        seen = profile(lines)

    def share(count: int) -> str:
        return f"{100 * count / max(1, seen.total):5.1f} %"

    lines_out = [
        f"== {name}: {figures['cpu_s']} s of processor time, {figures['empty_mib']} → {figures['loaded_mib']} MiB"
    ]
    lines_out += ["-- time by package", *(f"{share(n)}  {package}" for package, n in seen.packages.most_common(_ROWS))]
    lines_out += ["-- time in our functions and what they call"]
    lines_out += [f"{share(n)}  {frame.package}: {frame.function}" for frame, n in seen.ours.most_common(2 * _ROWS)]
    lines_out += ["-- time in functions themselves"]
    lines_out += [f"{share(n)}  {frame.package}: {frame.function}" for frame, n in seen.own.most_common(_ROWS)]
    lines_out += [f"-- memory that {size} pipelines have added, by package"]
    lines_out += [f"{n / _MIB:5.2f} MiB  {package}" for package, n in added.most_common(_ROWS)]
    return lines_out


def main() -> int:
    """Profile both; 0 only if every call succeeded."""
    size, begin = int(os.environ.get("N", "300")), time.monotonic()
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        bed = testbed.up()
        machine = facts(bed)
        install_definition(bed)
        started = starts(bed, int(os.environ.get("STARTS", "7")))
        figures, errors = processor_time(bed, size)
        added = memory(bed, size)
    except (TestClusterError, AssertionError) as error:
        say(f"profile: {error}")
        return 1
    shown = [f"start of the {name}, min / median / max: {_spread(found)}" for name, found in started.items()]
    shown += [line for name in figures for line in _show(name, figures[name], added[name], size)]
    result = {
        "machine": machine,
        "pipelines": size,
        "starts": started,
        "figures": figures,
        "added_bytes": added,
        "errors": errors,
    }
    (RESULTS / "profile.json").write_text(json.dumps(result, indent=1))
    (RESULTS / "profile.txt").write_text("\n".join(shown) + "\n")
    print("\n".join([*shown, *(f"error: {one}" for one in errors[:_ROWS])]))
    print(f"stacks and samples: {RESULTS.relative_to(CHECKOUT)}; all of it took {time.monotonic() - begin:.0f} s")
    print(json.dumps({"pipelines": size, **figures}), flush=True)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
