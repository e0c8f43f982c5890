"""Metadata, lineage, usage and profiles of databases."""

from collections.abc import Callable
from typing import Any, Final

from testing import manifests
from testing import site as sites
from testing.postgres.expected import differences
from testing.site import SERVICE
from tests.scenarios.types import sources
from tests.scenarios.types.case import Case, Expected, Seen
from tests.scenarios.types.stage import Stage

ORDERS: Final = f"{SERVICE}.shop.sales.orders"
SUCCESS: Final = Expected("success", "Succeeded")
WRONG_PASSWORD: Final = "not-the-password"
POSTGRES: Final = "PostgreSQL"

_METADATA: Final = sites.SOURCE_CONFIG["config"]
_LINEAGE: Final = {"type": "DatabaseLineage", "queryLogDuration": 1}
_USAGE: Final = {"type": "DatabaseUsage", "queryLogDuration": 1}
_ORDERS_ONLY: Final = {
    "type": "Profiler",
    "schemaFilterPattern": {"includes": ["^sales$"]},
    "tableFilterPattern": {"includes": ["^orders$"]},
}
_AWAY: Final = {"hostPort": f"{manifests.POSTGRES}:1"}
_NO_LOG: Final = {"queryStatementSource": "no_such_log"}
_CERTIFICATE: Final = "/var/lib/postgresql/data/cluster/server.crt"
_ANOTHER_CERTIFICATE: Final = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 -subj /CN=postgres "
    "-keyout /dev/null 2>/dev/null"
)


def query(stage: Stage, statement: str) -> None:
    """What people do in the shop, and the query log keeps; as the role of the service."""
    command = ["psql", "--host=/tmp", "--username=postgres", "--dbname=shop", "--quiet", "--no-psqlrc"]
    session = f"set session authorization openmetadata; {statement}"
    stage.site.kubectl("exec", f"deployment/{manifests.POSTGRES}", "--", *command, f"--command={session}")


def after(statement: str, pipeline_type: str, config: dict[str, Any]) -> Callable[[Stage, str], Seen]:
    """Run a pipeline after somebody has worked with the database."""

    def play(stage: Stage, name: str) -> Seen:
        query(stage, statement)
        return stage.run(name, pipeline_type, config)

    return play


def over(pipeline_type: str, config: dict[str, Any], **changes: Any) -> Callable[[Stage, str], Seen]:
    """Run a pipeline over a connection to PostgreSQL that differs from the right one."""
    return lambda stage, name: stage.run(name, pipeline_type, config, connection=stage.connection | changes)


def refused(pipeline_type: str, config: dict[str, Any]) -> Callable[[Stage, str], Seen]:
    """Run a pipeline with a wrong password."""
    return lambda stage, name: stage.run(name, pipeline_type, config, connection=stage.connection_with(WRONG_PASSWORD))


def over_tls(certificate: str) -> Callable[[Stage, str], Seen]:
    """Catalogue the shop over TLS, trusting what the command prints; the certificate is a file from a Secret."""

    def play(stage: Stage, name: str) -> Seen:
        text = stage.site.kubectl("exec", f"deployment/{manifests.POSTGRES}", "--", "sh", "-c", certificate)
        stage.site.apply(sites.secret(f"{name}-ca", "ca.crt", text))
        tls = {"sslMode": "verify-ca", "sslConfig": {"caCertificate": "/certs/ca.crt"}}
        return stage.run(
            name,
            "metadata",
            _METADATA,
            service={"type": "databaseService", "name": sources.SECURED},
            connection=stage.connection | tls,
            podTemplate={
                "spec": {"volumes": [{"name": "ca", "secret": {"secretName": f"{name}-ca"}}]},
                "container": {"volumeMounts": [{"name": "ca", "mountPath": "/certs", "readOnly": True}]},
            },
        )

    return play


def mariadb(password: str | None) -> Callable[[Stage, str], Seen]:
    """Catalogue MariaDB, with the right password or another."""

    def play(stage: Stage, name: str) -> Seen:
        host = f"{manifests.MARIADB}:{manifests.MARIADB_PORT}"
        return stage.run(
            name,
            "metadata",
            {"type": "DatabaseMetadata", "schemaFilterPattern": {"includes": ["^depot$"]}},
            service={"type": "databaseService", "name": sources.DEPOT},
            connection=sources.mariadb(host, password or stage.site.credentials.password),
        )

    return play


def shop_is_known(stage: Stage) -> None:
    """All that the seed has made is in the catalogue."""
    assert differences(stage.site.fake_server, SERVICE) == []


def secured_shop_is_known(stage: Stage) -> None:
    """The same, of the service that is read by way of TLS."""
    assert differences(stage.site.fake_server, sources.SECURED) == []


