"""Export of spans to a collector: OTLP over HTTP, in its JSON encoding.

No reconciliation waits for the export. Spans wait in a bounded queue, from which one thread sends them. Spans that find
the queue full, or that the collector does not accept in time, are dropped and counted.
"""

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import unquote

import urllib3

from ingestion_operator import __version__, constants
from ingestion_operator.adapters.openmetadata.tls import tls_context
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.errors import OperatorError
from ingestion_operator.ports import Clock
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.trace import Span, SpanId, new_spans
from ingestion_operator.runtime.problem_log import ProblemLog

_logger = logging.getLogger(__name__)

HEADERS_VARIABLE: Final = "OTEL_EXPORTER_OTLP_HEADERS"
"""Headers for the collector, in OpenTelemetry's format: `key=value,key=value`, values URL-encoded."""

_QUEUE_TRACES: Final = 1000
_BATCH_SPANS: Final = 500
_BATCH_SECONDS: Final = 1.0
"""How long the first span of a batch waits for others."""

_CONNECT_SECONDS: Final = 2.0
_READ_SECONDS: Final = 5.0
_SHUTDOWN_SECONDS: Final = 3.0
"""How long the shutdown of the operator waits for the last spans."""

_PAUSES: Final = (1.0, 5.0)
"""Seconds before the second and third attempt."""

_RETRYABLE: Final = frozenset({0, 429, 502, 503, 504})
"""The status codes that OTLP names, and 0 for no response."""

_INTERNAL: Final = 1
_ERROR: Final = 2
_NANOSECONDS: Final = 1_000_000_000

Outcome = Literal["sent", "dropped"]


class TraceExporter:
    """Implements the port StatusObserver; does nothing while the settings name no endpoint."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        clock: Clock,
        count: Callable[[Outcome, int], None],
        headers: str = "",
        *,
        batch_seconds: float = _BATCH_SECONDS,
        pauses: Sequence[float] = _PAUSES,
        queue_traces: int = _QUEUE_TRACES,
    ) -> None:
        """Create an exporter.

        Args:
            settings: Returns the settings in force.
            clock: The current time.
            count: Called with an outcome and the number of spans that had it.
            headers: Headers for the collector, see HEADERS_VARIABLE.
            batch_seconds: How long the first span of a batch waits for others.
            pauses: Seconds before each further attempt.
            queue_traces: Capacity of the queue.

        Raises:
            OperatorError: `headers` are malformed.
        """
        self._settings = settings
        self._clock = clock
        self._count = count
        self._headers = parse_headers(headers)
        self._batch_seconds = batch_seconds
        self._pauses = pauses
        self._waiting: queue.Queue[list[Span]] = queue.Queue(queue_traces)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._log = ProblemLog(_logger, repeat_seconds=float("inf"))

    def on_reconciled(
        self, pipeline: Pipeline, before: PipelineStatus, after: PipelineStatus, jobs: Sequence[Job]
    ) -> None:
        """Enqueue the spans of everything that ended between the two statuses."""
        if self._settings().tracing.endpoint is None:
            return
        if spans := new_spans(_body(pipeline), pipeline.changed_at, before, after, jobs, self._clock.now()):
            self._start()
            try:
                self._waiting.put_nowait(spans)
            except queue.Full:
                self._count("dropped", len(spans))

    def close(self) -> None:
        """Send the remaining spans, within seconds."""
        self._ended.set()
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait([])  # wakes the thread if it waits
            self._thread.join(_SHUTDOWN_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pool = urllib3.PoolManager(
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            ssl_context=tls_context(verifies=True),
        )
        while not self._ended.is_set() or not self._waiting.empty():
            batch = self._waiting.get()
            self._ended.wait(self._batch_seconds)
            while len(batch) < _BATCH_SPANS and not self._waiting.empty():
                batch = batch + self._waiting.get_nowait()  # this thread is the only consumer
            endpoint = self._settings().tracing.endpoint
            is_sent = bool(batch and endpoint) and self._send(pool, f"{endpoint}/v1/traces", encoded(batch))
            self._count("sent" if is_sent else "dropped", len(batch))

    def _send(self, pool: urllib3.PoolManager, url: str, body: bytes) -> bool:
        """Send a request, with retries where the status allows; return whether the collector accepted it."""
        code, result = self._post(pool, url, body)
        for pause in self._pauses:
            if code not in _RETRYABLE or self._ended.wait(pause):
                break
            code, result = self._post(pool, url, body)
        if code != HTTPStatus.OK:
            self._log.warn(f"Traces are lost: POST {url}: {result}")
            return False
        self._log.succeeded(f"Traces are accepted again by {url}")
        return True

    def _post(self, pool: urllib3.PoolManager, url: str, body: bytes) -> tuple[int, str]:
        """Return the status code, 0 without a response, and a text for the log."""
        headers = {"Content-Type": "application/json", "User-Agent": constants.MANAGED_BY, **self._headers}
        try:
            response = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return 0, f"no response: {error}"
        response.close()  # only the status code counts; an endless body must not block the thread
        return response.status, f"HTTP {response.status}"


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of `key=value,key=value`. Raises OperatorError, whose text has no header values."""
    headers: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = entry.partition("=")
        decoded = unquote(value.strip())
        if not separator or not key.strip() or not key.isascii() or not decoded.isprintable() or not decoded.isascii():
            raise OperatorError(f"{HEADERS_VARIABLE} is not of the form key=value,key=value with URL-encoded values")
        headers[key.strip()] = decoded
    return headers


def encoded(spans: Sequence[Span]) -> bytes:
    """Return spans as the body of a request to /v1/traces."""
    resource = {"service.name": constants.MANAGED_BY, "service.version": __version__}
    scope = {"name": "ingestion_operator.runs", "version": __version__}
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": [_span(span) for span in spans]}],
            }
        ]
    }
    return json.dumps(document).encode()


def _span(span: Span) -> dict[str, Any]:
    return {
        **_id(span.id),
        **({"parentSpanId": span.parent.span} if span.parent else {}),
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": _nanoseconds(span.start),
        "endTimeUnixNano": _nanoseconds(span.end),
        "attributes": _attributes(span.attributes),
        **({"links": [_id(span.link)]} if span.link else {}),
        **({"status": {"code": _ERROR, "message": span.error}} if span.error is not None else {}),
    }


def _id(span_id: SpanId) -> dict[str, str]:
    return {"traceId": span_id.trace, "spanId": span_id.span}


def _attributes(attributes: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]


def _nanoseconds(moment: datetime) -> str:
    """Return a time in nanoseconds since 1970, as a string: JSON has no 64-bit integers."""
    return str(int(moment.timestamp()) * _NANOSECONDS + moment.microsecond * 1000)


def _body(pipeline: Pipeline) -> dict[str, Any]:
    """Return the fields of a pipeline that its spans name."""
    return {
        "metadata": {
            "namespace": pipeline.namespace,
            "name": pipeline.name,
            "uid": pipeline.uid,
            "generation": pipeline.generation,
        },
        "spec": {"pipelineType": pipeline.spec.pipeline_type},
    }
