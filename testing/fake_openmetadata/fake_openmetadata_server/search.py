"""Search: by fully qualified name it finds what is stored, everything else finds nothing."""

from fnmatch import fnmatchcase

from .catalog import Catalog
from .kinds import KINDS
from .wire import Reply, Request

INDEXES = {
    "table_search_index": "tables",
    "database_search_index": "databases",
    "database_schema_search_index": "databaseSchemas",
    "stored_procedure_search_index": "storedProcedures",
}


def handle(catalog: Catalog, rest: tuple[str, ...], request: Request) -> Reply | None:
    """GET /search/fieldQuery and /search/query."""
    hits = []
    if rest == ("fieldQuery",):
        kind = KINDS.get(INDEXES.get(request.query.get("index", ""), ""))
        if kind is not None and request.query.get("fieldName") == "fullyQualifiedName":
            pattern = request.query.get("fieldValue", "")
            hits = [e for e in catalog.all_of(kind) if fnmatchcase(e["fullyQualifiedName"], pattern)]
    elif rest != ("query",):
        return None
    shown = [
        {"_index": request.query.get("index", ""), "_id": e["id"], "_score": 1.0, "_source": e}
        for e in hits[: int(request.query.get("size") or 10)]
    ]
    return Reply(200, {"hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": shown}})
