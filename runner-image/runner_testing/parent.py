"""The real parent with a stand-in for the workflow: ``python -m runner_testing.parent BEHAVIOUR``.

Orphans of its descendants fall to it, as they fall to the first process of a container.
"""

import ctypes
import sys

from ingestion_runner.signals import SignalInbox
from ingestion_runner.supervisor import Supervisor

PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    inbox = SignalInbox()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return Supervisor(inbox, command=(sys.executable, "-m", "runner_testing.child", sys.argv[1])).run()


if __name__ == "__main__":
    sys.exit(main())
