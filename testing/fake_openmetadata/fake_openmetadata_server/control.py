"""/_fake: what tests ask of the fake OpenMetadata server itself. No authentication."""

from typing import TYPE_CHECKING, Any

from . import automations, schemas
from .calls import CallLog
from .kinds import INGESTION_PIPELINES, KINDS, Kind
from .wire import ApiError, InvalidBodyError, Reply, Request

if TYPE_CHECKING:
    from .app import Double


class Control:
    """The control and inspection endpoints."""

    def __init__(self, fake_server: "Double", calls: CallLog) -> None:
        self._fake_server = fake_server
        self._calls = calls

    def handle(self, request: Request) -> Reply | None:  # noqa: C901, PLR0912  a table of routes
        fake_server, state = self._fake_server, self._fake_server.state
        match request.method, request.segments[1:]:
            case "GET", ("health",):
                return Reply(200, {"status": "ok", "version": fake_server.version})
            case "GET", ("calls",):
                return Reply(200, self._calls.select(dict(request.query)))
            case "DELETE", ("calls",):
                self._calls.clear()
            case "GET", ("runs",):
                return Reply(200, state.runs.to_json(request.query.get("fqn")))
            case "GET", ("lineage",):
                return Reply(200, state.lineage.to_json())
            case "GET", ("entities", *path):
                kind = KINDS.get("/".join(path))
                if kind is None:
                    raise ApiError(404, f"no such kind; there are {sorted(KINDS)}")
                return Reply(200, state.catalog.all_of(kind, deleted=request.query.get("include") == "all"))
            case "PUT", ("entities", *path):
                return fake_server.serve_entity(tuple(path), request)
            case "PUT", ("services", kind_name, name):
                return self._register_service(_service_kind(kind_name), name, request.json_object)
            case "PUT", ("pipelines", fqn):
                return self._register_pipeline(fqn, request.json_object if request.body else {})
            case "PUT", ("automations", name):
                return automations.register(state.catalog, name, request.json_object)
            case "GET", ("automations", name_or_id):
                return Reply(200, automations.described(state.catalog, name_or_id))
            case "GET", ("faults",):
                return Reply(200, state.faults.to_json())
            case "PUT", ("faults",):
                state.faults.replace(request.json)
            case "DELETE", ("faults",):
                state.faults.replace([])
            case "PUT", ("version",):
                fake_server.version = _version(request.json_object)
            case "DELETE", ("state",):
                fake_server.reset()
            case _:
                return None
        return Reply(204)

    def _register_service(self, kind: Kind, name: str, body: dict[str, Any]) -> Reply:
        """Body: serviceType, connection ({config: ...}), optional description."""
        create = {"name": name, **body}
        schemas.check(kind.create, create)
        entity, created = self._fake_server.state.catalog.write(kind, create)
        return Reply(201 if created else 200, entity)

    def _register_pipeline(self, fqn: str, body: dict[str, Any]) -> Reply:
        """Body: what of a create request differs from an on-demand metadata pipeline, and `enabled`.

        The service is the one named by the FQN's first part, if it is registered.
        """
        service_name, _, name = fqn.rpartition(".")
        catalog = self._fake_server.state.catalog
        services = (
            (kind, catalog.find(kind, service_name))
            for kind in KINDS.values()
            if kind.path in INGESTION_PIPELINES.parent_paths
        )
        kind, service = next(((k, s) for k, s in services if s is not None), (None, None))
        if kind is None or service is None:
            raise ApiError(404, f"register the service {service_name} before its pipeline {fqn}")
        extra = {"deployed": True, "enabled": body.get("enabled", True)}
        create = {
            "pipelineType": "metadata",
            "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
            "airflowConfig": {},
            **{key: value for key, value in body.items() if key != "enabled"},
            "name": name.strip('"'),
            "service": {"id": service["id"], "type": kind.entity_type},
        }
        schemas.check(INGESTION_PIPELINES.create, create)
        entity, created = catalog.write(INGESTION_PIPELINES, create, extra)
        return Reply(201 if created else 200, entity)


def _service_kind(name: str) -> Kind:
    """`database`, `databaseService` and `databaseServices` all mean the same."""
    stem = name.removesuffix("s").removesuffix("Service")
    for kind in KINDS.values():
        if kind.entity_type == f"{stem}Service":
            return kind
    raise ApiError(404, f"there are no services of the kind {name}")


def _version(body: dict[str, Any]) -> str:
    version = body.get("version")
    if not isinstance(version, str) or not all(part.isdigit() for part in version.split(".")):
        raise InvalidBodyError('the body is {"version": "2.0.6"}')
    return version
