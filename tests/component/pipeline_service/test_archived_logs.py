"""Logs of runs whose pods write, end and go, with an archive behind them."""

import pytest

from ingestion_operator.errors import LogRangeError, NotFound, StoreError
from ingestion_operator.logs.layout import AttemptKey, RunKey
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.logs.tail import TAIL_BYTES, LogTail
from ingestion_operator.logs.writer import SegmentWriter
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from testing.entities import entity
from testing.fake_logs import FakeLogs
from testing.jobs_of_a_world import controller
from testing.kubelet_log import NANOSECONDS, KubeletLog
from testing.memory_store import MemoryStore
from testing.objects import NAMESPACE, NOW, at
from testing.world import World

RESOURCE = resource_name("nightly")
RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
KEY = RunKey(NAMESPACE, RESOURCE, RUN)


class Bed:
    """A pipeline with a run, the archive, and a client that reads both."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryStore()
        world.client.deploy_pipeline(entity())
        world.operate(RESOURCE)
        world.client.run_pipeline("nightly", run_id=RUN)
        world.operate(RESOURCE)
        self.client: K8sPipelineServiceClient = world.another_client(archive=self.store)

    def starts(self, pod: str, created: float = 1) -> KubeletLog:
        """A pod of the run starts; return its log."""
        (job,) = self.world.cluster.all(JOBS)
        self.world.cluster.put(
            PODS,
            {
                "metadata": {
                    "name": pod,
                    "namespace": NAMESPACE,
                    "creationTimestamp": at(created),
                    "labels": job["metadata"]["labels"],
                    "ownerReferences": [controller("Job", job)],
                },
                "spec": {},
                "status": {
                    "containerStatuses": [{"name": "ingestion", "state": {"running": {"startedAt": at(created)}}}]
                },
            },
        )
        log = self.world.logs.kept[pod] = KubeletLog()
        return log

    def goes(self, pod: str) -> None:
        """The operator records the pod, then it is deleted."""
        self.world.operate(RESOURCE)
        self.world.cluster.delete(PODS, NAMESPACE, pod)
        del self.world.logs.kept[pod]

    def archive(self, pod: str, *, end: bool = False) -> None:
        """The operator writes what the pod has written."""
        key = AttemptKey(KEY, pod)
        writer = SegmentWriter(self.store, key, ArchiveReader(self.store).find(key))
        writer.feed(self.world.logs.kept[pod].serve(writer.cursor.position.since))
        writer.flush(end=end)

    def text(self, attempt: int | None = None) -> str:
        return self.client.get_ingestion_logs("nightly", RUN, attempt=attempt).text


@pytest.fixture
def bed(world: World) -> Bed:
    return Bed(world)


def write(log: KubeletLog, first: int, last: int) -> None:
    for number in range(first, last):
        log.write(int(NOW.timestamp() + number) * NANOSECONDS, f"line {number}\n".encode())


def lines(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last))


def test_while_a_run_goes_on_its_log_is_the_archive_and_what_the_pod_has_written_since(bed: Bed) -> None:
    log = bed.starts("pod-a")
    write(log, 0, 3)
    assert bed.text() == lines(0, 3)
    bed.archive("pod-a")
    write(log, 3, 5)
    assert bed.text() == lines(0, 5)
    assert bed.client.get_last_ingestion_logs("nightly").text == lines(0, 5)


def test_what_the_kubelet_has_rotated_away_is_still_in_the_archive(bed: Bed) -> None:
    log = bed.starts("pod-a")
    write(log, 0, 50)
    bed.archive("pod-a")
    write(log, 50, 52)
    log.rotate(keep=3)
    assert bed.text() == lines(0, 52)


def test_lines_that_neither_has_are_told_as_missing(bed: Bed) -> None:
    log = bed.starts("pod-a")
    write(log, 0, 5)
    bed.archive("pod-a")
    write(log, 5, 20)
    log.rotate(keep=2)
    before, _, after = bed.text().partition("\n[… lines may be missing here")
    assert before == lines(0, 5)
    assert after.partition("…]\n")[2] == lines(18, 20)


def test_the_log_of_a_pod_that_is_gone_is_in_the_archive(bed: Bed) -> None:
    write(bed.starts("pod-a"), 0, 3)
    bed.archive("pod-a", end=True)
    bed.goes("pod-a")
    assert bed.text() == lines(0, 3)
    assert bed.client.get_last_ingestion_logs("nightly").text == lines(0, 3)


def test_a_log_whose_end_nobody_has_says_so(bed: Bed) -> None:
    write(bed.starts("pod-a"), 0, 3)
    bed.archive("pod-a")
    bed.goes("pod-a")
    assert bed.text().startswith(lines(0, 3) + "\n[… the end of this log may be missing")


def test_a_pod_that_goes_between_its_listing_and_its_reading_does_no_harm(bed: Bed) -> None:
    write(bed.starts("pod-a"), 0, 3)
    bed.archive("pod-a")
    del bed.world.logs.kept["pod-a"]
    assert bed.text().startswith(lines(0, 3) + "\n[… the end of this log may be missing")


def test_a_segment_that_is_replaced_while_it_is_read_does_no_harm(bed: Bed) -> None:
    log = bed.starts("pod-a")
    key = AttemptKey(KEY, "pod-a")
    writer = SegmentWriter(bed.store, key, ArchiveReader(bed.store).find(key))
    write(log, 0, 3)
    writer.feed(log.serve(None))
    writer.flush()

    def replace() -> None:
        write(log, 3, 5)
        writer.cursor.begin()
        writer.feed(log.serve(None))
        writer.flush()

    bed.store.before_read = replace
    assert bed.text() == lines(0, 5)


def test_attempts_are_counted_from_one_and_the_last_is_shown_if_none_is_named(bed: Bed) -> None:
    write(bed.starts("pod-a", created=1), 0, 3)
    bed.archive("pod-a", end=True)
    bed.goes("pod-a")
    write(bed.starts("pod-b", created=60), 60, 62)
    assert bed.text() == bed.text(2) == lines(60, 62)
    assert bed.text(1) == lines(0, 3)
    for attempt in (0, 3, -1):
        with pytest.raises(NotFound, match="it has 1 to 2"):
            bed.text(attempt)


def test_the_log_of_a_run_that_is_in_no_record_any_more_is_still_there(bed: Bed) -> None:
    write(bed.starts("pod-a", created=1), 0, 3)
    bed.archive("pod-a", end=True)
    write(bed.starts("pod-b", created=60), 60, 62)
    bed.archive("pod-b", end=True)
    for pod in ("pod-a", "pod-b"):
        bed.goes(pod)
    (job,) = bed.world.cluster.all(JOBS)
    bed.world.cluster.delete(JOBS, NAMESPACE, job["metadata"]["name"])
    bed.world.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body.update(status={}))
    assert bed.text() == lines(60, 62)
    assert bed.text(1) == lines(0, 3)


@pytest.mark.parametrize(
    ("has_archive", "why"), [(True, "the log archive has nothing of it"), (False, "no logArchive")]
)
def test_a_log_that_nobody_has_is_not_found_and_the_error_says_why(bed: Bed, has_archive: bool, why: str) -> None:
    client = bed.client if has_archive else bed.world.client
    bed.starts("pod-a")
    bed.goes("pod-a")
    with pytest.raises(NotFound, match=f"pod-a .* is gone.*{why}"):
        client.get_ingestion_logs("nightly", RUN)
    with pytest.raises(NotFound, match=f"no run .* with a log.*{why}"):
        client.get_ingestion_logs("nightly", "11111111-1111-4111-8111-111111111111")


def test_an_archive_that_cannot_be_read_is_no_missing_log(bed: Bed) -> None:
    bed.starts("pod-a")
    bed.store.is_away = True
    with pytest.raises(StoreError):
        bed.text()


def test_a_page_that_is_not_there_names_those_that_are(bed: Bed) -> None:
    write(bed.starts("pod-a"), 0, 3)
    bed.archive("pod-a", end=True)
    with pytest.raises(LogRangeError, match="pages 0 to 0"):
        bed.client.get_ingestion_logs("nightly", RUN, after=1)


def test_a_page_takes_one_listing_and_the_segments_it_touches(bed: Bed) -> None:
    log = bed.starts("pod-a")
    for number in range(5):
        write(log, number, number + 1)
        bed.archive("pod-a")
    bed.store.reads.clear()
    bed.text()
    assert len(bed.store.reads) == 5


class TestTail:
    KEY = AttemptKey(KEY, "pod-a")

    def test_it_comes_from_the_pod_while_it_is_there(self) -> None:
        logs = FakeLogs()
        logs.texts["pod-a"] = lines(0, 90).encode()
        assert LogTail(logs, None).read(self.KEY, 3) == lines(87, 90)

    def test_it_comes_from_the_archive_when_the_pod_is_gone(self) -> None:
        store, log = MemoryStore(), KubeletLog()
        write(log, 0, 90)
        writer = SegmentWriter(store, self.KEY, ArchiveReader(store).find(self.KEY))
        writer.feed(log.serve(None))
        writer.flush(end=True)
        assert LogTail(FakeLogs(), store).read(self.KEY, 3) == lines(87, 90)

    def test_it_is_empty_where_nobody_has_it(self) -> None:
        assert LogTail(FakeLogs(), None).read(self.KEY, 3) == ""
        assert LogTail(FakeLogs(), MemoryStore()).read(self.KEY, 3) == ""

    def test_it_is_bounded_and_keeps_the_end(self) -> None:
        logs = FakeLogs()
        logs.texts["pod-a"] = "é".encode() * TAIL_BYTES + b"!"
        text = LogTail(logs, None).read(self.KEY, 3)
        assert len(text.encode()) <= TAIL_BYTES
        assert text.startswith("é")
        assert text.endswith("é!")
