"""The stored entities, by kind and fully qualified name."""

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from . import schemas
from .kinds import KINDS, Kind
from .wire import ApiError

Entity = dict[str, Any]

MOST_VERSIONS_KEPT = 50


def quote_name(name: str) -> str:
    """A name as a part of a fully qualified name: quoted when a dot or a quote would mislead."""
    return '"' + name.replace('"', '\\"') + '"' if "." in name or '"' in name else name


def reference(entity_type: str, entity: Entity) -> dict[str, Any]:
    """The reference by which other entities name this one."""
    return {
        "id": entity["id"],
        "type": entity_type,
        "name": entity["name"],
        "fullyQualifiedName": entity["fullyQualifiedName"],
        "deleted": False,
    }


def now_ms() -> int:
    return int(time.time() * 1000)


class Catalog:
    """Not locked: the server serves one request at a time."""

    def __init__(self) -> None:
        self._entities: dict[str, dict[str, Entity]] = {path: {} for path in KINDS}
        self._by_id: dict[str, Entity] = {}
        self._versions: dict[str, deque[Entity]] = {}

    def find(self, kind: Kind, fqn: str, *, deleted: bool = False) -> Entity | None:
        """The entity of that name; a deleted one only on demand."""
        entity = self._entities[kind.path].get(fqn)
        return None if entity is None or (entity.get("deleted") and not deleted) else entity

    def find_by_id(self, kind: Kind, entity_id: str, *, deleted: bool = False) -> Entity | None:
        entity = self._by_id.get(entity_id)
        return self.find(kind, entity["fullyQualifiedName"], deleted=deleted) if entity is not None else None

    def versions(self, entity_id: str) -> list[Entity]:
        """All versions of an entity of a versioned kind, oldest first, also of one that was deleted."""
        return list(self._versions.get(entity_id, ()))

    def all_of(self, kind: Kind, *, deleted: bool = False) -> list[Entity]:
        """All entities of a kind in the order of their names."""
        found = sorted(self._entities[kind.path].items())
        return [entity for _, entity in found if deleted or not entity.get("deleted")]

    def write(
        self, kind: Kind, request: dict[str, Any], extra: Entity | None = None, *, fqn: str | None = None
    ) -> tuple[Entity, bool]:
        """Create or update from a create request that fits its model; the entity and whether it is new.

        `extra` is set on the entity as it is; `fqn` is for kinds that are not named below a parent. Raises ApiError 404
        when the parent does not exist.
        """
        name = str(request.get("name") or hashlib.md5(request["query"].encode()).hexdigest())  # noqa: S324
        parent_kind, parent = self._parent_of(kind, request)
        if fqn is None:
            fqn = quote_name(name) if parent is None else f"{parent['fullyQualifiedName']}.{quote_name(name)}"
        existing = self.find(kind, fqn, deleted=True)
        fields = schemas.model(kind.entity).model_fields
        requested = {
            key: value
            for key, value in request.items()
            if key in fields and key != kind.parent_field and value is not None
        }
        fixed: Entity = {
            "id": existing["id"] if existing else str(uuid4()),
            "name": name,
            "fullyQualifiedName": fqn,
            "deleted": False,
            "version": round(existing["version"] + 0.1, 1) if existing else 0.1,
            "updatedAt": now_ms(),
            "updatedBy": "ingestion-bot",
            **(extra or {}),
        }
        if parent is not None and parent_kind is not None and kind.parent_field is not None:
            fixed[kind.parent_field] = reference(parent_kind.entity_type, parent)
            fixed |= {key: parent[key] for key in kind.inherited if key in parent}
        fixed = {key: value for key, value in fixed.items() if key in fields}
        entity = self._fitting(kind, {**(existing or {}), **requested}, fixed)
        for columns in (entity.get("columns"), (entity.get("dataModel") or {}).get("columns")):
            _name_columns(columns or [], fqn)
        self._keep(kind, entity)
        return entity, existing is None

    def replace(self, kind: Kind, entity: Entity) -> Entity:
        """Store a changed entity under its old name; raises ApiError when it no longer fits its model."""
        schemas.check(kind.entity, entity)
        entity = {**entity, "version": round(entity["version"] + 0.1, 1), "updatedAt": now_ms()}
        self._keep(kind, entity)
        return entity

    def delete(self, kind: Kind, entity: Entity, *, hard: bool, recursive: bool) -> None:
        """Raises ApiError 400 when it has children and `recursive` is not set, as the server does."""
        below = entity["fullyQualifiedName"] + "."
        children = [
            (child_kind, child)
            for child_kind in KINDS.values()
            for child in self.all_of(child_kind, deleted=hard)
            if child["fullyQualifiedName"].startswith(below)
        ]
        if children and not recursive:
            raise ApiError(400, f"{entity['fullyQualifiedName']} is not empty")
        for one_kind, one in [*children, (kind, entity)]:
            if hard:
                del self._entities[one_kind.path][one["fullyQualifiedName"]]
                del self._by_id[one["id"]]
            else:
                self._keep(one_kind, {**one, "deleted": True})

    def _keep(self, kind: Kind, entity: Entity) -> None:
        self._entities[kind.path][entity["fullyQualifiedName"]] = entity
        self._by_id[entity["id"]] = entity
        if kind.versioned:
            self._versions.setdefault(entity["id"], deque(maxlen=MOST_VERSIONS_KEPT)).append(entity)

    def _parent_of(self, kind: Kind, request: dict[str, Any]) -> tuple[Kind | None, Entity | None]:
        named = request.get(kind.parent_field) if kind.parent_field else None
        if named is None:
            return None, None
        for parent_kind in (KINDS[path] for path in kind.parent_paths):
            if isinstance(named, dict):
                if "id" in named and named.get("type", parent_kind.entity_type) == parent_kind.entity_type:
                    parent = self.find_by_id(parent_kind, named["id"])
                else:
                    parent = None
            else:
                parent = self.find(parent_kind, named)
            if parent is not None:
                return parent_kind, parent
        raise ApiError(404, f"{kind.parent_field} instance for {named} not found")

    @staticmethod
    def _fitting(kind: Kind, requested: Entity, fixed: Entity) -> Entity:
        """An entity of its model, or the fake OpenMetadata server is wrong: ApiError 500.

        What a create request names by FQN and the entity holds by reference (domains, charts) has
        the same key and another shape; it is left out.
        """
        model = schemas.model(kind.entity)
        try:
            model.model_validate({**requested, **fixed})
        except ValidationError as error:
            other_shape = {str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"]}
            requested = {key: value for key, value in requested.items() if key not in other_shape}
            try:
                model.model_validate({**requested, **fixed})
            except ValidationError as again:
                raise ApiError(
                    500, f"the fake OpenMetadata server cannot make this {kind.entity_type}: {schemas.problem(again)}"
                ) from again
        return {**requested, **fixed}


def _name_columns(columns: list[dict[str, Any]], parent_fqn: str) -> None:
    for column, fqn in _columns_with_names(columns, parent_fqn):
        column["fullyQualifiedName"] = fqn


def _columns_with_names(columns: list[dict[str, Any]], parent_fqn: str) -> Iterator[tuple[dict[str, Any], str]]:
    for column in columns:
        fqn = f"{parent_fqn}.{quote_name(column['name'])}"
        yield column, fqn
        yield from _columns_with_names(column.get("children") or [], fqn)
