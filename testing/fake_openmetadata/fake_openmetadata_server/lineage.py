"""Lineage: edges between stored entities."""

from typing import Any

from . import json_patch, schemas
from .catalog import Catalog, Entity, reference
from .kinds import KINDS, Kind
from .wire import ApiError, Reply, Request

BY_TYPE: dict[str, Kind] = {kind.entity_type: kind for kind in KINDS.values()}
DETAILS = "type.entityLineage:LineageDetails"


class Lineage:
    """The edges, each {fromEntity, toEntity, lineageDetails}."""

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], dict[str, Any]] = {}

    def to_json(self) -> list[dict[str, Any]]:
        return list(self._edges.values())

    def handle(self, catalog: Catalog, path: tuple[str, ...], request: Request) -> Reply | None:
        """`path` is what follows /lineage; None for an unknown operation."""
        match request.method, path:
            case "PUT", ():
                body = request.json_object
                schemas.check("api.lineage.addLineage:AddLineageRequest", body)
                edge = body["edge"]
                ends = [_find(catalog, end["type"], end["id"]) for end in (edge["fromEntity"], edge["toEntity"])]
                return self._put(ends[0], ends[1], edge.get("lineageDetails") or {})
            case "PUT" | "PATCH" | "DELETE" as method, (_, _, _, _) | (_, "name", _, _, "name", _):
                return self._change(method, *_ends(catalog, path), request)
            case "GET", ("getLineageEdge", from_id, to_id):
                return self._details((from_id, to_id))
            case "GET", ("getLineageEdge", *ends_path):
                start, end = _ends(catalog, tuple(ends_path))
                return self._details((start["id"], end["id"]))
            case "GET", (entity_type, "name", fqn):
                return self._around(_find(catalog, entity_type, fqn, by_name=True))
            case "GET", (entity_type, entity_id):
                return self._around(_find(catalog, entity_type, entity_id))
        return None

    def _put(self, start: Entity, end: Entity, details: dict[str, Any]) -> Reply:
        # A client's patch adds to the list of columns, also where the edge was written without one.
        details = {"columnsLineage": [], **details}
        edge = {"fromEntity": start, "toEntity": end, "lineageDetails": details}
        self._edges[start["id"], end["id"]] = edge
        return Reply(200)

    def _change(self, method: str, start: Entity, end: Entity, request: Request) -> Reply:
        key = (start["id"], end["id"])
        if method == "PUT":
            schemas.check(DETAILS, request.json)
            return self._put(start, end, request.json_object)
        found = self._edge(key)
        if method == "PATCH":
            details = json_patch.apply(found["lineageDetails"], request.json)
            schemas.check(DETAILS, details)
            return self._put(start, end, details)
        del self._edges[key]
        return Reply(200)

    def _edge(self, key: tuple[str, str]) -> dict[str, Any]:
        if key not in self._edges:
            raise ApiError(404, f"lineage edge {key[0]} -> {key[1]} not found")
        return self._edges[key]

    def _details(self, key: tuple[str, str]) -> Reply:
        return Reply(200, {"edge": self._edge(key)["lineageDetails"]})

    def _around(self, entity: Entity) -> Reply:
        edges = [edge for key, edge in self._edges.items() if entity["id"] in key]
        nodes = {end["id"]: end for edge in edges for end in (edge["fromEntity"], edge["toEntity"])}
        nodes.pop(entity["id"], None)
        shown = [
            {
                "fromEntity": edge["fromEntity"]["id"],
                "toEntity": edge["toEntity"]["id"],
                "lineageDetails": edge["lineageDetails"],
            }
            for edge in edges
        ]
        return Reply(
            200,
            {
                "entity": entity,
                "nodes": list(nodes.values()),
                "upstreamEdges": [edge for edge in shown if edge["toEntity"] == entity["id"]],
                "downstreamEdges": [edge for edge in shown if edge["fromEntity"] == entity["id"]],
            },
        )


def _ends(catalog: Catalog, path: tuple[str, ...]) -> tuple[Entity, Entity]:
    """References to both ends named by <type>/<id>/<type>/<id> or <type>/name/<fqn>/<type>/name/<fqn>."""
    match path:
        case (from_type, "name", from_fqn, to_type, "name", to_fqn):
            start = _find(catalog, from_type, from_fqn, by_name=True)
            return start, _find(catalog, to_type, to_fqn, by_name=True)
        case (from_type, from_id, to_type, to_id):
            return _find(catalog, from_type, from_id), _find(catalog, to_type, to_id)
    raise ApiError(404, "HTTP 404 Not Found")


def _find(catalog: Catalog, entity_type: str, asked: str, *, by_name: bool = False) -> Entity:
    """A reference to a stored entity; raises ApiError 404."""
    kind = BY_TYPE.get(entity_type)
    entity = None
    if kind is not None:
        entity = catalog.find(kind, asked) if by_name else catalog.find_by_id(kind, asked)
    if entity is None:
        raise ApiError(404, f"{entity_type} instance for {asked} not found")
    return reference(entity_type, entity)
