"""What Kubernetes itself takes for the same: raw writes and reads of its API, and an unmanaged Job.

Operator and gateway are down meanwhile. A Job is the one that the operator would have made for a run, with the same
image, created at once and not suspended.
"""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.side_by_side import footprint
from benchmarks.side_by_side.figures import Samples
from benchmarks.side_by_side.journeys import ACCEPT_PAUSE, CALLS, HANG, WORK_SECONDS
from benchmarks.side_by_side.judging import TERMINAL, first_request
from benchmarks.side_by_side.ours import Ours, image_megabytes, kubernetes_megabytes, runner_processes
from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from testcluster.progress import show
from testing.installation import SERVICE, pipeline
from testing.waiting import wait_for

PIPELINE: Final = "run-0"
"""Whose Job is taken."""

_RUN_SECONDS: Final = 120.0
_PAUSE: Final = 0.05


class Floor:
    """Takes the samples in the namespace of ours, once its pipelines are there and its programs are not."""

    def __init__(self, ours: Ours, samples: Samples, runs: int) -> None:
        self._ours = ours
        self._samples = samples
        self._runs = runs
        self._namespace = ours.installation.namespace
        self._api = connect(read_configuration(str(ours.installation.cluster.kubeconfig)))
        self._cluster = KubernetesCluster(self._api)

    def all(self, idle_seconds: float) -> None:
        """Take everything there is a floor of."""
        show("  idle")
        time.sleep(idle_seconds / 3)  # for what the end of operator and gateway leaves to be done
        costs = footprint.measure(self._ours.platform, idle_seconds)
        self._samples.components["idle"] = footprint.as_json(costs)
        total = footprint.total(costs)
        self._note("idle_all_mib", total.mib)
        self._note("idle_all_cpu_percent", total.cpu_percent)
        self._note("idle_all_processes", total.processes)
        show("  raw calls")
        self._calls()
        for number in range(self._runs):
            show(f"  Job {number + 1} of {self._runs}")
            self._run(f"floor-{number}")
        self._ours.fake_server.set_faults(HANG)
        for number in range(self._runs):
            self._kill(f"floor-hang-{number}")
        self._ours.fake_server.clear_faults()
        self._note(
            "disk_all_mb", kubernetes_megabytes() + image_megabytes("runner", self._ours.installation.images["runner"])
        )

    def _note(self, key: str, value: float) -> None:
        self._samples.values[key].append(round(value, 4))

    def _timed(self, key: str, call: Callable[[], object]) -> None:
        begin = time.perf_counter()
        call()
        self._note(key, 1000 * (time.perf_counter() - begin))

    def _calls(self) -> None:
        base = f"/api/v1/namespaces/{self._namespace}"
        (pod,) = self._pods_of_the_last_run()
        name = pod["metadata"]["name"]
        for number in range(CALLS):
            body = pipeline(f"raw-{number}")
            body["metadata"]["namespace"] = self._namespace
            self._timed("deploy_few_ms", lambda body=body: self._cluster.create(PIPELINES, body))  # type: ignore[misc]
            self._timed("status_ms", lambda: self._cluster.get(PODS, self._namespace, name))
            self._timed("logs_ms", lambda: self._get(f"{base}/pods/{name}/log"))
            self._timed("health_ms", lambda: self._get("/readyz"))

    def _pods_of_the_last_run(self) -> list[dict[str, Any]]:
        labels = {constants.LABEL_PIPELINE: resource_name(PIPELINE)}
        return self._cluster.list(PODS, self._namespace, labels)[-1:]

    def _get(self, path: str) -> bytes:
        serialized = self._api.param_serialize("GET", path, auth_settings=["BearerToken"])
        response = self._api.call_api(*serialized, _request_timeout=(5, 30))
        data: bytes = response.read()  # type: ignore[no-untyped-call]
        return data

    def _job(self, name: str) -> dict[str, Any]:
        """The Job that the CronJob of a pipeline would make, of no interest to the operator."""
        cronjob = self._ours.installation.get("cronjob", resource_name(PIPELINE)) or {}
        spec = json.loads(json.dumps(cronjob["spec"]["jobTemplate"]["spec"]))
        spec["suspend"] = False
        labels = spec["template"]["metadata"]["labels"]
        spec["template"]["metadata"]["labels"] = {
            key: value
            for key, value in labels.items()
            if key not in (constants.LABEL_MANAGED_BY, constants.LABEL_PIPELINE)
        } | {"floor": name}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": spec,
        }

    def _start(self, name: str) -> float:
        body = self._job(name)
        triggered = time.time()
        self._timed("trigger_ms", lambda: self._cluster.create(JOBS, body))
        return triggered

    def _pod(self, name: str) -> dict[str, Any]:
        return wait_for(
            f"the pod of {name}",
            lambda: next(iter(self._cluster.list(PODS, self._namespace, {"floor": name})), None),
            timeout=30,
        )

    def _run(self, name: str) -> None:
        fake_server, fqn = self._ours.fake_server, f"{SERVICE}.{PIPELINE}"
        known = {run["runId"] for run in fake_server.runs(fqn)}
        triggered = self._start(name)
        pod = self._pod(name)["metadata"]["name"]
        self._note("trigger_to_first_log_s", self._first_log(pod) - triggered)

        def closed() -> float | None:
            runs = [run for run in fake_server.runs(fqn) if run["runId"] not in known]
            return next((each["at"] for run in runs for each in run["history"] if each["state"] in TERMINAL), None)

        ended = _poll(closed, f"the end of {name}")
        shown = _poll(lambda: time.time() if self._has_ended(name) else None, f"the status of {name}")
        self._note("trigger_to_first_request_s", first_request(fake_server.calls(), fqn, triggered) - triggered)
        self._note("trigger_to_finished_s", ended - triggered)
        self._note("end_to_status_s", max(0.0, shown - ended))

    def _first_log(self, pod: str) -> float:
        end = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < end:
            statuses = (
                (self._cluster.get(PODS, self._namespace, pod) or {}).get("status", {}).get("containerStatuses", [])
            )
            started = any("running" in each["state"] or "terminated" in each["state"] for each in statuses)
            if started and self._get(f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log").strip():
                return time.time()
            time.sleep(ACCEPT_PAUSE)
        raise AssertionError(f"no log of pod {pod} after {_RUN_SECONDS:.0f} s")

    def _has_ended(self, name: str) -> bool:
        status = (self._cluster.get(JOBS, self._namespace, name) or {}).get("status", {})
        return any(each["type"] in ("Complete", "Failed") for each in status.get("conditions", []))

    def _kill(self, name: str) -> None:
        """Delete a Job whose run hangs in a request to the server."""
        fake_server, fqn = self._ours.fake_server, f"{SERVICE}.{PIPELINE}"
        known = {run["runId"] for run in fake_server.runs(fqn)}
        self._start(name)
        uid = self._pod(name)["metadata"]["uid"]
        wait_for(
            f"{name} to work",
            lambda: [r for r in fake_server.runs(fqn) if r["runId"] not in known and r["state"] == "running"],
            timeout=_RUN_SECONDS,
        )
        time.sleep(WORK_SECONDS)
        pids = runner_processes(uid)
        begin = time.perf_counter()
        self._timed("kill_ms", lambda: self._cluster.delete(JOBS, self._namespace, name, propagation="Background"))
        _poll(lambda: None if footprint.alive(pids) else 0.0, f"the end of the processes of {name}")
        self._note("kill_to_gone_s", time.perf_counter() - begin)


def _poll(probe: Callable[[], float | None], what: str) -> float:
    end = time.monotonic() + _RUN_SECONDS
    while (answer := probe()) is None:
        if time.monotonic() > end:
            raise AssertionError(f"waited {_RUN_SECONDS:.0f} s for {what}")
        time.sleep(_PAUSE)
    return answer
