"""The parent: starts the child, supervises it, and ensures that its end is reported."""

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from signal import SIGKILL, Signals
from typing import TYPE_CHECKING, Any

from ingestion_runner.automation import AutomationTarget, automation_target, require_test_connection
from ingestion_runner.channel import ChannelReader
from ingestion_runner.child import WORKFLOW_COMMAND, Child, ChildEnd
from ingestion_runner.fields import read_document
from ingestion_runner.inputs import (
    InputPaths,
    Kind,
    ReportTarget,
    kind_of,
    refusal_outside_schedule,
    report_target,
    run_id_from,
    run_input,
)
from ingestion_runner.log_stream import LogStream
from ingestion_runner.masking import Masker, secrets_of
from ingestion_runner.memory import memory_limit_note, peak_memory_of_children
from ingestion_runner.outcomes import ExitCode, Outcome, Reason, RunError, State
from ingestion_runner.signals import SignalInbox
from ingestion_runner.summary import ReportedBy, summarize, write_summary

if TYPE_CHECKING:
    from ingestion_runner.reporting import Report

REPORT_SECONDS = 25.0
"""Time limit for reporting the outcome, including retries, without a stop request."""

REPORT_SECONDS_AFTER_STOP = 8.0
"""Time limit after a stop request: together with forceKillAfterSeconds (20) it is below the grace period (30)."""

AUTOMATION_FORCE_KILL_AFTER_SECONDS = 2.0
"""An automation has no state to save, and OpenMetadata's dialog times out 10 s after the deadline of the Job."""

# The parent writes no row for these reasons: OutsideSchedule is not a run, and only the operator knows whether a run is
# retried after OutOfMemory. An automation is closed anyway: the operator does not do it, and a user waits.
_UNREPORTED = frozenset({Reason.OUTSIDE_SCHEDULE, Reason.OUT_OF_MEMORY})


@dataclass
class _Run:
    """The data of the run read so far, which an early failure reports. Nothing is reported without a target."""

    started: datetime
    run_id: str | None = None
    target: ReportTarget | AutomationTarget | None = None
    token: str | None = None


