"""A spec of an IngestionPipeline with every field."""

from typing import Final

from testing.objects import Body

REFERENCE: Final = {"name": "some-object", "key": "some.key"}
_REQUIREMENT: Final = {"key": "disk", "operator": "In", "values": ["ssd"]}
_NODE_TERM: Final = {
    "matchExpressions": [_REQUIREMENT],
    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}],
}
_POD_TERM: Final = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": {"matchLabels": {"app": "x"}, "matchExpressions": [_REQUIREMENT]},
    "namespaces": ["other"],
}
_POD_AFFINITY: Final = {
    "requiredDuringSchedulingIgnoredDuringExecution": [_POD_TERM],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": _POD_TERM}],
}
_ITEMS: Final = [{"key": "a.b", "path": "dir/file"}]

SIDECAR: Final = {
    "name": "proxy",
    "image": "registry.example/proxy:1",
    "imagePullPolicy": "IfNotPresent",
    "command": ["/proxy"],
    "args": ["--port", "5432"],
    "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}},
    "env": [{"name": "PLAIN", "value": "x"}],
    "envFrom": [{"secretRef": {"name": "some-object"}}],
    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp", "subPath": "proxy", "readOnly": False}],
    "startupProbe": {
        "tcpSocket": {"port": 5432},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "failureThreshold": 60,
    },
}


def full_spec() -> Body:
    """A spec that sets every field there is, but for one side of each choice."""
    return {
        "fullyQualifiedName": 'shop."nightly run"',
        "displayName": "Nächtlicher Lauf 🌙",
        "pipelineType": "metadata",
        "service": {"type": "databaseService", "name": "shop"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata", "anything": [{"goes": None}]}},
        "server": {
            "hostPort": "https://openmetadata:8585/api",
            "version": "2.0",
            "tokenSecretRef": REFERENCE,
            "verifySSL": "validate",
            "secretsManagerProvider": "aws",
            "secretsManagerLoader": "env",
        },
        "connectionSecretRef": REFERENCE,
        "schedule": {
            "cron": "*/15 0-6,20-22/2 1,15 jan-MAR Mon-fri",
            "timeZone": "America/Argentina/Buenos_Aires",
            "startDate": "2026-01-01T00:00:00Z",
            "endDate": "2026-12-31T23:59:59.5+01:00",
            "startingDeadlineSeconds": 600,
        },
        "suspend": True,
        "concurrency": {"policy": "Allow", "maxActiveRuns": 2, "maxQueuedRuns": 20},
        "retry": {"limit": 2, "disruptions": 5, "onOutOfMemory": {"memoryFactor": 2, "maxMemory": "8Gi"}},
        "timeout": "2h",
        "history": {"successful": 3, "failed": 3, "ttl": "7d"},
        "loggerLevel": "INFO",
        "podTemplate": {
            "metadata": {"labels": {"team": "data"}, "annotations": {"example.com/note": "any text"}},
            "spec": {
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [
                    {
                        "key": "dedicated",
                        "operator": "Equal",
                        "value": "ingestion",
                        "effect": "NoExecute",
                        "tolerationSeconds": 60,
                    }
                ],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_NODE_TERM]},
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": _NODE_TERM}],
                    },
                    "podAffinity": _POD_AFFINITY,
                    "podAntiAffinity": _POD_AFFINITY,
                },
                "priorityClassName": "low",
                "runtimeClassName": "gvisor",
                "schedulerName": "default-scheduler",
                "serviceAccountName": "workload-identity",
                "imagePullSecrets": [{"name": "registry"}],
                "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
                "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["warehouse.example"]}],
                "volumes": [
                    {"name": "ca", "secret": {"secretName": "ca", "items": _ITEMS, "optional": True}},
                    {"name": "settings", "configMap": {"name": "settings", "items": _ITEMS, "optional": True}},
                    {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
                    {"name": "claim", "persistentVolumeClaim": {"claimName": "claim", "readOnly": True}},
                ],
            },
            "container": {
                "image": "registry.example/runner:2.0",
                "imagePullPolicy": "Always",
                "resources": {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"memory": "1.5Gi"}},
                "env": [
                    {"name": "PLAIN", "value": "x"},
                    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": REFERENCE}},
                    {"name": "FROM_CONFIG", "valueFrom": {"configMapKeyRef": REFERENCE}},
                ],
                "envFrom": [
                    {"prefix": "DB_", "secretRef": {"name": "some-object", "optional": True}},
                    {"configMapRef": {"name": "some-object", "optional": True}},
                ],
                "volumeMounts": [
                    {"name": "ca", "mountPath": "/etc/ssl/ca", "subPath": "dir/file", "readOnly": True},
                ],
            },
            "sidecars": [SIDECAR],
        },
    }
