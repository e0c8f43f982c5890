"""Test suites, test cases and their results, where they differ from other entities."""

import re
from typing import Any

from . import schemas
from .catalog import Catalog, Entity, reference
from .kinds import KINDS, TEST_CASES, TEST_DEFINITIONS, TEST_SUITES
from .wire import ApiError, InvalidBodyError, Reply, Request

RESULT = "api.tests.createTestCaseResult:CreateTestCaseResult"
_TABLES = KINDS["tables"]
_LINK = re.compile(r"<#E::table::(?P<table>.+?)(?:::columns::(?P<column>.+?))?>")


def handle(catalog: Catalog, path: tuple[str, ...], request: Request) -> Reply | None:
    """None for another operation, or one like those of all entities."""
    match request.method, path:
        case "PUT" | "POST", ("dataQuality", "testSuites", "executable" | "basic"):
            return _write_basic_suite(catalog, request.json_object)
        case "PUT" | "POST", ("dataQuality", "testCases"):
            return _write_case(catalog, request.json_object)
        case "GET", ("dataQuality", "testCases") if "testSuiteId" in request.query:
            return _cases_of(catalog, request.query["testSuiteId"])
        case "POST", ("dataQuality", "testCases", "testCaseResults", fqn):
            return _write_result(catalog, fqn, request.json_object)
        case "PUT", ("dataQuality", "testCases", case_id, "failedRowsSample" | "inspectionQuery"):
            return Reply(200, _found(catalog.find_by_id(TEST_CASES, case_id), "testCase", case_id))
    return None


def _write_basic_suite(catalog: Catalog, body: dict[str, Any]) -> Reply:
    """The suite of one table; the table refers to it from then on."""
    schemas.check(TEST_SUITES.create, body)
    table_fqn = body.get("basicEntityReference") or body.get("executableEntityReference")
    if not table_fqn:
        raise InvalidBodyError("a basic test suite needs basicEntityReference")
    table = _found(catalog.find(_TABLES, table_fqn), "table", table_fqn)
    extra = {"basic": True, "basicEntityReference": reference("table", table)}
    suite, created = catalog.write(TEST_SUITES, body, extra, fqn=f"{table_fqn}.testSuite")
    if (table.get("testSuite") or {}).get("id") != suite["id"]:
        catalog.replace(_TABLES, {**table, "testSuite": reference("testSuite", suite)})
    return Reply(201 if created else 200, suite)


def _write_case(catalog: Catalog, body: dict[str, Any]) -> Reply:
    """A test of a table or of one of its columns; it belongs to the table's suite, which comes with the first."""
    schemas.check(TEST_CASES.create, body)
    link = _LINK.fullmatch(body["entityLink"])
    if link is None:
        raise InvalidBodyError(f"entityLink {body['entityLink']} is that of no table")
    table = _found(catalog.find(_TABLES, link["table"]), "table", link["table"])
    if link["column"] and link["column"] not in [column["name"] for column in table["columns"]]:
        raise ApiError(404, f"column {link['column']} of {link['table']} not found")
    definition = _found(
        catalog.find(TEST_DEFINITIONS, body["testDefinition"]), "testDefinition", body["testDefinition"]
    )
    suite_fqn = f"{link['table']}.testSuite"
    if catalog.find(TEST_SUITES, suite_fqn) is None:
        _write_basic_suite(catalog, {"name": suite_fqn, "basicEntityReference": link["table"]})
    suite = reference("testSuite", _found(catalog.find(TEST_SUITES, suite_fqn), "testSuite", suite_fqn))
    of = ".".join(part for part in (link["table"], link["column"]) if part)
    extra = {
        "testDefinition": reference("testDefinition", definition),
        "testSuite": suite,
        "entityFQN": of,
    }
    case, created = catalog.write(TEST_CASES, body, extra, fqn=f"{of}.{body['name']}")
    return Reply(201 if created else 200, case)


def _cases_of(catalog: Catalog, suite_id: str) -> Reply:
    found = [case for case in catalog.all_of(TEST_CASES) if case["testSuite"]["id"] == suite_id]
    return Reply(200, {"data": found, "paging": {"total": len(found)}})


def _write_result(catalog: Catalog, fqn: str, body: dict[str, Any]) -> Reply:
    """The newest result stands on the test case."""
    schemas.check(RESULT, body)
    case = _found(catalog.find(TEST_CASES, fqn), "testCase", fqn)
    catalog.replace(TEST_CASES, {**case, "testCaseResult": body, "testCaseStatus": body.get("testCaseStatus")})
    return Reply(200, body)


def _found(entity: Entity | None, entity_type: str, asked: str) -> Entity:
    if entity is None:
        raise ApiError(404, f"{entity_type} instance for {asked} not found")
    return entity
