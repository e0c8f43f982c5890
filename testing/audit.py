"""The API server's audit log: who asked for what, and what was answered."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from testcluster.handle import Cluster

Right = tuple[str, str, str]
"""An API group, a resource with its subresource, and a verb: what a Role grants and a request needs."""


@dataclass(frozen=True)
class Call:
    """One request, or the beginning or the end of one that lasts."""

    right: Right
    name: str
    """Of the object; empty where the request names none."""
    code: int


def granted(roles: Iterable[Mapping[str, Any]]) -> set[Right]:
    """What Roles grant."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


class Audit:
    """The requests to the API server since this was made. Needs the node that testcluster builds."""

    def __init__(self, cluster: Cluster) -> None:
        self._path = cluster.log("audit")
        self._start = self._path.stat().st_size

    def calls(self, namespace: str, account: str) -> list[Call]:
        """The requests of a service account, without discovery and checks of its own permissions."""
        user = f"system:serviceaccount:{namespace}:{account}"
        events = [event for event in self._events(f'"{user}"') if event["user"]["username"] == user]
        calls = [_call(event) for event in events if "resource" in event.get("objectRef", {})]
        return [call for call in calls if call.right[0] != "authorization.k8s.io"]

    def tokens(self, namespace: str, account: str) -> list[str]:
        """Who asked for a token of a service account, the kubelet of a pod among them."""
        wanted = {"resource": "serviceaccounts", "subresource": "token", "namespace": namespace, "name": account}
        events = self._events('"subresource":"token"')
        return [event["user"]["username"] for event in events if wanted.items() <= event["objectRef"].items()]

    def _events(self, text: str) -> list[dict[str, Any]]:
        with self._path.open() as file:
            file.seek(self._start)
            return [json.loads(line) for line in file if text in line and line.endswith("\n")]


def _call(event: dict[str, Any]) -> Call:
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    right = (target.get("apiGroup", ""), resource, event["verb"])
    return Call(right, target.get("name", ""), event.get("responseStatus", {}).get("code", 0))
