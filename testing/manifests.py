"""Kubernetes objects of the servers that tests and the demo need: fake OpenMetadata, databases, a web server of files.

    for manifest in fake_openmetadata(namespace, image, token=...) + postgres(namespace, image, password=...):
        ...                                   # apply it

They run under the restricted Pod Security standard, with a read-only root.
"""

from typing import Any

Manifest = dict[str, Any]

FAKE_OPENMETADATA = "openmetadata"
FAKE_OPENMETADATA_PORT = 8585
POSTGRES = "postgres"
POSTGRES_PORT = 5432
MARIADB = "mariadb"
MARIADB_PORT = 3306
FILES = "files"
FILES_PORT = 8080


def fake_openmetadata(
    namespace: str, image: str, *, token: str, version: str = "2.0.6", node_port: int | None = None
) -> list[Manifest]:
    """Secret, Deployment and Service `openmetadata`; hostPort is http://openmetadata:8585/api.

    `token` is the only bearer token accepted, "" accepts any. With `node_port` (0: any free one) the
    Service can be reached from outside of the cluster.
    """
    container = _container(
        FAKE_OPENMETADATA,
        image,
        port=FAKE_OPENMETADATA_PORT,
        environment={"DOUBLE_TOKEN": _from_secret(FAKE_OPENMETADATA, "token"), "DOUBLE_VERSION": {"value": version}},
        probe={"httpGet": {"path": "/_fake/health", "port": FAKE_OPENMETADATA_PORT}},
        memory=("128Mi", "512Mi"),
    )
    return [
        _secret(namespace, FAKE_OPENMETADATA, {"token": token}),
        _deployment(namespace, FAKE_OPENMETADATA, container, writable={}),
        _service(namespace, FAKE_OPENMETADATA, FAKE_OPENMETADATA_PORT, node_port=node_port),
    ]


def postgres(namespace: str, image: str, *, password: str) -> list[Manifest]:
    """Secret, Deployment and Service `postgres`, port 5432: the seeded database `shop`."""
    container = _container(
        POSTGRES,
        image,
        port=POSTGRES_PORT,
        environment={"POSTGRES_PASSWORD": _from_secret(POSTGRES, "password")},
        probe={"tcpSocket": {"port": POSTGRES_PORT}},
        memory=("64Mi", "256Mi"),
    )
    # It listens on TCP only when it is seeded. A process each second for that would take a tenth of a core for good.
    asks = {"exec": {"command": ["/usr/lib/postgresql/15/bin/pg_isready", "--host=127.0.0.1"]}}
    container["startupProbe"] = {**asks, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 120}
    writable = {"data": "/var/lib/postgresql/data", "tmp": "/tmp"}
    return [
        _secret(namespace, POSTGRES, {"password": password}),
        _deployment(namespace, POSTGRES, container, writable=writable),
        _service(namespace, POSTGRES, POSTGRES_PORT, node_port=None),
    ]


def mariadb(namespace: str, image: str, *, password: str) -> list[Manifest]:
    """Secret, Deployment and Service `mariadb`, port 3306: the seeded database `depot`."""
    asks = 'MYSQL_PWD="$MARIADB_PASSWORD" mariadb --no-defaults -h 127.0.0.1 -u openmetadata -e "select 1"'
    container = _container(
        MARIADB,
        image,
        port=MARIADB_PORT,
        environment={"MARIADB_PASSWORD": _from_secret(MARIADB, "password")},
        probe={"exec": {"command": ["sh", "-c", asks]}},
        memory=("96Mi", "384Mi"),
    )
    writable = {"data": "/var/lib/mysql", "tmp": "/tmp"}
    return [
        _secret(namespace, MARIADB, {"password": password}),
        _deployment(namespace, MARIADB, container, writable=writable),
        _service(namespace, MARIADB, MARIADB_PORT, node_port=None),
    ]


def files(namespace: str, image: str, content: dict[str, str]) -> list[Manifest]:
    """ConfigMap, Deployment and Service `files`: a web server at http://files:8080/; `image` is the fake server's."""
    serve = ["/opt/venv/bin/python", "-m", "http.server", str(FILES_PORT), "--directory", "/srv"]
    container = _container(
        FILES,
        image,
        port=FILES_PORT,
        environment={},
        probe={"tcpSocket": {"port": FILES_PORT}},
        memory=("32Mi", "96Mi"),
    )
    deployment = _deployment(namespace, FILES, {**container, "command": serve}, writable={})
    pod = deployment["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "content", "configMap": {"name": FILES}})
    pod["containers"][0]["volumeMounts"].append({"name": "content", "mountPath": "/srv", "readOnly": True})
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(namespace, FILES), "data": content},
        deployment,
        _service(namespace, FILES, FILES_PORT, node_port=None),
    ]


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "ingestion-operator-tests"}


def _metadata(namespace: str, name: str) -> Manifest:
    return {"namespace": namespace, "name": name, "labels": _labels(name)}


def _from_secret(name: str, key: str) -> Manifest:
    return {"valueFrom": {"secretKeyRef": {"name": f"{name}-server", "key": key}}}


def _secret(namespace: str, name: str, data: dict[str, str]) -> Manifest:
    """What the server itself needs; `-server`, because clients have secrets of their own."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(namespace, f"{name}-server"),
        "stringData": data,
    }


def _container(
    name: str,
    image: str,
    *,
    port: int,
    environment: dict[str, Manifest],
    probe: Manifest,
    memory: tuple[str, str],
) -> Manifest:
    request, limit = memory
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, **value} for key, value in environment.items()],
        "ports": [{"name": name, "containerPort": port}],
        "readinessProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 3},
        "resources": {"requests": {"cpu": "50m", "memory": request}, "limits": {"memory": limit}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _deployment(namespace: str, name: str, container: Manifest, *, writable: dict[str, str]) -> Manifest:
    mounts = [{"name": volume, "mountPath": path} for volume, path in writable.items()]
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{**container, "volumeMounts": mounts}],
        "volumes": [{"name": volume, "emptyDir": {}} for volume in writable],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(namespace, name),
        "spec": {
            "replicas": 1,
            # What they hold is in memory or an emptyDir: two at once would be two truths.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _labels(name)},
            "template": {"metadata": {"labels": _labels(name)}, "spec": pod},
        },
    }


def _service(namespace: str, name: str, port: int, *, node_port: int | None) -> Manifest:
    exposed: Manifest = {"name": name, "port": port, "targetPort": port}
    if node_port:
        exposed["nodePort"] = node_port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(namespace, name),
        "spec": {
            "type": "ClusterIP" if node_port is None else "NodePort",
            "selector": _labels(name),
            "ports": [exposed],
        },
    }
