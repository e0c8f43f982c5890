"""What is watched. Every event only marks its pipeline: the queue's workers read the cluster anew.

Pods are shown to the log archive too, which follows those that run.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import kopf

from ingestion_operator import constants
from ingestion_operator.archiving import LogArchiver
from ingestion_operator.controllers.queue import RefreshQueue
from ingestion_operator.first_round import FirstSight
from ingestion_operator.own_writes import OwnWrites
from ingestion_operator.refresh import PipelineKey

METADATA_ONLY: Final = frozenset({constants.PLURAL, "cronjobs", "jobs"})
"""Resources of which events need no more: the log archive and the queue look at the status of pods."""

_ANSWER_SECONDS: Final = 0.1
"""By how much the event of a write may overtake the write's own answer, which tells that the event is no news."""


def register(
    registry: kopf.OperatorRegistry,
    queue: RefreshQueue,
    archiver: LogArchiver | None,
    sight: FirstSight,
    own_writes: OwnWrites,
) -> Collection[PipelineKey]:
    """Put the watches of the operator into `registry`; return the pipelines seen, kept up to date.

    What the watches list must have gone through `news_among_listed`; what the operator itself has written is no news.
    """
    seen_before: dict[PipelineKey, tuple[str, int, str]] = {}

    @kopf.on.event(constants.GROUP, constants.VERSION, constants.PLURAL, registry=registry)
    async def pipeline_changed(event: kopf.RawEvent, **_: Any) -> None:
        body: dict[str, Any] = dict(event["object"])
        metadata = body["metadata"]
        key = PipelineKey(metadata["namespace"], metadata["name"])
        kill = metadata.get("annotations", {}).get(constants.ANNOTATION_KILL, "")
        seen = (metadata["uid"], metadata["generation"], kill)
        before, seen_before[key] = seen_before.get(key), seen
        if event["type"] == "DELETED":
            seen_before.pop(key)
            queue.forget(key)
        elif not sight.knows(constants.PLURAL, body) if event["type"] is None else before != seen:
            # The generation leaves out the status, so that our own writes do not come back as work.
            queue.mark(key)

    async def child_changed(event: kopf.RawEvent, resource: kopf.Resource, **_: Any) -> None:
        body, is_listed = dict(event["object"]), event["type"] is None
        if archiver is not None and resource.plural == "pods" and not is_listed:
            if event["type"] == "DELETED":
                archiver.forget(body)
            else:
                archiver.observe(body)
        if not is_listed and resource.plural == "cronjobs" and await is_own_write(own_writes, body):
            return
        if (key := _pipeline_of(body)) is not None:
            pod = last_word(event["type"], resource.plural, body)
            queue.mark(key, pod=pod, is_urgent=is_urgent(event["type"], resource.plural))

    for group, version, plural in (("batch", "v1", "cronjobs"), ("batch", "v1", "jobs"), ("", "v1", "pods")):
        kopf.on.event(
            group, version, plural, labels={constants.LABEL_PIPELINE: kopf.PRESENT}, id=plural, registry=registry
        )(child_changed)
    return seen_before.keys()


def news_among_listed(archiver: LogArchiver | None, sight: FirstSight) -> Callable[[str, dict[str, Any]], bool]:
    """Return what tells of a resource and an object that a watch has listed whether its handler has to know.

    What `sight` knows was looked at already. Of tens of thousands of objects that is nearly all, and for each that kopf
    hears of it makes a task. Pipelines are all noted.
    """

    def is_news(plural: str, body: dict[str, Any]) -> bool:
        if plural == "pods" and archiver is not None:
            archiver.observe(body)
        return plural == constants.PLURAL or not sight.knows(plural, body)

    return is_news


async def is_own_write(own_writes: OwnWrites, body: dict[str, Any]) -> bool:
    """Tell whether an event is of a write of this process, whose answer may still be on its way."""
    await asyncio.sleep(_ANSWER_SECONDS)
    return own_writes.knows(body)


def last_word(event_type: str | None, plural: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Return a pod that may be gone by the time of the look, None for all else.

    What is listed is there to be read; and a list has thousands.
    """
    return body if plural == "pods" and event_type is not None else None


def is_urgent(event_type: str | None, plural: str) -> bool:
    """Tell whether somebody waits for what an event is about: a Job or pod that changes is a run.

    At a start everything is listed, with events that have no type.
    """
    return event_type is not None and plural != "cronjobs"


def _pipeline_of(body: dict[str, Any]) -> PipelineKey | None:
    metadata = body["metadata"]
    name = metadata.get("annotations", {}).get(constants.ANNOTATION_PIPELINE_NAME)
    return PipelineKey(metadata["namespace"], name) if name else None
