"""Reports of ended runs to OpenMetadata, for runs whose pods could not report.

The pipeline's status records that a report is due, written together with the end of the run. So neither an unreachable
server nor a restart loses a report, and a repeated report changes nothing. A report uses the server and name with which
the run's Job was rendered, not the current spec.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import Report, Run, RunTarget
from ingestion_operator.errors import ClusterError, Forbidden, Invalid, NotFound, Rejected
from ingestion_operator.ports import SECRETS, Clock, ClusterReader, LogTails, ServerAccess, StatusSink
from ingestion_operator.reporting.circuit_breaker import Breakers, Caller
from ingestion_operator.reporting.results import ReportBlocker, ReportResult
from ingestion_operator.runs.classify import NODE_LOST
from ingestion_operator.runs.report import closed_row, is_due, needs_log
from ingestion_operator.runtime.json_logging import log_context

_logger = logging.getLogger(__name__)

_PIPELINE_SECONDS: Final = 10
"""How long the reports of one pipeline may use a worker; the next reconciliation sends the rest."""

_POD_PAUSE: Final = timedelta(seconds=5)
_POD_LIMIT: Final = timedelta(minutes=10)
"""How long a pod may outlive its run, including its grace period and clock skew. Later, its node is lost."""


class _Fenced(Exception):
    """This replica must not write now."""


class _TokenUnavailable(Exception):
    """The request for the token's Secret failed."""


