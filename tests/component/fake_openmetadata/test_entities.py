import pytest

from testing.fake_openmetadata_client import FakeServerClient
from tests.component.fake_openmetadata.api import Api

ORDERS = "/tables/name/shop.main.sales.orders"


def test_bulk_stores_entities_under_their_parents(tables: Api) -> None:
    orders = tables.call("GET", ORDERS)[1]

    assert orders["fullyQualifiedName"] == "shop.main.sales.orders"
    assert orders["columns"][0]["fullyQualifiedName"] == "shop.main.sales.orders.id"
    assert orders["databaseSchema"]["fullyQualifiedName"] == "shop.main.sales"
    assert orders["service"] == {**orders["service"], "type": "databaseService", "name": "shop"}
    assert orders["serviceType"] == "Postgres"


def test_bulk_keeps_the_id_when_an_entity_comes_again(tables: Api, fake_server: FakeServerClient) -> None:
    before = {t["name"]: t["id"] for t in fake_server.entities("tables")}
    again = {"name": "orders", "databaseSchema": "shop.main.sales", "columns": [], "description": "new"}

    tables.make("tables", again)

    assert {t["name"]: t["id"] for t in fake_server.entities("tables")} == before
    assert tables.call("GET", ORDERS)[1]["description"] == "new"


def test_bulk_fails_the_row_whose_parent_is_missing(tables: Api) -> None:
    result = tables.make(
        "databaseSchemas", {"name": "a", "database": "shop.main"}, {"name": "b", "database": "shop.other"}
    )

    assert result["status"] == "partialSuccess"
    assert [row["request"] for row in result["successRequest"]] == ["shop.main.a"]
    assert [(row["request"], row["status"]) for row in result["failedRequest"]] == [("shop.other.b", 404)]


def test_bulk_with_an_invalid_row_is_refused_and_recorded(api: Api, fake_server: FakeServerClient) -> None:
    status, answer = api.call("PUT", "/databases/bulk", [{"name": "x", "service": "shop", "nonsense": 1}])

    assert (status, answer["code"]) == (400, 400)
    assert "row 0: CreateDatabaseRequest: nonsense" in answer["message"]
    assert [call["path"] for call in fake_server.calls(invalid=True)] == ["/api/v1/databases/bulk"]
    assert fake_server.entities("databases") == []


def test_a_name_with_a_dot_is_quoted_in_the_fully_qualified_name(tables: Api) -> None:
    tables.make("tables", {"name": "audit.log", "databaseSchema": "shop.main.sales", "columns": []})

    status, table = tables.call("GET", "/tables/name/shop.main.sales.%22audit.log%22")

    assert (status, table["name"]) == (200, "audit.log")


def test_a_missing_entity_is_a_404_in_json(api: Api) -> None:
    status, answer = api.call("GET", "/tables/name/nothing")

    assert (status, answer["code"]) == (404, 404)


def test_a_patch_adds_a_foreign_key(tables: Api) -> None:
    orders = tables.call("GET", ORDERS)[1]
    constraint = {
        "constraintType": "FOREIGN_KEY",
        "columns": ["ref"],
        "referredColumns": ["shop.main.sales.customers.id"],
    }

    status, patched = tables.call(
        "PATCH",
        f"/tables/{orders['id']}",
        [{"op": "add", "path": "/tableConstraints", "value": [constraint]}],
    )

    assert (status, patched["tableConstraints"]) == (200, [constraint])
    assert patched["version"] > orders["version"]
    assert tables.call("GET", ORDERS)[1]["tableConstraints"] == [constraint]


def test_a_patch_with_an_invalid_result_is_refused(tables: Api) -> None:
    orders = tables.call("GET", ORDERS)[1]
    for patch in (
        [{"op": "replace", "path": "/tableType", "value": "Rubbish"}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "replace", "path": "/id", "value": "00000000-0000-0000-0000-000000000000"}],
    ):
        assert tables.call("PATCH", f"/tables/{orders['id']}", patch)[0] == 400
    assert tables.call("GET", ORDERS)[1] == orders


def test_delete_stale_hides_what_was_not_seen(tables: Api, fake_server: FakeServerClient) -> None:
    status, result = tables.call(
        "DELETE",
        "/tables/deleteStale",
        {
            "scopeFqn": "shop.main.sales",
            "scopeEntityType": "databaseSchema",
            "seenFqns": ["shop.main.sales.orders", "shop.main.sales.customers"],
            "recursive": True,
        },
    )

    assert (status, [row["request"] for row in result["successRequest"]]) == (200, ["shop.main.sales.notes"])
    assert {t["name"] for t in fake_server.entities("tables")} == {"orders", "customers"}
    assert tables.call("GET", "/tables/name/shop.main.sales.notes")[0] == 404
    assert tables.call("GET", "/tables/name/shop.main.sales.notes?include=all")[1]["deleted"] is True


def test_a_list_is_paged_and_filtered_by_its_scope(tables: Api) -> None:
    tables.make("databaseSchemas", {"name": "other", "database": "shop.main"})
    tables.make("tables", {"name": "elsewhere", "databaseSchema": "shop.main.other", "columns": []})

    first = tables.call("GET", "/tables?limit=2&databaseSchema=shop.main.sales")[1]
    second = tables.call("GET", f"/tables?limit=2&databaseSchema=shop.main.sales&after={first['paging']['after']}")[1]

    assert [table["name"] for table in (*first["data"], *second["data"])] == ["customers", "notes", "orders"]
    assert second["paging"] == {"total": 3}


