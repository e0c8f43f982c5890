"""The shared corpus against a real API server; tests/unit holds it against the model."""

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.errors import Invalid
from ingestion_operator.ports import PIPELINES
from testing import requests
from testing.corpus import Case, accepted, refused
from testing.objects import manifest


def _post(api: KubernetesCluster, namespace: str, case: Case) -> None:
    body = manifest(namespace=namespace) | {"spec": case.spec}
    requests.create(api, PIPELINES, body, dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize("case", accepted(), ids=str)
def test_the_api_server_accepts(api: KubernetesCluster, namespace: str, case: Case) -> None:
    _post(api, namespace, case)


@pytest.mark.parametrize("case", refused(), ids=str)
def test_the_api_server_refuses_and_names_field_and_fix(api: KubernetesCluster, namespace: str, case: Case) -> None:
    with pytest.raises(Invalid) as caught:
        _post(api, namespace, case)
    text = str(caught.value)
    assert case.fix in text
    assert case.field in text
