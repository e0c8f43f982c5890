"""The credentials of a kubeconfig or service account, for a framework that brings its own HTTP client."""

from dataclasses import dataclass

from ingestion_operator.adapters.kube.client import read_configuration


@dataclass(frozen=True)
class Login:
    """Where the API server is and what to show it."""

    server: str
    ca_path: str | None
    insecure: bool
    token: str | None
    certificate_path: str | None
    private_key_path: str | None


def read_login(kubeconfig: str | None) -> Login:
    """Read the credentials anew: service account tokens are replaced every hour or so."""
    configuration = read_configuration(kubeconfig)
    header: str | None = configuration.get_api_key_with_prefix("BearerToken")
    return Login(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        token=header.split(" ", 1)[-1] if header else None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
