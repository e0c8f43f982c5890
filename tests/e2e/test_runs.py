"""Runs of the real workflow, from their start to all reports about them."""

import json
from datetime import UTC, datetime

from testing import installation as installations
from testing import manifests
from testing.install import OPERATOR, wait_for_rollout
from testing.installation import SERVICE, Installation
from testing.postgres.expected import differences
from testing.postgres.process import connection
from testing.ticks import minutes_from_now
from testing.waiting import wait_for


def test_scheduled_run_catalogues_every_seeded_object(installation: Installation) -> None:
    installation.apply(installations.pipeline("nightly", schedule={"cron": minutes_from_now(1), "timeZone": "UTC"}))
    run_id = wait_for(
        "the tick", lambda: next((r["id"] for r in installation.status("nightly").get("runs", [])), None), timeout=100
    )
    run = installation.wait_for_end("nightly", run_id)
    assert (run["state"], run["reason"], run["trigger"]) == ("success", "Succeeded", "scheduled")
    assert run["summary"]["records"] > 0
    assert run["summary"]["errors"] == 0
    row = installation.fake_server.wait_for_run(f"{SERVICE}.nightly", timeout=5, run_id=run_id)
    assert row["state"] == "success"
    assert differences(installation.fake_server, SERVICE) == []
    (job,) = installation.list("jobs", "ingestion.openmetadata.org/pipeline=nightly")
    assert job["metadata"]["uid"] == run_id
    assert installation.status("nightly")["lastSuccessfulTime"] == run["endTime"]
    listed = installation.kubectl("get", "omip", "nightly").splitlines()
    assert listed[0].split() == ["NAME", "SCHEDULE", "SUSPENDED", "READY", "LAST-RUN", "LAST-STATE", "AGE"]
    assert "success" in listed[1]


def test_run_started_with_kubectl_has_an_id_of_its_own(installation: Installation) -> None:
    installation.apply(installations.pipeline("by-hand"))
    first = installation.start_run("by-hand", "by-hand-1")
    assert installation.wait_for_end("by-hand", first)["trigger"] == "manual"
    second = installation.start_run("by-hand", "by-hand-2")
    assert installation.wait_for_end("by-hand", second)["state"] == "success"
    assert first != second
    rows = {row["runId"]: row["state"] for row in installation.fake_server.runs(f"{SERVICE}.by-hand")}
    assert rows == {first: "success", second: "success"}
    assert [run["id"] for run in installation.status("by-hand")["runs"]] == [second, first]


def test_wrong_database_password_ends_as_failed_with_its_reason(installation: Installation) -> None:
    installations.register_service(installation, "locked", "not-the-password")
    installation.apply(installations.pipeline("wrong-password", service="locked"))
    run_id = installation.start_run("wrong-password", "wrong-password-1")
    run = installation.wait_for_end("wrong-password", run_id)
    assert (run["state"], run["reason"]) == ("failed", "InitializationFailed")
    assert "password authentication failed" in run["message"]
    row = installation.fake_server.wait_for_run("locked.wrong-password", timeout=5, run_id=run_id)
    assert row["state"] == "failed"
    assert "password authentication failed" in json.dumps(row["row"])
    assert installation.condition("wrong-password", "LastRunSucceeded")["status"] == "False"


def test_a_deleted_pod_ends_as_interrupted_in_its_grace_period(installation: Installation) -> None:
    installation.apply(installations.pipeline("interrupted"))
    run_id = installation.start_run("interrupted", "interrupted-1")
    fqn = f"{SERVICE}.interrupted"
    wait_for(
        "the workflow's own row",
        lambda: [r for r in installation.fake_server.runs(fqn) if r["state"] == "running"],
        timeout=60,
    )
    installation.kubectl("delete", "pod", "-l", "batch.kubernetes.io/job-name=interrupted-1", "--timeout=30s")
    row = installation.fake_server.wait_for_run(fqn, timeout=10, run_id=run_id)
    assert row["state"] == "failed"
    assert "Interrupted" in json.dumps(row["row"])
    run = installation.wait_for_end("interrupted", run_id, timeout=30)
    assert (run["state"], run["reason"]) == ("failed", "Interrupted")
    assert run["attempts"][0]["exitCode"] == 143


