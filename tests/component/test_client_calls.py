"""The operator's client without a server: what it counts, and what it does not even send."""

import pytest
from kubernetes import client

from ingestion_operator.adapters.kube.client import KubernetesCluster, _path, _resource
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import CRONJOBS, JOBS, LEASES, NODES, PIPELINES, PODS, Kind
from testing.raw_server import raw_server

Call = tuple[str, str, int]


class Counted:
    """A client of an API server that is not there, and the calls that it made."""

    def __init__(self, *, may_write: bool) -> None:
        self.calls: list[Call] = []
        configuration = client.Configuration(host="http://127.0.0.1:1")
        configuration.retries = False
        self.cluster = KubernetesCluster(
            client.ApiClient(configuration),
            attempts=1,
            observe=lambda verb, resource, code, _: self.calls.append((verb, resource, code)),
            may_write=lambda: may_write,
        )


def test_each_request_is_counted_also_one_without_an_answer() -> None:
    counted = Counted(may_write=True)
    with pytest.raises(Unavailable):
        counted.cluster.get(JOBS, "data", "nightly-1")
    with pytest.raises(Unavailable):
        counted.cluster.merge_patch(CRONJOBS, "data", "nightly", {}, subresource="status")
    assert counted.calls == [("GET", "jobs", 0), ("PATCH", "cronjobs/status", 0)]


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"", b"[" * 100_000], ids=["page", "list", "nothing", "nested"])
def test_an_answer_of_a_proxy_is_unavailable(answer: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
    with raw_server(head.encode() + answer) as server:
        configuration = client.Configuration(host=f"http://127.0.0.1:{server.port}")
        cluster = KubernetesCluster(client.ApiClient(configuration), attempts=1)
        with pytest.raises(Unavailable, match=r"GET .*jobs/nightly-1: the response is not"):
            cluster.get(JOBS, "data", "nightly-1")


def test_a_replica_that_may_not_write_sends_nothing_but_reads() -> None:
    counted = Counted(may_write=False)
    body = {"metadata": {"namespace": "data", "name": "a"}}
    for write in (
        lambda: counted.cluster.create(JOBS, body),
        lambda: counted.cluster.apply(JOBS, body, field_manager="x"),
        lambda: counted.cluster.merge_patch(JOBS, "data", "a", {}),
        lambda: counted.cluster.delete(JOBS, "data", "a", propagation="Background"),
    ):
        with pytest.raises(Unavailable, match="was not sent"):
            write()
    assert counted.calls == []
    with pytest.raises(Unavailable, match="cannot be reached"):
        counted.cluster.get(JOBS, "data", "a")
    assert counted.calls == [("GET", "jobs", 0)]


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "subresource", "resource"),
    [
        (PIPELINES, "data", "a", "status", "ingestionpipelines/status"),
        (PIPELINES, "", "", "", "ingestionpipelines"),
        (PODS, "data", "namespaces", "log", "pods/log"),
        (PODS, "data", "", "", "pods"),
        (LEASES, "data", "a", "", "leases"),
        (NODES, "", "", "", "nodes"),
    ],
)
def test_the_resource_of_a_call_is_named_without_the_object(
    kind: Kind, namespace: str, name: str, subresource: str, resource: str
) -> None:
    assert _resource(_path(kind, namespace, name, subresource)) == resource


def test_a_review_has_a_resource_too() -> None:
    assert _resource("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") == "selfsubjectaccessreviews"
