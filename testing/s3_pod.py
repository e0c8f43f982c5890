"""An S3 server in a namespace of the cluster: the one of testing/s3_server.py, in a pod, with a certificate.

It has one bucket, which goes with its pod.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trustme

from testcluster import binaries
from testcluster.archives import layer_of, write_image
from testcluster.handle import Cluster
from testcluster.locations import cache
from testing.s3_server import REGION

NAME: Final = "s3"
PORT: Final = 443
_PROGRAM: Final = "bin/versitygw"


def load_image(cluster: Cluster) -> str:
    """Put the server's program into an image of its own, and that into the cluster; return its name."""
    name = f"localhost/versitygw:{binaries.S3_SERVER.key}"
    archive = cache() / "images" / f"versitygw-{binaries.S3_SERVER.key}.tar"
    if not archive.exists():
        layer = layer_of({_PROGRAM: Path(binaries.ensure_s3_server())})
        write_image(archive, name, layer, {"Entrypoint": [f"/{_PROGRAM}"], "User": "65532:65532"})
    cluster.load(archive)
    return name


@dataclass(frozen=True)
class S3Pod:
    """Its namespace and bucket, who may use it, and who vouches for it."""

    namespace: str
    bucket: str
    key_id: str = field(default_factory=lambda: f"id-{secrets.token_hex(8)}")
    secret: str = field(default_factory=lambda: secrets.token_hex(20))
    authority: trustme.CA = field(default_factory=trustme.CA)

    def environment(self, url: str = "") -> dict[str, str]:
        """The variables of a client, without the authority; `url`, if it is not a pod of the cluster."""
        return {
            "AWS_ENDPOINT_URL": url or f"https://{NAME}.{self.namespace}:{PORT}",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def objects(self, image: str) -> list[dict[str, Any]]:
        """Secret, Deployment and Service."""
        metadata = {"name": NAME, "namespace": self.namespace}
        certificate = self.authority.issue_cert(f"{NAME}.{self.namespace}", "127.0.0.1")
        secret = {
            "ROOT_ACCESS_KEY_ID": self.key_id,
            "ROOT_SECRET_ACCESS_KEY": self.secret,
            "tls.crt": b"".join(part.bytes() for part in certificate.cert_chain_pems).decode(),
            "tls.key": certificate.private_key_pem.bytes().decode(),
        }
        return [
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {
                    "selector": {"matchLabels": {"app": NAME}},
                    "template": {"metadata": {"labels": {"app": NAME}}, "spec": self._pod(image)},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": {"app": NAME}, "ports": [{"port": PORT}]},
            },
        ]

    def _pod(self, image: str) -> dict[str, Any]:
        keys = ("ROOT_ACCESS_KEY_ID", "ROOT_SECRET_ACCESS_KEY")
        return {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
                # A policy is about the port of a pod, and 443 is what clients of a bucket are let out to.
                "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
            },
            "containers": [
                {
                    "name": NAME,
                    "image": image,
                    "args": [
                        *("--port", f":{PORT}", "--region", REGION, "--quiet"),
                        *("--cert", "/tls/tls.crt", "--key", "/tls/tls.key"),
                        *("posix", "--nometa", "/buckets"),
                    ],
                    "env": [{"name": key, "valueFrom": {"secretKeyRef": {"name": NAME, "key": key}}} for key in keys],
                    "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "buckets", "mountPath": "/buckets"},  # its locks are here
                        {"name": "bucket", "mountPath": f"/buckets/{self.bucket}"},  # a folder is a bucket
                        {"name": "tls", "mountPath": "/tls", "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "buckets", "emptyDir": {}},
                {"name": "bucket", "emptyDir": {}},
                {"name": "tls", "secret": {"secretName": NAME, "defaultMode": 0o440}},
            ],
        }
