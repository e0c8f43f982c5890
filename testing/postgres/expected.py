"""What the seeded database holds, and what of it an ingestion has left out.

    python -m testing.postgres.expected            check expected.json against a real database
    python -m testing.postgres.expected --write    rewrite it

Both need Debian's PostgreSQL 15 (`apt-get install postgresql-15`).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from testing.fake_openmetadata_client import FakeServerClient
from testing.postgres.process import Postgres, start_postgres

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"

JsonObject = dict[str, Any]


def expected() -> JsonObject:
    """Keys: database, schemas, tables, views, routines, foreignKeys (lists of objects)."""
    loaded: JsonObject = json.loads(EXPECTED.read_text())
    return loaded


def differences(fake_server: FakeServerClient, service: str) -> list[str]:
    """How the catalogue in the fake OpenMetadata server differs from the seeded database; empty when it is complete.

    Compares schemas, tables, views, their columns, comments and types, functions, procedures and
    foreign keys. What else is in the catalogue (information_schema) is ignored.
    """
    wanted, database = expected(), _parts(expected()["database"])
    found: list[str] = []
    schemas = _by_name(fake_server.entities("databaseSchemas"))
    tables = _by_name(fake_server.entities("tables"))
    routines = _by_name(fake_server.entities("storedProcedures"))
    for schema in wanted["schemas"]:
        name = (service, *database, schema["name"])
        found += _compare("schema", name, schemas.get(name), {"description": schema["comment"]})
    for table in (*wanted["tables"], *wanted["views"]):
        name = (service, *database, table["schema"], table["name"])
        entity = tables.get(name)
        found += _compare("table", name, entity, {"description": table["comment"], "tableType": table["type"]})
        columns = [column["name"] for column in (entity or {}).get("columns", [])]
        if entity is not None and columns != table["columns"]:
            found.append(f"table {'.'.join(name)} has the columns {columns}, not {table['columns']}")
    for routine in wanted["routines"]:
        name = (service, *database, routine["schema"], routine["name"])
        # The connector distinguishes a procedure from a function by this field.
        found += _compare(routine["type"], name, routines.get(name), {"storedProcedureType": routine["type"]})
    for key in wanted["foreignKeys"]:
        name = (service, *database, key["schema"], key["table"])
        target = (service, *database, key["targetSchema"], key["target"])
        want = (key["columns"], [(*target, column) for column in key["targetColumns"]])
        if want not in list(_foreign_keys(tables.get(name))):
            found.append(f"{'.'.join(name)} has no foreign key {key['columns']} -> {'.'.join(target)}")
    return found


def _compare(what: str, name: tuple[str, ...], entity: JsonObject | None, want: JsonObject) -> list[str]:
    if entity is None:
        return [f"{what} {'.'.join(name)} is missing"]
    return [
        f"{what} {'.'.join(name)} has {key} {entity.get(key)!r}, not {value!r}"
        for key, value in want.items()
        if entity.get(key) != value
    ]


def _foreign_keys(table: JsonObject | None) -> Iterable[tuple[list[str], list[tuple[str, ...]]]]:
    for constraint in (table or {}).get("tableConstraints") or []:
        if constraint["constraintType"] == "FOREIGN_KEY":
            yield constraint["columns"], [_parts(fqn) for fqn in constraint["referredColumns"]]


def _by_name(entities: Iterable[JsonObject]) -> dict[tuple[str, ...], JsonObject]:
    return {_parts(entity["fullyQualifiedName"]): entity for entity in entities}


def _parts(fqn: str) -> tuple[str, ...]:
    """The parts of a fully qualified name; a part in double quotes may hold dots."""
    parts, part, quoted = [], "", False
    for character in fqn:
        if character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts.append(part)
            part = ""
        else:
            part += character
    return (*parts, part)


def read(database: Postgres) -> JsonObject:
    """expected.json as that database would have it; raises CalledProcessError."""
    shown = subprocess.run(
        [
            "psql",
            database.url,
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            f"--file={HERE / 'catalog.sql'}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    document: JsonObject = json.loads(shown.stdout)
    return document


def main() -> int:
    parser = argparse.ArgumentParser(description="Check or write expected.json")
    parser.add_argument("--write", action="store_true", help="replace the file instead of comparing it")
    arguments = parser.parse_args()
    with start_postgres() as database:
        real = read(database)
    if arguments.write:
        EXPECTED.write_text(json.dumps(real, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        return 0
    if real != expected():
        print("expected.json differs from seed.sql; rewrite it with --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
