"""A success of each pipeline type on the real cluster; how each fails is played in tests/library."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.locations import CHECKOUT
from tests.support import manifests
from tests.support import site as sites
from tests.support.site import SERVICE, Site
from tests.support.waiting import wait_for

ORDERS = f"{SERVICE}.shop.sales.orders"
OPEN_ORDERS = f"{SERVICE}.shop.sales.open_orders"
DBT = CHECKOUT / "tests" / "support" / "dbt"
RUN_SECONDS = 240.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", autouse=True)
def catalogue(site: Site) -> None:
    """The shop's tables, which all other types start from."""
    site.apply(sites.pipeline("catalogue"))
    run_id = site.start_run("catalogue", "catalogue-1")
    assert site.wait_for_end("catalogue", run_id, timeout=RUN_SECONDS)["state"] == "success"


def query(site: Site, statement: str) -> None:
    """What people do in the shop, and the query log keeps; as the role of the service."""
    command = ["psql", "--host=/tmp", "--username=postgres", "--dbname=shop", "--quiet", "--no-psqlrc"]
    session = f"set session authorization openmetadata; {statement}"
    site.kubectl("exec", f"deployment/{manifests.POSTGRES}", "--", *command, f"--command={session}")


def run(site: Site, name: str, pipeline_type: str, config: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The record of one run that must succeed, with its row and its calls checked."""
    source_config = {"config": dict(config)}
    fqn = changes.get("fullyQualifiedName", f"{SERVICE}.{name}")
    site.double.register_pipeline(fqn, pipelineType=pipeline_type, sourceConfig=source_config)
    pipeline = sites.pipeline(name, pipelineType=pipeline_type, sourceConfig=source_config)
    site.apply({**pipeline, "spec": {**pipeline["spec"], **changes}})
    site.double.clear_calls()
    run_id = site.start_run(name, f"{name}-1")
    record = site.wait_for_end(name, run_id, timeout=RUN_SECONDS)
    assert (record["state"], record["reason"]) == ("success", "Succeeded"), record
    assert site.double.calls(invalid=True) == []
    assert site.double.calls(unknown=True) == []
    assert site.double.runs(fqn)[-1]["terminalStates"] == ["success"]
    return record


def table(site: Site, fqn: str) -> dict[str, Any]:
    """A table of the catalogue."""
    return next(one for one in site.double.entities("tables") if one["fullyQualifiedName"] == fqn)


def test_lineage(site: Site) -> None:
    query(site, "insert into inventory.prices select sku, now(), price from inventory.products limit 1")
    run(site, "lineage", "lineage", {"type": "DatabaseLineage", "queryLogDuration": 1})
    edges = [(edge["fromEntity"]["name"], edge["toEntity"]["name"]) for edge in site.double.lineage()]
    assert ("products", "prices") in edges


def test_usage_is_staged_on_a_read_only_root(site: Site) -> None:
    query(site, "select count(*) from sales.orders o join sales.customers c on c.id = o.customer")
    run(site, "usage", "usage", {"type": "DatabaseUsage", "queryLogDuration": 1})
    (counted,) = site.double.calls(method="POST", path=f"/usage/table/{table(site, ORDERS)['id']}$")
    assert counted["body"]["count"] >= 1


def test_profiler(site: Site) -> None:
    query(site, "analyze sales.orders")
    only = {"schemaFilterPattern": {"includes": ["^sales$"]}, "tableFilterPattern": {"includes": ["^orders$"]}}
    run(site, "profiler", "profiler", {"type": "Profiler", **only})
    (profile,) = site.double.calls(method="PUT", path=f"/tables/{table(site, ORDERS)['id']}/tableProfile$")
    assert profile["body"]["tableProfile"]["rowCount"] == 120


def test_test_suite_with_a_passing_and_a_failing_test(site: Site) -> None:
    site.double.create("dataQuality/testDefinitions", ROW_COUNT)
    for name, minimum in (("enough-orders", "100"), ("many-orders", "100000")):
        site.double.create(
            "dataQuality/testCases",
            {
                "name": name,
                "testDefinition": ROW_COUNT["name"],
                "entityLink": f"<#E::table::{ORDERS}>",
                "parameterValues": [{"name": "minValue", "value": minimum}],
            },
        )
    suite = f"{ORDERS}.testSuite"
    run(
        site,
        "orders-tests",
        "TestSuite",
        {"type": "TestSuite", "entityFullyQualifiedName": ORDERS},
        service={"type": "testSuite", "name": suite},
        fullyQualifiedName=f"{suite}.orders-tests",
    )
    assert results(site, ORDERS) == {"enough-orders": "Success", "many-orders": "Failed"}


ROW_COUNT = {
    "name": "tableRowCountToBeBetween",
    "description": "the number of rows is between two values",
    "entityType": "TABLE",
    "testPlatforms": ["OpenMetadata"],
    "validatorClass": "TableRowCountToBeBetweenValidator",
    "parameterDefinition": [{"name": "minValue", "dataType": "INT"}, {"name": "maxValue", "dataType": "INT"}],
}


def results(site: Site, fqn: str) -> dict[str, str]:
    """The newest result of each test of a table or its columns."""
    return {
        case["name"]: case["testCaseResult"]["testCaseStatus"]
        for case in site.double.entities("dataQuality/testCases")
        if case["entityFQN"].startswith(fqn)
    }


def test_dbt_reads_artefacts_from_a_volume(site: Site) -> None:
    artefacts = {f"{name}.json": (DBT / f"{name}.json").read_text() for name in ("manifest", "catalog", "run_results")}
    site.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dbt-artefacts"}, "data": artefacts})
    files = {"dbtManifestFilePath": "manifest", "dbtCatalogFilePath": "catalog", "dbtRunResultsFilePath": "run_results"}
    source = {"dbtConfigType": "local", **{key: f"/dbt/{name}.json" for key, name in files.items()}}
    run(
        site,
        "dbt",
        "dbt",
        {"type": "DBT", "dbtConfigSource": source},
        podTemplate={
            "spec": {"volumes": [{"name": "dbt", "configMap": {"name": "dbt-artefacts"}}]},
            "container": {"volumeMounts": [{"name": "dbt", "mountPath": "/dbt", "readOnly": True}]},
        },
    )
    assert results(site, OPEN_ORDERS) == {
        "accepted_values_open_orders_state__new": "Failed",
        "not_null_open_orders_id": "Success",
    }


def test_classification_is_refused_by_an_image_without_its_packages(site: Site) -> None:
    config = {"type": "AutoClassification", "enableAutoClassification": True}
    site.double.register_pipeline(
        f"{SERVICE}.classes", pipelineType="autoClassification", sourceConfig={"config": config}
    )
    site.apply(sites.pipeline("classes", pipelineType="autoClassification", sourceConfig={"config": config}))
    run_id = site.start_run("classes", "classes-1")
    record = site.wait_for_end("classes", run_id, timeout=RUN_SECONDS)
    assert (record["state"], record["reason"]) == ("failed", "MissingPlugin")
    assert "EXTRAS including 'pii-processor'" in record["message"]
    assert [attempt["exitCode"] for attempt in record["attempts"]] == [2]


@pytest.mark.parametrize("pipeline_type", ["elasticSearchReindex", "dataInsight", "policyAgent"])
def test_a_type_without_code_says_what_to_use(site: Site, pipeline_type: str) -> None:
    name = f"no-{pipeline_type.lower()}"
    site.apply(sites.pipeline(name, pipelineType=pipeline_type))
    ready = wait_for("the condition", lambda: site.condition(name, "Ready"), timeout=30)
    assert (ready["status"], ready["reason"]) == ("False", "UnsupportedPipelineType")
    assert pipeline_type in ready["message"]
    assert ready["message"].endswith("instead")
