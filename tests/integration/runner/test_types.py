"""One run of each pipeline type as a pod does it: real library, real PostgreSQL, a fake OpenMetadata server."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner_testing.pod import RUN_ID, TOKEN, Pod, pipeline_document
from testcluster.locations import CHECKOUT
from testing.fake_openmetadata_client import FakeServerClient, start_fake_openmetadata
from testing.postgres.process import Postgres, connection
from tests.integration.runner.conftest import VERSION

pytestmark = pytest.mark.timeout(1500)  # the first one makes the environment

SERVICE = "shop"
RUN_SECONDS = 120.0
ORDERS = "shop.shop.sales.orders"
OPEN_ORDERS = "shop.shop.sales.open_orders"
DBT = CHECKOUT / "testing" / "dbt"


@pytest.fixture(scope="module")
def catalogue(
    postgres: Postgres, library_python: Path, server_version: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FakeServerClient]:
    """A server that knows the shop's tables, from a metadata run."""
    root = tmp_path_factory.mktemp("catalogue")
    with start_fake_openmetadata(token=TOKEN, version=server_version) as fake_server:
        fake_server.register_service(SERVICE, "Postgres", postgres.connection)
        pod = Pod(root, environ={"HOME": str(root)}, python=str(library_python))
        exit_code, summary, log = run(
            pod,
            fake_server,
            "metadata",
            {"type": "DatabaseMetadata", "schemaFilterPattern": {"excludes": ["^information"]}},
        )
        assert (exit_code, summary["state"]) == (0, "success"), log
        yield fake_server


@pytest.fixture
def fake_server(catalogue: FakeServerClient) -> FakeServerClient:
    catalogue.clear_calls()
    return catalogue


def run(
    pod: Pod, fake_server: FakeServerClient, pipeline_type: str, config: dict[str, Any], **changes: Any
) -> tuple[int, dict[str, Any], str]:
    """One run of a pipeline that is called like its type."""
    service = changes.pop("service", {"type": "databaseService", "name": SERVICE})
    fqn = changes.pop("fullyQualifiedName", f"{service['name']}.{pipeline_type}")
    fake_server.register_pipeline(fqn, pipelineType=pipeline_type, sourceConfig={"config": config})
    pod.mount(
        pipeline_document(
            fake_server.host_port,
            pipelineType=pipeline_type,
            fullyQualifiedName=fqn,
            service=service,
            sourceConfig={"config": config},
            **changes,
        )
    )
    with pod.start("ingestion_runner") as parent:
        return parent.wait(RUN_SECONDS), parent.summary(), parent.log


