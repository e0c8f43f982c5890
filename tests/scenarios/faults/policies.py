"""Admission policies of the API server, in force for one namespace until a block ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ingestion_operator.adapters.kube.client import connect, read_configuration
from testing.install import OPERATOR, apply
from testing.waiting import wait_for
from tests.scenarios.faults.trial import Trial

MESSAGE: Final = "the chaos policy refuses it"
_VERSION: Final = "admissionregistration.k8s.io/v1"
_PROBE_IMAGE: Final = "localhost/probe"
_PROBE: Final = {"metadata": {"annotations": {"chaos.example.com/probe": "yes"}}}


def operator_account(trial: Trial) -> str:
    """Return the user name of the operator's service account."""
    return f"system:serviceaccount:{trial.target.operator_namespace}:{OPERATOR}"


@contextmanager
def denying(trial: Trial, resource: str, name: str) -> Iterator[None]:
    """Refuse the operator's changes of one object until the block ends."""
    is_operator = f"request.userInfo.username == '{operator_account(trial)}'"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": _constraints(resource, ["UPDATE"]),
        "matchConditions": [{"name": "one", "expression": f"{is_operator} && object.metadata.name == '{name}'"}],
        "validations": [{"expression": "false", "message": MESSAGE}],
    }
    with _in_force(trial, "Validating", spec, {"validationActions": ["Deny"]}):
        wait_for("the policy to be in force", lambda: MESSAGE in _dry_run(trial, resource, name), timeout=30)
        trial.disturbed()
        yield
    wait_for("the policy to be gone", lambda: MESSAGE not in _dry_run(trial, resource, name), timeout=30)
    trial.recovered()


@contextmanager
def rewriting_images(trial: Trial, cronjob: str, prefix: str) -> Iterator[None]:
    """Put a mirror's prefix before the image of every CronJob that is written until the block ends."""
    path = "/spec/jobTemplate/spec/template/spec/containers/0/image"
    image = "object.spec.jobTemplate.spec.template.spec.containers[0].image"
    patch = f'[JSONPatch{{op: "replace", path: "{path}", value: "{prefix}" + {image}}}]'
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": _constraints("cronjobs", ["CREATE", "UPDATE"]),
        "matchConditions": [{"name": "foreign", "expression": f"!{image}.startsWith('{prefix}')"}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    probe = [{"op": "replace", "path": path, "value": _PROBE_IMAGE}]

    def is_rewritten() -> bool:
        return f"{prefix}{_PROBE_IMAGE}" in _dry_run(trial, "cronjobs", cronjob, probe)

    with _in_force(trial, "Mutating", spec, {}):
        wait_for("the policy to be in force", is_rewritten, timeout=30)
        trial.disturbed()
        yield
    wait_for("the policy to be gone", lambda: not is_rewritten(), timeout=30)
    trial.recovered()


def _constraints(resource: str, operations: list[str]) -> dict[str, Any]:
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": operations, "resources": [resource]}
    return {"resourceRules": [rule]}


@contextmanager
def _in_force(trial: Trial, kind: str, spec: dict[str, Any], binding: dict[str, Any]) -> Iterator[None]:
    cluster, name = trial.installation.cluster, f"chaos-{trial.name}"
    scope = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": trial.installation.namespace}}}
    apply(
        cluster,
        {"apiVersion": _VERSION, "kind": f"{kind}AdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": _VERSION,
            "kind": f"{kind}AdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "matchResources": scope, **binding},
        },
    )
    kinds = f"{kind}AdmissionPolicyBinding,{kind}AdmissionPolicy".lower()
    try:
        yield
    finally:
        cluster.kubectl("delete", kinds, name, "--ignore-not-found")


def _dry_run(trial: Trial, resource: str, name: str, change: Any = _PROBE) -> str:
    """Return what the API server answers to a change by the operator, which it does not make."""
    api: Any = connect(read_configuration(str(trial.installation.cluster.kubeconfig)))
    api.set_default_header("Impersonate-User", operator_account(trial))
    batch = client.BatchV1Api(api)
    patch = batch.patch_namespaced_job if resource == "jobs" else batch.patch_namespaced_cron_job
    try:
        answer = patch(name, trial.installation.namespace, change, dry_run="All")
    except ApiException as error:
        return str(error.body)
    return json.dumps(api.sanitize_for_serialization(answer))
