"""Runs of the real workflow, from their start to what everybody is told about them."""

import json
from datetime import UTC, datetime

from testing import manifests
from testing import site as sites
from testing.installation import OPERATOR, wait_for_rollout
from testing.postgres.expected import differences
from testing.postgres.process import connection
from testing.site import SERVICE, Site
from testing.ticks import minutes_from_now
from testing.waiting import wait_for


def test_scheduled_run_catalogues_every_seeded_object(site: Site) -> None:
    site.apply(sites.pipeline("nightly", schedule={"cron": minutes_from_now(1), "timeZone": "UTC"}))
    run_id = wait_for(
        "the tick", lambda: next((r["id"] for r in site.status("nightly").get("runs", [])), None), timeout=100
    )
    run = site.wait_for_end("nightly", run_id)
    assert (run["state"], run["reason"], run["trigger"]) == ("success", "Succeeded", "scheduled")
    assert run["summary"]["records"] > 0
    assert run["summary"]["errors"] == 0
    row = site.fake_server.wait_for_run(f"{SERVICE}.nightly", timeout=5, run_id=run_id)
    assert row["state"] == "success"
    assert differences(site.fake_server, SERVICE) == []
    (job,) = site.list("jobs", "ingestion.openmetadata.org/pipeline=nightly")
    assert job["metadata"]["uid"] == run_id
    assert site.status("nightly")["lastSuccessfulTime"] == run["endTime"]
    listed = site.kubectl("get", "omip", "nightly").splitlines()
    assert listed[0].split() == ["NAME", "SCHEDULE", "SUSPENDED", "READY", "LAST-RUN", "LAST-STATE", "AGE"]
    assert "success" in listed[1]


def test_run_started_with_kubectl_has_an_id_of_its_own(site: Site) -> None:
    site.apply(sites.pipeline("by-hand"))
    first = site.start_run("by-hand", "by-hand-1")
    assert site.wait_for_end("by-hand", first)["trigger"] == "manual"
    second = site.start_run("by-hand", "by-hand-2")
    assert site.wait_for_end("by-hand", second)["state"] == "success"
    assert first != second
    rows = {row["runId"]: row["state"] for row in site.fake_server.runs(f"{SERVICE}.by-hand")}
    assert rows == {first: "success", second: "success"}
    assert [run["id"] for run in site.status("by-hand")["runs"]] == [second, first]


def test_wrong_database_password_ends_as_failed_with_its_reason(site: Site) -> None:
    sites.register_service(site, "locked", "not-the-password")
    site.apply(sites.pipeline("wrong-password", service="locked"))
    run_id = site.start_run("wrong-password", "wrong-password-1")
    run = site.wait_for_end("wrong-password", run_id)
    assert (run["state"], run["reason"]) == ("failed", "InitializationFailed")
    assert "password authentication failed" in run["message"]
    row = site.fake_server.wait_for_run("locked.wrong-password", timeout=5, run_id=run_id)
    assert row["state"] == "failed"
    assert "password authentication failed" in json.dumps(row["row"])
    assert site.condition("wrong-password", "LastRunSucceeded")["status"] == "False"


def test_deleted_pod_ends_as_failed_and_interrupted_within_its_grace_period(site: Site) -> None:
    site.apply(sites.pipeline("interrupted"))
    run_id = site.start_run("interrupted", "interrupted-1")
    fqn = f"{SERVICE}.interrupted"
    wait_for(
        "the workflow's own row", lambda: [r for r in site.fake_server.runs(fqn) if r["state"] == "running"], timeout=60
    )
    site.kubectl("delete", "pod", "-l", "batch.kubernetes.io/job-name=interrupted-1", "--timeout=30s")
    row = site.fake_server.wait_for_run(fqn, timeout=10, run_id=run_id)
    assert row["state"] == "failed"
    assert "Interrupted" in json.dumps(row["row"])
    run = site.wait_for_end("interrupted", run_id, timeout=30)
    assert (run["state"], run["reason"]) == ("failed", "Interrupted")
    assert run["attempts"][0]["exitCode"] == 143


