"""Annotations that another client wrote: whatever they hold, no policy fails because of them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.pipeline import History
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.runs import (
    admission,
    history,
    job_retention,
    missed,
    pending,
    stopping,
    trace,
)
from ingestion_operator.runs.jobs import read_cronjob, read_job
from ingestion_operator.runs.retry import disruptions, oom_retry
from ingestion_operator.runs.retry.replacement import replacement_name
from testing.objects import NAMESPACE, NOW, Body, at, growing, manifest, pod, pod_records

ANNOTATIONS = [
    constants.ANNOTATION_SCHEDULED_AT,
    constants.ANNOTATION_REQUESTED_AT,
    constants.ANNOTATION_ADMITTED_AT,
    constants.ANNOTATION_ADMISSION_HOLD,
    constants.ANNOTATION_STOP,
    constants.ANNOTATION_STOPPED_BY,
    constants.ANNOTATION_TERMINATED_REASON,
    constants.ANNOTATION_MEMORY_LIMITS,
    constants.ANNOTATION_NEXT_MEMORY_LIMIT,
    constants.ANNOTATION_MEMORY_RESIZE_ERROR,
    constants.ANNOTATION_REPLACED_BY,
]
TIMES = ["2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00", "0999-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"]
TEXTS = ["", "tonight", "1Gi", *TIMES]
PODS: list[list[Body]] = [
    [],
    [pod(running=True, memory="512Mi")],
    [pod(exit_code=137, terminated_reason="OOMKilled", memory="512Mi")],
    [pod(exit_code=143, disrupted="TerminationByKubelet", status_reason="Evicted")],
]
CRONJOB = read_cronjob(
    {
        "metadata": {
            "namespace": NAMESPACE,
            "name": "nightly",
            "uid": "u",
            "resourceVersion": "1",
            "creationTimestamp": at(-9999),
        },
        "spec": {"schedule": "*/5 * * * *", "timeZone": "UTC", "startingDeadlineSeconds": 60},
    }
)


def run_all_policies(
    annotations: dict[str, str], of_pods: list[Body], condition: str | None, *, suspended: bool
) -> None:
    body = growing("1Gi", condition=condition, reason="DeadlineExceeded")
    body["spec"]["suspend"] = suspended
    body["metadata"]["annotations"] |= annotations
    body["metadata"]["ownerReferences"] = [{"kind": constants.KIND, "name": "n", "uid": "u", "controller": True}]
    jobs, pods, now = [read_job(body)], pod_records(of_pods), NOW + timedelta(hours=1)
    runs = pending.with_waiting_since(history.runs_of(jobs, pods, [], now, gone=()), [], jobs, pods, now)
    assert len(runs) == 1
    written = PipelineStatus(runs=runs).model_dump(by_alias=True, exclude_none=True, mode="json")
    PipelineStatus.model_validate(written)
    waits = pending.waiting_runs(runs, jobs, pods, timedelta(minutes=10))
    pending.terminate_overdue(waits, runs, "10m", now)
    pending.terminate_lost(runs, jobs, pods, "5m", now)
    disruptions.decide(jobs, pods, runs, 0)
    for replaces in (True, False):
        admission.decide(jobs, runs, admission.Limits(1, replaces=replaces), now)
    oom_retry.decide(jobs, runs)
    job_retention.expired_jobs(jobs, runs, History())
    missed.last_missed_schedule(CRONJOB, jobs, runs, now)
    missed.missed_at(CRONJOB, jobs, now)
    stopping.stop(jobs[0], "a person", now)
    stopping.to_kill(at(0), jobs, now)
    assert len(replacement_name(jobs[0])) <= 63
    pipeline = manifest()
    pipeline["metadata"] |= {"uid": "u", "generation": 1}
    trace.new_spans(pipeline, None, PipelineStatus(), PipelineStatus(runs=runs), jobs, now)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("key", ANNOTATIONS)
@pytest.mark.parametrize("suspended", [True, False])
def test_no_policy_fails_on_one_annotation(key: str, text: str, *, suspended: bool) -> None:
    for of_pods in PODS:
        run_all_policies({key: text}, of_pods, None, suspended=suspended)


@given(
    st.dictionaries(st.sampled_from(ANNOTATIONS), st.sampled_from(TEXTS) | st.text()),
    st.sampled_from(PODS),
    st.sampled_from([None, "Failed", "Complete"]),
    st.booleans(),
)
def test_no_policy_fails_on_many_annotations(
    annotations: dict[str, str], of_pods: list[Body], condition: str | None, suspended: bool
) -> None:
    run_all_policies(annotations, of_pods, condition, suspended=suspended)
