"""The Role that is shipped for the client's user grants what the client asks for, and nothing else."""

from pathlib import Path

import pytest

from ingestion_operator.k8s.yaml_documents import parse_document
from ingestion_operator.pipeline_service.health import PERMISSIONS

MANIFEST = Path(__file__).parents[3] / "manifests" / "gateway.yaml"


def granted() -> set[tuple[str, str, str]]:
    documents = [parse_document(text) for text in MANIFEST.read_text().split("\n---\n")]
    rules = next(document["rules"] for document in documents if document["kind"] == "Role")
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed() -> set[tuple[str, str, str]]:
    return {
        (kind.api_version.rpartition("/")[0], "/".join(filter(None, (kind.plural, subresource))), verb)
        for kind, subresource, verbs in PERMISSIONS
        for verb in verbs
    }


@pytest.mark.parametrize("what", ["missing", "superfluous"])
def test_no_permission_is(what: str) -> None:
    difference = needed() - granted() if what == "missing" else granted() - needed()
    assert difference == set()
