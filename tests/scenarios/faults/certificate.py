"""A certificate of the cluster's own authority for the fault proxy, so that pods trust it as they trust the API server.

The authority that signs for kubelets is the one whose certificate every pod has. It signs for names that begin with
system:node, whatever asks for it.
"""

import json
import ssl
from base64 import b64decode, b64encode
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testcluster.handle import Cluster
from testing.waiting import wait_for

_NAME: Final = "chaos-fault-proxy"
_SIGNER: Final = "kubernetes.io/kubelet-serving"


def server_context(cluster: Cluster, address: str) -> ssl.SSLContext:
    """Return what a server at the address shows to pods."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(cluster, _request(key, address))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder, "pair.pem")
        file.write_bytes(private + certificate)
        context.load_cert_chain(file)
    return context


def _request(key: ec.EllipticCurvePrivateKey, address: str) -> bytes:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{_NAME}"),
        ]
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _signed(cluster: Cluster, request: bytes) -> bytes:
    spec = {
        "request": b64encode(request).decode(),
        "signerName": _SIGNER,
        "usages": ["digital signature", "server auth"],
    }
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": _NAME},
        "spec": spec,
    }
    cluster.kubectl("delete", "csr", _NAME, "--ignore-not-found")
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("certificate", "approve", _NAME)
    text = wait_for(
        "the cluster to sign the fault proxy's certificate",
        lambda: cluster.kubectl("get", "csr", _NAME, "-o", "jsonpath={.status.certificate}").strip(),
        timeout=30,
    )
    return b64decode(text)