class Reporter:
    """Sends the due reports of a pipeline. Thread-safe, with one thread per pipeline."""

    def __init__(
        self,
        cluster: ClusterReader,
        sink: StatusSink,
        settings: Callable[[], Settings],
        clock: Clock,
        tails: LogTails,
        breakers: Breakers | None = None,
        *,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Create a reporter. While `may_write` returns False nothing is sent: another replica may lead."""
        self._cluster = cluster
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._tails = tails
        self._breakers = breakers or Breakers()
        self._may_write = may_write

    def due(self) -> list[Caller]:
        """Return the pipelines (namespace, name) whose server may be called again."""
        return self._breakers.due()

    def report(self, pipeline: Pipeline, runs: Sequence[Run], live_pods: Collection[str]) -> ReportResult:
        """Send the due reports: read each run's row from the server and write it if the operator must close it.

        Never raises ClusterError: a failure becomes the blocker of the result.

        Args:
            pipeline: The pipeline.
            runs: Its runs, which must be in the pipeline's status already.
            live_pods: Names of pods that are not finished. The report of a run with such a pod is deferred, since a
                process in the pod may still write the row.
        """
        now = self._clock.now()
        due = [run for run in runs if run.is_unreported]
        ready = [run for run in due if not _may_still_report(run, live_pods, now)]
        result = ReportResult(requeue_at=now + _POD_PAUSE if len(ready) < len(due) else None)
        by_target: dict[RunTarget, list[Run]] = {}
        for run in ready:
            by_target.setdefault(run.target or _target_of(pipeline), []).append(run)
        for target, unreported in by_target.items():
            result = _merged(result, self._report_to(pipeline, target, unreported))
        return result

    def _report_to(self, pipeline: Pipeline, target: RunTarget, runs: Sequence[Run]) -> ReportResult:
        now = self._clock.now()
        if not self._settings().allows_server(target.host_port):
            return ReportResult(blocker=_not_allowed(target))  # a change of the settings enqueues every pipeline
        server = target.host_port.rstrip("/")
        credential = f"{server} {_token_name(pipeline.namespace, target.token_secret_ref)}"
        caller = pipeline.namespace, pipeline.name
        if (refused := self._breakers.acquire((server, credential), caller)) is not None:
            return ReportResult(blocker=refused.blocker)
        outcomes: dict[str, ReportBlocker | bool] = {server: False, credential: False}
        result = ReportResult()
        reports: dict[str, Report] = {}
        try:
            # Within the breakers: a missing Secret is requested once for all pipelines that need it.
            token = self._token(pipeline.namespace, target.token_secret_ref)
            access = ServerAccess(server, target.verify_ssl, token)
            limit = now + timedelta(seconds=_PIPELINE_SECONDS)
            for run in runs:
                if reports and self._clock.now() > limit:
                    result = ReportResult(requeue_at=self._clock.now())
                    break
                with log_context(run=run.id):
                    reports[run.id] = self._deliver(pipeline, run, target, access)
            outcomes = {server: True, credential: True}
        except _Fenced:
            result = ReportResult(requeue_at=now + _POD_PAUSE)
        except _TokenUnavailable as error:
            _logger.warning("Pipeline %s/%s: reports are deferred: %s", pipeline.namespace, pipeline.name, error)
            result = ReportResult(requeue_at=now + _POD_PAUSE)
        except Rejected as error:
            blocker = ReportBlocker(error.message, needs_action=True)
            outcomes, result = {server: False, credential: blocker}, ReportResult(blocker=blocker)
        except Forbidden as error:
            blocker = _token_refused(pipeline.namespace, target, error)
            outcomes, result = {server: True, credential: blocker}, ReportResult(blocker=blocker)
        except ClusterError:
            blocker = _unreachable(server)
            outcomes, result = {server: blocker, credential: False}, ReportResult(blocker=blocker)
        finally:
            self._breakers.release(outcomes, caller)
        return replace(result, reports=reports)

    def _deliver(self, pipeline: Pipeline, run: Run, target: RunTarget, access: ServerAccess) -> Report:
        name = target.fully_qualified_name
        try:
            self._check_fence()
            row = self._sink.read(access, name, run.id)
            if is_due(run, row):
                tail = self._tails.tail(run, pipeline.namespace, pipeline.name) if needs_log(run) else ""
                version = target.version or self._settings().default_server_version
                self._check_fence()
                self._sink.write(access, name, closed_row(run, row, server_version=version, log_tail=tail))
        except (NotFound, Invalid) as error:
            _logger.warning(
                "Pipeline %s/%s: OpenMetadata permanently refuses the report of run %s: %s",
                pipeline.namespace,
                pipeline.name,
                run.id,
                error,
            )
            return "Refused"
        except ClusterError as error:
            _logger.warning(
                "Pipeline %s/%s: a report failed and is retried: %s", pipeline.namespace, pipeline.name, error
            )
            raise
        return "Done"

    def _check_fence(self) -> None:
        if not self._may_write():
            raise _Fenced

    def _token(self, namespace: str, reference: KeyReference | None) -> str | None:
        """Return the bot's token. Raises Rejected for errors that a user must fix, else _TokenUnavailable."""
        if reference is None:
            return None
        name = f"Secret {namespace}/{reference.name}"
        try:
            secret = self._cluster.get(SECRETS, namespace, reference.name)
        except Forbidden as error:
            raise Rejected("Forbidden", f"The operator may not read {name}: {error}") from error
        except ClusterError as error:
            raise _TokenUnavailable(str(error)) from error
        value = (secret or {}).get("data", {}).get(reference.key)
        if secret is None or value is None:
            missing = f"{name} does not exist" if secret is None else f"{name} has no key {reference.key!r}"
            raise Rejected(
                "SecretNotFound",
                f"{missing}: reports to OpenMetadata need its token; create it, or name another Secret in "
                "spec.server.tokenSecretRef",
            )
        token = _decoded(value)
        if not token.isascii() or not token.isprintable() or " " in token or not token:
            raise Rejected(
                "InvalidToken", f"{name}, key {reference.key!r}, does not hold a token: put the bot's JWT there"
            )
        return token


def _target_of(pipeline: Pipeline) -> RunTarget:
    """Return the target of the current spec, for a run whose Job names none."""
    server = pipeline.spec.server
    return RunTarget(
        host_port=server.host_port,
        version=server.version,
        verify_ssl=server.verification,
        token_secret_ref=server.token_secret_ref,
        service=pipeline.spec.service,
        fully_qualified_name=pipeline.fully_qualified_name,
    )


def _merged(one: ReportResult, other: ReportResult) -> ReportResult:
    moments = [moment for moment in (one.requeue_at, other.requeue_at) if moment is not None]
    blocker = next((b for b in (one.blocker, other.blocker) if b is not None and b.needs_action), None)
    return ReportResult(
        {**one.reports, **other.reports}, blocker or one.blocker or other.blocker, min(moments, default=None)
    )


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("ascii").strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _may_still_report(run: Run, live_pods: Collection[str], now: datetime) -> bool:
    ended = run.end_time or run.start_time
    if run.reason == NODE_LOST:
        return False  # the wait is already over
    return now < ended + _POD_LIMIT and any(attempt.pod in live_pods for attempt in run.attempts)


def _token_name(namespace: str, reference: KeyReference | None) -> str:
    return f"{namespace}/{reference.name}/{reference.key}" if reference else ""


def _token_refused(namespace: str, target: RunTarget, error: ClusterError) -> ReportBlocker:
    reference = target.token_secret_ref
    if reference is None:
        fix = "without a token: name a Secret with the bot's JWT in spec.server.tokenSecretRef"
    else:
        fix = (
            f"with the token in Secret {namespace}/{reference.name}, key {reference.key!r}: put a valid "
            "JWT of a bot that may edit ingestion pipelines there"
        )
    return ReportBlocker(
        f"OpenMetadata at {target.host_port.rstrip('/')} refuses reports (HTTP {error.code}) {fix}", needs_action=True
    )


def _not_allowed(target: RunTarget) -> ReportBlocker:
    return ReportBlocker(
        f"Reports to {target.host_port} are not sent: the server is not allowed. An administrator can add its host "
        "to allowedServers in the operator's settings",
        needs_action=True,
    )


def _unreachable(server: str) -> ReportBlocker:
    # Without the error's text, which differs between attempts: each change would be a write for every pipeline.
    return ReportBlocker(
        f"OpenMetadata at {server} does not respond, or returns errors: reports are sent once it works again; "
        "the operator's log has the errors",
        needs_action=False,
    )
