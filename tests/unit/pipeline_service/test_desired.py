import json
from typing import Any

import pytest

from ingestion_operator.errors import Rejected
from ingestion_operator.pipeline_service.desired import check_renderable, desired, source_config_text
from testing.entities import airflow, entity, token
from testing.objects import NAMESPACE, NOW, settings


def refusal(**changes: Any) -> str:
    with pytest.raises(Rejected) as caught:
        desired(entity(**changes), settings(), NOW)
    return caught.value.message


@pytest.mark.parametrize(
    "field", ["name", "pipelineType", "sourceConfig", "airflowConfig", "service", "openMetadataServerConnection"]
)
def test_each_missing_field_is_named(field: str) -> None:
    body = entity()
    del body[field]
    with pytest.raises(Rejected) as caught:
        desired(body, settings(), NOW)
    assert caught.value.message == f"Missing parameter '{field}'"


def test_all_wrong_fields_are_named_a_line_each() -> None:
    body = entity(pipelineType="cooking", loggerLevel=3, airflowConfig=airflow(retries="many"))
    with pytest.raises(Rejected) as caught:
        desired(body, settings(), NOW)
    lines = caught.value.message.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "Invalid parameter value for 'pipelineType'",
        "Invalid parameter value for 'airflowConfig.retries'",
        "Invalid parameter value for 'loggerLevel'",
    ]


def test_a_value_that_may_be_secret_is_never_repeated() -> None:
    connection = {"hostPort": "no url, geheim", "securityConfig": {"jwtToken": 4711}}
    message = refusal(openMetadataServerConnection=connection)
    assert "openMetadataServerConnection.hostPort" in message
    assert "geheim" not in message
    assert "4711" not in message


def test_no_message_makes_old_servers_fetch_another_token() -> None:
    assert "csrf token" not in refusal(airflowConfig=None).lower()


@pytest.mark.parametrize(
    "changes",
    [
        {"owners": [{"id": "1"}], "owner": None},
        {"pipelineStatuses": {"runId": "1"}},
        {"pipelineStatuses": [{"runId": "1"}]},
        {
            "domains": [],
            "followers": [],
            "applicationType": "x",
            "processingEngine": {"id": "1"},
            "impersonatedBy": "bot",
        },
        {"displayName": None, "loggerLevel": None, "enabled": None, "id": None, "fullyQualifiedName": None},
        {"displayName": "x" * 1000},
        {"airflowConfig": {}},
        {"openMetadataServerConnection": {"hostPort": "https://om.example.org"}},
    ],
)
def test_every_shape_that_servers_have_sent_is_taken(changes: dict[str, Any]) -> None:
    wanted = desired(entity(**changes), settings(), NOW)
    check_renderable(NAMESPACE, wanted.resource, wanted.spec, settings(), NOW)


def test_a_name_with_a_dot_is_quoted_in_the_default_full_name() -> None:
    assert desired(entity("v1.0", fullyQualifiedName=None), settings(), NOW).fully_qualified_name == 'shop."v1.0"'


def test_a_token_in_a_secrets_manager_is_refused() -> None:
    assert "secrets manager" in refusal(jwt="secret:/openmetadata/bot/token")


@pytest.mark.parametrize("jwt", ["opaque", "a.b.c", "a.!!!.c", "..", "a.MTIz.c", "a.W10.c"])
def test_another_token_is_distinguished_by_its_bots_login(jwt: str) -> None:
    wanted = desired(entity(jwt=jwt), settings(), NOW)
    assert wanted.token is not None
    other = desired(entity("other", jwt="also opaque"), settings(), NOW)
    assert other.token is not None
    assert wanted.token.secret == other.token.secret


def test_no_token_needs_no_secret() -> None:
    wanted = desired(entity(openMetadataServerConnection={"hostPort": "http://om/api"}), settings(), NOW)
    assert wanted.token is None
    assert wanted.spec["server"]["tokenSecretRef"] is None