def test_run_that_waits_for_a_secret_names_it_and_starts_once_it_is_there(site: Site) -> None:
    # Checked by nobody but the kubelet: it is not one that the spec names for the runner.
    volume = {"name": "extra", "secret": {"secretName": "comes-later"}}
    mount = {"name": "extra", "mountPath": "/extra", "readOnly": True}
    template = {"spec": {"volumes": [volume]}, "container": {"volumeMounts": [mount]}}
    site.apply(sites.pipeline("patient", podTemplate=template))
    run_id = site.start_run("patient", "patient-1")
    waiting = wait_for(
        "the cause",
        lambda: run if (run := site.run("patient", run_id)).get("reason") == "SecretNotFound" else None,
        timeout=40,
    )
    assert waiting["state"] == "queued"
    assert "Secret comes-later does not exist: create it" in waiting["message"]
    site.apply(sites.secret("comes-later", "a", "b"))
    assert site.wait_for_end("patient", run_id)["state"] == "success"


def test_annotation_on_the_pipeline_ends_the_run_that_is_under_way_and_no_later_one(site: Site) -> None:
    site.apply(sites.pipeline("ended"))
    run_id = site.start_run("ended", "ended-1")
    fqn = f"{SERVICE}.ended"
    wait_for(
        "the workflow's own row", lambda: [r for r in site.fake_server.runs(fqn) if r["state"] == "running"], timeout=60
    )
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    site.kubectl("annotate", "--overwrite", "omip", "ended", f"ingestion.openmetadata.org/kill={moment}")
    run = site.wait_for_end("ended", run_id, timeout=45)
    assert (run["state"], run["reason"]) == ("stopped", "Killed")
    assert run["message"] == "Stopped on request of the annotation ingestion.openmetadata.org/kill"
    wait_for(  # the runner, which is told to stop and not why, has closed it as failed at first
        "the row's true state",
        lambda: [r for r in site.fake_server.runs(fqn) if (r["runId"], r["state"]) == (run_id, "stopped")],
        timeout=45,
    )
    (job,) = site.list("jobs", "ingestion.openmetadata.org/pipeline=ended")
    assert job["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    later = site.start_run("ended", "ended-2")
    assert site.wait_for_end("ended", later)["state"] == "success"


def test_run_that_outgrows_its_memory_is_recorded_and_reported_as_out_of_memory(site: Site) -> None:
    site.fake_server.register_pipeline(f"{SERVICE}.too-small")
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    site.apply(sites.pipeline("too-small", podTemplate={"container": {"resources": memory}}))
    run_id = site.start_run("too-small", "too-small-1")
    run = site.wait_for_end("too-small", run_id)
    assert (run["state"], run["reason"]) == ("failed", "OutOfMemory")
    assert run["attempts"][0]["exitCode"] == 137
    row = site.fake_server.wait_for_run(f"{SERVICE}.too-small", timeout=5, run_id=run_id)
    assert (row["terminalStates"], row["row"]["status"][0]["failures"][0]["name"]) == (["failed"], "OutOfMemory")


def test_run_that_outgrows_its_memory_is_repeated_with_more_of_it_as_the_same_run(site: Site) -> None:
    name, fqn = "growing", f"{SERVICE}.growing"
    site.fake_server.register_pipeline(fqn)
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    more = {"onOutOfMemory": {"memoryFactor": 8, "maxMemory": "1Gi"}}
    site.apply(sites.pipeline(name, retry=more, podTemplate={"container": {"resources": memory}}))
    run_id = site.start_run(name, "growing-1")
    run = site.wait_for_end(name, run_id)
    assert (run["state"], run["reason"]) == ("success", "Succeeded")
    assert [(a["memory"], a["reason"]) for a in run["attempts"]] == [("100Mi", "OutOfMemory"), ("800Mi", "Succeeded")]
    assert [one["id"] for one in site.status(name)["runs"]] == [run_id]
    assert {row["runId"]: row["state"] for row in site.fake_server.runs(fqn)} == {run_id: "success"}
    assert site.fake_server.wait_for_run(fqn, timeout=5, run_id=run_id)["terminalStates"] == ["success"]
    (job,) = site.list("jobs", f"ingestion.openmetadata.org/pipeline={name}")
    assert job["metadata"]["uid"] == run_id
    told = [event["message"] for event in site.list("events") if event["reason"] == "OutOfMemory"]
    assert told == [f"Run {run_id}: Attempt 1 ran out of memory within 100Mi; the next one gets 800Mi"]


def test_wrong_configuration_is_named_and_not_repeated(site: Site) -> None:
    wrong = {"config": {"type": "DatabaseMetadata", "includeTabels": True}}
    site.apply(sites.pipeline("misspelt", sourceConfig=wrong, retry={"limit": 3}))
    run_id = site.start_run("misspelt", "misspelt-1")
    run = site.wait_for_end("misspelt", run_id)
    assert (run["state"], run["reason"]) == ("failed", "InvalidConfiguration")
    assert "includeTabels" in run["message"]
    assert [attempt["exitCode"] for attempt in run["attempts"]] == [2]


def test_pipeline_type_without_a_workflow_is_refused_before_it_runs(site: Site) -> None:
    site.apply(sites.pipeline("report", pipelineType="dataInsight"))
    ready = wait_for("the condition", lambda: site.condition("report", "Ready"), timeout=30)
    assert (ready["status"], ready["reason"]) == ("False", "UnsupportedPipelineType")
    assert "DataInsightsApplication" in ready["message"]


def test_tick_fires_while_the_operator_is_down(site: Site) -> None:
    site.apply(sites.pipeline("unattended", schedule={"cron": minutes_from_now(1)}))
    wait_for("the CronJob", lambda: site.get("cronjob", "unattended"), timeout=30)
    site.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=0")
    try:
        site.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={OPERATOR}", "--timeout=40s")
        row = wait_for("the run's row", lambda: site.fake_server.runs(f"{SERVICE}.unattended"), timeout=100)[0]
        ended = site.fake_server.wait_for_run(f"{SERVICE}.unattended", timeout=60, run_id=row["runId"])
        assert ended["state"] == "success"
        assert site.status("unattended")["runs"] == []
    finally:
        site.kubectl("scale", f"deployment/{OPERATOR}", "--replicas=1")
        wait_for_rollout(site.cluster, site.namespace, OPERATOR)
    assert site.wait_for_end("unattended", row["runId"], timeout=30)["state"] == "success"


def test_deleted_pipeline_leaves_nothing_behind(site: Site) -> None:
    site.apply(sites.pipeline("short-lived"))
    site.start_run("short-lived", "short-lived-1")
    wait_for("its pod", lambda: site.list("pods", "ingestion.openmetadata.org/pipeline=short-lived"), timeout=30)
    site.kubectl("delete", "omip", "short-lived", "--cascade=foreground", "--timeout=60s")

    def left() -> list[str]:
        kinds = ("omip", "cronjobs", "jobs", "pods")
        found = [body for kind in kinds for body in site.list(kind) if "short-lived" in body["metadata"]["name"]]
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


def test_a_source_behind_a_sidecar_is_reached_and_the_sidecar_ends_with_the_run(site: Site) -> None:
    site.fake_server.register_service("tunnelled", "Postgres", connection("127.0.0.1:15432", site.credentials.password))
    sidecar = {
        "name": "tunnel",
        "image": site.images["runner"],
        "command": ["python3", "-c", FORWARDER],
        "args": [manifests.POSTGRES, str(manifests.POSTGRES_PORT)],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "startupProbe": {
            "exec": {"command": ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 15432))"]},
            "periodSeconds": 1,
        },
    }
    site.apply(sites.pipeline("tunnelled", service="tunnelled", podTemplate={"sidecars": [sidecar]}))
    run = site.wait_for_end("tunnelled", site.start_run("tunnelled", "tunnelled-1"))
    assert (run["state"], run["summary"]["errors"]) == ("success", 0), run["message"]
    assert run["summary"]["records"] > 0
    finished = wait_for(
        "the Job's end", lambda: (site.get("job", "tunnelled-1") or {})["status"].get("succeeded"), timeout=60
    )
    assert finished == 1
