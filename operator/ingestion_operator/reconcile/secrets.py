"""Whether the Secrets that a pipeline names are there: one GET for a missing Secret, whoever names it.

Secrets are never listed or watched. What was found is trusted until a pipeline's spec changes or a slow resync; what is
missing is asked for again with back-off, once for all pipelines that wait for it; at once where a spec is new.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.errors import Forbidden, Rejected
from ingestion_operator.ports import SECRETS, Clock, ClusterApi
from ingestion_operator.reconcile.status import condition

_FIRST_PAUSE: Final = timedelta(seconds=5)
_LAST_PAUSE: Final = timedelta(minutes=5)
_REMEMBERED: Final = 20_000
"""Secrets, of some hundred bytes each: names that follow from contents come with each deploy."""

_FRESH: Final = timedelta(seconds=2)
"""Pipelines that are reconciled at the same moment share an answer."""


@dataclass(slots=True)
class _Secret:
    """What the last GET showed."""

    asked_at: datetime
    resource_version: str = ""
    keys: frozenset[str] = frozenset()
    forbidden: str = ""
    failures: int = 0
    """How many GETs in a row did not find what was asked for."""

    @property
    def next_at(self) -> datetime:
        """When it is worth asking again."""
        doubled: timedelta = _FIRST_PAUSE * 2 ** min(max(0, self.failures - 1), 10)
        return self.asked_at + min(_LAST_PAUSE, doubled)


class SecretChecks:
    """May be shared by threads."""

    def __init__(self, cluster: ClusterApi, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._secrets: dict[tuple[str, str], _Secret] = {}
        self._locks: dict[tuple[str, str], Lock] = {}
        self._lock = Lock()

    def check(self, pipeline: Pipeline) -> tuple[Rejected, datetime] | None:
        """Return why a run would wait for a Secret for ever, and when to check again; None if all are there.

        Reasons: SecretNotFound, SecretKeyNotFound, SecretForbidden. Raises ClusterError.
        """
        ready = condition(pipeline.status, "Ready")
        is_edited = ready is None or ready.observed_generation != pipeline.generation
        for field, reference in named_secrets(pipeline.spec):
            secret = self._get(pipeline.namespace, reference, is_urgent=is_edited)
            if (problem := _problem(pipeline.namespace, field, reference, secret)) is not None:
                # Together, but not in the same instant: the first one asks, the others share the answer.
                return problem, secret.next_at + timedelta(seconds=random.uniform(0, 1))  # noqa: S311  jitter
        return None

    def _get(self, namespace: str, reference: KeyReference, *, is_urgent: bool) -> _Secret:
        """Return what the last GET showed, after another one if that is due, or if `is_urgent`: a person waits."""
        key = namespace, reference.name
        with self._lock:
            if len(self._locks) >= _REMEMBERED and key not in self._locks:
                self._locks.clear()
                self._secrets.clear()
            lock = self._locks.setdefault(key, Lock())
        with lock:
            known, now = self._secrets.get(key), self._clock.now()
            if known is not None:
                backs_off = reference.key not in known.keys and not is_urgent
                if now < (known.next_at if backs_off else known.asked_at + _FRESH):
                    return known
            found = self._secrets[key] = self._ask(namespace, reference, known, now)
            return found

    def _ask(self, namespace: str, reference: KeyReference, known: _Secret | None, now: datetime) -> _Secret:
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
            f"{field} names {name}, which the operator may not read: let an administrator add {namespace} to "
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
        # The keys that are there are not listed: a condition is read by everyone who may read pipelines.
        return Rejected(
            "SecretKeyNotFound",
            f"{field} names key {reference.key!r}, which {name} does not have: add it, or name another key",
            is_external=True,
        )
    return None
