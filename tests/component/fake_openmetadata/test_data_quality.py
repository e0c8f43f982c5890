from typing import Any

import pytest

from testing.fake_openmetadata_client import FakeServerClient
from tests.component.fake_openmetadata.api import Api

ORDERS = "shop.main.sales.orders"
DEFINITION = {"name": "isFine", "description": "it is fine", "entityType": "TABLE", "testPlatforms": ["OpenMetadata"]}


def test_case(**changes: Any) -> dict[str, Any]:
    return {"name": "fine", "testDefinition": "isFine", "entityLink": f"<#E::table::{ORDERS}>", **changes}


test_case.__test__ = False  # type: ignore[attr-defined]  # it makes one, it is none


@pytest.fixture
def quality(tables: Api, fake_server: FakeServerClient) -> Api:
    """The API of a fake OpenMetadata server that knows one way of testing tables."""
    fake_server.create("dataQuality/testDefinitions", DEFINITION)
    return tables


def test_a_table_refers_to_the_suite_of_its_name(quality: Api) -> None:
    status, suite = quality.call(
        "PUT", "/dataQuality/testSuites/executable", {"name": "any", "basicEntityReference": ORDERS}
    )

    assert (status, suite["fullyQualifiedName"], suite["basic"]) == (201, f"{ORDERS}.testSuite", True)
    assert quality.call("GET", f"/tables/name/{ORDERS}")[1]["testSuite"]["id"] == suite["id"]


def test_a_test_case_brings_its_tables_suite_along(quality: Api, fake_server: FakeServerClient) -> None:
    fake_server.create("dataQuality/testCases", test_case())
    fake_server.create(
        "dataQuality/testCases", test_case(name="id_fine", entityLink=f"<#E::table::{ORDERS}::columns::id>")
    )

    (suite,) = fake_server.entities("dataQuality/testSuites")
    cases = quality.call("GET", f"/dataQuality/testCases?testSuiteId={suite['id']}")[1]["data"]

    assert [case["fullyQualifiedName"] for case in cases] == [f"{ORDERS}.fine", f"{ORDERS}.id.id_fine"]
    assert {case["testDefinition"]["name"] for case in cases} == {"isFine"}
    assert quality.call("GET", "/dataQuality/testCases?testSuiteId=another")[1]["data"] == []


def test_a_result_stands_on_its_test_case(quality: Api, fake_server: FakeServerClient) -> None:
    fake_server.create("dataQuality/testCases", test_case())
    result = {"timestamp": 1, "testCaseStatus": "Failed", "testResultValue": [{"name": "rows", "value": "0"}]}

    status, _ = quality.call("POST", f"/dataQuality/testCases/testCaseResults/{ORDERS}.fine", result)

    (case,) = fake_server.entities("dataQuality/testCases")
    assert (status, case["testCaseResult"]["testCaseStatus"]) == (200, "Failed")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/dataQuality/testCases", test_case(entityLink="<#E::table::shop.main.sales.nothing>"), 404),
        ("/dataQuality/testCases", test_case(entityLink=f"<#E::table::{ORDERS}::columns::nothing>"), 404),
        ("/dataQuality/testCases", test_case(testDefinition="nothing"), 404),
        ("/dataQuality/testCases", test_case(invented=1), 400),
        ("/dataQuality/testSuites/executable", {"name": "a-suite-of-nothing"}, 400),
        (f"/dataQuality/testCases/testCaseResults/{ORDERS}.fine", {"testCaseStatus": "Success", "timestamp": 1}, 400),
    ],
)
def test_what_the_server_would_refuse_is_refused(quality: Api, path: str, body: dict[str, Any], expected: int) -> None:
    assert quality.call("POST", path, body)[0] == expected


def test_a_pipeline_may_belong_to_a_suite(quality: Api, fake_server: FakeServerClient) -> None:
    fake_server.create("dataQuality/testCases", test_case())

    pipeline = fake_server.register_pipeline(f"{ORDERS}.testSuite.nightly", pipelineType="TestSuite")

    assert pipeline["service"]["type"] == "testSuite"
    assert quality.call("GET", f"/services/ingestionPipelines/name/{ORDERS}.testSuite.nightly")[0] == 200