def test_deleting_a_service_takes_what_is_below_only_recursively(tables: Api, fake_server: FakeServerClient) -> None:
    service = tables.call("GET", "/services/databaseServices/name/shop")[1]
    path = f"/services/databaseServices/{service['id']}?hardDelete=true&recursive="

    assert tables.call("DELETE", path + "false")[0] == 400
    assert tables.call("DELETE", path + "true")[0] == 200
    assert fake_server.entities("tables", deleted=True) == []


def test_search_finds_tables_by_name_with_wildcards(tables: Api) -> None:
    field = "/search/fieldQuery?fieldName=fullyQualifiedName&index=table_search_index&size=10&fieldValue="

    hits = tables.call("GET", field + "shop.*.*.orders")[1]["hits"]

    assert [hit["_source"]["name"] for hit in hits["hits"]] == ["orders"]
    assert tables.call("GET", "/search/query?q=orders&index=table_search_index")[1]["hits"]["hits"] == []


def test_lineage_is_kept_between_known_entities(tables: Api, fake_server: FakeServerClient) -> None:
    orders, customers = (
        {"id": t["id"], "type": "table"} for t in fake_server.entities("tables") if t["name"] in ("orders", "customers")
    )

    assert tables.call("PUT", "/lineage", {"edge": {"fromEntity": orders, "toEntity": customers}})[0] == 200
    stranger = {"id": "00000000-0000-0000-0000-000000000000", "type": "table"}
    assert tables.call("PUT", "/lineage", {"edge": {"fromEntity": orders, "toEntity": stranger}})[0] == 404

    around = tables.call("GET", f"/lineage/table/{customers['id']}")[1]
    assert [edge["fromEntity"] for edge in around["upstreamEdges"]] == [orders["id"]]
    assert len(fake_server.lineage()) == 1


def test_lineage_may_be_written_and_patched_by_name(tables: Api, fake_server: FakeServerClient) -> None:
    edge = "/table/name/shop.main.sales.orders/table/name/shop.main.sales.customers"
    patch = [{"op": "add", "path": "/description", "value": "why"}]

    assert tables.call("GET", f"/lineage/getLineageEdge{edge}")[0] == 404
    assert tables.call("PUT", f"/lineage{edge}", {"sqlQuery": "select 1"})[0] == 200
    assert tables.call("PATCH", f"/lineage{edge}", patch)[0] == 200
    assert tables.call("PUT", f"/lineage{edge}", {"columnsLineage": "all"})[0] == 400

    details = {"columnsLineage": [], "sqlQuery": "select 1", "description": "why"}
    assert tables.call("GET", f"/lineage/getLineageEdge{edge}")[1] == {"edge": details}
    assert [edge["lineageDetails"] for edge in fake_server.lineage()] == [details]


def test_a_profile_is_checked_and_needs_its_table(tables: Api) -> None:
    orders = tables.call("GET", ORDERS)[1]
    profile = {"tableProfile": {"timestamp": 1000, "rowCount": 3}}
    stranger = "00000000-0000-0000-0000-000000000000"

    assert tables.call("PUT", f"/tables/{orders['id']}/tableProfile", profile)[0] == 200
    assert tables.call("PUT", f"/tables/{stranger}/tableProfile", profile)[0] == 404
    assert tables.call("PUT", f"/tables/{orders['id']}/tableProfile", {"rows": 3})[0] == 400


def test_an_update_of_a_service_keeps_its_id(api: Api) -> None:
    body = {"name": "lake", "serviceType": "CustomDatabase"}

    first = api.call("PUT", "/services/databaseServices", body)
    second = api.call("PUT", "/services/databaseServices", body)

    assert (first[0], second[0], first[1]["id"]) == (201, 200, second[1]["id"])
    assert api.call("POST", "/services/databaseServices", body)[0] == 409


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tableRegex=%5EORD", ["orders"]),
        ("tableRegex=%5Eord&regexMode=exclude", ["customers", "notes"]),
        ("databaseSchemaRegex=%5Esales$&tableRegex=o", ["customers", "notes", "orders"]),
        ("databaseSchemaRegex=%5Ehr$", []),
        ("tableRegex=sales.orders&regexFilterByFqn=true", ["orders"]),
    ],
)
def test_a_list_is_filtered_by_regular_expressions(tables: Api, query: str, names: list[str]) -> None:
    assert sorted(table["name"] for table in tables.call("GET", f"/tables?{query}")[1]["data"]) == names


def test_a_type_has_no_custom_properties(api: Api) -> None:
    status, found = api.call("GET", "/metadata/types/name/table?fields=customProperties")

    assert (status, found["name"], found["customProperties"]) == (200, "table", [])


def test_an_endpoint_belongs_to_its_collection_and_service(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.register_service("ordering", "Rest", kind="api")
    api.make("apiCollections", {"name": "orders", "service": "ordering", "endpointURL": "http://ordering/"})
    api.make("apiEndpoints", {"name": "/orders/get", "apiCollection": "ordering.orders", "requestMethod": "GET"})

    (endpoint,) = fake_server.entities("apiEndpoints")
    assert endpoint["fullyQualifiedName"] == "ordering.orders./orders/get"
    assert endpoint["apiCollection"]["name"] == "orders"
    assert (endpoint["service"]["name"], endpoint["serviceType"]) == ("ordering", "Rest")
