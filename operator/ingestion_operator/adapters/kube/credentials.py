"""Credentials of a kubeconfig or service account, for HTTP clients other than the official one."""

from dataclasses import dataclass

from ingestion_operator.adapters.kube.client import read_configuration


@dataclass(frozen=True)
class ApiCredentials:
    """Address of the API server and credentials for it."""

    server: str
    ca_path: str | None
    insecure: bool
    token: str | None
    certificate_path: str | None
    private_key_path: str | None


def read_credentials(kubeconfig: str | None) -> ApiCredentials:
    """Read the current credentials: the kubelet replaces service account tokens about every hour."""
    configuration = read_configuration(kubeconfig)
    header: str | None = configuration.get_api_key_with_prefix("BearerToken")
    return ApiCredentials(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        token=header.split(" ", 1)[-1] if header else None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
