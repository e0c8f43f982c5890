"""Metadata, lineage, usage and profiles of databases."""

from collections.abc import Callable
from typing import Any, Final

from testing import installation as installations
from testing import manifests
from testing.installation import SERVICE
from testing.postgres.expected import differences
from tests.scenarios.types import sources
from tests.scenarios.types.case import Case, Expected, Seen
from tests.scenarios.types.environment import Environment

ORDERS: Final = f"{SERVICE}.shop.sales.orders"
SUCCESS: Final = Expected("success", "Succeeded")
WRONG_PASSWORD: Final = "not-the-password"
POSTGRES: Final = "PostgreSQL"

_METADATA: Final = installations.SOURCE_CONFIG["config"]
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


def query(environment: Environment, statement: str) -> None:
    """What people do in the shop, and the query log keeps; as the role of the service."""
    command = ["psql", "--host=/tmp", "--username=postgres", "--dbname=shop", "--quiet", "--no-psqlrc"]
    session = f"set session authorization openmetadata; {statement}"
    environment.installation.kubectl("exec", f"deployment/{manifests.POSTGRES}", "--", *command, f"--command={session}")


def after(statement: str, pipeline_type: str, config: dict[str, Any]) -> Callable[[Environment, str], Seen]:
    """Run a pipeline after queries in the database."""

    def run(environment: Environment, name: str) -> Seen:
        query(environment, statement)
        return environment.run(name, pipeline_type, config)

    return run


def over(pipeline_type: str, config: dict[str, Any], **changes: Any) -> Callable[[Environment, str], Seen]:
    """Run a pipeline over a connection to PostgreSQL that differs from the right one."""
    return lambda environment, name: environment.run(
        name, pipeline_type, config, connection=environment.connection | changes
    )


def refused(pipeline_type: str, config: dict[str, Any]) -> Callable[[Environment, str], Seen]:
    """Run a pipeline with a wrong password."""
    return lambda environment, name: environment.run(
        name, pipeline_type, config, connection=environment.connection_with(WRONG_PASSWORD)
    )


def over_tls(certificate: str) -> Callable[[Environment, str], Seen]:
    """Catalogue the shop over TLS, trusting what the command prints; the certificate is a file from a Secret."""

    def run(environment: Environment, name: str) -> Seen:
        text = environment.installation.kubectl(
            "exec", f"deployment/{manifests.POSTGRES}", "--", "sh", "-c", certificate
        )
        environment.installation.apply(installations.secret(f"{name}-ca", "ca.crt", text))
        tls = {"sslMode": "verify-ca", "sslConfig": {"caCertificate": "/certs/ca.crt"}}
        return environment.run(
            name,
            "metadata",
            _METADATA,
            service={"type": "databaseService", "name": sources.SECURED},
            connection=environment.connection | tls,
            podTemplate={
                "spec": {"volumes": [{"name": "ca", "secret": {"secretName": f"{name}-ca"}}]},
                "container": {"volumeMounts": [{"name": "ca", "mountPath": "/certs", "readOnly": True}]},
            },
        )

    return run


def mariadb(password: str | None) -> Callable[[Environment, str], Seen]:
    """Catalogue MariaDB, with the right password or another."""

    def run(environment: Environment, name: str) -> Seen:
        host = f"{manifests.MARIADB}:{manifests.MARIADB_PORT}"
        return environment.run(
            name,
            "metadata",
            {"type": "DatabaseMetadata", "schemaFilterPattern": {"includes": ["^depot$"]}},
            service={"type": "databaseService", "name": sources.DEPOT},
            connection=sources.mariadb(host, password or environment.installation.credentials.password),
        )

    return run


def shop_is_known(environment: Environment) -> None:
    """All that the seed has made is in the catalogue."""
    assert differences(environment.installation.fake_server, SERVICE) == []


def secured_shop_is_known(environment: Environment) -> None:
    """The same, of the service that is read by way of TLS."""
    assert differences(environment.installation.fake_server, sources.SECURED) == []


def depot_is_known(environment: Environment) -> None:
    """Tables, columns, comments, the view and the foreign key."""
    goods = environment.table(f"{sources.DEPOT}.default.depot.goods")
    assert [column["name"] for column in goods["columns"]] == ["sku", "shelf", "kind", "weight", "details"]
    assert goods["description"] == "What is kept"
    keys = [one for one in goods["tableConstraints"] if one["constraintType"] == "FOREIGN_KEY"]
    assert [key["referredColumns"] for key in keys] == [[f"{sources.DEPOT}.default.depot.shelves.id"]]
    assert environment.table(f"{sources.DEPOT}.default.depot.heavy_goods")["tableType"] == "View"


def prices_come_from_products(environment: Environment) -> None:
    """The edge that the statement has drawn."""
    edges = [
        (edge["fromEntity"]["name"], edge["toEntity"]["name"])
        for edge in environment.installation.fake_server.lineage()
    ]
    assert ("products", "prices") in edges


def orders_are_counted(environment: Environment) -> None:
    """The usage of the table that was queried."""
    calls = environment.installation.fake_server.calls(
        method="POST", path=f"/usage/table/{environment.table(ORDERS)['id']}$"
    )
    assert [call["body"]["count"] >= 1 for call in calls] == [True]


def orders_are_measured(environment: Environment) -> None:
    """The rows of the one table that the filters select."""
    calls = environment.installation.fake_server.calls(method="PUT", path="/tableProfile$")
    rows = {call["path"].split("/")[-2]: call["body"]["tableProfile"]["rowCount"] for call in calls}
    assert rows == {environment.table(ORDERS)["id"]: 120}


CATALOGUE: Final = Case(
    "metadata",
    "metadata",
    POSTGRES,
    "",
    lambda environment, name: environment.run(name, "metadata", _METADATA),
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
        "the query log cannot be read: only the log has it",
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
