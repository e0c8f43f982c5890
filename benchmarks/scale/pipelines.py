"""The pipelines that are applied, and what a script without an operator would write for them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from benchmarks.scale.environment import Environment
from ingestion_operator import constants
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import CRONJOBS, PIPELINES
from ingestion_operator.render.cronjob import cronjob

_THREADS: Final = 8
_ON_DEMAND_SHARE: Final = 5
_TYPES: Final = ("metadata", "application")
_T = TypeVar("_T")
_R = TypeVar("_R")


def name(number: int) -> str:
    """Return the name of a pipeline."""
    return f"pipeline-{number:05}"


def manifest(namespace: str, number: int) -> dict[str, Any]:
    """Return what a user applies: every fifth on demand, all others at midnight, in turn of each type."""
    spec: dict[str, Any] = {
        "pipelineType": _TYPES[number % len(_TYPES)],
        "service": {"type": "databaseService", "name": f"service-{number % 50}"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata", "schemaFilterPattern": {"includes": ["^shop$"]}}},
        "server": {"hostPort": "http://127.0.0.1:9/api", "version": "2.0"},
        "retry": {"limit": 1},
        "timeout": "2h",
    }
    if spec["pipelineType"] == "application":
        spec["sourceConfig"] = {"config": {"sourcePythonClass": "shop.Application", "appConfig": {}}}
    if number % _ON_DEMAND_SHARE:
        spec["schedule"] = {"cron": "0 0 * * *", "timeZone": "UTC"}
    return {
        "apiVersion": constants.API_VERSION,
        "kind": constants.KIND,
        "metadata": {"name": name(number), "namespace": namespace},
        "spec": spec,
    }


def apply_all(environment: Environment, size: int) -> None:
    """Create so many pipelines, as fast as the API server takes them from eight threads."""
    at_once(lambda number: environment.kube.create(PIPELINES, manifest(environment.namespace, number)), range(size))


def apply_raw(environment: Environment, size: int) -> None:
    """Write the same objects as pipelines and operator together: pipeline, CronJob, status."""

    def write(number: int) -> None:
        body = environment.kube.create(PIPELINES, manifest(environment.namespace, number))
        child = cronjob(Pipeline.parse(body), environment.settings, SystemClock().now())
        child["spec"]["suspend"] = True  # no run is wanted
        environment.kube.create(CRONJOBS, child)
        now = format_timestamp(SystemClock().now())
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "",
                "lastTransitionTime": now,
                "observedGeneration": 1,
            }
            for kind in ("Ready", "Scheduled")
        ]
        environment.kube.merge_patch(
            PIPELINES,
            environment.namespace,
            name(number),
            {"status": {"observedGeneration": 1, "cronJobName": name(number), "conditions": conditions}},
            subresource="status",
        )

    at_once(write, range(size))


def at_once(call: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Call for each item, eight at a time."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(call, items))
