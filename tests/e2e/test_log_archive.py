"""Logs in the archive's volume, as the operator of a real cluster writes them."""

from testing import site as sites
from testing.archived import archived
from testing.installation import OPERATOR, wait_for_rollout
from testing.site import Site
from testing.waiting import wait_for


def test_a_restart_of_the_operator_neither_loses_nor_doubles_a_line(site: Site) -> None:
    site.apply(sites.pipeline("logged"))
    run_id = site.start_run("logged", "logged-1")
    wait_for("the run to run", lambda: site.run("logged", run_id).get("state") == "running", timeout=60)
    site.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    site.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", "--timeout=40s")
    site.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
    wait_for_rollout(site.cluster, site.namespace, OPERATOR)
    site.wait_for_end("logged", run_id)
    text = wait_for("the whole log", lambda: archived(site.cluster, site.namespace, run_id), timeout=30)
    assert text == site.kubectl("logs", "job/logged-1", "--tail=-1")
    assert "Workflow finished" in text
