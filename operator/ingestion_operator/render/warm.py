"""The Job of a pod of the warm pool, which imports the library and waits for an automation."""

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
"""How long a pod waits before it completes and another one replaces it."""

_DEADLINE_SECONDS: Final = 3600
"""Covers the wait and delays of the pod's start. A claimed Job gets the deadline of its automation."""

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
    """Return a hash of everything that determines the pods: image, pod template and settings."""
    text = json.dumps(_job("any", "any", "any", settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_for(settings: Settings, automation: OneOff) -> bool:
    """Return whether a warm pod equals the pod of the automation: no layer applies to its service only."""
    own = settings.pod_template_layers(None, automation.service_type, automation.service_name)
    return own == settings.pod_template_layers(None, None, None)


def _job(name: str, run_id: str, namespace: str, settings: Settings) -> dict[str, Any]:
    run_input = {
        "version": RUN_INPUT_VERSION,
        "kind": "warmAutomation",
        "waitSeconds": IDLE_SECONDS,
        "port": constants.WARM_POD_PORT,
    }
    directories = {
        constants.CERTIFICATE_KEY: constants.CERTIFICATE_DIRECTORY,
        constants.HANDOVER_SECRET_KEY: constants.HANDOVER_SECRET_DIRECTORY,
    }
    one_off = OneOff(
        kind="automation",
        job=name,
        run_id=run_id,
        entity_name="",
        run_input=json.dumps(run_input, sort_keys=True, separators=(",", ":")),
        files=[SecretFile(key, folder, KeyReference(name=name, key=key)) for key, folder in directories.items()],
        deadline_seconds=_DEADLINE_SECONDS,
    )
    job = one_off_job(one_off, namespace, settings)
    template = job["spec"]["template"]
    for metadata in (job["metadata"], template["metadata"]):
        metadata["labels"] = metadata["labels"] | WARM_POOL_LABELS
    # There is always a warm pod, which must not keep a node that is otherwise unused.
    template["metadata"]["annotations"] |= {SAFE_TO_EVICT: "true", DO_NOT_DISRUPT: "false"}
    container = template["spec"]["containers"][0]
    # The port opens once the library is imported.
    container["ports"] = [{"name": "handover", "containerPort": constants.WARM_POD_PORT}]
    container["readinessProbe"] = {"tcpSocket": {"port": "handover"}, "periodSeconds": 2}
    return job
