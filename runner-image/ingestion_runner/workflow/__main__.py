"""``python -m ingestion_runner.workflow``: the child process, which the parent starts."""

import logging
import os
import sys
import traceback

from ingestion_runner.channel import ChannelWriter
from ingestion_runner.fields import read_document
from ingestion_runner.inputs import InputPaths, Kind, kind_of
from ingestion_runner.outcomes import Outcome, Reason, RunError
from ingestion_runner.workflow.automation import run_automation, run_warm_automation
from ingestion_runner.workflow.run import run_workflow


def main() -> None:
    """Run, send the outcome to the parent, and exit immediately."""
    channel = ChannelWriter.from_environment()
    try:
        outcome = _run(channel)
    except RunError as failure:
        sys.stderr.write(f"{failure.reason}: {failure.message}\n")
        outcome = Outcome.failed(failure.reason, failure.message)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: connectors are third-party code
        traceback.print_exc()
        outcome = Outcome.failed(Reason.WORKFLOW_CRASHED, f"{type(error).__name__}: {error}")
    channel.send_outcome(outcome)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The workflow is closed and everything is reported. An ordinary exit would take seconds for the destruction of
    # thousands of modules, and would wait for threads of a failed start.
    os._exit(outcome.reason.exit_code)


def _run(channel: ChannelWriter) -> Outcome:
    paths = InputPaths.from_environment()
    document = read_document(paths.pipeline)
    match kind_of(document):
        case Kind.AUTOMATION:
            return run_automation(paths)
        case Kind.WARM_AUTOMATION:
            return run_warm_automation(document, paths, channel)
        case Kind.RUN:
            return run_workflow(document, paths, channel)


if __name__ == "__main__":
    main()