def depot_is_known(stage: Stage) -> None:
    """Tables, columns, comments, the view and the foreign key."""
    goods = stage.table(f"{sources.DEPOT}.default.depot.goods")
    assert [column["name"] for column in goods["columns"]] == ["sku", "shelf", "kind", "weight", "details"]
    assert goods["description"] == "What is kept"
    keys = [one for one in goods["tableConstraints"] if one["constraintType"] == "FOREIGN_KEY"]
    assert [key["referredColumns"] for key in keys] == [[f"{sources.DEPOT}.default.depot.shelves.id"]]
    assert stage.table(f"{sources.DEPOT}.default.depot.heavy_goods")["tableType"] == "View"


def prices_come_from_products(stage: Stage) -> None:
    """The edge that the statement has drawn."""
    edges = [(edge["fromEntity"]["name"], edge["toEntity"]["name"]) for edge in stage.site.fake_server.lineage()]
    assert ("products", "prices") in edges


def orders_are_counted(stage: Stage) -> None:
    """The usage of the table that was queried."""
    calls = stage.site.fake_server.calls(method="POST", path=f"/usage/table/{stage.table(ORDERS)['id']}$")
    assert [call["body"]["count"] >= 1 for call in calls] == [True]


def orders_are_measured(stage: Stage) -> None:
    """The rows of the one table that the filters select."""
    calls = stage.site.fake_server.calls(method="PUT", path="/tableProfile$")
    rows = {call["path"].split("/")[-2]: call["body"]["tableProfile"]["rowCount"] for call in calls}
    assert rows == {stage.table(ORDERS)["id"]: 120}


CATALOGUE: Final = Case(
    "metadata",
    "metadata",
    POSTGRES,
    "",
    lambda stage, name: stage.run(name, "metadata", _METADATA),
    SUCCESS,
    shop_is_known,
    is_quick=True,
)
"""Which all cases need that are said to need the catalogue."""

DATABASES: Final = (
    CATALOGUE,
    Case(
        "metadata-refused",
        "metadata",
        POSTGRES,
        "wrong password",
        refused("metadata", _METADATA),
        Expected("failed", "InitializationFailed", "password authentication failed"),
    ),
    Case(
        "metadata-tls",
        "metadata",
        f"{POSTGRES} over TLS, `verify-ca`, the CA a file from a Secret",
        "",
        over_tls(f"cat {_CERTIFICATE}"),
        SUCCESS,
        secured_shop_is_known,
        is_quick=True,
    ),
    Case(
        "metadata-wrong-ca",
        "metadata",
        f"{POSTGRES} over TLS",
        "the file holds another CA",
        over_tls(_ANOTHER_CERTIFICATE),
        Expected("failed", "InitializationFailed", "certificate verify failed"),
        is_quick=True,
    ),
    Case("metadata-mariadb", "metadata", "MariaDB", "", mariadb(None), SUCCESS, depot_is_known),
    Case(
        "metadata-mariadb-refused",
        "metadata",
        "MariaDB",
        "wrong password",
        mariadb(WRONG_PASSWORD),
        Expected("failed", "InitializationFailed", "Access denied"),
    ),
    Case(
        "lineage",
        "lineage",
        POSTGRES,
        "",
        after(
            "insert into inventory.prices select sku, now(), price from inventory.products limit 1",
            "lineage",
            _LINEAGE,
        ),
        SUCCESS,
        prices_come_from_products,
        needs_catalogue=True,
        is_quick=True,
    ),
    Case(
        "lineage-away",
        "lineage",
        POSTGRES,
        "nothing listens",
        over("lineage", _LINEAGE, **_AWAY),
        Expected("failed", "InitializationFailed", "Connection refused"),
    ),
    Case(
        "lineage-no-log",
        "lineage",
        POSTGRES,
        "the query log cannot be read: only the log says so",
        over("lineage", _LINEAGE, **_NO_LOG),
        Expected("success", "Succeeded", 'log:relation "no_such_log" does not exist'),
        needs_catalogue=True,
    ),
    Case(
        "usage",
        "usage",
        POSTGRES,
        "",
        after(
            "select count(*) from sales.orders o join sales.customers c on c.id = o.customer",
            "usage",
            _USAGE,
        ),
        SUCCESS,
        orders_are_counted,
        needs_catalogue=True,
        is_quick=True,
    ),
    Case(
        "usage-refused",
        "usage",
        POSTGRES,
        "wrong password",
        refused("usage", _USAGE),
        Expected("failed", "InitializationFailed", "password authentication failed"),
    ),
    Case(
        "profiler",
        "profiler",
        POSTGRES,
        "",
        after("analyze sales.orders", "profiler", _ORDERS_ONLY),
        SUCCESS,
        orders_are_measured,
        needs_catalogue=True,
        is_quick=True,
    ),
    Case(
        "profiler-refused",
        "profiler",
        POSTGRES,
        "wrong password",
        refused("profiler", _ORDERS_ONLY),
        Expected("failed", "InitializationFailed", "password authentication failed"),
    ),
)
