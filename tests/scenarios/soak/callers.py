"""Steps, executed as their callers do it: what is refused is asked again, as OpenMetadata and people do."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.errors import ClusterError
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import PIPELINES
from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testing.entities import airflow, entity
from testing.server_client import ServerClient
from tests.scenarios.soak.ledger import Run
from tests.scenarios.soak.plan import APPLIED, Step

BOUND_SECONDS: Final = 60.0
"""How long a caller may have to ask again until what it wants is done; a fault ends after a few seconds."""

_PAUSE_SECONDS: Final = 0.5
_CRONS: Final = ("* * * * *", "*/2 * * * *", "0 2 * * *", None)
_NOTHING_THERE: Final = 404


class Refused(Exception):
    """Not this time."""


class Callers:
    """Carries out steps, one after the other, and keeps what callers were promised."""

    def __init__(
        self,
        cluster: Cluster,
        kube: KubernetesCluster,
        namespace: str,
        *,
        host_port: str,
        gateway_port: Callable[[], int],
        is_disturbed: threading.Event,
        log: IO[str],
    ) -> None:
        self._cluster = cluster
        self._kube = kube
        self._namespace = namespace
        self._host_port = host_port
        self._gateway_port = gateway_port
        self._is_disturbed = is_disturbed
        self._log = log
        self._uids: dict[str, str] = {}
        self.accepted: list[Run] = []
        """Runs that were accepted through the gateway."""
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """How often something had to be asked again, by whether there was a fault at that time."""
        self.violations: list[str] = []

    def execute(self, step: Step) -> None:
        """Do it, and write down what came of it."""
        begin, refusals = time.monotonic(), list[str]()
        while True:
            try:
                self._once(step)
            except (Refused, ClusterError, CommandError, http.client.HTTPException, OSError) as error:
                refusals.append(f"{type(error).__name__}: {error}"[:200])
                self.refused["in a fault" if self._is_disturbed.is_set() else "without a fault"] += 1
                if time.monotonic() - begin > BOUND_SECONDS:
                    self.violations.append(f"step {step.number} ({step.kind} {step.pipeline}) failed: {refusals[-1]}")
                    break
                time.sleep(_PAUSE_SECONDS)
            else:
                break
        self.done[step.kind] += 1
        took = round(time.monotonic() - begin, 2)
        self._write({"at": _now(), **step.as_dict(), "seconds": took, "refusals": refusals})

    def remove_all(self) -> None:
        """Delete every pipeline that is left."""
        for name in list(self._uids):
            self._kubectl("delete", "omip", self._resource(name), "--ignore-not-found", "--wait=false")

    def _once(self, step: Step) -> None:
        act = {
            "create": self._create,
            "change": self._create,
            "run": self._run,
            "run manually": self._run_manually,
            "kill": self._kill,
            "pause": self._toggle,
            "resume": self._toggle,
            "read": self._read,
            "delete": self._delete,
        }[step.kind]
        act(step)

    def _create(self, step: Step) -> None:
        if step.way == "gateway":
            self._ask(lambda server: server.deploy(self._entity(step)))
        else:
            self._kube.apply(PIPELINES, self._manifest(step), field_manager="kubectl")
        live = self._kube.get(PIPELINES, self._namespace, self._resource(step.pipeline))
        if live is None or live["metadata"].get("deletionTimestamp"):
            raise Refused("an earlier pipeline of the name is still going away")
        self._uids[step.pipeline] = live["metadata"]["uid"]

    def _run(self, step: Step) -> None:
        self._ask(lambda server: server.trigger(step.pipeline, {"pipelineRunId": step.run_id}))
        self.accepted.append((self._uids[step.pipeline], step.run_id))

    def _run_manually(self, step: Step) -> None:
        live = self._kube.get(PIPELINES, self._namespace, self._resource(step.pipeline)) or {}
        cronjob = live.get("status", {}).get("cronJobName")
        if cronjob is None:
            raise Refused("the pipeline has no CronJob yet")
        self._kubectl("create", "job", f"{step.pipeline}-manual-{step.number}", f"--from=cronjob/{cronjob}")

    def _kill(self, step: Step) -> None:
        if step.way == "gateway":
            self._ask(lambda server: server.kill(step.pipeline), or_nothing=True)
        else:
            self._patch(step.pipeline, {"metadata": {"annotations": {constants.ANNOTATION_KILL: _now()}}})

    def _toggle(self, step: Step) -> None:
        pauses = step.kind == "pause"
        if step.way == "kubernetes":
            self._patch(step.pipeline, {"spec": {"suspend": pauses}})
        elif pauses:
            self._ask(lambda server: server.disable(step.pipeline))
        else:
            self._ask(lambda server: server.enable(step.pipeline))

    def _read(self, step: Step) -> None:
        self._ask(lambda server: server.read("status", {"dag_id": step.pipeline}))
        self._ask(lambda server: server.logs(step.pipeline), or_nothing=True)

    def _delete(self, step: Step) -> None:
        if step.way == "gateway":
            self._ask(lambda server: server.delete(step.pipeline))
        else:
            self._kubectl("delete", "omip", self._resource(step.pipeline), "--ignore-not-found", "--wait=false")
        self._uids.pop(step.pipeline, None)

    def _ask(self, call: Callable[[ServerClient], Any], *, or_nothing: bool = False) -> None:
        server = ServerClient.old(self._gateway_port())
        try:
            reply = call(server)
        finally:
            server.close()
        if reply.code != http.client.OK and not (or_nothing and reply.code == _NOTHING_THERE):
            raise Refused(f"HTTP {reply.code}: {reply.body.decode(errors='replace')}")

    def _patch(self, name: str, patch: Mapping[str, Any]) -> None:
        self._kube.merge_patch(PIPELINES, self._namespace, self._resource(name), dict(patch))

    def _kubectl(self, *arguments: str) -> None:
        self._cluster.kubectl("-n", self._namespace, *arguments)

    def _resource(self, name: str) -> str:
        return name if name.startswith(APPLIED) else resource_name(name)

    def _manifest(self, step: Step) -> dict[str, Any]:
        cron = _CRONS[step.value % len(_CRONS)]
        spec = {
            "pipelineType": "metadata",
            "service": {"type": "databaseService", "name": "shop"},
            "sourceConfig": {"config": {"type": "DatabaseMetadata", "markDeletedTables": bool(step.value % 2)}},
            "server": {
                "hostPort": self._host_port,
                "version": "2.0",
                "tokenSecretRef": {"name": "ingestion-bot", "key": "token"},
            },
            "retry": {"limit": step.value % 5 // 4},
            **({"schedule": {"cron": cron}} if cron else {}),
        }
        metadata = {"name": step.pipeline, "namespace": self._namespace}
        return {"apiVersion": constants.API_VERSION, "kind": constants.KIND, "metadata": metadata, "spec": spec}

    def _entity(self, step: Step) -> dict[str, Any]:
        cron = _CRONS[step.value % len(_CRONS)]
        body = entity(
            step.pipeline,
            airflowConfig=airflow(scheduleInterval=cron, retries=step.value % 5 // 4),
            sourceConfig={"config": {"type": "DatabaseMetadata", "markDeletedTables": bool(step.value % 2)}},
        )
        body["openMetadataServerConnection"]["hostPort"] = self._host_port
        return body

    def _write(self, line: dict[str, Any]) -> None:
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()


def _now() -> str:
    return format_timestamp(datetime.now(UTC))
