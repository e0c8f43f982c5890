import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.logs.cursor import START, Position
from ingestion_operator.logs.layout import AttemptKey, RunKey, Segment, attempt_of, run_folder_of, stored_log
from ingestion_operator.runs.pods import Pod, read_pod
from testing import objects

UUID = "0c6f3a3e-1a2b-4c3d-8e4f-5a6b7c8d9e0f"
ATTEMPT = AttemptKey(RunKey("ingestion", "shop-nightly", UUID), "shop-nightly-1-abcde")

segments = st.builds(
    Segment,
    number=st.integers(0, 10**8 - 1),
    characters=st.integers(0, 10**9),
    position=st.builds(Position, st.integers(0, 2**63), st.integers(0, 2**40)),
    is_end=st.booleans(),
)


@given(segments)
def test_a_name_has_all_attributes_of_a_segment(segment: Segment) -> None:
    assert Segment.parse(segment.name) == segment


@pytest.mark.parametrize("name", ["", "lost+found", "00000001-5-6-7.gz.tmp", "1-5-6-7.gz", "00000001-5-6-7-END.gz"])
def test_a_name_of_something_else_is_not_a_segment(name: str) -> None:
    assert Segment.parse(name) is None


def test_the_folder_of_an_attempt_names_where_it_belongs() -> None:
    assert ATTEMPT.folder == f"ingestion/shop-nightly/{UUID}/shop-nightly-1-abcde"


@given(st.text(max_size=64))
def test_no_run_id_leaves_the_folder_of_its_pipeline(run_id: str) -> None:
    folders = RunKey("ingestion", "shop-nightly", run_id).folder.split("/")
    assert folders[:2] == ["ingestion", "shop-nightly"]
    assert len(folders) == 3
    assert folders[2].isascii()
    assert folders[2].replace("-", "").isalnum()


@pytest.mark.parametrize("other", [UUID.upper(), f"{UUID} ", f"{UUID}/..", "", "../.."])
def test_run_ids_that_are_not_the_same_share_no_folder(other: str) -> None:
    assert RunKey("a", "b", other).folder != RunKey("a", "b", UUID).folder


@given(st.lists(segments, max_size=6), st.randoms())
def test_the_order_of_a_listing_does_not_matter(found: list[Segment], random: st.DataObject) -> None:
    names = [segment.name for segment in found] + ["something else"]
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own random.Random
    assert stored_log(shuffled) == stored_log(names)


def test_of_two_segments_of_one_number_the_longer_counts() -> None:
    shorter, longer = Segment(0, 5, Position(7, 5)), Segment(0, 9, Position(7, 9))
    assert stored_log([longer.name, shorter.name]).segments == (longer,)


def test_a_log_is_complete_with_its_last_segment() -> None:
    first, last = Segment(0, 5, Position(7, 5)), Segment(1, 0, Position(7, 5), is_end=True)
    assert not stored_log([first.name]).is_complete
    assert stored_log([first.name, last.name]).is_complete
    assert not stored_log([]).is_complete
    assert stored_log([]).position == START


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        (f"{ATTEMPT.folder}/{Segment(0, 1, START).name}", ATTEMPT.run.folder),
        (f"{ATTEMPT.folder}/notes.txt", None),
        (f"deeper/{ATTEMPT.folder}/{Segment(0, 1, START).name}", None),
        (Segment(0, 1, START).name, None),
    ],
)
def test_only_objects_where_logs_lie_belong_to_a_run(key: str, folder: str | None) -> None:
    assert run_folder_of(key) == folder


def pod(labels: dict[str, str], annotations: dict[str, str] | None = None) -> Pod:
    body = objects.pod("p")
    body["metadata"] |= {"namespace": "n", "labels": labels, "annotations": annotations or {}}
    return read_pod(body)


LABELS = {"ingestion.openmetadata.org/pipeline": "shop", "batch.kubernetes.io/controller-uid": UUID}


def test_a_pod_is_an_attempt_of_the_run_of_its_job() -> None:
    assert attempt_of(pod(LABELS)) == AttemptKey(RunKey("n", "shop", UUID), "p")


def test_a_run_id_that_the_caller_gave_goes_before_the_jobs() -> None:
    attempt = attempt_of(pod(LABELS, {"ingestion.openmetadata.org/run-id": "mine"}))
    assert attempt is not None
    assert attempt.run.run_id == "mine"


@pytest.mark.parametrize("missing", LABELS)
def test_a_pod_without_its_labels_is_not_an_attempt(missing: str) -> None:
    assert attempt_of(pod({**LABELS, missing: ""})) is None
