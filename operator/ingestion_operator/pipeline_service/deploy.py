"""Deploys a pipeline: writes the custom resource and the Secrets of an entity. Existing objects are read live.

Order of writes: the token's Secret, the resource, the Secret with the source configuration, which the resource owns.
Each write is independent and is made only if it changes something. So the next deploy of the same entity completes an
interrupted one, and otherwise writes nothing.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import Conflict, Rejected, Unavailable
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.desired import Desired, check_renderable, desired, without_none
from ingestion_operator.pipeline_service.lookup import PipelineLookup
from ingestion_operator.pipeline_service.merge_patch import changes, patched
from ingestion_operator.pipeline_service.ownership import check_same_pipeline, check_unchanged
from ingestion_operator.pipeline_service.secret_store import SecretStore, pipeline_owner
from ingestion_operator.pipeline_service.source_configs import effective_source_config
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi
from ingestion_operator.runtime.backoff import Backoff

BOUND: Final = timedelta(seconds=10)
"""How long a deploy waits for the deletion of an earlier pipeline with the name, or retries after conflicts."""

_RETRY: Final = Backoff(first=0.2, last=0.2)


class Deployer:
    """Creates and updates pipelines of one namespace."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        lookup: PipelineLookup,
        cache: CacheAccess,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._lookup = lookup
        self._cache = cache
        self._secrets = SecretStore(cluster, namespace)
        self._sleep = sleep

    def deploy(self, body: Mapping[str, Any]) -> str:
        """Create or update the pipeline of an entity, and return the result as a sentence.

        Raises:
            Rejected: The caller must change the entity.
            Unavailable: The name was not free within BOUND.
        """
        wanted = desired(body, self._settings(), self._clock.now())
        end = self._clock.now() + BOUND
        while True:
            try:
                return self._attempt(wanted)
            except Conflict as error:
                if self._clock.now() >= end:
                    raise Unavailable(f"pipeline {wanted.entity.name!r} cannot be written now: {error}") from error
            self._sleep(_RETRY.delay(1))

    def _attempt(self, wanted: Desired) -> str:
        live = self._lookup.get_live(wanted.entity.name)
        if live is not None and live.is_deleting:
            raise Conflict(f"IngestionPipeline {live.name} is still being deleted", code=409)
        if live is not None and not live.is_deployed:
            config = effective_source_config(Pipeline.parse(live.body()), self._secrets)
            check_unchanged(live, config, wanted)
            return f"Pipeline {wanted.entity.name} is as a user applied it; nothing was changed"
        if live is not None:
            check_same_pipeline(live, wanted)
        before = live.body() if live is not None else None
        self._check(wanted, before)
        wrote = False
        if wanted.token is not None:
            wrote = self._secrets.ensure(wanted.token.secret, {constants.TOKEN_KEY: wanted.token.value})
        stored = self._create(wanted) if before is None else self._update(wanted, before)
        if stored is not before:
            wrote = True
            self._cache.overlay_write(PIPELINES, stored)
        wrote |= self._secrets.ensure(
            wanted.spec["sourceConfigSecretRef"]["name"],
            {constants.SOURCE_CONFIG_KEY: wanted.source_config},
            pipeline_owner(Pipeline.parse(stored)),
        )
        done = "created" if live is None else "updated" if wrote else "unchanged"
        return f"Pipeline {wanted.entity.name} has been {done} as IngestionPipeline {wanted.resource}"

    def _check(self, wanted: Desired, live: dict[str, Any] | None) -> None:
        """Raise the errors of rendering before anything is written."""
        spec = patched(live["spec"] if live else None, wanted.spec)
        check_renderable(self._namespace, wanted.resource, spec, self._settings(), self._clock.now())

    def _create(self, wanted: Desired) -> dict[str, Any]:
        """Create the resource. Unlike an apply, this fails if a concurrent deploy was faster."""
        metadata = without_none(wanted.metadata()) | {"name": wanted.resource, "namespace": self._namespace}
        body = {
            "apiVersion": constants.API_VERSION,
            "kind": constants.KIND,
            "metadata": metadata,
            "spec": without_none(wanted.spec) | ({"suspend": True} if wanted.is_paused_at_first else {}),
        }
        try:
            return self._cluster.create(PIPELINES, body, field_manager=constants.CLIENT_FIELD_MANAGER)
        except Conflict:
            self._check_derived_name(wanted)
            raise  # a concurrent deploy of this name: the next attempt reads its result

    def _check_derived_name(self, wanted: Desired) -> None:
        taken = self._lookup.get(wanted.resource)
        if taken is None or taken.is_deleting:
            return
        if not taken.is_deployed or taken.bare_name != wanted.entity.name:
            raise Rejected(
                "NameConflict",
                f"IngestionPipeline {self._namespace}/{wanted.resource} belongs to another pipeline: delete or "
                "rename it. It was not changed",
            )

    def _update(self, wanted: Desired, live: dict[str, Any]) -> dict[str, Any]:
        """Update the resource. Fields that a deploy does not set, such as suspend, stay."""
        patch: dict[str, Any] = {"metadata": wanted.metadata(), "spec": wanted.spec}
        if not changes(live, patch):
            return live
        patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return self._cluster.merge_patch(
            PIPELINES,
            self._namespace,
            wanted.resource,
            patch,
            field_manager=constants.CLIENT_FIELD_MANAGER,
        )
