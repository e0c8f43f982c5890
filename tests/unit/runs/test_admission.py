"""Which runs may start: the oldest first, never more than the limit, none that is stopped or held."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.runs import admission
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.admission import HOLD_LIMIT, Limits, admissible
from testing.objects import NOW, Body, at, job, job_records, pod, run_of

LATER = NOW + timedelta(seconds=30)
LATER_HOLD = NOW + timedelta(seconds=9) + HOLD_LIMIT


def waiting(name: str, annotations: dict[str, str] | None = None, *, created: float = 0) -> Body:
    body = job(name, created=created, suspended=True, scheduled=False)
    body["metadata"]["annotations"] |= {constants.ANNOTATION_REQUESTED_AT: at(created)} | (annotations or {})
    return body


@dataclass
class Decided:
    """The names of the Jobs to which each of the actions is done."""

    admit: list[str] = field(default_factory=list)
    requeue: list[str] = field(default_factory=list)
    abandon: list[str] = field(default_factory=list)
    replace: list[str] = field(default_factory=list)
    requeue_at: datetime | None = None


def kind_of(patch: PatchJob) -> str:
    if constants.ANNOTATION_STOPPED_BY in patch.annotations:
        return "replace"
    if constants.ANNOTATION_STOP in patch.annotations:
        return "abandon"
    return "requeue" if patch.spec["suspend"] else "admit"


def decide(
    jobs: Sequence[Body], runs: Sequence[Run], limit: int, now: datetime = LATER, *, replaces: bool = False
) -> Decided:
    decisions = admission.decide(job_records(jobs), runs, Limits(limit, replaces=replaces), now)
    found = Decided(requeue_at=decisions.requeue_at)
    for action in decisions.actions:
        assert isinstance(action, PatchJob)
        getattr(found, kind_of(action)).append(action.job.name)
    return found


def settle(jobs: list[Body], limit: int = 1, pods: list[Body] | None = None, *, replaces: bool = False) -> Decided:
    of = {f"uid-{body['metadata']['name']}": body for body in jobs}
    own: dict[str, list[Body]] = {uid: [] for uid in of}
    for each in pods or []:
        own[each["metadata"]["ownerReferences"][0]["uid"]].append(each)
    return decide(jobs, [run_of(body, own[uid]) for uid, body in of.items()], limit, replaces=replaces)


def test_the_oldest_request_goes_first() -> None:
    first, second = waiting("z", created=5), waiting("a", created=5)
    first["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = f"{at(5)[:-1]}.000001+00:00"
    second["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = f"{at(5)[:-1]}.000002+00:00"
    assert settle([waiting("b", created=9), second, first], limit=3).admit == ["z", "a", "b"]


def test_every_running_run_takes_a_slot() -> None:
    by_kubectl = job("by-hand", scheduled=False)
    assert settle([waiting("a"), by_kubectl]).admit == []
    assert settle([waiting("a"), by_kubectl], limit=2).admit != []


def test_a_run_whose_end_is_certain_frees_its_slot() -> None:
    running = job("r", scheduled=False)
    ended = pod("p", of="r", exit_code=0)
    assert settle([waiting("a"), running], pods=[ended]).admit == ["a"]


def test_a_run_keeps_its_slot_until_it_has_ended() -> None:
    dying = job("r", scheduled=False)
    dying["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(1)
    assert settle([waiting("a"), dying], pods=[pod("p", of="r", running=True)]).admit == []


def test_a_held_run_lets_others_pass_and_is_abandoned() -> None:
    held = waiting("held", {constants.ANNOTATION_ADMISSION_HOLD: "secret"})
    found = settle([held, waiting("next", created=1)])
    assert found.admit == ["next"]
    assert found.requeue_at == NOW + HOLD_LIMIT
    assert decide([held], [run_of(held)], 1, NOW + HOLD_LIMIT) == Decided(abandon=["held"])


def test_a_stopped_run_is_not_admitted() -> None:
    assert settle([waiting("a", {constants.ANNOTATION_STOP: at(1)})]) == Decided()


def test_what_waits_for_another_client_is_left_alone() -> None:
    suspended_manually = job("hand", suspended=True)
    admitted_before = waiting("again", {constants.ANNOTATION_ADMITTED_AT: at(0)})
    kueue = waiting("kueue")
    kueue["metadata"]["labels"][constants.LABEL_QUEUE_NAME] = "team-a"
    going = waiting("going")
    going["metadata"]["deletionTimestamp"] = at(1)
    assert settle([suspended_manually, admitted_before, kueue, going], limit=9) == Decided()


def test_a_scheduled_run_above_the_limit_is_requeued() -> None:
    manual = job("manual", scheduled=False)
    tick = job("tick", created=5)
    assert settle([manual, tick]).requeue == ["tick"]
    assert settle([manual, tick], limit=2).requeue == []
    assert settle([manual, tick], pods=[pod("p", of="tick", running=True)]).requeue == []
    failed_once = job("tick", created=5, backoff_limit=3)
    assert settle([manual, failed_once], pods=[pod("p", of="tick", exit_code=1)]).requeue == []


def test_the_youngest_scheduled_runs_are_requeued() -> None:
    ticks = [job(f"tick-{number}", created=number) for number in range(4)]
    assert settle(ticks, limit=2).requeue == ["tick-3", "tick-2"]


OLD = job("old", scheduled=False)


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([OLD, waiting("new", created=9)], Decided(replace=["old"])),
        ([OLD, waiting("mid", created=5), waiting("new", created=9)], Decided(replace=["old", "mid"])),
        ([waiting("mid", created=5), waiting("new", created=9)], Decided(replace=["mid"], admit=["new"])),
        (
            [OLD, waiting("held", {constants.ANNOTATION_ADMISSION_HOLD: "secret"}, created=9)],
            Decided(requeue_at=LATER_HOLD),
        ),
        ([OLD, job("tick", created=9)], Decided(replace=["old"], requeue=["tick"])),
        ([job("tick"), job("by-kubectl", created=9, scheduled=False)], Decided(replace=["tick"])),
        ([waiting("late", created=5), job("new", created=9, scheduled=False)], Decided(replace=["late"])),
        ([job("done", condition="Complete"), waiting("new", created=9)], Decided(admit=["new"])),
        ([OLD], Decided()),
    ],
    ids=[
        "a run under way", "and one that waits", "of two that wait", "a newer one without its Secret",
        "a scheduled one waits until the other has ended", "by one that another client started",
        "one that waits for a newer one under way", "one that has ended is not", "one alone",
    ],
)  # fmt: skip
def test_with_replace_the_newest_run_wins(jobs: list[Body], expected: Decided) -> None:
    for listed in (jobs, jobs[::-1]):
        assert settle(listed, replaces=True) == expected


def test_with_replace_the_new_run_waits_for_the_old_end() -> None:
    new, old = waiting("new", created=9), job("old", scheduled=False)
    (patch,) = admission.decide(job_records([old, new]), [run_of(old)], Limits(1, replaces=True), LATER).actions
    assert isinstance(patch, PatchJob)
    old["metadata"]["annotations"] |= patch.annotations
    old["spec"] |= patch.spec
    assert settle([old, new], pods=[pod("p", of="old", running=True)], replaces=True) == Decided()
    old["status"] = job(condition="Failed", reason="DeadlineExceeded")["status"]
    assert settle([old, new], replaces=True) == Decided(admit=["new"])
    run = run_of(old, [pod("p", of="old", exit_code=143)])
    assert (run.state, run.reason) == ("stopped", "Replaced")
    assert run.message == "Replaced by a newer run, since concurrency.policy is Replace"


def test_a_run_that_continues_in_another_job_is_as_old_as_it_was() -> None:
    continuing, new = job("next", created=50, scheduled=False), waiting("new", created=20)
    run = run_of(continuing).model_copy(update={"start_time": NOW})
    assert decide([continuing, new], [run], 1, replaces=True) == Decided(replace=["next"])


ANNOTATIONS: list[dict[str, str]] = [
    {},
    {},
    {constants.ANNOTATION_ADMISSION_HOLD: "secret"},
    {constants.ANNOTATION_STOP: at(1)},
    {constants.ANNOTATION_ADMITTED_AT: at(1)},
]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Body], list[Run]]:
    jobs = []
    for number in range(draw(st.integers(0, 8))):
        annotations = draw(st.sampled_from(ANNOTATIONS))
        if draw(st.booleans()):
            jobs.append(waiting(f"j{number}", annotations, created=number))
        else:
            condition = draw(st.sampled_from([None, None, "Complete", "Failed"]))
            jobs.append(job(f"j{number}", created=number, condition=condition, scheduled=draw(st.booleans())))
    return jobs, [run_of(body) for body in jobs if draw(st.booleans())]


@given(clusters(), st.integers(1, 4))
def test_never_more_runs_are_active_than_allowed_by_an_admission(
    cluster: tuple[list[Body], list[Run]], limit: int
) -> None:
    jobs, runs = cluster
    found = decide(jobs, runs, limit)
    ended = {run.job for run in runs if run.state in FINISHED_STATES}
    active = [
        body
        for body in jobs
        if not body["spec"]["suspend"]
        and not body["status"].get("conditions")
        and body["metadata"]["name"] not in ended
    ]
    assert not found.admit or len(active) + len(found.admit) <= limit
    assert not found.admit or not found.requeue
    for body in jobs:
        requests = {constants.ANNOTATION_ADMISSION_HOLD, constants.ANNOTATION_STOP} & body["metadata"][
            "annotations"
        ].keys()
        assert not requests or body["metadata"]["name"] not in found.admit


@given(clusters(), st.integers(1, 4))
def test_with_replace_one_run_at_most_is_not_stopped(cluster: tuple[list[Body], list[Run]], limit: int) -> None:
    jobs, runs = cluster
    found = decide(jobs, runs, limit, replaces=True)
    assert not set(found.replace) & {*found.admit, *found.requeue}
    assert len(found.admit) <= 1
    stopped = {
        body["metadata"]["name"] for body in jobs if constants.ANNOTATION_STOP in body["metadata"]["annotations"]
    }
    ended = {run.job for run in runs if run.state in FINISHED_STATES}
    left = [
        body
        for body in jobs
        if not body["status"].get("conditions")
        and body["metadata"]["name"] not in {*found.replace, *stopped, *ended}
        and not body["metadata"]["annotations"].keys() & {constants.ANNOTATION_ADMISSION_HOLD}
        and not (body["spec"]["suspend"] and constants.ANNOTATION_ADMITTED_AT in body["metadata"]["annotations"])
    ]
    assert len(left) <= 1


@given(
    st.permutations([waiting(f"j{number}", created=number) for number in range(5)]),
    st.integers(0, 6),
    st.integers(1, 6),
)
def test_the_order_of_the_list_does_not_matter(jobs: list[Body], running: int, limit: int) -> None:
    expected = [f"j{number}" for number in range(5)][: max(0, limit - running)]
    assert [one.name for one in admissible(job_records(jobs), running, Limits(limit))] == expected
