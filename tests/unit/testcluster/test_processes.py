import json
import os
import subprocess
from pathlib import Path

import pytest

from testcluster.commands import run
from testcluster.errors import CommandError, TestClusterError
from testcluster.locations import Layout
from testcluster.node.processes import Processes
from testcluster.progress import wait_until


def _processes(tmp_path: Path) -> tuple[Layout, Processes]:
    layout = Layout(tmp_path)
    layout.pids.mkdir(parents=True)
    return layout, Processes(layout, Path("/proc/self/ns/net"))


def _start_ticks(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_pid_is_none_when_another_process_has_got_the_id(tmp_path: Path) -> None:
    layout, processes = _processes(tmp_path)
    record = layout.pids / "etcd.json"

    record.write_text(json.dumps({"pid": os.getpid(), "startTime": _start_ticks(os.getpid())}))
    assert processes.pid("etcd") == os.getpid()

    record.write_text(json.dumps({"pid": os.getpid(), "startTime": "1"}))
    assert processes.pid("etcd") is None


def test_pid_is_none_when_the_process_has_ended(tmp_path: Path) -> None:
    layout, processes = _processes(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as child:
        record = {"pid": child.pid, "startTime": _start_ticks(child.pid)}
        (layout.pids / "etcd.json").write_text(json.dumps(record))
        assert processes.pid("etcd") == child.pid

        processes.stop("etcd")

        assert processes.pid("etcd") is None


def test_pid_is_none_when_nothing_was_started(tmp_path: Path) -> None:
    assert _processes(tmp_path)[1].pid("etcd") is None


def test_run_reports_exit_code_and_end_of_the_error_output() -> None:
    with pytest.raises(CommandError, match="ended with 3:\nwhy it failed") as caught:
        run(["sh", "-c", "echo why it failed >&2; exit 3"])

    assert caught.value.code == 3


def test_run_has_no_code_when_the_time_runs_out() -> None:
    with pytest.raises(CommandError, match="did not end in time") as caught:
        run(["sleep", "60"], timeout=0.05)

    assert caught.value.code is None


def test_wait_until_names_what_did_not_happen_and_the_hint() -> None:
    with pytest.raises(TestClusterError, match=r"the node: not after 0 s\. See here"):
        wait_until("the node", lambda: False, timeout=0.05, pause=0.01, hint="See here")
