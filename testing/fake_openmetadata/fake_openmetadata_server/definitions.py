"""The steps of a connection test, as the server defines them."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

# Step, whether a run stops when it fails. The names are the client's.
DATABASE_STEPS = (
    ("CheckAccess", True),
    ("GetSchemas", True),
    ("GetTables", True),
    ("GetViews", False),
)
MORE_STEPS = {
    "Mysql": (("GetQueries", False),),
    "Postgres": (("GetDatabases", True), ("GetTags", False), ("GetQueries", False)),
}
GATES = frozenset({"CheckAccess", "CheckURL"})
OTHER_STEPS = {"Rest": (("CheckURL", True), ("CheckSchema", True))}
SQL_TYPES = frozenset({"Mysql", "MariaDB", "Postgres", "SQLite", "Mssql", "Greenplum", "Cockroach", "Timescale"})


def definition(name: str, server_version: str) -> dict[str, Any]:
    """The definition `<type>.testConnectionDefinition`, in the shape the server of that version gives it."""
    service_type = name.partition(".")[0]
    steps = [*OTHER_STEPS.get(service_type, (("CheckAccess", True),))]
    if service_type in SQL_TYPES:
        steps = [*DATABASE_STEPS, *MORE_STEPS.get(service_type, ())]
    return {
        "id": str(uuid5(NAMESPACE_URL, name)),
        "name": service_type,
        "displayName": f"{service_type} Test Connection",
        "fullyQualifiedName": name,
        "steps": [_step(step, mandatory=mandatory, server_version=server_version) for step, mandatory in steps],
    }


def _step(name: str, *, mandatory: bool, server_version: str) -> dict[str, Any]:
    step = {
        "name": name,
        "description": f"Checks {name}.",
        "errorMessage": f"{name} failed.",
        "mandatory": mandatory,
        "shortCircuit": name in GATES,
    }
    # New in 2.0; a 1.x client refuses the unknown field.
    if int(server_version.partition(".")[0]) >= 2:
        step["category"] = "ConnectionGate" if name in GATES else "Capability"
    return step
