"""The operator keeps what it owns, leaves alone what it does not, and writes nothing without need."""

import json

from testing import site as sites
from testing.audit import Audit
from testing.installation import OPERATOR, wait_for_rollout
from testing.site import Site
from testing.waiting import wait_for

WRITES = ("create", "update", "patch", "delete", "deletecollection")


def ready(site: Site, name: str) -> bool:
    return site.condition(name, "Ready").get("status") == "True"


def test_cronjob_edited_or_deleted_by_hand_is_repaired(site: Site) -> None:
    site.apply(sites.pipeline("drifting", schedule={"cron": "@daily"}))
    wait_for("the pipeline", lambda: ready(site, "drifting"), timeout=30)
    site.kubectl(
        "patch", "cronjob", "drifting", "--type=merge", "-p", '{"spec":{"schedule":"* * * * *","suspend":true}}'
    )

    def spec() -> tuple[str, bool] | None:
        found = site.get("cronjob", "drifting")
        return (found["spec"]["schedule"], found["spec"]["suspend"]) if found else None

    wait_for("the repair", lambda: spec() == ("0 0 * * *", False), timeout=15)
    remove = '[{"op":"remove","path":"/spec/jobTemplate/spec/ttlSecondsAfterFinished"}]'
    site.kubectl("patch", "cronjob", "drifting", "--type=json", "-p", remove)
    wait_for(
        "the removed field",
        lambda: "ttlSecondsAfterFinished" in site.get("cronjob", "drifting")["spec"]["jobTemplate"]["spec"],  # type: ignore[index]
        timeout=15,
    )
    site.kubectl("delete", "cronjob", "drifting")
    wait_for("the CronJob to be back", lambda: spec() == ("0 0 * * *", False), timeout=15)


def test_cronjob_of_somebody_else_is_left_alone(site: Site) -> None:
    site.kubectl("create", "cronjob", "taken", "--image=localhost/none", "--schedule=@yearly")
    before = site.get("cronjob", "taken")
    site.apply(sites.pipeline("taken", schedule={"cron": "@daily"}))
    condition = wait_for("the condition", lambda: site.condition("taken", "Ready"), timeout=30)
    assert (condition["status"], condition["reason"]) == ("False", "NameConflict")
    assert "delete or rename it" in condition["message"]
    assert site.get("cronjob", "taken") == before
    site.kubectl("delete", "cronjob", "taken")
    wait_for("the pipeline to take the free name", lambda: ready(site, "taken"), timeout=15)


def test_missing_secret_is_named_and_repaired_within_seconds(site: Site) -> None:
    reference = {"name": "late-secret", "key": "connection.yaml"}
    site.apply(sites.pipeline("waiting", connectionSecretRef=reference))
    condition = wait_for("the condition", lambda: site.condition("waiting", "Ready"), timeout=30)
    assert (condition["status"], condition["reason"]) == ("False", "SecretNotFound")
    assert "late-secret" in condition["message"]
    events = [event for event in site.list("events") if event["involvedObject"]["name"] == "waiting"]
    assert [(event["type"], event["reason"]) for event in events] == [("Warning", "SecretNotFound")]
    site.apply(sites.secret("late-secret", "another-key", "x"))
    wait_for(
        "the key to be named", lambda: site.condition("waiting", "Ready")["reason"] == "SecretKeyNotFound", timeout=15
    )
    site.apply(sites.secret("late-secret", "connection.yaml", "x"))
    wait_for("the repair", lambda: ready(site, "waiting"), timeout=15)


def test_operator_restart_over_unchanged_pipelines_writes_nothing(site: Site) -> None:
    names = [f"steady-{number}" for number in range(5)]
    site.apply(*(sites.pipeline(name, schedule={"cron": "@daily"}) for name in names))
    wait_for("all to be ready", lambda: all(ready(site, name) for name in names), timeout=30)
    run_id = site.start_run(names[0], "steady-run")
    site.wait_for_end(names[0], run_id)
    wait_for("the Job's own end", lambda: site.get("job", "steady-run")["status"].get("succeeded"), timeout=20)  # type: ignore[index]
    site.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    site.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", "--timeout=40s")
    audit = Audit(site.cluster)
    site.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
    wait_for_rollout(site.cluster, site.namespace, OPERATOR)

    # A pipeline that is new is reconciled after those that were there.
    site.apply(sites.pipeline("later", schedule={"cron": "@daily"}))
    wait_for("the new pipeline to be ready", lambda: ready(site, "later"), timeout=60)
    # Other tests' pipelines may have changed meanwhile; the Lease is the operator's own sign of life. What is created
    # has no name in the log.
    writes = [
        call
        for call in audit.calls(site.namespace, OPERATOR)
        if call.right[2] in WRITES and call.right[1] != "leases" and (not call.name or call.name.startswith("steady-"))
    ]
    assert writes == []


def test_credentials_are_found_nowhere_but_in_secrets(site: Site) -> None:
    site.apply(sites.pipeline("secretive"))
    run_id = site.start_run("secretive", "secretive-1")
    assert site.wait_for_end("secretive", run_id)["state"] == "success"
    kinds = ("omip", "cronjobs", "jobs", "pods", "events", "configmaps", "deployments", "services")
    texts = {kind: site.kubectl("get", kind, "-o", "yaml", "--show-managed-fields") for kind in kinds}
    texts["runner log"] = site.kubectl("logs", "-l", "batch.kubernetes.io/job-name=secretive-1", "--tail=-1")
    texts["operator log"] = site.kubectl("logs", f"deployment/{OPERATOR}")
    rows = site.fake_server.runs("shop.secretive")
    texts["what the server was told"] = json.dumps(rows)
    assert "Workflow finished" in texts["runner log"]
    for value in (site.credentials.token, site.credentials.password):
        assert [where for where, text in texts.items() if value in text] == []
