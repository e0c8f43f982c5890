"""``python -m ingestion_runner``: run one ingestion, or one automation, as the first process of its pod.

Exit codes:

====  ==================================================================================================
0     the workflow ended as success or partialSuccess; the automation was carried out
1     the run failed; another attempt may end better
2     configuration error: invalid run input or workflow config, unsupported pipeline type, unknown
      source type, missing plugin, client and server of different versions; another attempt cannot help
3     refused to start outside startDate/endDate: no run, no row on the server
137   the workflow process was killed by a SIGKILL that was not ours: out of memory
143   interrupted by SIGTERM
====  ==================================================================================================
"""

import sys

from ingestion_runner.signals import SignalInbox


def main() -> int:
    """Run as a process and answer the exit code."""
    # The handlers come before the other imports: until they are there, the first process of a container is
    # deaf to SIGTERM, which the kernel does not even keep for later.
    inbox = SignalInbox()
    from ingestion_runner.supervisor import Supervisor  # noqa: PLC0415 - see above

    return Supervisor(inbox).run()


if __name__ == "__main__":
    sys.exit(main())
