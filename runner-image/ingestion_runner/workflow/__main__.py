"""``python -m ingestion_runner.workflow``: the process that runs the workflow, started by the parent."""

import logging
import os
import sys
import traceback

from ingestion_runner.channel import ChannelWriter
from ingestion_runner.outcomes import Outcome, Reason, RunError
from ingestion_runner.workflow.run import run_workflow


def main() -> None:
    """Run, tell the outcome to the parent, and leave at once."""
    channel = ChannelWriter.from_environment()
    try:
        outcome = run_workflow(channel)
    except RunError as failure:
        sys.stderr.write(f"{failure.reason}: {failure.message}\n")
        outcome = Outcome.failed(failure.reason, failure.message)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: connectors are other people's code
        traceback.print_exc()
        outcome = Outcome.failed(Reason.WORKFLOW_CRASHED, f"{type(error).__name__}: {error}")
    channel.send_outcome(outcome)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The workflow is closed and everything is told. An ordinary exit would spend seconds on taking apart
    # thousands of modules, and would wait for threads that a failed start may have left behind.
    os._exit(outcome.reason.exit_code)


if __name__ == "__main__":
    main()
