"""The Job of a pod that has imported the library and waits for an automation; one of the warm pool."""

import hashlib
import json
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.settings import Settings
from ingestion_operator.render.one_off import OneOff, one_off_job
from ingestion_operator.render.run_input import RUN_INPUT_VERSION
from ingestion_operator.render.runner_pod import DO_NOT_DISRUPT, SAFE_TO_EVICT, SecretFile

IDLE_SECONDS: Final = 1800
"""How long a pod waits before it ends as done, for another one to wait in its place."""

_DEADLINE_SECONDS: Final = 3600
"""The waiting, and all that may keep a pod from starting. When it is given an automation, that one's deadline holds."""

WARM_POOL_LABELS: Final = {constants.LABEL_WARM_POOL: "automations"}


def warm_job(name: str, slot: int, run_id: str, namespace: str, settings: Settings) -> dict[str, Any]:
    """Return the Job, whose Secret has its name. Raises Rejected as `runner_pod` does."""
    job = _job(name, run_id, namespace, settings)
    job["metadata"]["annotations"] = {
        constants.ANNOTATION_WARM_SLOT: str(slot),
        constants.ANNOTATION_FINGERPRINT: warm_fingerprint(settings),
    }
    return job


def warm_fingerprint(settings: Settings) -> str:
    """Return what changes when the pods would be others: with their image, template and settings."""
    text = json.dumps(_job("any", "any", "any", settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_for(settings: Settings, automation: OneOff) -> bool:
    """Return whether a warm pod is the pod that the automation would get: no layer is for its service alone."""
    own = settings.pod_template_layers(None, automation.service_type, automation.service_name)
    return own == settings.pod_template_layers(None, None, None)


def _job(name: str, run_id: str, namespace: str, settings: Settings) -> dict[str, Any]:
    run_input = {
        "version": RUN_INPUT_VERSION,
        "kind": "warmAutomation",
        "waitSeconds": IDLE_SECONDS,
        "port": constants.WARM_POD_PORT,
    }
    places = {
        constants.CERTIFICATE_KEY: constants.CERTIFICATE_DIRECTORY,
        constants.HANDOVER_SECRET_KEY: constants.HANDOVER_SECRET_DIRECTORY,
    }
    one_off = OneOff(
        kind="automation",
        job=name,
        run_id=run_id,
        entity_name="",
        run_input=json.dumps(run_input, sort_keys=True, separators=(",", ":")),
        files=[SecretFile(key, folder, KeyReference(name=name, key=key)) for key, folder in places.items()],
        deadline_seconds=_DEADLINE_SECONDS,
    )
    job = one_off_job(one_off, namespace, settings)
    template = job["spec"]["template"]
    for metadata in (job["metadata"], template["metadata"]):
        metadata["labels"] = metadata["labels"] | WARM_POOL_LABELS
    # There is always one: it must not keep a node that nothing else needs.
    template["metadata"]["annotations"] |= {SAFE_TO_EVICT: "true", DO_NOT_DISRUPT: "false"}
    container = template["spec"]["containers"][0]
    # The port opens when the library is imported.
    container["ports"] = [{"name": "handover", "containerPort": constants.WARM_POD_PORT}]
    container["readinessProbe"] = {"tcpSocket": {"port": "handover"}, "periodSeconds": 2}
    return job
