"""LogArchiver where a pod, its node or its log is lost before it was read to the end."""

import asyncio

import pytest

from ingestion_operator.runs.pods import Pod, read_pod
from testing.archive_harness import ENDED, ArchiveHarness, lines, pod, pod_body, write
from testing.memory_store import MemoryStore
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_a_pod_gone_before_its_end_was_read_is_noted(harness: ArchiveHarness) -> None:
    log = harness.starts()
    harness.follower.cut_after = 3
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 5)
        await until("the connection was cut", lambda: len(harness.follower.requests) > 1)
        log.is_there = False
        archiver.forget(pod())
        await until("the log is closed", harness.is_complete)
    assert "the end of this log may be missing" in harness.text()
    assert harness.text().startswith(lines(0, 3))


async def test_a_restarted_kubelet_costs_no_line(
    harness: ArchiveHarness,
) -> None:
    log = harness.starts()
    harness.follower.cut_after = 3
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the lines are read", lambda: harness.text() == lines(0, 3))
        log.is_there = False
        write(log, 3, 9)
        log.is_running = False
        asked = len(harness.follower.requests)
        await until("it was asked again and again", lambda: len(harness.follower.requests) > asked + 2)
        harness.follower.cut_after, log.is_there = None, True
        archiver.observe(pod(exit_code=0))
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 9)


async def test_a_log_that_is_missing_for_long_is_closed() -> None:
    harness = ArchiveHarness(MemoryStore(), missing_seconds=0.05)
    harness.starts().is_there = False
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        await until("the log is closed", harness.is_complete)
    assert "the end of this log may be missing" in harness.text()


async def test_a_silent_connection_is_left_once_the_container_ended(harness: ArchiveHarness) -> None:
    log = harness.starts()
    harness.follower.is_silent = True
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the log is followed", lambda: bool(harness.follower.open))
        log.is_running = False
        archiver.observe(pod(**ENDED))
        await until("the log is complete", harness.is_complete, seconds=5)
    assert harness.text() == lines(0, 3)


async def test_a_silent_connection_is_left_once_the_pod_is_gone(harness: ArchiveHarness) -> None:
    log = harness.starts()
    harness.follower.is_silent = True
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        await until("the log is followed", lambda: bool(harness.follower.open))
        log.is_there = False
        archiver.forget(pod())
        await until("the log is closed", harness.is_complete, seconds=5)
    assert "the end of this log may be missing" in harness.text()


def lost_pod() -> Pod:
    """A container that the kubelet does not find any more: it has ended, when is unknown."""
    lost = pod_body(exit_code=137, terminated_reason="ContainerStatusUnknown")
    lost["status"]["containerStatuses"][1]["state"]["terminated"] |= {"startedAt": None, "finishedAt": None}
    return read_pod(lost)


async def test_a_container_lost_before_it_was_seen_has_no_log(harness: ArchiveHarness) -> None:
    async with harness.archiver() as archiver:
        archiver.observe(lost_pod())
        await asyncio.sleep(0.05)
    assert harness.follower.requests == []


async def test_a_container_lost_while_followed_is_read_to_the_end(harness: ArchiveHarness) -> None:
    log = harness.starts()
    async with harness.archiver() as archiver:
        archiver.observe(pod())
        write(log, 0, 3)
        await until("the lines are there", lambda: harness.text() == lines(0, 3))
        log.is_running = False
        archiver.observe(lost_pod())
        await until("the log is complete", harness.is_complete)
    assert harness.text() == lines(0, 3)


async def test_a_log_that_is_lost_ends_with_the_kubelets_error(harness: ArchiveHarness) -> None:
    log = harness.starts()
    log.is_running = False
    harness.follower.last_words = b"unable to retrieve container logs for containerd://0123"
    async with harness.archiver() as archiver:
        archiver.observe(pod(**ENDED))
        await until("the log is closed", harness.is_complete)
    assert harness.text() == (
        "\n[… the end of this log cannot be read: unable to retrieve container logs for containerd://0123 …]\n"
    )
