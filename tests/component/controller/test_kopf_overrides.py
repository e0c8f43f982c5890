"""What kopf keeps of objects whose events we handle: nothing."""

import asyncio
import gc
from typing import Any
from weakref import ref

import kopf

from ingestion_operator.controller.kopf_overrides import EphemeralMemories
from ingestion_operator.controller.kopf_thread import configure
from testing.objects import job

BODY: Any = job()


def test_no_record_of_an_object_outlives_its_event() -> None:
    memories = EphemeralMemories()

    async def recall() -> ref[object]:
        return ref(await memories.recall(BODY, noticed_by_listing=True))

    record = asyncio.run(recall())
    gc.collect()
    assert record() is None
    assert list(memories.iter_all_memories()) == []


def test_an_object_is_not_copied_to_be_compared() -> None:
    settings = kopf.OperatorSettings()
    configure(settings)
    storage = settings.persistence.diffbase_storage
    assert storage.fetch(body=kopf.Body(BODY)) is None
    assert storage.build(body=kopf.Body(BODY)) == {}


def test_a_task_for_an_object_ends_soon_after_its_event() -> None:
    settings = kopf.OperatorSettings()
    configure(settings)
    assert settings.queueing.idle_timeout < 1
