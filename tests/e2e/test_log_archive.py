"""Logs in the archive's volume, as the operator of a real cluster writes them."""

from testing import installation as installations
from testing.archived import archived
from testing.install import OPERATOR, wait_for_rollout
from testing.installation import Installation
from testing.waiting import wait_for


def test_a_restart_neither_loses_nor_doubles_a_line(installation: Installation) -> None:
    installation.apply(installations.pipeline("logged"))
    run_id = installation.start_run("logged", "logged-1")
    wait_for("the run to run", lambda: installation.run("logged", run_id).get("state") == "running", timeout=60)
    installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    installation.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", "--timeout=40s")
    installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
    wait_for_rollout(installation.cluster, installation.namespace, OPERATOR)
    installation.wait_for_end("logged", run_id)
    text = wait_for("the whole log", lambda: archived(installation.cluster, installation.namespace, run_id), timeout=30)
    assert text == installation.kubectl("logs", "job/logged-1", "--tail=-1")
    assert "Workflow finished" in text
