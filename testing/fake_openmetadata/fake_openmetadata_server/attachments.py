"""What is written beside entities: profiles, samples, joins, usage. Checked, then found in the calls."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from . import schemas
from .catalog import Catalog
from .kinds import KINDS
from .wire import ApiError, InvalidBodyError, Reply, Request

# PUT /<collection>/<id>/<key>
MODELS = {
    ("tables", "dataModel"): "entity.data.table:DataModel",
    ("tables", "joins"): "entity.data.table:TableJoins",
    ("tables", "sampleData"): "entity.data.table:TableData",
    ("tables", "tableProfile"): "api.data.createTableProfile:CreateTableProfileRequest",
    ("tables", "tableProfilerConfig"): "entity.data.table:TableProfilerConfig",
}
# The same, where the body is a list of these; None: of strings.
LISTS = {
    ("queries", "usage"): "type.entityReference:EntityReference",
    ("queries", "users"): None,
    ("queries", "usedBy"): None,
}


def handle(catalog: Catalog, path: tuple[str, ...], request: Request) -> Reply | None:
    """None for another path."""
    match request.method, path:
        case "PUT", (collection, entity_id, key) if (collection, key) in MODELS:
            schemas.check(MODELS[collection, key], request.json)
            return Reply(200, _entity(catalog, collection, entity_id))
        case "PUT", (collection, entity_id, key) if (collection, key) in LISTS:
            _check_list(LISTS[collection, key], request.json)
            return Reply(200, _entity(catalog, collection, entity_id))
        case "POST", ("usage", "compute.percentile", _, _):
            return Reply(201)
        case "POST", ("usage", entity_type, entity_id):
            schemas.check("type.usageRequest:UsageRequest", request.json)
            collection = next((kind.path for kind in KINDS.values() if kind.entity_type == entity_type), "")
            _entity(catalog, collection, entity_id)
            return Reply(201)
        case "POST", ("queryCostRecord",):
            schemas.check("api.data.createQueryCostRecord:CreateQueryCostRecordRequest", request.json)
            return Reply(201)
        case "GET", ("metadata", "types", "name", name):
            return Reply(200, _type(name))
        case "GET", ("system", "settings", _):
            return Reply(204)  # none are set
    return None


def _type(name: str) -> dict[str, Any]:
    """A type of entities, without custom properties."""
    found = {
        "id": str(uuid5(NAMESPACE_URL, name)),
        "name": name,
        "fullyQualifiedName": name,
        "description": name,
        "category": "entity",
        "schema": "{}",
        "customProperties": [],
    }
    schemas.check("entity.type:Type", found)
    return found


def _entity(catalog: Catalog, collection: str, entity_id: str) -> Any:
    kind = KINDS.get(collection)
    entity = catalog.find_by_id(kind, entity_id) if kind else None
    if entity is None:
        raise ApiError(404, f"{collection} instance for {entity_id} not found")
    return entity


def _check_list(model: str | None, body: Any) -> None:
    if not isinstance(body, list):
        raise InvalidBodyError("the body is not a list")
    for item in body:
        if model is not None:
            schemas.check(model, item)
        elif not isinstance(item, str):
            raise InvalidBodyError("the body is not a list of strings")
