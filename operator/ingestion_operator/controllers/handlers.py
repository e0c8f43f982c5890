"""What is watched. Every event only marks its pipeline: the queue's workers read the cluster anew.

Pods are shown to the log archive too, which follows those that run.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import kopf

from ingestion_operator import constants
from ingestion_operator.archiving import LogArchiver
from ingestion_operator.controllers.inventory import Inventory
from ingestion_operator.controllers.queue import RefreshQueue
from ingestion_operator.first_round import FirstSight
from ingestion_operator.kube.watching import Page
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
    inventory: Inventory,
    own_writes: OwnWrites,
) -> None:
    """Put the watches of the operator into `registry`.

    What the watches list must have gone through `news_among_listed`; what the operator itself has written is no news.
    """

    @kopf.on.event(constants.GROUP, constants.VERSION, constants.PLURAL, registry=registry)
    async def pipeline_changed(event: kopf.RawEvent, **_: Any) -> None:
        body = object_of(event)
        metadata = body["metadata"]
        key = PipelineKey(metadata["namespace"], metadata["name"])
        kill = metadata.get("annotations", {}).get(constants.ANNOTATION_KILL, "")
        if event["type"] == "DELETED":
            inventory.remove(key)
            return
        # The generation leaves out the status, so that our own writes do not come back as work.
        is_news = inventory.note(key, (metadata["uid"], metadata["generation"], kill))
        if is_news and not (event["type"] is None and sight.knows(constants.PLURAL, body)):
            queue.mark(key)

    async def child_changed(event: kopf.RawEvent, resource: kopf.Resource, **_: Any) -> None:
        body, is_listed = object_of(event), event["type"] is None
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


def news_among_listed(
    archiver: LogArchiver | None, sight: FirstSight, inventory: Inventory
) -> Callable[[Page], list[dict[str, Any]]]:
    """Return what tells of a page that a watch has listed which objects its handler has to know.

    What `sight` knows was looked at already, and what is listed again will be (`follow_relists`). Of tens of thousands
    of objects that is nearly all, and for each that kopf hears of it makes a task. Pipelines are all noted.
    """

    def news(page: Page) -> list[dict[str, Any]]:
        is_again = inventory.listed(page)
        if page.plural == constants.PLURAL:
            return page.items
        if page.plural == "pods" and archiver is not None:
            for pod in page.items:
                archiver.observe(pod)
        return [] if is_again else [body for body in page.items if not sight.knows(page.plural, body)]

    return news


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


def object_of(event: kopf.RawEvent) -> dict[str, Any]:
    """Return the object without the larger part of it, which nobody reads.

    kopf has a cycle around each object: what is in there stays until the garbage collector comes by.
    """
    body: dict[str, Any] = dict(event["object"])
    body["metadata"].pop("managedFields", None)
    return body


def _pipeline_of(body: dict[str, Any]) -> PipelineKey | None:
    metadata = body["metadata"]
    name = metadata.get("annotations", {}).get(constants.ANNOTATION_PIPELINE_NAME)
    return PipelineKey(metadata["namespace"], name) if name else None
