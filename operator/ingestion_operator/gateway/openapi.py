"""The OpenAPI description of the endpoints. FastAPI does not parse the requests, so their schemas are written here."""

from typing import Any, Final

Schema = dict[str, Any]

_NAME: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "description": "The pipeline's bare name",
}
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_MILLISECONDS: Final[Schema] = {"type": ["integer", "null"], "description": "Epoch milliseconds"}
_FREE: Final[Schema] = {"type": ["object", "null"]}


def _object(properties: dict[str, Schema], required: list[str] | None = None, **more: Any) -> Schema:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, **more}


_CLOSED: Final[Schema] = {"additionalProperties": False}
_VERSION: Final = _object({"status": {"const": "healthy"}, "version": _TEXT}, **_CLOSED)
_MESSAGE: Final = _object({"message": _TEXT}, **_CLOSED)
_RUN: Final = _object(
    {
        "runId": _TEXT,
        "pipelineState": {"enum": ["queued", "running", "success", "partialSuccess", "failed", "stopped"]},
        "startDate": _MILLISECONDS,
        "timestamp": {"type": "integer"},
        "endDate": _MILLISECONDS,
    },
    **_CLOSED,
)
_LOG: Final = _object(
    {"total": _COUNT, "after": _COUNT}, ["total"],
    additionalProperties=_TEXT, description="The text under its task's key, the number of pages, the next page's index",
)  # fmt: skip
_CONF: Final = _object(
    {
        "pipelineRunId": {"type": ["string", "null"], "format": "uuid"},
        "appConfigOverride": _FREE,
        "sourceConfigOverride": _FREE,
    },
    [],
)
_ONE_PIPELINE: Final = _object({"dag_id": _NAME})

RESPONSES: Final[dict[str, Schema]] = {
    "health": _VERSION,
    "health-auth": _VERSION,
    "csrf-token": _object({"csrf_token": _TEXT, "message": _TEXT}, **_CLOSED),
    "ip": _object({"ip": _TEXT}, **_CLOSED),
    "status": {"type": "array", "maxItems": 10, "items": _RUN},
    "last_dag_logs": _LOG,
}
"""The bodies of successful responses. Operations that are not listed respond with a message."""

BODIES: Final[dict[str, Schema]] = {
    "deploy": {"type": "object", "description": "OpenMetadata's IngestionPipeline entity"},
    "trigger": _object({"dag_id": _NAME, "conf": {**_CONF, "type": ["object", "null"]}}, ["dag_id"]),
    "enable": _ONE_PIPELINE,
    "disable": _ONE_PIPELINE,
    "kill": _object({"dag_id": _NAME, "run_id": {"type": ["string", "null"], "format": "uuid"}}, ["dag_id"]),
    "run_automation": {"type": "object", "description": "OpenMetadata's automations Workflow entity"},
    "test_connection": {
        "type": "object",
        "description": "OpenMetadata's automations Workflow entity, of the type TEST_CONNECTION",
    },
    "run_application": {"type": "object", "description": "OpenMetadata's App entity"},
}

QUERIES: Final[dict[str, dict[str, Schema]]] = {
    "delete": {"dag_id": _NAME},
    "status": {"dag_id": _NAME, "only_queued": {"type": "boolean", "default": False}},
    "last_dag_logs": {
        "dag_id": _NAME,
        "task_id": _TEXT,
        "after": {**_COUNT, "maximum": 999_999_999},
        "run_id": {"type": "string", "format": "uuid"},
    },
    "trigger": {"run_id": _TEXT},
}

_ERRORS: Final = {
    "400": "The request is invalid",
    "401": "Missing or invalid credentials",
    "404": "The pipeline does not exist, or has no such run or log",
    "500": "Internal error of the gateway",
    "503": "Kubernetes or the log archive did not respond in time",
}

SECURITY: Final[Schema] = {"basic": {"type": "http", "scheme": "basic"}}


def operation(endpoint: str) -> Schema:
    """Return the OpenAPI description of an endpoint, without path and summary."""
    described: Schema = {
        "operationId": endpoint.replace("-", "_"),
        "parameters": [
            {"name": name, "in": "query", "required": name == "dag_id", "schema": schema}
            for name, schema in QUERIES.get(endpoint, {}).items()
        ],
        "responses": {
            "200": {"description": "Success", "content": _json(RESPONSES.get(endpoint, _MESSAGE))},
            **{code: {"description": text, "content": _json(_object({"error": _TEXT}, **_CLOSED))}
               for code, text in _ERRORS.items() if endpoint != "health" or code == "500"},
        },
        "security": [] if endpoint == "health" else [{"basic": []}],
    }  # fmt: skip
    if endpoint in BODIES:
        described["requestBody"] = {"required": True, "content": _json(BODIES[endpoint])}
    return described


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