def query(postgres: Postgres, *statements: str) -> None:
    """What people do in the shop, and the query log keeps."""
    for statement in statements:
        command = ["psql", postgres.url, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--command={statement}"]
        subprocess.run(command, check=True, capture_output=True)


def assert_reported(fake_server: FakeServerClient, pipeline_type: str, state: str) -> None:
    (row,) = [row for row in fake_server.runs(f"{SERVICE}.{pipeline_type}") if row["runId"] == RUN_ID]
    assert row["terminalStates"][-1] == state
    assert fake_server.calls(invalid=True) == []
    assert fake_server.calls(unknown=True) == []


def test_lineage_follows_from_what_was_queried(pod: Pod, fake_server: FakeServerClient, postgres: Postgres) -> None:
    query(
        postgres,
        "insert into inventory.prices select sku, now(), price from inventory.products limit 1",
    )

    exit_code, summary, log = run(pod, fake_server, "lineage", {"type": "DatabaseLineage", "queryLogDuration": 1})

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    edges = [(edge["fromEntity"]["name"], edge["toEntity"]["name"]) for edge in fake_server.lineage()]
    assert ("products", "prices") in edges
    assert_reported(fake_server, "lineage", "success")


def test_usage_counts_the_queries_of_each_table(pod: Pod, fake_server: FakeServerClient, postgres: Postgres) -> None:
    query(postgres, "select count(*) from sales.orders o join sales.customers c on c.id = o.customer")

    exit_code, summary, log = run(pod, fake_server, "usage", {"type": "DatabaseUsage", "queryLogDuration": 1})

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    (orders,) = [table for table in fake_server.entities("tables") if table["fullyQualifiedName"] == ORDERS]
    (usage,) = fake_server.calls(method="POST", path=f"/usage/table/{orders['id']}$")
    assert usage["body"]["count"] >= 1
    assert any("join sales.customers" in one["query"] for one in fake_server.entities("queries"))
    assert_reported(fake_server, "usage", "success")


def test_profiler_measures_tables_and_columns(pod: Pod, fake_server: FakeServerClient, postgres: Postgres) -> None:
    # The number of rows is PostgreSQL's own estimate.
    query(postgres, "analyze sales.orders")
    config = {
        "type": "Profiler",
        "schemaFilterPattern": {"includes": ["^sales$"]},
        "tableFilterPattern": {"includes": ["^orders$"]},
    }

    exit_code, summary, log = run(pod, fake_server, "profiler", config)

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    profiles = fake_server.calls(method="PUT", path="/tableProfile$")
    assert [call["body"]["tableProfile"]["rowCount"] for call in profiles] == [120]
    assert {column["name"] for column in profiles[0]["body"]["columnProfile"]} >= {"id", "customer", "state"}
    assert_reported(fake_server, "profiler", "success")


def define_tests(fake_server: FakeServerClient, **minimums: int) -> None:
    """Tests of the orders' number of rows, each with the number that there must be at least."""
    fake_server.create(
        "dataQuality/testDefinitions",
        {
            "name": "tableRowCountToBeBetween",
            "description": "the number of rows is between two values",
            "entityType": "TABLE",
            "testPlatforms": ["OpenMetadata"],
            "validatorClass": "TableRowCountToBeBetweenValidator",
            "parameterDefinition": [{"name": "minValue", "dataType": "INT"}, {"name": "maxValue", "dataType": "INT"}],
        },
    )
    for name, minimum in minimums.items():
        fake_server.create(
            "dataQuality/testCases",
            {
                "name": name,
                "testDefinition": "tableRowCountToBeBetween",
                "entityLink": f"<#E::table::{ORDERS}>",
                "parameterValues": [{"name": "minValue", "value": str(minimum)}],
            },
        )


SUITE = {"type": "testSuite", "name": f"{ORDERS}.testSuite"}


def test_a_failing_test_is_not_a_failed_run(pod: Pod, fake_server: FakeServerClient) -> None:
    define_tests(fake_server, enough_orders=100, many_orders=100_000)

    exit_code, summary, log = run(
        pod, fake_server, "TestSuite", {"type": "TestSuite", "entityFullyQualifiedName": ORDERS}, service=SUITE
    )

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    cases = {
        case["name"]: case["testCaseResult"]["testCaseStatus"]
        for case in fake_server.entities("dataQuality/testCases")
        if case["entityFQN"] == ORDERS
    }
    assert cases == {"enough_orders": "Success", "many_orders": "Failed"}
    assert fake_server.runs(f"{SUITE['name']}.TestSuite")[-1]["terminalStates"][-1] == "success"
    assert fake_server.calls(invalid=True) == []
    assert fake_server.calls(unknown=True) == []


def dbt(**artefacts: str) -> dict[str, Any]:
    """The configuration for artefacts on a volume; a change replaces a path."""
    files = {"dbtManifestFilePath": "manifest", "dbtCatalogFilePath": "catalog", "dbtRunResultsFilePath": "run_results"}
    source = {key: str(DBT / f"{name}.json") for key, name in files.items()}
    return {"type": "DBT", "dbtConfigSource": {"dbtConfigType": "local", **source, **artefacts}}


def test_dbt_brings_models_lineage_and_test_results(pod: Pod, fake_server: FakeServerClient) -> None:
    exit_code, summary, log = run(pod, fake_server, "dbt", dbt())

    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    (view,) = [table for table in fake_server.entities("tables") if table["fullyQualifiedName"] == OPEN_ORDERS]
    (model,) = fake_server.calls(method="PUT", path=f"/tables/{view['id']}/dataModel$")
    assert model["body"]["modelType"] == "DBT"
    assert "from sales.orders" in model["body"]["sql"].replace('"shop"."sales"."orders"', "sales.orders")
    edges = [(edge["fromEntity"]["name"], edge["toEntity"]["name"]) for edge in fake_server.lineage()]
    assert ("orders", "open_orders") in edges
    results = {
        case["name"]: case.get("testCaseResult", {}).get("testCaseStatus")
        for case in fake_server.entities("dataQuality/testCases")
        if "open_orders" in case["fullyQualifiedName"]
    }
    # 1.13 takes a result without a message for that of a test that was only compiled, and dbt has none for a success.
    passed = None if VERSION == "1.13" else "Success"
    assert results == {"accepted_values_open_orders_state__new": "Failed", "not_null_open_orders_id": passed}
    assert_reported(fake_server, "dbt", "success")


def assert_failed(outcome: tuple[int, dict[str, Any], str], exit_code: int, reason: str, words: str) -> None:
    code, summary, log = outcome
    assert (code, summary["state"], summary["reason"]) == (exit_code, "failed", reason), log
    assert words in summary["message"]


@pytest.mark.parametrize("pipeline_type", ["lineage", "usage"])
def test_an_unreadable_query_log_is_only_logged(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres, *, pipeline_type: str
) -> None:
    """The library swallows it: the documents warn, and if this test fails, they must not any more."""
    pod.mount_connection(json.dumps(postgres.connection["config"] | {"queryStatementSource": "no_such_log"}))

    exit_code, summary, log = run(pod, fake_server, pipeline_type, {"type": f"Database{pipeline_type.title()}"})

    assert (exit_code, summary["state"]) == (0, "success"), log
    assert 'relation "no_such_log" does not exist' in log


@pytest.mark.parametrize("pipeline_type", ["lineage", "usage"])
def test_a_database_that_is_away_fails_the_run_before_it_starts(
    pod: Pod, fake_server: FakeServerClient, *, pipeline_type: str
) -> None:
    pod.mount_connection(json.dumps(connection("127.0.0.1:1", "any")["config"]))

    outcome = run(pod, fake_server, pipeline_type, {"type": f"Database{pipeline_type.title()}"})

    assert_failed(outcome, 1, "InitializationFailed", "Connection refused")
    assert_reported(fake_server, pipeline_type, "failed")


def test_a_profiler_that_may_not_log_in_names_the_cause(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres
) -> None:
    pod.mount_connection(json.dumps(connection(f"{postgres.host}:{postgres.port}", "not-the-password")["config"]))

    outcome = run(pod, fake_server, "profiler", {"type": "Profiler"})

    assert_failed(outcome, 1, "InitializationFailed", "password authentication failed")
    assert_reported(fake_server, "profiler", "failed")


def test_an_unreadable_table_fails_its_tests(pod: Pod, fake_server: FakeServerClient, postgres: Postgres) -> None:
    define_tests(fake_server, enough_orders=100)
    pod.mount_connection(json.dumps(connection(f"{postgres.host}:{postgres.port}", "not-the-password")["config"]))

    outcome = run(
        pod, fake_server, "TestSuite", {"type": "TestSuite", "entityFullyQualifiedName": ORDERS}, service=SUITE
    )

    if VERSION.startswith("1."):  # the library itself takes it for a result like any other
        assert outcome[:1] == (0,), outcome[2]
        (case,) = [one for one in fake_server.entities("dataQuality/testCases") if one["name"] == "enough_orders"]
        assert case["testCaseResult"]["testCaseStatus"] == "Aborted"
        return
    assert_failed(outcome, 1, "WorkflowFailed", "password authentication failed")
    failed = outcome[1]["firstFailure"]
    assert "enough_orders" in failed["name"]


def test_a_test_suite_that_does_not_exist_is_named(pod: Pod, fake_server: FakeServerClient) -> None:
    fake_server.create("dataQuality/testSuites", {"name": "renamed"})
    changes = {"service": {"type": "testSuite", "name": "nothing"}, "fullyQualifiedName": "renamed.TestSuite"}

    outcome = run(pod, fake_server, "TestSuite", {"type": "TestSuite"}, **changes)

    assert_failed(outcome, 1, "WorkflowFailed", "Test Suite with name nothing not found")


def test_missing_dbt_artefacts_are_named(pod: Pod, fake_server: FakeServerClient) -> None:
    outcome = run(pod, fake_server, "dbt", dbt(dbtManifestFilePath="/nowhere/manifest.json"))

    assert_failed(outcome, 1, "WorkflowFailed", "Manifest file not found at '/nowhere/manifest.json'")
    assert_reported(fake_server, "dbt", "failed")


def test_classification_without_its_extra_is_refused_early(pod: Pod, fake_server: FakeServerClient) -> None:
    outcome = run(
        pod, fake_server, "autoClassification", {"type": "AutoClassification", "enableAutoClassification": True}
    )

    assert_failed(outcome, 2, "MissingPlugin", "EXTRAS including 'pii-processor'")
    assert [row["terminalStates"] for row in fake_server.runs(f"{SERVICE}.autoClassification")] == [["failed"]]
    assert fake_server.runs(f"{SERVICE}.autoClassification")[0]["writes"] == 1
