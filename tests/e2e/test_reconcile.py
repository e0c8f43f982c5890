"""The operator keeps what it owns, leaves alone what it does not, and writes nothing without need."""

import json

from testing import installation as installations
from testing.audit import Audit
from testing.install import OPERATOR, wait_for_rollout
from testing.installation import Installation
from testing.waiting import wait_for

WRITES = ("create", "update", "patch", "delete", "deletecollection")


def ready(installation: Installation, name: str) -> bool:
    return installation.condition(name, "Ready").get("status") == "True"


def test_cronjob_edited_or_deleted_manually_is_repaired(installation: Installation) -> None:
    installation.apply(installations.pipeline("drifting", schedule={"cron": "@daily"}))
    wait_for("the pipeline", lambda: ready(installation, "drifting"), timeout=30)
    installation.kubectl(
        "patch", "cronjob", "drifting", "--type=merge", "-p", '{"spec":{"schedule":"* * * * *","suspend":true}}'
    )

    def spec() -> tuple[str, bool] | None:
        found = installation.get("cronjob", "drifting")
        return (found["spec"]["schedule"], found["spec"]["suspend"]) if found else None

    wait_for("the repair", lambda: spec() == ("0 0 * * *", False), timeout=15)
    remove = '[{"op":"remove","path":"/spec/jobTemplate/spec/ttlSecondsAfterFinished"}]'
    installation.kubectl("patch", "cronjob", "drifting", "--type=json", "-p", remove)
    wait_for(
        "the removed field",
        lambda: "ttlSecondsAfterFinished" in installation.get("cronjob", "drifting")["spec"]["jobTemplate"]["spec"],  # type: ignore[index]
        timeout=15,
    )
    installation.kubectl("delete", "cronjob", "drifting")
    wait_for("the CronJob to be back", lambda: spec() == ("0 0 * * *", False), timeout=15)


def test_cronjob_of_another_client_is_left_alone(installation: Installation) -> None:
    installation.kubectl("create", "cronjob", "taken", "--image=localhost/none", "--schedule=@yearly")
    before = installation.get("cronjob", "taken")
    installation.apply(installations.pipeline("taken", schedule={"cron": "@daily"}))
    condition = wait_for("the condition", lambda: installation.condition("taken", "Ready"), timeout=30)
    assert (condition["status"], condition["reason"]) == ("False", "NameConflict")
    assert "delete or rename it" in condition["message"]
    assert installation.get("cronjob", "taken") == before
    installation.kubectl("delete", "cronjob", "taken")
    wait_for("the pipeline to take the free name", lambda: ready(installation, "taken"), timeout=15)


def test_missing_secret_is_named_and_repaired_within_seconds(installation: Installation) -> None:
    reference = {"name": "late-secret", "key": "connection.yaml"}
    installation.apply(installations.pipeline("waiting", connectionSecretRef=reference))
    condition = wait_for("the condition", lambda: installation.condition("waiting", "Ready"), timeout=30)
    assert (condition["status"], condition["reason"]) == ("False", "SecretNotFound")
    assert "late-secret" in condition["message"]
    events = [event for event in installation.list("events") if event["involvedObject"]["name"] == "waiting"]
    assert [(event["type"], event["reason"]) for event in events] == [("Warning", "SecretNotFound")]
    installation.apply(installations.secret("late-secret", "another-key", "x"))
    wait_for(
        "the key to be named",
        lambda: installation.condition("waiting", "Ready")["reason"] == "SecretKeyNotFound",
        timeout=15,
    )
    installation.apply(installations.secret("late-secret", "connection.yaml", "x"))
    wait_for("the repair", lambda: ready(installation, "waiting"), timeout=15)


def test_restart_over_unchanged_pipelines_writes_nothing(installation: Installation) -> None:
    names = [f"steady-{number}" for number in range(5)]
    installation.apply(*(installations.pipeline(name, schedule={"cron": "@daily"}) for name in names))
    wait_for("all to be ready", lambda: all(ready(installation, name) for name in names), timeout=30)
    run_id = installation.start_run(names[0], "steady-run")
    installation.wait_for_end(names[0], run_id)
    wait_for("the Job's own end", lambda: installation.get("job", "steady-run")["status"].get("succeeded"), timeout=20)  # type: ignore[index]
    installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    installation.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", "--timeout=40s")
    audit = Audit(installation.cluster)
    installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
    wait_for_rollout(installation.cluster, installation.namespace, OPERATOR)

    # A pipeline that is new is reconciled after those that were there.
    installation.apply(installations.pipeline("later", schedule={"cron": "@daily"}))
    wait_for("the new pipeline to be ready", lambda: ready(installation, "later"), timeout=60)
    # Other tests' pipelines may have changed meanwhile; the Lease is the operator's own heartbeat. What is created
    # has no name in the log.
    writes = [
        call
        for call in audit.calls(installation.namespace, OPERATOR)
        if call.right[2] in WRITES and call.right[1] != "leases" and (not call.name or call.name.startswith("steady-"))
    ]
    assert writes == []


def test_credentials_are_found_nowhere_but_in_secrets(installation: Installation) -> None:
    installation.apply(installations.pipeline("secretive"))
    run_id = installation.start_run("secretive", "secretive-1")
    assert installation.wait_for_end("secretive", run_id)["state"] == "success"
    kinds = ("omip", "cronjobs", "jobs", "pods", "events", "configmaps", "deployments", "services")
    texts = {kind: installation.kubectl("get", kind, "-o", "yaml", "--show-managed-fields") for kind in kinds}
    texts["runner log"] = installation.kubectl("logs", "-l", "batch.kubernetes.io/job-name=secretive-1", "--tail=-1")
    texts["operator log"] = installation.kubectl("logs", f"deployment/{OPERATOR}")
    rows = installation.fake_server.runs("shop.secretive")
    texts["what the server received"] = json.dumps(rows)
    assert "Workflow finished" in texts["runner log"]
    for value in (installation.credentials.token, installation.credentials.password):
        assert [where for where, text in texts.items() if value in text] == []