def test_run_that_waits_for_a_secret_names_it(installation: Installation) -> None:
    # Only the kubelet checks it: it is not one that the spec names for the runner.
    volume = {"name": "extra", "secret": {"secretName": "comes-later"}}
    mount = {"name": "extra", "mountPath": "/extra", "readOnly": True}
    template = {"spec": {"volumes": [volume]}, "container": {"volumeMounts": [mount]}}
    installation.apply(installations.pipeline("patient", podTemplate=template))
    run_id = installation.start_run("patient", "patient-1")
    waiting = wait_for(
        "the cause",
        lambda: run if (run := installation.run("patient", run_id)).get("reason") == "SecretNotFound" else None,
        timeout=40,
    )
    assert waiting["state"] == "queued"
    assert "Secret comes-later does not exist: create it" in waiting["message"]
    installation.apply(installations.secret("comes-later", "a", "b"))
    assert installation.wait_for_end("patient", run_id)["state"] == "success"


def test_the_kill_annotation_ends_the_running_run_only(installation: Installation) -> None:
    installation.apply(installations.pipeline("ended"))
    run_id = installation.start_run("ended", "ended-1")
    fqn = f"{SERVICE}.ended"
    wait_for(
        "the workflow's own row",
        lambda: [r for r in installation.fake_server.runs(fqn) if r["state"] == "running"],
        timeout=60,
    )
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    installation.kubectl("annotate", "--overwrite", "omip", "ended", f"ingestion.openmetadata.org/kill={moment}")
    run = installation.wait_for_end("ended", run_id, timeout=45)
    assert (run["state"], run["reason"]) == ("stopped", "Killed")
    assert run["message"] == "Stopped on request of the annotation ingestion.openmetadata.org/kill"
    wait_for(  # the runner, which gets a SIGTERM without the cause, has closed it as failed at first
        "the row's true state",
        lambda: [r for r in installation.fake_server.runs(fqn) if (r["runId"], r["state"]) == (run_id, "stopped")],
        timeout=45,
    )
    (job,) = installation.list("jobs", "ingestion.openmetadata.org/pipeline=ended")
    assert job["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    later = installation.start_run("ended", "ended-2")
    assert installation.wait_for_end("ended", later)["state"] == "success"


def test_run_out_of_memory_is_recorded_and_reported(installation: Installation) -> None:
    installation.fake_server.register_pipeline(f"{SERVICE}.too-small")
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    installation.apply(installations.pipeline("too-small", podTemplate={"container": {"resources": memory}}))
    run_id = installation.start_run("too-small", "too-small-1")
    run = installation.wait_for_end("too-small", run_id)
    assert (run["state"], run["reason"]) == ("failed", "OutOfMemory")
    assert run["attempts"][0]["exitCode"] == 137
    row = installation.fake_server.wait_for_run(f"{SERVICE}.too-small", timeout=5, run_id=run_id)
    assert (row["terminalStates"], row["row"]["status"][0]["failures"][0]["name"]) == (["failed"], "OutOfMemory")


def test_run_out_of_memory_is_retried_with_more_of_it(installation: Installation) -> None:
    name, fqn = "growing", f"{SERVICE}.growing"
    installation.fake_server.register_pipeline(fqn)
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    more = {"onOutOfMemory": {"memoryFactor": 8, "maxMemory": "1Gi"}}
    installation.apply(installations.pipeline(name, retry=more, podTemplate={"container": {"resources": memory}}))
    run_id = installation.start_run(name, "growing-1")
    run = installation.wait_for_end(name, run_id)
    assert (run["state"], run["reason"]) == ("success", "Succeeded")
    assert [(a["memory"], a["reason"]) for a in run["attempts"]] == [("100Mi", "OutOfMemory"), ("800Mi", "Succeeded")]
    assert [one["id"] for one in installation.status(name)["runs"]] == [run_id]
    assert {row["runId"]: row["state"] for row in installation.fake_server.runs(fqn)} == {run_id: "success"}
    assert installation.fake_server.wait_for_run(fqn, timeout=5, run_id=run_id)["terminalStates"] == ["success"]
    (job,) = installation.list("jobs", f"ingestion.openmetadata.org/pipeline={name}")
    assert job["metadata"]["uid"] == run_id
    reported = [event["message"] for event in installation.list("events") if event["reason"] == "OutOfMemory"]
    assert reported == [f"Run {run_id}: Attempt 1 ran out of memory within 100Mi; the next one gets 800Mi"]


def test_wrong_configuration_is_named_and_not_repeated(installation: Installation) -> None:
    wrong = {"config": {"type": "DatabaseMetadata", "includeTabels": True}}
    installation.apply(installations.pipeline("misspelt", sourceConfig=wrong, retry={"limit": 3}))
    run_id = installation.start_run("misspelt", "misspelt-1")
    run = installation.wait_for_end("misspelt", run_id)
    assert (run["state"], run["reason"]) == ("failed", "InvalidConfiguration")
    assert "includeTabels" in run["message"]
    assert [attempt["exitCode"] for attempt in run["attempts"]] == [2]


def test_pipeline_type_without_a_workflow_is_refused(installation: Installation) -> None:
    installation.apply(installations.pipeline("report", pipelineType="dataInsight"))
    ready = wait_for("the condition", lambda: installation.condition("report", "Ready"), timeout=30)
    assert (ready["status"], ready["reason"]) == ("False", "UnsupportedPipelineType")
    assert "DataInsightsApplication" in ready["message"]


def test_tick_fires_while_the_operator_is_down(installation: Installation) -> None:
    installation.apply(installations.pipeline("unattended", schedule={"cron": minutes_from_now(1)}))
    wait_for("the CronJob", lambda: installation.get("cronjob", "unattended"), timeout=30)
    installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    try:
        installation.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", "--timeout=40s")
        row = wait_for("the run's row", lambda: installation.fake_server.runs(f"{SERVICE}.unattended"), timeout=100)[0]
        ended = installation.fake_server.wait_for_run(f"{SERVICE}.unattended", timeout=60, run_id=row["runId"])
        assert ended["state"] == "success"
        assert installation.status("unattended")["runs"] == []
    finally:
        installation.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
        wait_for_rollout(installation.cluster, installation.namespace, OPERATOR)
    assert installation.wait_for_end("unattended", row["runId"], timeout=30)["state"] == "success"


def test_deleted_pipeline_leaves_nothing_behind(installation: Installation) -> None:
    installation.apply(installations.pipeline("short-lived"))
    installation.start_run("short-lived", "short-lived-1")
    wait_for(
        "its pod", lambda: installation.list("pods", "ingestion.openmetadata.org/pipeline=short-lived"), timeout=30
    )
    installation.kubectl("delete", "omip", "short-lived", "--cascade=foreground", "--timeout=60s")

    def left() -> list[str]:
        kinds = ("omip", "cronjobs", "jobs", "pods")
        found = [
            body for kind in kinds for body in installation.list(kind) if "short-lived" in body["metadata"]["name"]
        ]
        return [f"{body['kind']}/{body['metadata']['name']}" for body in found]

    wait_for("everything to be gone", lambda: not left(), timeout=45)


FORWARDER = """
import asyncio, sys

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def serve(near, to):
    far, back = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(copy(near, back), copy(far, to), return_exceptions=True)

async def main():
    await (await asyncio.start_server(serve, "127.0.0.1", 15432)).serve_forever()

asyncio.run(main())
"""


def test_a_source_behind_a_sidecar_is_reached(installation: Installation) -> None:
    installation.fake_server.register_service(
        "tunnelled", "Postgres", connection("127.0.0.1:15432", installation.credentials.password)
    )
    sidecar = {
        "name": "tunnel",
        "image": installation.images["runner"],
        "command": ["python3", "-c", FORWARDER],
        "args": [manifests.POSTGRES, str(manifests.POSTGRES_PORT)],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "startupProbe": {
            "exec": {"command": ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 15432))"]},
            "periodSeconds": 1,
        },
    }
    installation.apply(installations.pipeline("tunnelled", service="tunnelled", podTemplate={"sidecars": [sidecar]}))
    run = installation.wait_for_end("tunnelled", installation.start_run("tunnelled", "tunnelled-1"))
    assert (run["state"], run["summary"]["errors"]) == ("success", 0), run["message"]
    assert run["summary"]["records"] > 0
    finished = wait_for(
        "the Job's end", lambda: (installation.get("job", "tunnelled-1") or {})["status"].get("succeeded"), timeout=60
    )
    assert finished == 1
