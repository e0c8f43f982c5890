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
from testing.kubelet_log import NANOSECONDS, KubeletLog
from testing.memory_store import MemoryStore
from testing.objects import NAMESPACE, NOW, at
from testing.simulated_jobs import controller
from testing.simulation import Simulation

RESOURCE = resource_name("nightly")
RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
KEY = RunKey(NAMESPACE, RESOURCE, RUN)


class Harness:
    """A pipeline with a run, the archive, and a client that reads both."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.store = MemoryStore()
        simulation.client.deploy_pipeline(entity())
        simulation.operate(RESOURCE)
        simulation.client.run_pipeline("nightly", run_id=RUN)
        simulation.operate(RESOURCE)
        self.client: K8sPipelineServiceClient = simulation.another_client(archive=self.store)

    def starts(self, pod: str, created: float = 1) -> KubeletLog:
        """A pod of the run starts; return its log."""
        (job,) = self.simulation.cluster.all(JOBS)
        self.simulation.cluster.put(
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
        log = self.simulation.logs.kept[pod] = KubeletLog()
        return log

    def goes(self, pod: str) -> None:
        """The operator records the pod, then it is deleted."""
        self.simulation.operate(RESOURCE)
        self.simulation.cluster.delete(PODS, NAMESPACE, pod)
        del self.simulation.logs.kept[pod]

    def archive(self, pod: str, *, end: bool = False) -> None:
        """The operator writes what the pod has written."""
        key = AttemptKey(KEY, pod)
        writer = SegmentWriter(self.store, key, ArchiveReader(self.store).find(key))
        writer.feed(self.simulation.logs.kept[pod].serve(writer.cursor.position.since))
        writer.flush(end=end)

    def text(self, attempt: int | None = None) -> str:
        return self.client.get_ingestion_logs("nightly", RUN, attempt=attempt).text


@pytest.fixture
def harness(simulation: Simulation) -> Harness:
    return Harness(simulation)


def write(log: KubeletLog, first: int, last: int) -> None:
    for number in range(first, last):
        log.write(int(NOW.timestamp() + number) * NANOSECONDS, f"line {number}\n".encode())


def lines(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last))


def test_the_log_of_a_running_run_is_archive_and_pod_together(harness: Harness) -> None:
    log = harness.starts("pod-a")
    write(log, 0, 3)
    assert harness.text() == lines(0, 3)
    harness.archive("pod-a")
    write(log, 3, 5)
    assert harness.text() == lines(0, 5)
    assert harness.client.get_last_ingestion_logs("nightly").text == lines(0, 5)


def test_rotated_lines_are_still_in_the_archive(harness: Harness) -> None:
    log = harness.starts("pod-a")
    write(log, 0, 50)
    harness.archive("pod-a")
    write(log, 50, 52)
    log.rotate(keep=3)
    assert harness.text() == lines(0, 52)


def test_lines_that_neither_has_are_reported_as_missing(harness: Harness) -> None:
    log = harness.starts("pod-a")
    write(log, 0, 5)
    harness.archive("pod-a")
    write(log, 5, 20)
    log.rotate(keep=2)
    before, _, after = harness.text().partition("\n[… lines may be missing here")
    assert before == lines(0, 5)
    assert after.partition("…]\n")[2] == lines(18, 20)


def test_the_log_of_a_pod_that_is_gone_is_in_the_archive(harness: Harness) -> None:
    write(harness.starts("pod-a"), 0, 3)
    harness.archive("pod-a", end=True)
    harness.goes("pod-a")
    assert harness.text() == lines(0, 3)
    assert harness.client.get_last_ingestion_logs("nightly").text == lines(0, 3)


def test_a_log_without_an_end_notes_the_missing_lines(harness: Harness) -> None:
    write(harness.starts("pod-a"), 0, 3)
    harness.archive("pod-a")
    harness.goes("pod-a")
    assert harness.text().startswith(lines(0, 3) + "\n[… the end of this log may be missing")


def test_a_pod_that_disappears_during_a_read_is_harmless(harness: Harness) -> None:
    write(harness.starts("pod-a"), 0, 3)
    harness.archive("pod-a")
    del harness.simulation.logs.kept["pod-a"]
    assert harness.text().startswith(lines(0, 3) + "\n[… the end of this log may be missing")


def test_a_segment_replaced_during_a_read_is_harmless(harness: Harness) -> None:
    log = harness.starts("pod-a")
    key = AttemptKey(KEY, "pod-a")
    writer = SegmentWriter(harness.store, key, ArchiveReader(harness.store).find(key))
    write(log, 0, 3)
    writer.feed(log.serve(None))
    writer.flush()

    def replace() -> None:
        write(log, 3, 5)
        writer.cursor.begin()
        writer.feed(log.serve(None))
        writer.flush()

    harness.store.before_read = replace
    assert harness.text() == lines(0, 5)


def test_attempts_count_from_one_and_the_last_is_the_default(harness: Harness) -> None:
    write(harness.starts("pod-a", created=1), 0, 3)
    harness.archive("pod-a", end=True)
    harness.goes("pod-a")
    write(harness.starts("pod-b", created=60), 60, 62)
    assert harness.text() == harness.text(2) == lines(60, 62)
    assert harness.text(1) == lines(0, 3)
    for attempt in (0, 3, -1):
        with pytest.raises(NotFound, match="it has 1 to 2"):
            harness.text(attempt)


def test_the_log_outlives_the_record_of_its_run(harness: Harness) -> None:
    write(harness.starts("pod-a", created=1), 0, 3)
    harness.archive("pod-a", end=True)
    write(harness.starts("pod-b", created=60), 60, 62)
    harness.archive("pod-b", end=True)
    for pod in ("pod-a", "pod-b"):
        harness.goes(pod)
    (job,) = harness.simulation.cluster.all(JOBS)
    harness.simulation.cluster.delete(JOBS, NAMESPACE, job["metadata"]["name"])
    harness.simulation.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body.update(status={}))
    assert harness.text() == lines(60, 62)
    assert harness.text(1) == lines(0, 3)


@pytest.mark.parametrize(("has_archive", "why"), [(True, "the log archive has no log of it"), (False, "no logArchive")])
def test_a_missing_log_is_not_found_and_the_error_has_the_cause(harness: Harness, has_archive: bool, why: str) -> None:
    client = harness.client if has_archive else harness.simulation.client
    harness.starts("pod-a")
    harness.goes("pod-a")
    with pytest.raises(NotFound, match=f"pod-a .* is gone.*{why}"):
        client.get_ingestion_logs("nightly", RUN)
    with pytest.raises(NotFound, match=f"no run .* with a log.*{why}"):
        client.get_ingestion_logs("nightly", "11111111-1111-4111-8111-111111111111")


def test_an_archive_that_cannot_be_read_is_not_a_missing_log(harness: Harness) -> None:
    harness.starts("pod-a")
    harness.store.is_away = True
    with pytest.raises(StoreError):
        harness.text()


def test_a_page_that_is_not_there_names_those_that_are(harness: Harness) -> None:
    write(harness.starts("pod-a"), 0, 3)
    harness.archive("pod-a", end=True)
    with pytest.raises(LogRangeError, match="pages 0 to 0"):
        harness.client.get_ingestion_logs("nightly", RUN, after=1)


def test_a_page_takes_one_listing_and_the_segments_it_touches(harness: Harness) -> None:
    log = harness.starts("pod-a")
    for number in range(5):
        write(log, number, number + 1)
        harness.archive("pod-a")
    harness.store.reads.clear()
    harness.text()
    assert len(harness.store.reads) == 5


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

    def test_it_is_empty_without_a_log(self) -> None:
        assert LogTail(FakeLogs(), None).read(self.KEY, 3) == ""
        assert LogTail(FakeLogs(), MemoryStore()).read(self.KEY, 3) == ""

    def test_it_is_bounded_and_keeps_the_end(self) -> None:
        logs = FakeLogs()
        logs.texts["pod-a"] = "é".encode() * TAIL_BYTES + b"!"
        text = LogTail(logs, None).read(self.KEY, 3)
        assert len(text.encode()) <= TAIL_BYTES
        assert text.startswith("é")
        assert text.endswith("é!")
