"""TLS, with certificates that change while the gateway runs."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from ingestion_operator.errors import Rejected
from ingestion_operator.gateway.certificate import Certificate
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from testing.gateway import Running, run_gateway
from testing.server_client import ServerClient
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import RecordingService


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, authority: trustme.CA, key_type: trustme.KeyType = trustme.KeyType.ECDSA) -> int:
    """Write a new certificate for the gateway, as cert-manager does; return its serial number."""
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=key_type)
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    (folder / "tls.crt").write_bytes(chain)
    (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
    return x509.load_pem_x509_certificate(chain).serial_number


@pytest.fixture
def running(
    folder: Path, authority: trustme.CA, service: RecordingService, settings: SettingsInForce, credentials_folder: Path
) -> Iterator[Running]:
    write(folder, authority)
    certificate = Certificate(folder / "tls.crt", folder / "tls.key")
    with run_gateway(Gateway(service, settings.current, Credentials(credentials_folder), certificate)) as served:
        yield served


def shown_serial(port: int, trust: ssl.SSLContext, host: str = "127.0.0.1") -> int:
    """The serial number of the certificate that a new connection is shown."""
    client = ServerClient.old(port, tls=trust, host=host)
    assert client.read("health-auth").code == 200
    connection = client._connection.sock
    assert isinstance(connection, ssl.SSLSocket)
    shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    client.close()
    return x509.load_der_x509_certificate(shown).serial_number


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_connects_by_address_and_by_name(running: Running, trust: ssl.SSLContext, host: str) -> None:
    client = ServerClient.new(running.port, tls=trust, host=host)
    assert client.trigger("nightly").code == 200
    client.close()


def test_a_server_that_does_not_trust_the_authority_refuses(running: Running) -> None:
    client = ServerClient.old(running.port, tls=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        client.read("health-auth")
    client.close()


def test_plain_http_finds_nothing_on_a_tls_port(running: Running) -> None:
    client = ServerClient.old(running.port)
    with pytest.raises(ConnectionError):
        client.read("health")
    client.close()


@pytest.mark.parametrize("key_type", list(trustme.KeyType))
def test_new_connections_get_the_new_certificate(
    running: Running, folder: Path, authority: trustme.CA, trust: ssl.SSLContext, key_type: trustme.KeyType
) -> None:
    client = ServerClient.old(running.port, tls=trust)
    assert client.read("health-auth").code == 200
    serial = write(folder, authority, key_type)
    assert client.read("health-auth").code == 200
    assert shown_serial(running.port, trust) == serial
    assert shown_serial(running.port, trust, "localhost") == serial
    client.close()


def test_a_broken_pair_keeps_the_last_good_one(
    running: Running, folder: Path, authority: trustme.CA, trust: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    before = shown_serial(running.port, trust)
    other = authority.issue_cert("localhost")
    (folder / "tls.key").write_bytes(other.private_key_pem.bytes())
    assert shown_serial(running.port, trust) == before
    (folder / "tls.crt").unlink()
    assert shown_serial(running.port, trust) == before
    assert "Certificate unchanged" in caplog.text
    serial = write(folder, authority)
    assert shown_serial(running.port, trust) == serial


def test_a_pair_that_cannot_be_used_is_named_at_start(folder: Path, authority: trustme.CA) -> None:
    with pytest.raises(Rejected, match=r"tls\.crt with key .*tls\.key"):
        Certificate(folder / "tls.crt", folder / "tls.key")
    write(folder, authority)
    (folder / "tls.key").write_text("nonsense")
    with pytest.raises(Rejected, match=r"tls\.crt with key .*tls\.key"):
        Certificate(folder / "tls.crt", folder / "tls.key")
