"""``python -m ingestion_runner``: run one ingestion, or one automation, as the first process of its pod.

Exit codes:

====  ==================================================================================================
0     the workflow ended as success or partialSuccess; the automation was completed
1     the run failed; a retry may succeed
2     configuration error: invalid run input or workflow config, unsupported pipeline type, unknown
      source type, missing plugin, client and server of different versions; a retry cannot succeed
3     not started, since it is outside startDate/endDate: no run, no row on the server
137   the workflow process was killed by a SIGKILL of another process: out of memory
143   interrupted by SIGTERM
====  ==================================================================================================
"""

import sys

from ingestion_runner.signals import SignalInbox


def main() -> int:
    """Run as a process and return the exit code."""
    # The signal handlers are installed before the other imports: without a handler the kernel discards a SIGTERM to
    # the first process of a container.
    inbox = SignalInbox()
    from ingestion_runner.supervisor import Supervisor  # noqa: PLC0415 - see above

    return Supervisor(inbox).run()


if __name__ == "__main__":
    sys.exit(main())
