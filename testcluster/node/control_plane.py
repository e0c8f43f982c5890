"""Certificates, kubeconfigs and the control plane's four programs."""

import json
import shutil
import ssl
import urllib.request
from http import HTTPStatus
from pathlib import Path

from testcluster.binaries import KUBERNETES_VERSION, Binaries
from testcluster.commands import run
from testcluster.locations import Layout
from testcluster.node.network import API_SERVICE_ADDRESS, SERVICE_CIDR, Network
from testcluster.node.processes import Component

NODE_NAME = "node"
API_PORT = 6443

_ETCD = "http://127.0.0.1:2379"

_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
"""

# kubeadm's own binding of this group is made by a phase that is not run here. The second binding
# lets the API server ask the kubelet for logs and port-forwards.
_ACCESS = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "kubeadm:cluster-admins"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "kubeadm:cluster-admins"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "test-cluster:kubelet-api-admin"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kubelet-api-admin"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: kube-apiserver-kubelet-client}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "test-cluster:dns"}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "test-cluster:dns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "test-cluster:dns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "test-cluster:dns"}]
"""


def kubeadm_configuration(layout: Layout, network: Network) -> str:
    """kubeadm's input; JSON is YAML too, and cannot be broken by a path with a colon."""
    initialize = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": network.node_address, "bindPort": API_PORT},
        "nodeRegistration": {
            "name": NODE_NAME,
            "criSocket": f"unix://{layout.containerd_socket}",
        },
    }
    cluster = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "kubernetesVersion": KUBERNETES_VERSION,
        "clusterName": layout.identifier,
        "certificatesDir": str(layout.certificates),
        "controlPlaneEndpoint": f"{network.node_address}:{API_PORT}",
        "encryptionAlgorithm": "ECDSA-P256",  # a second faster than RSA
        "networking": {"serviceSubnet": SERVICE_CIDR},
        "apiServer": {"certSANs": [network.node_address, "127.0.0.1", "localhost", API_SERVICE_ADDRESS]},
    }
    return f"{json.dumps(initialize)}\n---\n{json.dumps(cluster)}\n"


def prepare(layout: Layout, network: Network, binaries: Binaries) -> None:
    """Writes certificates, kubeconfigs and the audit policy."""
    configuration = layout.config / "kubeadm.yaml"
    configuration.write_text(kubeadm_configuration(layout, network))
    (layout.config / "audit-policy.yaml").write_text(_AUDIT_POLICY)
    kubeadm = binaries["kubeadm"]
    phase: list[str | Path] = [kubeadm, "init", "phase"]
    run([*phase, "certs", "all", "--config", configuration])
    folder = layout.kubeconfigs
    run([*phase, "kubeconfig", "all", "--kubeconfig-dir", folder, "--config", configuration])
    for user, name in (("system:kube-proxy", "kube-proxy"), ("test-cluster:dns", "coredns")):
        content = run([kubeadm, "kubeconfig", "user", "--client-name", user, "--config", configuration])
        kubeconfig(layout, name).write_text(content)
        kubeconfig(layout, name).chmod(0o600)
    shutil.copy(kubeconfig(layout, "admin"), layout.kubeconfig)


def kubeconfig(layout: Layout, name: str) -> Path:
    """The kubeconfig of a part of the cluster, for example of the scheduler."""
    return layout.kubeconfigs / f"{name}.conf"


def grant_access(layout: Layout, binaries: Binaries) -> None:
    """Makes the role bindings that the users of the kubeconfigs need."""
    command = [binaries["kubectl"], f"--kubeconfig={kubeconfig(layout, 'super-admin')}"]
    run([*command, "apply", "--server-side", "-f", "-"], stdin=_ACCESS, env={"NO_PROXY": "*"})


def is_ready(layout: Layout, network: Network) -> bool:
    """Whether the API server reports that it is ready, RBAC's bootstrap included."""
    trust = ssl.create_default_context(cafile=str(layout.certificates / "ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    url = f"https://{network.node_address}:{API_PORT}/readyz"
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def etcd(layout: Layout, binaries: Binaries) -> Component:
    peers = "http://127.0.0.1:2380"
    return Component(
        "etcd",
        [
            binaries["etcd"],
            "--name=node",
            f"--data-dir={layout.root}/etcd",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=node={peers}",
            "--unsafe-no-fsync",  # a test cluster is thrown away after a crash anyway
            "--quota-backend-bytes=4294967296",
            "--log-level=warn",
        ],
    )


def api_server(layout: Layout, network: Network, binaries: Binaries) -> Component:
    pki = layout.certificates
    return Component(
        "kube-apiserver",
        [
            binaries["kube-apiserver"],
            f"--advertise-address={network.node_address}",
            f"--secure-port={API_PORT}",
            f"--etcd-servers={_ETCD}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
            f"--proxy-client-key-file={pki}/front-proxy-client.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            # Without it the end of the process waits a minute for watches that stay open.
            "--shutdown-watch-termination-grace-period=2s",
            f"--audit-policy-file={layout.config}/audit-policy.yaml",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-maxsize=1024",  # MB: a test reads one file, not a rotated series
            "--audit-log-maxbackup=1",
        ],
    )


def controller_manager(layout: Layout, binaries: Binaries) -> Component:
    own = kubeconfig(layout, "controller-manager")
    pki = layout.certificates
    return Component(
        "kube-controller-manager",
        [
            binaries["kube-controller-manager"],
            f"--kubeconfig={own}",
            f"--authentication-kubeconfig={own}",
            f"--authorization-kubeconfig={own}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            f"--root-ca-file={pki}/ca.crt",
            f"--client-ca-file={pki}/ca.crt",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            f"--service-account-private-key-file={pki}/sa.key",
            "--use-service-account-credentials=true",
            # Finished pods beyond 12,500 would be removed behind the back of `make scale`.
            "--terminated-pod-gc-threshold=50000",
            # The default of 20 a second is for clusters that share one API server; with thousands
            # of Jobs the tests would mostly measure this limit.
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ],
    )


def scheduler(layout: Layout, binaries: Binaries) -> Component:
    own = kubeconfig(layout, "scheduler")
    return Component(
        "kube-scheduler",
        [
            binaries["kube-scheduler"],
            f"--kubeconfig={own}",
            f"--authentication-kubeconfig={own}",
            f"--authorization-kubeconfig={own}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ],
    )
