"""Everything of one pipeline on an API server, in a form that two pipelines in the same state share."""

import json
import re
import time
from base64 import b64decode
from typing import Any

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.pipeline_service.names import resource_name, token_secret_name
from ingestion_operator.ports import JOBS, PIPELINES, SECRETS
from testing.entities import entity, token
from testing.waiting import wait_for

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_VOLATILE = ("creationTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields", "resourceVersion", "uid")

State = dict[str, Any]


def own_entity(name: str, *, serial: int = 1, **changes: Any) -> dict[str, Any]:
    """A pipeline of a bot, and so with a token's Secret, of its own."""
    return entity(name, jwt=token(name, serial), **changes)


def names_of(name: str) -> tuple[str, str]:
    """What the names of a pipeline's objects begin with, and the name of its token's Secret."""
    host_port = entity()["openMetadataServerConnection"]["hostPort"]
    return resource_name(name), token_secret_name(host_port, name)


def state_of(api: KubernetesCluster, namespace: str, name: str) -> State:
    """All objects of a pipeline that `own_entity` deployed, by kind and name.

    Names, ids and moments that differ from pipeline to pipeline are replaced, Secrets are in the clear.
    """
    resource, tokens = names_of(name)
    found = {
        f"{kind.plural}/{body['metadata']['name']}": _bare(body)
        for kind in (PIPELINES, JOBS, SECRETS)
        for body in api.list(kind, namespace, {})
        if body["metadata"]["name"] == tokens or body["metadata"]["name"].startswith(resource)
    }
    text = json.dumps(found, sort_keys=True)
    for own, shared in ((resource, "RESOURCE"), (tokens, "TOKENS"), (name, "NAME")):
        text = text.replace(own, shared)
    state: State = json.loads(_TIME.sub("TIME", _UUID.sub("ID", text)))
    return state


def _bare(body: dict[str, Any]) -> dict[str, Any]:
    kept = {
        key: value for key, value in body.items() if key not in ("apiVersion", "kind", "status", "metadata", "data")
    }
    metadata = {key: value for key, value in body["metadata"].items() if key not in _VOLATILE}
    data = {key: _readable(b64decode(value).decode()) for key, value in body.get("data", {}).items()}
    return {**kept, "metadata": metadata, "data": data}


def _readable(value: str) -> str:
    """Return a token's claims; anything else as it is."""
    return b64decode(value.split(".")[1] + "==").decode() if value.startswith("eyJ") else value


def settled_state(api: KubernetesCluster, namespace: str, name: str) -> State:
    """Return the state once nothing of it is being deleted."""

    def probe() -> tuple[State] | None:
        state = state_of(api, namespace, name)
        return None if "deletionTimestamp" in json.dumps(state) else (state,)

    return wait_for(f"all deletions of {name}", probe, timeout=30)[0]


def assert_becomes(expected: State, api: KubernetesCluster, namespace: str, name: str) -> None:
    """Wait until a pipeline is in a state; show the difference when it does not get there."""
    end = time.monotonic() + 20
    while (state := state_of(api, namespace, name)) != expected and time.monotonic() < end:
        time.sleep(0.2)
    assert state == expected
