"""The main job, for real: `make demo`.

Starts the test cluster, installs the operator, a database and a fake OpenMetadata server, applies one
IngestionPipeline that fires within the minute, and follows its run.
"""

import re
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from testcluster import images, provider
from testcluster.errors import TestClusterError
from testcluster.locations import CHECKOUT
from testing.installation import SERVICE, Credentials, Installation, open_installation, pipeline, remove
from testing.postgres.expected import differences
from testing.waiting import wait_for

NAMESPACE = "demo"
NAME = "shop-metadata"
_LEAD = timedelta(seconds=8)
_RUN_SECONDS = 180
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FINISHED = ("success", "partialSuccess", "failed", "stopped")


def show(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def next_minute() -> str:
    """A cron expression for the next minute that is far enough away to be set up for."""
    fire = datetime.now(UTC) + _LEAD
    if fire.second or fire.microsecond:
        fire += timedelta(minutes=1)
    return f"{fire.minute} {fire.hour} * * *"


def demonstrate(installation: Installation) -> bool:
    """Apply the pipeline, follow its run, print the result; True if all is as it should be."""
    cron = next_minute()
    body = pipeline(NAME, displayName="Metadata of the shop", schedule={"cron": cron, "timeZone": "UTC"})
    show("\nThis is the pipeline:\n")
    show(yaml.safe_dump(body, sort_keys=False))
    installation.apply(body)
    wait_for(
        "the pipeline to be Ready", lambda: installation.condition(NAME, "Ready").get("status") == "True", timeout=60
    )
    show(installation.kubectl("get", "omip"))
    show(f"Kubernetes starts the run at {cron.split()[1]:0>2}:{cron.split()[0]:0>2} UTC; waiting for it …")
    run = _follow(installation)
    show(f"\nRun {run['id']}: {run['state']} ({run['reason']})")
    summary = run.get("summary", {})
    show(f"  took      {_seconds(run):.0f} s from the Job's creation to its end")
    show(f"  records   {summary.get('records')}, warnings {summary.get('warnings')}, errors {summary.get('errors')}")
    (row,) = installation.fake_server.runs(f"{SERVICE}.{NAME}")
    show(f"  OpenMetadata received: {row['state']}")
    kinds = ("databaseSchemas", "tables", "storedProcedures")
    counts = {kind: len(installation.fake_server.entities(kind)) for kind in kinds}
    show("  catalogued: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    missing = differences(installation.fake_server, SERVICE)
    for line in missing:
        show(f"  DIFFERENT FROM THE DATABASE: {line}")
    show()
    show(installation.kubectl("get", "omip"))
    return run["state"] == "success" and row["state"] == "success" and not missing


def _follow(installation: Installation) -> dict[str, Any]:
    """Print each change of the run and the log of its pod; return the record of the finished run."""
    end = time.monotonic() + 60 + _RUN_SECONDS
    seen, log = "", None
    while time.monotonic() < end:
        run = next(iter(installation.status(NAME).get("runs", [])), None)
        if run is not None:
            pods = [attempt["pod"] for attempt in run["attempts"]]
            line = f"[{run['state']}] {run['message']}"
            if line != seen:
                show(f"{datetime.now(UTC):%H:%M:%S}  {line}")
                seen = line
            if run["state"] == "running" and log is None:
                log = threading.Thread(target=_print_log, args=(installation, pods[-1]), daemon=True)
                log.start()
            if run["state"] in _FINISHED:
                if log is not None:
                    log.join(timeout=10)
                return dict(run)
        time.sleep(0.5)
    raise AssertionError(f"no run of {NAME} ended; see: kubectl -n {NAMESPACE} describe omip {NAME}")


def _print_log(installation: Installation, pod: str) -> None:
    """Print the first lines of the log as they come, and the last ones at the end: it is the real thing."""
    shown, count = 12, 0
    last: deque[str] = deque(maxlen=shown)
    for line in installation.cluster.lines("-n", NAMESPACE, "logs", "-f", pod):
        count += 1
        if count <= shown:
            show(f"          | {_COLOUR.sub('', line)[:140]}")
        else:
            last.append(line)
    if count > 2 * shown:
        show(f"          | … {count - 2 * shown} more lines; all: kubectl -n {NAMESPACE} logs {pod}")
    for line in last:
        show(f"          | {_COLOUR.sub('', line)[:140]}")


def _seconds(run: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(run[key]) for key in ("startTime", "endTime"))
    return (end - start).total_seconds()


def _short(path: Path) -> Path:
    return path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path


def main() -> int:
    """Run the demo; 0 only if the run succeeded and every seeded object was catalogued."""
    started = time.monotonic()
    try:
        cluster = provider.up()
        built = images.load(cluster, ["operator", "runner", "fake-openmetadata", "postgres"])
        show("installing the operator, PostgreSQL and a fake OpenMetadata server …")
        remove(cluster, NAMESPACE)
        with open_installation(cluster, NAMESPACE, built, Credentials.random()) as installation:
            succeeded = demonstrate(installation)
    except (TestClusterError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    show(f"The demo took {time.monotonic() - started:.0f} s. Try next:")
    if (link := CHECKOUT / ".cluster" / "kubectl").exists():
        show(f"  export KUBECONFIG={_short(cluster.kubeconfig)} PATH=$PWD/{_short(link.parent)}:$PATH")
    else:
        show(f"  export KUBECONFIG={cluster.kubeconfig}")
    kubectl = f"kubectl -n {NAMESPACE}"
    show(f"  {kubectl} describe omip {NAME}")
    show(f"  {kubectl} create job again --from=cronjob/{NAME}      # a manual run, with an id of its own")
    show(f"""  {kubectl} patch omip {NAME} --type merge -p '{{"spec":{{"suspend":true}}}}'""")
    show("  make cluster-down                                      # leaves nothing behind")
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
