"""Checks that the Secrets of a pipeline exist, with one GET per Secret for all pipelines that name it.

Secrets are never listed or watched. A found Secret is checked again when a pipeline's spec changes or at the resync. A
missing one is requested again with back-off, once for all pipelines that wait for it; immediately for a new spec.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.errors import Forbidden, Rejected
from ingestion_operator.ports import SECRETS, Clock, ClusterReader
from ingestion_operator.reconcile.status import condition
from ingestion_operator.runtime.backoff import Backoff, spread

_RECHECK: Final = Backoff(first=5.0, last=300.0, jitter=0)
_MAX_SECRETS: Final = 20_000
"""Cached results, of some hundred bytes each. Deploys create Secrets with new names, which contain a content hash."""

_FRESH: Final = timedelta(seconds=2)
"""Pipelines that are reconciled at the same time share a response."""


@dataclass(slots=True)
class _Secret:
    """The result of the last GET."""

    requested_at: datetime
    resource_version: str = ""
    keys: frozenset[str] = frozenset()
    forbidden: str = ""
    failures: int = 0
    """Consecutive GETs that did not find the Secret or its key."""

    @property
    def next_at(self) -> datetime:
        """When the next GET is due."""
        return self.requested_at + timedelta(seconds=_RECHECK.delay(max(1, self.failures)))


class SecretChecks:
    """Checks Secrets. Thread-safe."""

    def __init__(self, cluster: ClusterReader, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._secrets: dict[tuple[str, str], _Secret] = {}
        self._locks: dict[tuple[str, str], Lock] = {}
        self._lock = Lock()

    def check(self, pipeline: Pipeline) -> tuple[Rejected, datetime] | None:
        """Return the blocker for a missing Secret, and when to check again; None if all Secrets exist.

        The reason is SecretNotFound, SecretKeyNotFound or SecretForbidden. Raises ClusterError.
        """
        ready = condition(pipeline.status, "Ready")
        is_edited = ready is None or ready.observed_generation != pipeline.generation
        for field, reference in named_secrets(pipeline.spec):
            secret = self._get(pipeline.namespace, reference, is_urgent=is_edited)
            if (problem := _problem(pipeline.namespace, field, reference, secret)) is not None:
                # Spread within a second: the first pipeline sends the GET, the others share its result.
                return problem, secret.next_at + timedelta(seconds=spread(0, 1))
        return None

    def _get(self, namespace: str, reference: KeyReference, *, is_urgent: bool) -> _Secret:
        """Return the result of the last GET, after another one if it is due, or `is_urgent`: a user waits."""
        key = namespace, reference.name
        with self._lock:
            if len(self._locks) >= _MAX_SECRETS and key not in self._locks:
                self._locks.clear()
                self._secrets.clear()
            lock = self._locks.setdefault(key, Lock())
        with lock:
            known, now = self._secrets.get(key), self._clock.now()
            if known is not None:
                backs_off = reference.key not in known.keys and not is_urgent
                if now < (known.next_at if backs_off else known.requested_at + _FRESH):
                    return known
            found = self._secrets[key] = self._fetch(namespace, reference, known, now)
            return found

    def _fetch(self, namespace: str, reference: KeyReference, known: _Secret | None, now: datetime) -> _Secret:
        failures = known.failures + 1 if known is not None else 1
        try:
            body = self._cluster.get(SECRETS, namespace, reference.name)
        except Forbidden as error:
            return _Secret(now, forbidden=str(error), failures=failures)
        if body is None:
            return _Secret(now, failures=failures)
        version, keys = body["metadata"]["resourceVersion"], frozenset(body.get("data") or {})
        return _Secret(now, version, keys, failures=failures if reference.key not in keys else 0)


def named_secrets(spec: PipelineSpec) -> Iterator[tuple[str, KeyReference]]:
    """Yield the fields of a spec that name a Secret, each with its value."""
    for field, reference in (
        ("server.tokenSecretRef", spec.server.token_secret_ref),
        ("connectionSecretRef", spec.connection_secret_ref),
        ("sourceConfigSecretRef", spec.source_config_secret_ref),
    ):
        if reference is not None:
            yield f"spec.{field}", reference


def _problem(namespace: str, field: str, reference: KeyReference, secret: _Secret) -> Rejected | None:
    name = f"Secret {namespace}/{reference.name}"
    if secret.forbidden:
        return Rejected(
            "SecretForbidden",
            f"{field} names {name}, which the operator may not read: an administrator can add {namespace} to "
            f"watch.namespaces of the Helm chart, or bind a Role that may get Secrets there ({secret.forbidden})",
            is_external=True,
        )
    if not secret.resource_version:
        return Rejected(
            "SecretNotFound",
            f"{field} names {name}, which does not exist: create it with the key {reference.key!r}",
            is_external=True,
        )
    if reference.key not in secret.keys:
        # The existing keys are not listed: everyone who may read pipelines can read the condition.
        return Rejected(
            "SecretKeyNotFound",
            f"{field} names key {reference.key!r}, which {name} does not have: add it, or name another key",
            is_external=True,
        )
    return None
