"""Stand-ins for the workflow process: ``python -m runner_testing.child BEHAVIOUR``.

They print and report what the real one could, and end in all the ways in which it can end.
"""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from ingestion_runner.channel import ChannelWriter
from ingestion_runner.fields import read_document
from ingestion_runner.inputs import InputPaths
from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.workflow.handover import wait_for_automation

PASSWORD = "s3cr3t-Passw0rd"  # noqa: S105 - for the tests to search for
STEPS = ({"name": "Postgres", "records": 7, "warnings": 1, "errors": 0},)


def outcome(state: State, reason: Reason, message: str = "as ordered") -> Outcome:
    return Outcome(state=state, reason=reason, message=message, records=7, warnings=1, errors=0, steps=STEPS)


def succeed(channel: ChannelWriter) -> None:
    channel.send_outcome(outcome(State.SUCCESS, Reason.SUCCEEDED))


def succeed_in_part(channel: ChannelWriter) -> None:
    channel.send_outcome(outcome(State.PARTIAL_SUCCESS, Reason.PARTIALLY_SUCCEEDED))


def use_much_memory(channel: ChannelWriter) -> None:
    """More than any other child here: 100 MiB, each page written."""
    pages = bytearray(b"x") * (100 * 2**20)
    pages.clear()
    succeed(channel)


def fail_to_start(channel: ChannelWriter) -> None:
    sys.stdout.write("Traceback (most recent call last):\n  the cause\n")
    channel.send_outcome(Outcome.failed(Reason.INITIALIZATION_FAILED, "the database is down"))


def have_a_wrong_configuration(channel: ChannelWriter) -> None:
    channel.send_outcome(Outcome.failed(Reason.INVALID_CONFIGURATION, "includeFoo: not permitted"))


def leak(channel: ChannelWriter) -> None:
    """Report the secret, and print it immediately, on both streams."""
    channel.send_secrets([PASSWORD])
    os.write(1, f"connecting with {PASSWORD}\n".encode())
    os.write(2, f"failed with {PASSWORD}\n".encode())
    channel.send_outcome(Outcome.failed(Reason.INITIALIZATION_FAILED, f"{PASSWORD} was refused"))


def print_the_password(_: ChannelWriter) -> None:
    """Print it without a word to the parent, which may know it from what it has read itself."""
    sys.stdout.write(f"connecting with {PASSWORD}\n")


def work_until_stopped(_: ChannelWriter) -> None:
    sys.stdout.write("ready\n")
    time.sleep(60)


def ignore_the_stop(channel: ChannelWriter) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    work_until_stopped(channel)


def report_success_when_stopped(channel: ChannelWriter) -> None:
    """Finish in the very moment of the stop: the outcome is reported before the signal takes effect."""

    def finish(*_: object) -> None:
        succeed(channel)
        os._exit(0)

    signal.signal(signal.SIGTERM, finish)
    work_until_stopped(channel)


def be_killed(_: ChannelWriter) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash(_: ChannelWriter) -> None:
    sys.stdout.write("about to crash\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def end_without_outcome(_: ChannelWriter) -> None:
    sys.exit(5)


def leave_a_process_behind(channel: ChannelWriter) -> None:
    """End while a process of the same group still holds the output open."""
    left = subprocess.Popen(["sleep", "60"])
    sys.stdout.write(f"left {left.pid}\n")
    succeed(channel)
    os._exit(0)


def leave_an_orphan(channel: ChannelWriter) -> None:
    """Have a grandchild that outlives its parent and then ends: a zombie, unless another process reaps it."""
    script = "import os, sys\nif os.fork(): os._exit(0)\nos.setsid()\n"
    # One write: print makes several of a line when unbuffered, and its parent writes to the same pipe.
    script += "os.write(1, f'orphan {os.getpid()}\\n'.encode())"
    subprocess.run([sys.executable, "-c", script], check=True)
    work_until_stopped(channel)


def wait_for_an_automation(channel: ChannelWriter) -> None:
    """Wait as the real one does, without the library, and crash over what is handed over."""
    document = _handed_over(channel)
    sys.stdout.write(f"working on {document['name']} with {PASSWORD}\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def wait_for_an_automation_and_work(channel: ChannelWriter) -> None:
    """Wait as the real one does, and then until it is stopped."""
    _handed_over(channel)
    work_until_stopped(channel)


def _handed_over(channel: ChannelWriter) -> dict[str, Any]:
    paths = InputPaths.from_environment()
    run_input = read_document(paths.pipeline)
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    document = wait_for_automation(paths, run_input["port"], run_input["waitSeconds"], on_taken=channel.send_automation)
    if document is None:
        channel.send_outcome(outcome(State.SUCCESS, Reason.SUCCEEDED, "no automation came"))
        os._exit(0)
    return document


def main() -> None:
    channel = ChannelWriter.from_environment()
    globals()[sys.argv[1]](channel)


if __name__ == "__main__":
    main()
