"""The REST operations every collection of entities has."""

import re
from typing import Any

from . import json_patch, schemas
from .catalog import Catalog, Entity
from .faults import Faults
from .kinds import Kind
from .wire import ApiError, InvalidBodyError, Reply, Request

# A filter of a list and the reference it compares.
SCOPES = ("databaseSchema", "database", "service", "parent")
# A regular expression for the names of a list's entities, or of what they are in.
PATTERNS = {"databaseRegex": "database", "databaseSchemaRegex": "databaseSchema", "tableRegex": "table"}


class Entities:
    """GET, PUT, POST, PATCH, DELETE, bulk and deleteStale for any kind."""

    def __init__(self, catalog: Catalog, faults: Faults) -> None:
        self._catalog = catalog
        self._faults = faults

    def handle(self, kind: Kind, rest: tuple[str, ...], request: Request) -> Reply | None:
        """None when the collection has no such operation."""
        match request.method, rest:
            case "GET", ():
                return self._list(kind, request)
            case "PUT" | "POST", ():
                return self._write(kind, request)
            case "PUT", ("bulk",):
                return self._bulk(kind, request)
            case "DELETE", ("deleteStale",):
                return self._delete_stale(kind, request)
            case "GET" | "PATCH" | "DELETE", ("name", fqn):
                include_deleted = request.query.get("include") in ("all", "deleted")
                return self._one(kind, self._catalog.find(kind, fqn, deleted=include_deleted), fqn, request)
            case "GET" | "PATCH" | "DELETE", (entity_id,):
                return self._one(kind, self._catalog.find_by_id(kind, entity_id), entity_id, request)
        return None

    def _one(self, kind: Kind, entity: Entity | None, asked: str, request: Request) -> Reply:
        if entity is None:
            raise ApiError(404, f"{kind.entity_type} instance for {asked} not found")
        if request.method == "PATCH":
            patched = json_patch.apply(entity, request.json)
            for fixed in ("id", "fullyQualifiedName"):
                if patched.get(fixed) != entity[fixed]:
                    raise InvalidBodyError(f"a patch cannot change {fixed}")
            entity = self._catalog.replace(kind, patched)
        elif request.method == "DELETE":
            self._catalog.delete(
                kind,
                entity,
                hard=request.query.get("hardDelete") == "true",
                recursive=request.query.get("recursive") == "true",
            )
        return Reply(200, entity)

    def _list(self, kind: Kind, request: Request) -> Reply:
        found = self._catalog.all_of(kind, deleted=request.query.get("include") == "all")
        for scope in SCOPES:
            if scope in request.query:
                wanted = request.query[scope]
                found = [e for e in found if (e.get(scope) or {}).get("fullyQualifiedName") == wanted]
        for pattern, of in PATTERNS.items():
            if pattern in request.query:
                found = [e for e in found if _fits(e if kind.entity_type == of else e.get(of), pattern, request)]
        start = int(request.query.get("after") or 0)
        end = start + int(request.query.get("limit") or 10)
        paging: dict[str, Any] = {"total": len(found)}
        if end < len(found):
            paging["after"] = str(end)
        return Reply(200, {"data": found[start:end], "paging": paging})

    def _write(self, kind: Kind, request: Request) -> Reply:
        body = request.json_object
        schemas.check(kind.create, body)
        entity, created = self._catalog.write(kind, body)
        if request.method == "POST" and not created:
            raise ApiError(409, "Entity already exists")
        return Reply(201 if created else 200, entity)

    def _bulk(self, kind: Kind, request: Request) -> Reply:
        rows = request.json
        if not isinstance(rows, list):
            raise InvalidBodyError("a bulk request is a list")
        for number, row in enumerate(rows):
            try:
                schemas.check(kind.create, row)
            except InvalidBodyError as error:
                raise InvalidBodyError(f"row {number}: {error.message}") from error
        passed: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for row in rows:
            asked = f"{row[kind.parent_field]}.{row.get('name')}" if kind.parent_field else str(row.get("name"))
            fault = self._faults.for_row(request, asked)
            if fault is not None:
                failed.append({"request": asked, "message": fault.message, "status": fault.status or 500})
                continue
            try:
                entity, created = self._catalog.write(kind, row)
            except ApiError as error:
                failed.append({"request": asked, "message": error.message, "status": error.status})
            else:
                passed.append({"request": entity["fullyQualifiedName"], "status": 201 if created else 200})
        return Reply(200, _bulk_result(passed, failed))

    def _delete_stale(self, kind: Kind, request: Request) -> Reply:
        body = request.json_object
        schemas.check("type.bulkDeleteStaleRequest:BulkDeleteStaleRequest", body)
        seen = set(body["seenFqns"])
        stale = [
            entity
            for entity in self._catalog.all_of(kind)
            if entity["fullyQualifiedName"].startswith(body["scopeFqn"] + ".")
            and entity["fullyQualifiedName"] not in seen
        ]
        for entity in stale:
            self._catalog.delete(kind, entity, hard=bool(body.get("hardDelete")), recursive=bool(body.get("recursive")))
        return Reply(200, _bulk_result([{"request": e["fullyQualifiedName"], "status": 200} for e in stale], []))


def _fits(named: Entity | None, pattern: str, request: Request) -> bool:
    key = "fullyQualifiedName" if request.query.get("regexFilterByFqn") == "true" else "name"
    found = re.search(request.query[pattern], str((named or {}).get(key)), re.IGNORECASE) is not None
    return found != (request.query.get("regexMode") == "exclude")


def _bulk_result(passed: list[dict[str, Any]], failed: list[dict[str, Any]]) -> dict[str, Any]:
    outcome_of_failures = "partialSuccess" if passed else "failure"
    result = {
        "dryRun": False,
        "status": outcome_of_failures if failed else "success",
        "numberOfRowsProcessed": len(passed) + len(failed),
        "numberOfRowsPassed": len(passed),
        "numberOfRowsFailed": len(failed),
        "successRequest": passed,
        "failedRequest": failed,
    }
    schemas.check("type.bulkOperationResult:BulkOperationResult", result)
    return result
