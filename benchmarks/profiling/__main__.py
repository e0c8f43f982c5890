"""Where operator and gateway spend CPU time and memory: `make profile N=300`.

The real programs run as processes beside the test cluster: started STARTS times, then at work with py-spy beside
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
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import yaml

from benchmarks.environment import SETTINGS, Environment, open_environment, remove_namespace
from benchmarks.measuring import Measuring
from benchmarks.process_start import Start, start_gateway_once, start_operator_once
from benchmarks.profiling.folded import package_of, profile
from testcluster import provider
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testcluster.progress import show
from testing.environments import Lock, python_of
from testing.gateway import write_credentials
from testing.gateway_process import write_account_kubeconfig
from testing.install import install_crd
from testing.machine import facts
from testing.process import cpu_seconds, resident_mib
from testing.waiting import wait_for

NAMESPACE: Final = "profile"
RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "profile"
_SEQUENTIAL: Final = 50
_SAMPLES_PER_SECOND: Final = "100"
_ROWS: Final = 15
_MIB: Final = 1024 * 1024
_TRACED: Final = ("-m", "benchmarks.profiling.traced")


def _load(environment: Environment, size: int) -> Measuring:
    """Put the load on both programs; return the samples."""
    environment.population.grow(size)
    measuring = environment.measuring()
    measuring.warm_up()
    measuring.sequential(_SEQUENTIAL)
    measuring.at_once()
    return measuring


def _traced(folder: Path) -> Callable[[str, str], Sequence[str]]:
    return lambda module, name: (*_TRACED, module, str(folder / f"{name}.json"))


def cpu_time(cluster: Cluster, size: int) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Apply the load with py-spy beside both; return their figures, and the calls that failed."""
    spy = python_of("profiler", [Lock(Path(__file__).with_name("profiler.lock"))]).with_name("py-spy")
    with open_environment(cluster, NAMESPACE) as found:
        figures = {name: {"empty_mib": resident_mib(pid)} for name, pid in found.pids.items()}
        before = {name: cpu_seconds(pid) for name, pid in found.pids.items()}
        spies = [
            subprocess.Popen(
                [spy, "record", "--pid", str(pid), "--rate", _SAMPLES_PER_SECOND, "--format", "raw",
                 "--output", RESULTS / f"{name}.folded"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name, pid in found.pids.items()
        ]  # fmt: skip
        measuring = _load(found, size)
        for one in spies:
            one.send_signal(signal.SIGINT)
            one.wait(timeout=60)
        for name, pid in found.pids.items():
            figures[name] |= {
                "loaded_mib": resident_mib(pid),
                "cpu_s": round(cpu_seconds(pid) - before[name], 2),
            }
    return figures, measuring.errors


def memory(cluster: Cluster, size: int) -> dict[str, Counter[str]]:
    """Apply the load with traced allocations; return by program and package the bytes that the pipelines have added."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        open_environment(cluster, NAMESPACE, _traced(Path(temporary))) as found,
    ):
        before = {name: _alive(Path(temporary), name, pid) for name, pid in found.pids.items()}
        _load(found, size)
        after = {name: _alive(Path(temporary), name, pid) for name, pid in found.pids.items()}
    for counts in before.values():
        for package, count in counts.items():
            counts[package] = -count
    return {name: Counter({key: after[name][key] + before[name][key] for key in after[name]}) for name in after}


def starts(cluster: Cluster, count: int) -> dict[str, list[Start]]:
    """Start both so often, one after the other, in an empty namespace."""
    remove_namespace(cluster, NAMESPACE)
    cluster.kubectl("create", "namespace", NAMESPACE)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        account = write_account_kubeconfig(cluster, NAMESPACE, folder / "kubeconfig")
        credentials = write_credentials(folder / "credentials", plain=("admin", "secret"))
        found = {
            "operator": [
                start_operator_once(kubeconfig=cluster.kubeconfig, namespace=NAMESPACE, settings=settings)
                for _ in range(count)
            ],
            "gateway": [
                start_gateway_once(kubeconfig=account, namespace=NAMESPACE, settings=settings, credentials=credentials)
                for _ in range(count)
            ],
        }
    remove_namespace(cluster, NAMESPACE)
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
    clock, cpu = zip(*starts, strict=True)
    return " and ".join(
        f"{min(values):.2f} / {median(values):.2f} / {max(values):.2f} s {what}"
        for values, what in ((clock, "on the clock"), (cpu, "of CPU time"))
    )


def _show(name: str, figures: dict[str, float], added: Counter[str], size: int) -> list[str]:
    with (RESULTS / f"{name}.folded").open() as lines:
        seen = profile(lines)

    def share(count: int) -> str:
        return f"{100 * count / max(1, seen.total):5.1f} %"

    lines_out = [f"== {name}: {figures['cpu_s']} s of CPU time, {figures['empty_mib']} → {figures['loaded_mib']} MiB"]
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
        cluster = provider.up()
        machine = facts(cluster)
        install_crd(cluster)
        started = starts(cluster, int(os.environ.get("STARTS", "7")))
        figures, errors = cpu_time(cluster, size)
        added = memory(cluster, size)
    except (TestClusterError, AssertionError) as error:
        show(f"profile: {error}")
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
