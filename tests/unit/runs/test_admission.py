"""Which runs may start: the oldest first, never more than the limit, none that is stopped or held."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.runs.admission import HOLD_LIMIT, Decisions, Limits, admit, decide
from ingestion_operator.runs.classify import classify
from tests.support.objects import NOW, Body, at, job, pod

LATER = NOW + timedelta(seconds=30)


def waiting(name: str, annotations: dict[str, str] | None = None, *, created: float = 0) -> Body:
    body = job(name, created=created, suspended=True, scheduled=False)
    body["metadata"]["annotations"] |= {constants.ANNOTATION_REQUESTED_AT: at(created)} | (annotations or {})
    return body


def names(jobs: list[Body]) -> list[str]:
    return [body["metadata"]["name"] for body in jobs]


def look(jobs: list[Body], limit: int = 1, pods: list[Body] | None = None) -> Decisions:
    of = {f"uid-{body['metadata']['name']}": body for body in jobs}
    own: dict[str, list[Body]] = {uid: [] for uid in of}
    for each in pods or []:
        own[each["metadata"]["ownerReferences"][0]["uid"]].append(each)
    return decide(jobs, [classify(body, own[uid]) for uid, body in of.items()], Limits(limit), LATER)


def test_the_oldest_goes_first_and_within_a_second_whoever_asked_first() -> None:
    first, second = waiting("z", created=5), waiting("a", created=5)
    first["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = f"{at(5)[:-1]}.000001+00:00"
    second["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = f"{at(5)[:-1]}.000002+00:00"
    assert names(look([waiting("b", created=9), second, first], limit=3).admit) == ["z", "a", "b"]


def test_a_run_under_way_takes_a_slot_whoever_started_it() -> None:
    by_kubectl = job("by-hand", scheduled=False)
    assert look([waiting("a"), by_kubectl]).admit == []
    assert look([waiting("a"), by_kubectl], limit=2).admit != []


def test_a_run_whose_end_is_certain_gives_its_slot_back_before_its_job_says_so() -> None:
    running = job("r", scheduled=False)
    ended = pod("p", of="r", exit_code=0)
    assert names(look([waiting("a"), running], pods=[ended]).admit) == ["a"]


def test_a_run_that_is_being_stopped_keeps_its_slot_until_it_has_ended() -> None:
    dying = job("r", scheduled=False)
    dying["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(1)
    assert look([waiting("a"), dying], pods=[pod("p", of="r", running=True)]).admit == []


def test_a_held_run_waits_lets_others_pass_and_is_given_up_in_the_end() -> None:
    held = waiting("held", {constants.ANNOTATION_HOLD: "secret"})
    found = look([held, waiting("next", created=1)])
    assert names(found.admit) == ["next"]
    assert found.again_at == NOW + HOLD_LIMIT
    late = decide([held], [classify(held, [])], Limits(1), NOW + HOLD_LIMIT)
    assert (late.give_up, late.admit, late.again_at) == ([held], [], None)


def test_a_stopped_run_goes_only_once_it_is_recorded() -> None:
    stopped = waiting("a", {constants.ANNOTATION_STOP: at(1)})
    assert look([stopped]).remove == [stopped]
    assert decide([stopped], [], Limits(1), LATER) == Decisions()


def test_what_waits_for_somebody_else_is_left_alone() -> None:
    suspended_by_hand = job("hand", suspended=True)
    admitted_before = waiting("again", {constants.ANNOTATION_ADMITTED_AT: at(0)})
    kueue = waiting("kueue")
    kueue["metadata"]["labels"][constants.LABEL_QUEUE_NAME] = "team-a"
    going = waiting("going")
    going["metadata"]["deletionTimestamp"] = at(1)
    assert look([suspended_by_hand, admitted_before, kueue, going], limit=9) == Decisions()


def test_a_scheduled_run_that_exceeds_the_limit_is_put_back_unless_it_has_begun() -> None:
    manual = job("manual", scheduled=False)
    tick = job("tick", created=5)
    assert names(look([manual, tick]).put_back) == ["tick"]
    assert look([manual, tick], limit=2).put_back == []
    assert look([manual, tick], pods=[pod("p", of="tick", running=True)]).put_back == []
    failed_once = job("tick", created=5, backoff_limit=3)
    assert look([manual, failed_once], pods=[pod("p", of="tick", exit_code=1)]).put_back == []


def test_the_youngest_scheduled_runs_are_put_back() -> None:
    ticks = [job(f"tick-{number}", created=number) for number in range(4)]
    assert names(look(ticks, limit=2).put_back) == ["tick-3", "tick-2"]


MARKS: list[dict[str, str]] = [
    {},
    {},
    {constants.ANNOTATION_HOLD: "secret"},
    {constants.ANNOTATION_STOP: at(1)},
    {constants.ANNOTATION_ADMITTED_AT: at(1)},
]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Body], list[Run]]:
    jobs = []
    for number in range(draw(st.integers(0, 8))):
        marks = draw(st.sampled_from(MARKS))
        if draw(st.booleans()):
            jobs.append(waiting(f"j{number}", marks, created=number))
        else:
            condition = draw(st.sampled_from([None, None, "Complete", "Failed"]))
            jobs.append(job(f"j{number}", created=number, condition=condition, scheduled=draw(st.booleans())))
    recorded = [classify(body, []) for body in jobs if draw(st.booleans())]
    return jobs, recorded


@given(worlds(), st.integers(1, 4))
def test_never_more_runs_are_active_than_allowed_by_an_admission(
    world: tuple[list[Body], list[Run]], limit: int
) -> None:
    jobs, recorded = world
    found = decide(jobs, recorded, Limits(limit), LATER)
    ended = {run.job for run in recorded if run.state in FINISHED_STATES}
    active = [
        body
        for body in jobs
        if not body["spec"]["suspend"]
        and not body["status"].get("conditions")
        and body["metadata"]["name"] not in ended
    ]
    assert not found.admit or len(active) + len(found.admit) <= limit
    assert not found.admit or not found.put_back
    for body in found.admit:
        assert not {constants.ANNOTATION_HOLD, constants.ANNOTATION_STOP} & body["metadata"]["annotations"].keys()
    assert all(body["metadata"]["name"] in ended for body in found.remove)


@given(
    st.permutations([waiting(f"j{number}", created=number) for number in range(5)]),
    st.integers(0, 6),
    st.integers(1, 6),
)
def test_the_order_of_the_list_does_not_matter(jobs: list[Body], running: int, limit: int) -> None:
    expected = [f"j{number}" for number in range(5)][: max(0, limit - running)]
    assert names(admit(jobs, running, Limits(limit))) == expected