class Supervisor:
    """One run from its inputs to its exit code."""

    def __init__(
        self,
        inbox: SignalInbox,
        *,
        command: Sequence[str] = WORKFLOW_COMMAND,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._inbox = inbox
        self._command = command
        self._environ = environ
        self._masker = Masker()
        self._log = LogStream(sys.stdout.buffer, self._masker)
        self._run = _Run(started=datetime.now(UTC))

    def run(self) -> ExitCode:
        """Run the workflow, report what it has not reported, write the termination message and return the exit code."""
        try:
            outcome = self._execute()
        except RunError as failure:
            outcome = Outcome.failed(failure.reason, failure.message).masked(self._masker)
        ended = datetime.now(UTC)
        peak_memory = peak_memory_of_children()
        report = self._report(outcome, ended)
        reported_by: ReportedBy = "none"
        if report is not None:
            reported_by, outcome = report.reported_by, report.outcome
            if report.problem:
                self._log.note(report.problem)
        summary = summarize(
            outcome,
            run_id=self._run.run_id,
            reported_by=reported_by,
            start_time=self._run.started,
            end_time=ended,
            final=isinstance(self._run.target, AutomationTarget),
            masker=self._masker,
            peak_memory=peak_memory,
        )
        if problem := write_summary(summary, self._environ):
            self._log.note(problem)
        if peak_memory:
            self._log.note(f"the workflow had at most {peak_memory // 2**20} MiB of memory")
        self._log.note(f"{outcome.state} ({outcome.reason}): {outcome.message}")
        return outcome.reason.exit_code

    def _execute(self) -> Outcome:
        refusal, force_kill_after_seconds = self._read_input()
        if refusal:
            return Outcome(state=State.STOPPED, reason=Reason.OUTSIDE_SCHEDULE, message=refusal)
        if self._inbox.stop_requested_at is not None:
            return _interrupted("before the workflow was started")
        channel = ChannelReader(self._masker, on_automation=self._take_automation)
        try:
            child = Child(self._command, self._environ, on_channel=channel.feed, on_output=self._log.feed)
        except OSError as error:
            return Outcome.failed(Reason.WORKFLOW_CRASHED, f"the workflow process cannot be started: {error}")
        end = child.wait(self._inbox, force_kill_after_seconds)
        self._log.close()
        # An outcome that the workflow sent takes precedence over the end of its process.
        return channel.outcome or outcome_of_end(end)

    def _read_input(self) -> tuple[str | None, float]:
        """Return why the run must not start now, if so, and how long the child may ignore a stop."""
        paths = InputPaths.from_environment(self._environ)
        document = read_document(paths.pipeline)
        match kind_of(document):
            case Kind.AUTOMATION:
                self._read_automation(paths)
            case Kind.WARM_AUTOMATION:
                self._run.run_id = run_id_from(self._environ)
            case Kind.RUN:
                return self._read_run(document, paths)
        return None, AUTOMATION_FORCE_KILL_AFTER_SECONDS

    def _read_run(self, document: dict[str, Any], paths: InputPaths) -> tuple[str | None, float]:
        self._run.run_id = run_id_from(self._environ)
        self._masker.add(secrets_of(document))
        self._run.token = paths.read_token()
        if self._run.token:
            self._masker.add([self._run.token])
        self._run.target = report_target(document, self._run.run_id)
        run = run_input(document, self._run.run_id)
        return refusal_outside_schedule(run, datetime.now(UTC)), run.force_kill_after_seconds

    def _read_automation(self, paths: InputPaths) -> None:
        document = read_document(paths.automation)
        self._masker.add(secrets_of(document))
        self._run.target = automation_target(document)
        self._run.run_id = run_id_from(self._environ)
        require_test_connection(document)

    def _take_automation(self, document: dict[str, Any]) -> None:
        """Take the automation of a warm pod, to close it at the end. If it is invalid, the child reports the reason."""
        self._run.started = datetime.now(UTC)
        self._masker.add(secrets_of(document))
        with contextlib.suppress(RunError):
            self._run.target = automation_target(document)

    def _report(self, outcome: Outcome, ended: datetime) -> "Report | None":
        reporting_since = time.monotonic()

        def remaining() -> float:
            return self._reporting_ends(reporting_since) - time.monotonic()

        target, log_tail = self._run.target, self._log.tail()
        # Imported here: an HTTP client with TLS doubles the memory of the parent, which the workflow may need.
        if isinstance(target, AutomationTarget):
            from ingestion_runner.automation_reporting import close_automation  # noqa: PLC0415 - see above

            return close_automation(
                target, outcome, started=self._run.started, ended=ended, log_tail=log_tail, remaining=remaining
            )
        if target is None or outcome.reason in _UNREPORTED:
            return None
        from ingestion_runner.reporting import report  # noqa: PLC0415 - see above

        return report(
            target,
            self._run.token,
            outcome,
            started=self._run.started,
            ended=ended,
            log_tail=log_tail,
            remaining=remaining,
        )

    def _reporting_ends(self, since: float) -> float:
        stop = self._inbox.stop_requested_at
        if stop is None:
            return since + REPORT_SECONDS
        return min(since + REPORT_SECONDS, max(stop, since) + REPORT_SECONDS_AFTER_STOP)


def outcome_of_end(end: ChildEnd) -> Outcome:
    """Return the outcome for the end of a child that has sent no outcome."""
    if end.stopped:
        return _interrupted("while the workflow was running")
    if end.killed_by == SIGKILL:
        # Only the kernel, or a user with a shell in the pod, sends other SIGKILLs.
        return Outcome.failed(Reason.OUT_OF_MEMORY, f"the workflow process was killed (SIGKILL){memory_limit_note()}")
    if end.killed_by is not None:
        return Outcome.failed(
            Reason.WORKFLOW_CRASHED, f"the workflow process was killed by {Signals(end.killed_by).name}"
        )
    message = f"the workflow process ended with exit code {end.exit_code} and sent no outcome"
    return Outcome.failed(Reason.WORKFLOW_CRASHED, message)


def _interrupted(when: str) -> Outcome:
    return Outcome.failed(Reason.INTERRUPTED, f"the pod was stopped (SIGTERM) {when}")
