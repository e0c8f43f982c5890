"""Test suites and dbt, which both report results of tests; classification, which needs more than the image has."""

from typing import Any, Final

from testcluster.locations import CHECKOUT
from testing.installation import SERVICE
from tests.scenarios.types.case import Case, Expected, Seen
from tests.scenarios.types.cases.databases import ORDERS, POSTGRES, SUCCESS, WRONG_PASSWORD
from tests.scenarios.types.environment import Environment

_OFFICES: Final = f"{SERVICE}.shop.hr.offices"
_OPEN_ORDERS: Final = f"{SERVICE}.shop.sales.open_orders"
_DBT: Final = CHECKOUT / "testing" / "dbt"
_FILES: Final = {
    "dbtManifestFilePath": "manifest",
    "dbtCatalogFilePath": "catalog",
    "dbtRunResultsFilePath": "run_results",
}
_ROW_COUNT: Final = {
    "name": "tableRowCountToBeBetween",
    "description": "the number of rows is between two values",
    "entityType": "TABLE",
    "testPlatforms": ["OpenMetadata"],
    "validatorClass": "TableRowCountToBeBetweenValidator",
    "parameterDefinition": [{"name": "minValue", "dataType": "INT"}, {"name": "maxValue", "dataType": "INT"}],
}


def run_suite(
    environment: Environment, name: str, table: str, minimums: dict[str, int], connection: dict[str, Any] | None = None
) -> Seen:
    """Run the tests of a table's number of rows, each with the number that there must be at least."""
    environment.installation.fake_server.create("dataQuality/testDefinitions", _ROW_COUNT)
    for test, minimum in minimums.items():
        environment.installation.fake_server.create(
            "dataQuality/testCases",
            {
                "name": test,
                "testDefinition": _ROW_COUNT["name"],
                "entityLink": f"<#E::table::{table}>",
                "parameterValues": [{"name": "minValue", "value": str(minimum)}],
            },
        )
    suite = f"{table}.testSuite"
    return environment.run(
        name,
        "TestSuite",
        {"type": "TestSuite", "entityFullyQualifiedName": table},
        service={"type": "testSuite", "name": suite},
        connection=connection,
    )


def run_dbt(environment: Environment, name: str, manifest: str = "/dbt/manifest.json") -> Seen:
    """Read dbt's artefacts from a volume."""
    artefacts = {f"{file}.json": (_DBT / f"{file}.json").read_text() for file in _FILES.values()}
    environment.installation.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": artefacts}
    )
    paths = {key: f"/dbt/{file}.json" for key, file in _FILES.items()} | {"dbtManifestFilePath": manifest}
    return environment.run(
        name,
        "dbt",
        {"type": "DBT", "dbtConfigSource": {"dbtConfigType": "local", **paths}},
        podTemplate={
            "spec": {"volumes": [{"name": "dbt", "configMap": {"name": name}}]},
            "container": {"volumeMounts": [{"name": "dbt", "mountPath": "/dbt", "readOnly": True}]},
        },
    )


def results(environment: Environment, table: str) -> dict[str, str]:
    """The newest result of each test of a table or its columns."""
    return {
        case["name"]: case["testCaseResult"]["testCaseStatus"]
        for case in environment.installation.fake_server.entities("dataQuality/testCases")
        if case["entityFQN"].startswith(table)
    }


def one_of_two_tests_has_passed(environment: Environment) -> None:
    """Both have a result."""
    assert results(environment, ORDERS) == {"enough-orders": "Success", "many-orders": "Failed"}


def models_have_results(environment: Environment) -> None:
    """The tests that dbt has run, one of which has failed."""
    assert results(environment, _OPEN_ORDERS) == {
        "accepted_values_open_orders_state__new": "Failed",
        "not_null_open_orders_id": "Success",
    }


DATA_QUALITY: Final = (
    Case(
        "orders-tests",
        "TestSuite",
        f"{POSTGRES}; a test that passes, one that fails",
        "",
        lambda environment, name: run_suite(environment, name, ORDERS, {"enough-orders": 100, "many-orders": 100_000}),
        SUCCESS,
        one_of_two_tests_has_passed,
        needs_catalogue=True,
        is_quick=True,
    ),
    Case(
        "offices-tests",
        "TestSuite",
        POSTGRES,
        "wrong password",
        lambda environment, name: run_suite(
            environment, name, _OFFICES, {"enough-offices": 1}, environment.connection_with(WRONG_PASSWORD)
        ),
        Expected("failed", "WorkflowFailed", "password authentication failed"),
        needs_catalogue=True,
    ),
    Case(
        "dbt",
        "dbt",
        "artefacts on a volume",
        "",
        run_dbt,
        SUCCESS,
        models_have_results,
        needs_catalogue=True,
        is_quick=True,
    ),
    Case(
        "dbt-missing",
        "dbt",
        "artefacts on a volume",
        "no manifest",
        lambda environment, name: run_dbt(environment, name, "/dbt/nowhere.json"),
        Expected("failed", "WorkflowFailed", "Manifest file not found at '/dbt/nowhere.json'"),
    ),
    Case(
        "classes",
        "autoClassification",
        POSTGRES,
        "the image has no extra `pii-processor`",
        lambda environment, name: environment.run(
            name, "autoClassification", {"type": "AutoClassification", "enableAutoClassification": True}
        ),
        Expected("failed", "MissingPlugin", "EXTRAS including 'pii-processor'"),
        is_quick=True,
    ),
)
