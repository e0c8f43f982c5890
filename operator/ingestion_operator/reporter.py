"""Telling OpenMetadata how runs ended that nobody in their pods could tell of.

That a report is due stands in the pipeline's status, written together with the end of the run; so neither an
absent server nor a restart loses it, and making it twice changes nothing.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator.breaker import Breakers, Caller
from ingestion_operator.errors import ClusterError, Forbidden, Invalid, NotFound, Rejected
from ingestion_operator.log_lines import about
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.status import Report, Run
from ingestion_operator.ports import SECRETS, Clock, ClusterApi, LogTails, ServerAccess, StatusSink
from ingestion_operator.runs.classify import NODE_LOST
from ingestion_operator.runs.report import closed_row, is_due, needs_log
from ingestion_operator.settings import Settings
from ingestion_operator.status import Delivery, Obstacle

_logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 10
"""How long one pipeline may keep its worker; what is left is done in the next look."""

_POD_PAUSE: Final = timedelta(seconds=5)
_POD_LIMIT: Final = timedelta(minutes=10)
"""How long a pod may outlive its run: more than its grace period and a wrong clock; it is on a lost node then."""

_SECRET_PAUSE: Final = timedelta(seconds=30)


class Reporter:
    """Delivers what a pipeline owes. May be shared by threads, one for each pipeline at a time."""

    def __init__(
        self,
        cluster: ClusterApi,
        sink: StatusSink,
        settings: Callable[[], Settings],
        clock: Clock,
        tails: LogTails,
        breakers: Breakers | None = None,
    ) -> None:
        self._cluster = cluster
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._tails = tails
        self._breakers = breakers or Breakers()

    def due(self) -> list[Caller]:
        """Return the pipelines (namespace, name) to look at now, since their server may be called again."""
        return self._breakers.due()

    def report(self, pipeline: Pipeline, runs: Sequence[Run], live_pods: Collection[str]) -> Delivery:
        """Make the reports that are due: read the server's row, decide, write it if it is ours to write.

        `runs` must be in the pipeline's status already. A run with a pod among `live_pods` is left for later:
        while a process in it may still write the row, two could write at once.

        Raises ClusterError when the API server could not tell the token.
        """
        now = self._clock.now()
        owed = [run for run in runs if run.is_unreported]
        ready = [run for run in owed if not _may_still_speak(run, live_pods, now)]
        again_at = now + _POD_PAUSE if len(ready) < len(owed) else None
        if not ready:
            return Delivery(again_at=again_at)
        try:
            access = self._access(pipeline)
        except Rejected as rejected:
            return Delivery(obstacle=Obstacle(rejected.message, needs_somebody=True), again_at=now + _SECRET_PAUSE)
        return self._deliver_all(pipeline, ready, access, again_at)

    def _deliver_all(
        self, pipeline: Pipeline, runs: Sequence[Run], access: ServerAccess, again_at: datetime | None
    ) -> Delivery:
        server, credential = access.host_port, f"{access.host_port} {_token_name(pipeline)}"
        caller = pipeline.namespace, pipeline.name
        if (refused := self._breakers.enter((server, credential), caller)) is not None:
            return Delivery(obstacle=refused.obstacle, again_at=again_at)
        verdicts: dict[str, Obstacle | bool] = {server: False, credential: False}
        reports: dict[str, Report] = {}
        obstacle = None
        try:
            limit = self._clock.now() + timedelta(seconds=_LOOK_SECONDS)
            for run in runs:
                if reports and self._clock.now() > limit:
                    again_at = self._clock.now()
                    break
                with about(run=run.id):
                    reports[run.id] = self._deliver(pipeline, run, access)
            verdicts = {server: True, credential: True}
        except Forbidden as error:
            obstacle = _token_refused(pipeline, error)
            verdicts = {server: True, credential: obstacle}
        except ClusterError:
            obstacle = _unreachable(access)
            verdicts = {server: obstacle, credential: False}
        finally:
            self._breakers.leave(verdicts, caller)
        return Delivery(reports, obstacle, again_at)

    def _deliver(self, pipeline: Pipeline, run: Run, access: ServerAccess) -> Report:
        name = pipeline.fully_qualified_name
        try:
            row = self._sink.read(access, name, run.id)
            if is_due(run, row):
                tail = self._tails.tail(run, pipeline.namespace, pipeline.name) if needs_log(run) else ""
                version = pipeline.spec.server.version or self._settings().default_server_version
                self._sink.write(access, name, closed_row(run, row, server_version=version, log_tail=tail))
        except (NotFound, Invalid) as error:
            _logger.warning(
                "Pipeline %s/%s: OpenMetadata refuses the end of run %s for good: %s",
                pipeline.namespace,
                pipeline.name,
                run.id,
                error,
            )
            return "Refused"
        except ClusterError as error:
            _logger.warning("Pipeline %s/%s: a report has to wait: %s", pipeline.namespace, pipeline.name, error)
            raise
        return "Done"

    def _access(self, pipeline: Pipeline) -> ServerAccess:
        server = pipeline.spec.server
        return ServerAccess(server.host_port.rstrip("/"), server.verification, self._token(pipeline))

    def _token(self, pipeline: Pipeline) -> str | None:
        """Return the bot's token. Raises Rejected for what somebody has to mend."""
        reference = pipeline.spec.server.token_secret_ref
        if reference is None:
            return None
        name = f"Secret {pipeline.namespace}/{reference.name}"
        try:
            secret = self._cluster.get(SECRETS, pipeline.namespace, reference.name)
        except Forbidden as error:
            raise Rejected("PermissionMissing", f"The operator may not read {name}: {error}") from error
        value = (secret or {}).get("data", {}).get(reference.key)
        if secret is None or value is None:
            missing = f"{name} does not exist" if secret is None else f"{name} has no key {reference.key!r}"
            raise Rejected(
                "SecretNotFound",
                f"{missing}: reports to OpenMetadata wait for its token; create it, or name another in "
                "spec.server.tokenSecretRef",
            )
        token = _decoded(value)
        if not token.isascii() or not token.isprintable() or " " in token or not token:
            raise Rejected(
                "InvalidToken", f"{name}, key {reference.key!r}, does not hold a token: put the bot's JWT in"
            )
        return token


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("ascii").strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _may_still_speak(run: Run, live_pods: Collection[str], now: datetime) -> bool:
    ended = run.end_time or run.start_time
    if run.reason == NODE_LOST:
        return False  # it was waited for already
    return now < ended + _POD_LIMIT and any(attempt.pod in live_pods for attempt in run.attempts)


def _token_name(pipeline: Pipeline) -> str:
    reference = pipeline.spec.server.token_secret_ref
    return f"{pipeline.namespace}/{reference.name}/{reference.key}" if reference else ""


def _token_refused(pipeline: Pipeline, error: ClusterError) -> Obstacle:
    server, reference = pipeline.spec.server, pipeline.spec.server.token_secret_ref
    if reference is None:
        fix = "without a token: name a Secret with the bot's JWT in spec.server.tokenSecretRef"
    else:
        fix = (
            f"with the token in Secret {pipeline.namespace}/{reference.name}, key {reference.key!r}: put in a valid "
            "JWT of a bot that may edit ingestion pipelines"
        )
    return Obstacle(
        f"OpenMetadata at {server.host_port} refuses reports (HTTP {error.code}) {fix}", needs_somebody=True
    )


def _unreachable(access: ServerAccess) -> Obstacle:
    # Without the error's words, which differ from try to try: each change would be a write for every pipeline.
    return Obstacle(
        f"OpenMetadata at {access.host_port} does not answer, or with errors: reports follow as soon as it does; "
        "the operator's log has its words",
        needs_somebody=False,
    )
