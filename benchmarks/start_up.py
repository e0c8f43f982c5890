"""From what was seen of the runs to the figures of `make bench-runner`; pure functions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

_RUNNER_AGENT: Final = "ingestion-runner"
"""The runner's own calls name it as User-Agent; all others in a run's time are the library's."""

PROBE: Final = """
import json, subprocess, sys, time
work = '''
import json, os, resource, time
began = time.monotonic()
from ingestion_runner.workflow.starting import quick_import, remember_package_versions
remember_package_versions()
with quick_import():
    import metadata.workflow.metadata
seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"import_s": seconds, "rss_mb": used, "ended": time.time()}), flush=True)
os._exit(0)
'''
done = subprocess.run([sys.executable, '-W', 'ignore', '-c', work], capture_output=True, text=True, check=True)
gone = time.time()
found = json.loads(done.stdout.splitlines()[-1])
print(json.dumps(found | {'exit_s': gone - found.pop('ended')}))
"""
"""Imports the library as the image's runner does and leaves as it does; the naive image replaces what it calls."""


@dataclass(frozen=True)
class Start:
    """One run, in seconds after its trigger was sent."""

    trigger_to_first_request_s: float
    trigger_to_finished_s: float


def start_of(calls: Sequence[Mapping[str, Any]], triggered: float, closed: float) -> Start:
    """Return from a run's calls when the library's first came, and when its row was closed."""
    first = min(call["at"] for call in calls if call["at"] >= triggered and not _is_the_runner(call))
    return Start(trigger_to_first_request_s=first - triggered, trigger_to_finished_s=closed - triggered)


def figures(
    image_mb: Mapping[str, float],
    starts: Mapping[str, Sequence[Start]],
    probes: Mapping[str, Sequence[Mapping[str, float]]],
    connection_tests: Mapping[str, Sequence[float]],
) -> dict[str, dict[str, float]]:
    """Return the medians by what was measured, then by image; of the connection tests, all with our image."""
    found: dict[str, dict[str, float]] = {"image_mb": {kind: round(size) for kind, size in image_mb.items()}}
    for name in ("import_s", "rss_mb"):
        found[name] = {kind: round(median(each[name] for each in probes[kind]), 2) for kind in probes}
    for name in ("trigger_to_first_request_s", "trigger_to_finished_s"):
        found[name] = {kind: round(median(asdict(each)[name] for each in starts[kind]), 2) for kind in starts}
    found["exit_s"] = {kind: round(median(each["exit_s"] for each in probes[kind]), 2) for kind in probes}
    found["test_connection_s"] = {kind: round(median(seconds), 2) for kind, seconds in connection_tests.items()}
    return found


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the figures as lines for people."""
    rows = [("", "ours", "naive")]
    rows += [(name, str(values["ours"]), str(values["naive"])) for name, values in found.items() if "ours" in values]
    lines = [f"{name:<28}{ours:>8}{naive:>8}" for name, ours, naive in rows]
    tests = found["test_connection_s"]
    return "\n".join(
        [*lines, *(f"{f'test_connection_s, {kind}':<28}{seconds!s:>8}" for kind, seconds in tests.items())]
    )


def last_line(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the result as one JSON object."""
    return json.dumps(found)


def _is_the_runner(call: Mapping[str, Any]) -> bool:
    agents = [value for name, value in call["headers"].items() if name.lower() == "user-agent"]
    return any(_RUNNER_AGENT in str(agent) for agent in agents)
