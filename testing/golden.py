"""Pipelines that stand for all: their CronJobs are golden files, and are applied to a real API server."""

from typing import Any, Final

from ingestion_operator.api.settings import Settings
from ingestion_operator.render.cronjob import cronjob
from testing.objects import NOW, Body, pipeline, settings

_LAYERED: Final[Body] = {
    "podTemplate": {
        "metadata": {"labels": {"cost-center": "data"}, "annotations": {"example.com/owner": "data platform"}},
        "spec": {
            "nodeSelector": {"pool": "batch"},
            "imagePullSecrets": [{"name": "registry"}],
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        },
        "container": {
            "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, {"name": "LEVEL", "value": "all"}],
            "envFrom": [{"configMapRef": {"name": "everywhere"}}],
        },
        "sidecars": [
            {
                "name": "proxy",
                "image": "registry.example/proxy:1",
                "args": ["--port", "5432"],
                "resources": {"limits": {"memory": "64Mi"}},
                "startupProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
            }
        ],
    },
    "podTemplatesByPipelineType": {
        "metadata": {"container": {"resources": {"limits": {"memory": "4096Mi"}, "requests": {"cpu": "1000m"}}}},
        "profiler": {"container": {"resources": {"limits": {"memory": "16Gi"}}}},
    },
    "podTemplatesByService": [
        {
            "type": "databaseService",
            "podTemplate": {
                "spec": {"volumes": [{"name": "ca", "configMap": {"name": "ca"}}]},
                "container": {"volumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}]},
            },
        }
    ],
    "allowedServiceAccounts": ["workload-identity"],
}

GOLDEN: Final[dict[str, tuple[Settings, Body]]] = {
    "smallest": (settings(), {}),
    "on-demand": (settings(), {"schedule": None}),
    "secrets": (
        settings(),
        {
            "sourceConfig": None,
            "sourceConfigSecretRef": {"name": "shop-source", "key": "source.yaml"},
            "connectionSecretRef": {"name": "shop-connection", "key": "connection.yaml"},
            "server": {
                "hostPort": "https://openmetadata.example/api",
                "version": "1.13",
                "tokenSecretRef": {"name": "ingestion-bot", "key": "token"},
                "verifySSL": "validate",
            },
            "retry": {"limit": 2},
            "suspend": True,
        },
    ),
    "layers": (
        settings(**_LAYERED),
        {
            "fullyQualifiedName": 'shop."Nächtlicher Lauf"',
            "displayName": "Nächtlicher Lauf",
            "timeout": "90m",
            "schedule": {
                "cron": "0 2 * * 1-5,7",
                "timeZone": "Europe/Zurich",
                "startDate": "2026-06-01T00:00:00+02:00",
                "endDate": "2026-12-31T23:59:59Z",
                "startingDeadlineSeconds": 3600,
            },
            "concurrency": {"policy": "Allow", "maxActiveRuns": 3},
            "history": {"successful": 1, "failed": 5, "ttl": "1h"},
            "loggerLevel": "DEBUG",
            "retry": {"limit": 1, "onOutOfMemory": {"memoryFactor": 2, "maxMemory": "12Gi"}},
            "podTemplate": {
                "metadata": {"labels": {"team": "shop"}},
                "spec": {
                    "serviceAccountName": "workload-identity",
                    "tolerations": [{"key": "gpu", "operator": "Equal", "value": "", "effect": "NoSchedule"}],
                    "securityContext": {"runAsUser": 1000},
                    "affinity": {
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {
                                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
                            }
                        }
                    },
                    "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1024Mi"}}],
                },
                "container": {
                    "image": "registry.example/special:2.0",
                    "imagePullPolicy": "Always",
                    "resources": {"limits": {"ephemeral-storage": "0.5Gi"}},
                    "env": [
                        {"name": "LEVEL", "value": "pipeline"},
                        {"name": "EMPTY", "value": ""},
                        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "key"}}},
                    ],
                    "envFrom": [{"prefix": "SHOP_", "secretRef": {"name": "shop", "optional": True}}],
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                },
                "sidecars": [{"name": "proxy", "resources": {"limits": {"memory": "128Mi"}}}],
            },
        },
    ),
}


def rendered(name: str, **identity: Any) -> Body:
    """The CronJob of a golden pipeline at NOW; `identity` may give namespace, name and uid."""
    used, changes = GOLDEN[name]
    namespace = identity.pop("namespace", None)
    found = pipeline(**({"name": name} | identity), **changes)
    body = cronjob(found, used, NOW)
    if namespace:
        body["metadata"]["namespace"] = namespace
    return body