def test_tokens_of_one_bot_at_two_servers_do_not_share_a_secret() -> None:
    names = set()
    for host in ("http://a/api", "http://b/api"):
        wanted = desired(
            entity(openMetadataServerConnection={"hostPort": host, "securityConfig": {"jwtToken": token()}}),
            settings(),
            NOW,
        )
        assert wanted.token is not None
        names.add(wanted.token.secret)
    assert len(names) == 2


def test_what_has_no_effect_outside_the_schedule_is_named_too() -> None:
    connection = entity()["openMetadataServerConnection"] | {"sslConfig": {"caCertificate": "x"}, "clusterName": "blue"}
    wanted = desired(entity(openMetadataServerConnection=connection, raiseOnError=False), settings(), NOW)
    assert wanted.annotations["ingestion.openmetadata.org/ignored-fields"] == (
        "openMetadataServerConnection.sslConfig, openMetadataServerConnection.clusterName, raiseOnError"
    )


def test_the_order_of_keys_does_not_change_a_source_config() -> None:
    assert source_config_text({"a": 1, "b": None}) == source_config_text({"b": None, "a": 1})
    assert json.loads(source_config_text({"x": "\ud800 ü"})) == {"config": {"x": "\ud800 ü"}}


def test_a_source_configuration_that_is_too_large_is_refused() -> None:
    with pytest.raises(Rejected, match="sourceConfig"):
        source_config_text({"x": "y" * 1_000_001})


def server_with(**changes: Any) -> dict[str, Any]:
    return {"openMetadataServerConnection": {"hostPort": "https://om.example.org/api", **changes}}


@pytest.mark.parametrize("loader", ["noop", "env", None])
def test_a_secrets_manager_is_passed_on_with_its_loader(loader: str | None) -> None:
    changes = server_with(secretsManagerProvider="aws", secretsManagerLoader=loader)
    wanted = desired(entity(**changes), settings(), NOW)
    server = wanted.spec["server"]
    assert (server["secretsManagerProvider"], server["secretsManagerLoader"]) == ("aws", loader)
    check_renderable(NAMESPACE, wanted.resource, wanted.spec, settings(), NOW)


@pytest.mark.parametrize("loader", ["airflow", "env"])
def test_no_loader_is_needed_where_the_server_keeps_its_secrets(loader: str) -> None:
    changes = server_with(secretsManagerProvider="db", secretsManagerLoader=loader)
    server = desired(entity(**changes), settings(), NOW).spec["server"]
    assert (server["secretsManagerProvider"], server["secretsManagerLoader"]) == (None, None)


def test_a_loader_that_needs_airflow_is_refused_with_the_fix() -> None:
    message = refusal(**server_with(secretsManagerProvider="aws", secretsManagerLoader="airflow"))
    assert message.startswith(
        "Invalid parameter value for 'openMetadataServerConnection.secretsManagerLoader': airflow"
    )
    assert "to env or noop" in message


@pytest.mark.parametrize(
    ("pipeline_type", "service"),
    [
        ("lineage", {"type": "databaseService", "name": "shop", "id": "1"}),
        ("dbt", {"type": "databaseService", "name": "shop", "id": "1"}),
        ("TestSuite", {"type": "testSuite", "name": "shop.shop.sales.orders.testSuite", "id": "1"}),
        ("autoClassification", {"type": "messagingService", "name": "kafka", "id": "1"}),
    ],
)
def test_every_type_that_runs_can_be_deployed(pipeline_type: str, service: dict[str, Any]) -> None:
    wanted = desired(entity(pipelineType=pipeline_type) | {"service": service}, settings(), NOW)
    check_renderable(NAMESPACE, wanted.resource, wanted.spec, settings(), NOW)
    assert wanted.spec["service"] == {"type": service["type"], "name": service["name"]}


@pytest.mark.parametrize("pipeline_type", ["dataInsight", "elasticSearchReindex", "policyAgent"])
def test_a_type_without_code_cannot_be_deployed(pipeline_type: str) -> None:
    wanted = desired(entity(pipelineType=pipeline_type), settings(), NOW)
    with pytest.raises(Rejected, match=rf"{pipeline_type}.* instead"):
        check_renderable(NAMESPACE, wanted.resource, wanted.spec, settings(), NOW)
