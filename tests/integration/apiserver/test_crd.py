"""The CustomResourceDefinition as people meet it: defaults, pruning, columns, the status apart from the spec."""

import json
from copy import deepcopy
from typing import Any

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.constants import STATUS_FIELD_MANAGER
from ingestion_operator.errors import Invalid
from ingestion_operator.ports import PIPELINES
from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testing import requests
from testing.corpus import Case, accepted
from testing.full_spec import full_spec
from testing.objects import Body, at, manifest, spec

RUN: Body = {
    "id": "r1",
    "job": "j1",
    "trigger": "manual",
    "state": "partialSuccess",
    "reason": "Succeeded",
    "message": "done",
    "startTime": at(0),
}
STATUS: Body = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": at(0),
            "reason": "Reconciled",
            "message": "in place",
        }
    ],
    "nextScheduleTime": at(3600),
    "runs": [RUN],
}


def _dry(api: KubernetesCluster, body: Body, **query: str) -> Body:
    return requests.create(api, PIPELINES, body, dryRun="All", **query)


def _write_status(api: KubernetesCluster, namespace: str, name: str, status: Body) -> Body:
    body = manifest(name, namespace) | {"status": status}
    del body["spec"]
    return api.apply(PIPELINES, body, field_manager=STATUS_FIELD_MANAGER, subresource="status")


@pytest.mark.parametrize("case", accepted(), ids=str)
def test_what_the_server_fills_in_is_what_the_model_fills_in(
    api: KubernetesCluster, namespace: str, case: Case
) -> None:
    stored = _dry(api, manifest(namespace=namespace) | {"spec": case.spec})["spec"]
    ours, theirs = PipelineSpec.model_validate(case.spec), PipelineSpec.model_validate(stored)
    assert theirs == ours
    for field, default in PipelineSpec.model_validate(spec()).model_dump(by_alias=True, mode="json").items():
        if field in ("suspend", "concurrency", "retry", "history", "loggerLevel") and field not in case.spec:
            assert _without_none(default) == stored[field]


def test_an_unknown_field_is_pruned_unless_validation_is_strict(api: KubernetesCluster, namespace: str) -> None:
    body = manifest(namespace=namespace, fromTheFuture={"a": 1})
    assert "fromTheFuture" not in _dry(api, body)["spec"]
    assert "fromTheFuture" not in _dry(api, body, fieldValidation="Warn")["spec"]
    with pytest.raises(Invalid, match=r'unknown field "spec\.fromTheFuture"'):
        _dry(api, body, fieldValidation="Strict")


def test_kubectl_refuses_an_unknown_field(cluster: Cluster, namespace: str) -> None:
    body = manifest(namespace=namespace, shedule={"cron": "@daily"})
    with pytest.raises(CommandError, match=r'unknown field "spec\.shedule"'):
        cluster.kubectl("apply", "--dry-run=server", "--filename=-", stdin=json.dumps(body))


def test_the_source_config_is_kept_as_it_was_written(api: KubernetesCluster, namespace: str) -> None:
    config: Body = {"type": "X", "nothing": None, "deep": [{"a": {"b": [1, 2.5, True, ""]}}], "Ümläut 🌙": {}}
    body = manifest(namespace=namespace, sourceConfig={"config": config})
    assert _dry(api, body, fieldValidation="Strict")["spec"]["sourceConfig"]["config"] == config


