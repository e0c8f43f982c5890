import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_runner.masking import MASK, Masker, secrets_of

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJpbmdlc3Rpb24tYm90In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"


@given(secret=st.text(min_size=6).filter(lambda text: text.strip() == text and len(text.splitlines()) == 1))
def test_masker_removes_a_secret_wherever_it_stands(secret: str) -> None:
    masked = Masker([secret])(f"before{secret}after {secret}\n{secret}")

    assert secret not in masked.replace(MASK, "")


@given(secret=st.text(min_size=6).filter(lambda text: text.strip() == text and len(text.splitlines()) == 1))
def test_masker_removes_a_secret_in_urls_and_json(secret: str) -> None:
    masker = Masker([secret])

    assert masker(f"postgresql://u@h/?x={quote_plus(secret)}") == f"postgresql://u@h/?x={MASK}"
    assert masker(json.dumps({"x": secret})) == f'{{"x": "{MASK}"}}'


def test_masker_leaves_a_short_secret_inside_words_alone() -> None:
    assert Masker(["a"])("a table and the password a") == f"{MASK} table and the password {MASK}"


def test_masker_prefers_the_longer_of_two_secrets() -> None:
    assert Masker(["secret-one", "secret-one-and-two"])("x secret-one-and-two x") == f"x {MASK} x"


def test_masker_hides_each_line_of_a_private_key() -> None:
    lines = ("-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQ")
    key = "\n".join(lines)

    masked = Masker([key])(f"using\n{key}done")

    assert "MIIEvQ" not in masked
    assert "AASCBK" not in masked


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"token is {JWT}.", f"token is {MASK}."),
        ("postgresql://bob:hunter2@db:5432/shop", f"postgresql://bob:{MASK}@db:5432/shop"),
        ("CREATE ROLE bob PASSWORD 'hunter2' LOGIN", f"CREATE ROLE bob PASSWORD '{MASK}' LOGIN"),
        ("create user bob identified by 'it''s me'", f"create user bob identified by '{MASK}'"),
        ("headers {'Authorization': 'Bearer abcdef'}", f"headers {{'Authorization': 'Bearer {MASK}'}}"),
        ("http://openmetadata:8585/api/v1", "http://openmetadata:8585/api/v1"),
        ("a line without any of it", "a line without any of it"),
    ],
)
def test_masker_knows_the_shapes_of_secrets(line: str, expected: str) -> None:
    assert Masker()(line) == expected


def test_secrets_are_found_under_telling_keys_at_any_depth() -> None:
    connection = {
        "config": {
            "type": "Postgres",
            "username": "openmetadata",
            "authType": {"password": "one"},
            "sslConfig": {"caCertificate": "public", "sslKey": "two"},
            "gcpConfig": {"privateKey": "three", "projectId": "shop"},
            "awsConfig": {"awsSecretAccessKey": "four", "awsRegion": "eu-central-1"},
            "tokens": ["five", {"value": "six"}],
            "keyspace": "public too",
            "secretsManagerProvider": "db",
            "secretsManagerLoader": "noop",
            "secretsManagerCredentials": {"awsAccessKeyId": "seven"},
            "port": 5432,
        }
    }

    assert sorted(secrets_of(connection)) == ["five", "four", "one", "seven", "six", "three", "two"]


def test_values_of_a_private_configuration_are_secrets() -> None:
    config = {
        "sourcePythonClass": "shop.apps.Sweeper",
        "appConfig": {"schedule": "0 2 * * *", "apiKey": "one"},
        "appPrivateConfig": {
            "type": "Sweeper",
            "account": "sweeper@shop",
            "nested": [{"pin": "123456"}],
            "region": "eu",
            "password": "two",
            "preview": True,
        },
    }

    assert sorted(secrets_of({"config": config})) == ["123456", "one", "sweeper@shop", "two"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_secrets_are_found_in_any_document(document: object) -> None:
    assert all(isinstance(secret, str) for secret in secrets_of(document))
