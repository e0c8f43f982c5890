"""LogArchiver where a pod, its node or its log is lost before it was read to the end."""

import asyncio

from ingestion_operator.runs.pods import Pod, read_pod
from testing.archive_bed import ENDED, Bed, lines, play, pod, pod_body, write
from testing.memory_store import MemoryStore
from testing.waiting import until


def test_a_pod_that_is_gone_before_its_end_was_read_is_said_to_be(bed: Bed) -> None:
    async def scene() -> None:
        log = bed.starts()
        bed.follower.cut_after = 3
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            write(log, 0, 5)
            await until("the connection was cut", lambda: len(bed.follower.requests) > 1)
            log.is_there = False
            archiver.forget(pod())
            await until("the log is closed", bed.is_complete)
        assert "the end of this log may be missing" in bed.text()
        assert bed.text().startswith(lines(0, 3))

    play(scene())


def test_a_kubelet_that_has_just_started_and_does_not_know_its_pods_yet_costs_no_line(bed: Bed) -> None:
    async def scene() -> None:
        log = bed.starts()
        bed.follower.cut_after = 3
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            write(log, 0, 3)
            await until("the lines are read", lambda: bed.text() == lines(0, 3))
            log.is_there = False
            write(log, 3, 9)
            log.is_running = False
            asked = len(bed.follower.requests)
            await until("it was asked again and again", lambda: len(bed.follower.requests) > asked + 2)
            bed.follower.cut_after, log.is_there = None, True
            archiver.observe(pod(exit_code=0))
            await until("the log is complete", bed.is_complete)
        assert bed.text() == lines(0, 9)

    play(scene())


def test_a_log_that_is_nowhere_for_long_is_closed_though_no_watch_said_that_its_pod_is_gone() -> None:
    bed = Bed(MemoryStore(), missing_seconds=0.05)

    async def scene() -> None:
        bed.starts().is_there = False
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            await until("the log is closed", bed.is_complete)
        assert "the end of this log may be missing" in bed.text()

    play(scene())


def lost_pod() -> Pod:
    """A container that the kubelet does not find any more: it has ended, when is unknown."""
    lost = pod_body(exit_code=137, terminated_reason="ContainerStatusUnknown")
    lost["status"]["containerStatuses"][1]["state"]["terminated"] |= {"startedAt": None, "finishedAt": None}
    return read_pod(lost)


def test_a_container_that_is_lost_before_it_was_seen_has_no_log_to_follow(bed: Bed) -> None:
    async def scene() -> None:
        async with bed.archiver() as archiver:
            archiver.observe(lost_pod())
            await asyncio.sleep(0.05)
        assert bed.follower.requests == []

    play(scene())


def test_a_container_that_is_lost_while_it_is_followed_is_read_to_the_end(bed: Bed) -> None:
    async def scene() -> None:
        log = bed.starts()
        async with bed.archiver() as archiver:
            archiver.observe(pod())
            write(log, 0, 3)
            await until("the lines are there", lambda: bed.text() == lines(0, 3))
            log.is_running = False
            archiver.observe(lost_pod())
            await until("the log is complete", bed.is_complete)
        assert bed.text() == lines(0, 3)

    play(scene())


def test_a_log_that_the_kubelet_cannot_serve_any_more_ends_with_its_words(bed: Bed) -> None:
    async def scene() -> None:
        log = bed.starts()
        log.is_running = False
        bed.follower.last_words = b"unable to retrieve container logs for containerd://0123"
        async with bed.archiver() as archiver:
            archiver.observe(pod(**ENDED))
            await until("the log is closed", bed.is_complete)
        assert bed.text() == (
            "\n[… the end of this log cannot be read: unable to retrieve container logs for containerd://0123 …]\n"
        )

    play(scene())