CLOSED: dict[str, Body] = {
    "hostNetwork": {"spec": {"hostNetwork": True}},
    "hostPID": {"spec": {"hostPID": True}},
    "hostIPC": {"spec": {"hostIPC": True}},
    "hostUsers": {"spec": {"hostUsers": True}},
    "automountServiceAccountToken": {"spec": {"automountServiceAccountToken": True}},
    "nodeName": {"spec": {"nodeName": "master"}},
    "initContainers": {"spec": {"initContainers": [{"name": "x", "image": "x"}]}},
    "containers": {"spec": {"containers": [{"name": "x", "image": "x"}]}},
    "seccompProfile": {"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}},
    "runAsNonRoot": {"spec": {"securityContext": {"runAsNonRoot": False}}},
    "sysctls": {"spec": {"securityContext": {"sysctls": [{"name": "a", "value": "b"}]}}},
    "hostPath": {"spec": {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]}},
    "projected": {"spec": {"volumes": [{"name": "a", "emptyDir": {}, "projected": {"sources": []}}]}},
    "csi": {"spec": {"volumes": [{"name": "a", "emptyDir": {}, "csi": {"driver": "x"}}]}},
    "securityContext": {"container": {"securityContext": {"privileged": True}}},
    "command": {"container": {"command": ["sh"]}},
    "args": {"container": {"args": ["x"]}},
    "lifecycle": {"container": {"lifecycle": {}}},
    "lifecycle of a sidecar": {"sidecars": [{"name": "x", "lifecycle": {}}]},
    "ports": {"sidecars": [{"name": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
    "restartPolicy": {"sidecars": [{"name": "x", "restartPolicy": "Never"}]},
    "securityContext of a sidecar": {"sidecars": [{"name": "x", "securityContext": {"privileged": True}}]},
    "fieldRef": {"container": {"env": [{"name": "A", "valueFrom": {
        "secretKeyRef": {"name": "a", "key": "b"}, "fieldRef": {"fieldPath": "x"}}}]}},
    "volumeDevices": {"container": {"volumeDevices": []}},
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CLOSED))
def test_a_pod_template_gives_no_more_than_an_ordinary_pod(api: KubernetesCluster, namespace: str, case: str) -> None:
    body, field = manifest(namespace=namespace, podTemplate=CLOSED[case]), case.split(maxsplit=1)[0]
    with pytest.raises(Invalid, match=rf'unknown field "spec\.podTemplate\..*{field}"'):
        _dry(api, body, fieldValidation="Strict")
    assert f'"{field}"' not in json.dumps(_dry(api, body))


@pytest.mark.parametrize("kind", ["hostPath", "nfs", "downwardAPI"])
def test_a_volume_of_another_kind_is_refused_even_when_pruned(
    api: KubernetesCluster, namespace: str, kind: str
) -> None:
    template = {"spec": {"volumes": [{"name": "a", kind: {"path": "/"}}]}}
    with pytest.raises(Invalid, match="set exactly one of secret, configMap, emptyDir, persistentVolumeClaim"):
        _dry(api, manifest(namespace=namespace, podTemplate=template))


def test_spec_and_status_are_edited_separately(api: KubernetesCluster, namespace: str) -> None:
    api.create(PIPELINES, manifest("apart", namespace) | {"status": {"observedGeneration": 99}})
    created = api.get(PIPELINES, namespace, "apart")
    assert created is not None
    assert "status" not in created
    written = _write_status(api, namespace, "apart", STATUS)
    assert written["metadata"]["generation"] == 1
    edited = deepcopy(written)
    edited["spec"]["suspend"] = True
    edited["status"]["observedGeneration"] = 99
    after = requests.replace(api, PIPELINES, edited)
    assert (after["spec"]["suspend"], after["metadata"]["generation"]) == (True, 2)
    assert after["status"] == written["status"]
    edited = deepcopy(after)
    edited["spec"]["suspend"] = False
    edited["status"]["observedGeneration"] = 2
    after = requests.replace(api, PIPELINES, edited, subresource="status")
    assert (after["spec"]["suspend"], after["status"]["observedGeneration"]) == (True, 2)
    assert after["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"conditions": [STATUS["conditions"][0] | {"status": "Maybe"}]},
            'supported values: "True", "False", "Unknown"',
        ),
        ({"conditions": STATUS["conditions"] * 2}, "duplicate entries"),
        ({"runs": [RUN | {"state": "great"}]}, 'supported values: "queued"'),
        ({"runs": [RUN | {"message": "x" * 1025}]}, "may not be more than 1024"),
        ({"active": -1}, "greater than or equal to 0"),
        ({"conditions": [STATUS["conditions"][0] | {"type": f"T{n}"} for n in range(17)]}, "at most 16 items"),
        ({"runs": [RUN] * 21}, "must have at most 20 items"),
        ({"runs": [{"id": "x"}]}, "Required value"),
    ],
)
def test_a_status_that_is_out_of_bounds_is_refused(
    api: KubernetesCluster, namespace: str, status: Body, said: str
) -> None:
    name = "bounded"
    if api.get(PIPELINES, namespace, name) is None:
        api.create(PIPELINES, manifest(name, namespace))
    with pytest.raises(Exception, match=said):
        _write_status(api, namespace, name, status)


def test_kubectl_knows_columns_short_name_and_category(
    cluster: Cluster, api: KubernetesCluster, namespace: str
) -> None:
    api.create(PIPELINES, manifest("shown", namespace, schedule={"cron": "0 2 * * *"}))
    _write_status(api, namespace, "shown", STATUS)
    header, *rows = cluster.kubectl("get", "omip", "--namespace", namespace).splitlines()
    assert header.split() == ["NAME", "SCHEDULE", "SUSPENDED", "READY", "LAST-RUN", "LAST-STATE", "AGE"]
    (row,) = [row for row in rows if row.startswith("shown ")]
    assert "0 2 * * *" in row
    assert row.split()[6:8] == ["false", "True"]
    assert row.split()[9] == "partialSuccess"
    wide, *_ = cluster.kubectl("get", "ingestionpipelines", "--namespace", namespace, "--output=wide").splitlines()
    assert wide.split()[-4:] == ["TYPE", "NEXT", "REASON", "FULL-NAME"]
    assert "shown" in cluster.kubectl("get", "openmetadata", "--namespace", namespace)


def test_kubectl_explain_knows_every_field_that_people_write(cluster: Cluster) -> None:
    for field in ("spec.schedule.startingDeadlineSeconds", "spec.history.ttl", "spec.podTemplate.container.image"):
        assert "FIELD" in cluster.kubectl("explain", f"omip.{field}")
    assert "late a scheduled run may still start after an outage" in cluster.kubectl("explain", "omip.spec.schedule")


def test_a_full_pipeline_survives_kubectl_apply_without_a_change(cluster: Cluster, namespace: str) -> None:
    # Without the null in it: kubectl's own apply takes a null for a deletion.
    body = manifest("full", namespace) | {"spec": full_spec() | {"sourceConfig": {"config": {"deep": [{"a": [1]}]}}}}
    text = json.dumps(body)
    assert "created" in cluster.kubectl("apply", "--filename=-", stdin=text)
    assert "unchanged" in cluster.kubectl("apply", "--filename=-", stdin=text)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(child) for key, child in value.items() if child is not None}
    return value
