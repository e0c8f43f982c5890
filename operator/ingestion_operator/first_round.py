"""The first look at all pipelines after a start, from lists of many: a look at one takes five calls of its own.

A pipeline at rest is done with: no run of it is unreported, and nothing about it has to be written. All others are left
to ordinary looks, and so is whatever changes between this round and the first events of the watches. The same is done
when a watch had to list anew.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Never

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError
from ingestion_operator.models.resource import parse_status
from ingestion_operator.naming import cronjob_name
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, SECRETS, ClusterApi, Kind, Propagation
from ingestion_operator.refresh import PipelineKey, Refresher

_logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 50
"""Pipelines at a time: few enough for their Jobs and pods to be in memory, and for their names in one URL."""

_CHILDREN: Final = (CRONJOBS, JOBS, PODS)

Body = dict[str, Any]
_Identity = tuple[str, str, str]
"""Plural, namespace and name of an object."""


@dataclass
class FirstSight:
    """What the round has found at rest."""

    again_at: dict[PipelineKey, datetime | None] = field(default_factory=dict)
    """Each pipeline at rest, and when to look at it again though nothing happens, None for never."""
    _versions: dict[_Identity, tuple[str, PipelineKey]] = field(default_factory=dict)

    def add(self, key: PipelineKey, again_at: datetime | None, objects: Mapping[Kind, Collection[Body]]) -> None:
        """Note a pipeline at rest with everything that was looked at."""
        self.again_at[key] = again_at
        for kind, bodies in objects.items():
            for body in bodies:
                self._versions[_identity(kind.plural, body)] = (body["metadata"]["resourceVersion"], key)

    def knows(self, plural: str, body: Body) -> bool:
        """Tell, once, whether an object that a watch lists first is still what the round has looked at."""
        version, _ = self._versions.pop(_identity(plural, body), ("", None))
        return bool(version == body["metadata"]["resourceVersion"])

    def expects(self, key: PipelineKey) -> bool:
        """Tell whether a pipeline was looked at, and no watch has listed it so far."""
        return (PIPELINES.plural, key.namespace, key.name) in self._versions

    @property
    def unheard_of(self) -> int:
        """How many objects no watch has listed so far."""
        return len(self._versions)

    def take_unheard_of(self) -> set[PipelineKey]:
        """Return the pipelines of objects that no watch has listed: they went between round and watch. Forgets them."""
        keys = {key for _, key in self._versions.values()}
        self._versions.clear()
        return keys


class AskedToWrite(Exception):
    """A look from lists found something to write: it takes a look at what is there now."""


def first_round(
    cluster: ClusterApi, namespaces: Collection[str], refresher_over: Callable[[ClusterApi], Refresher]
) -> FirstSight:
    """Look at all pipelines of the namespaces (none: of the whole cluster); never writes.

    What cannot be read, or not be judged from lists, is left to ordinary looks.
    """
    sight = FirstSight()
    with ThreadPoolExecutor(len(_CHILDREN), thread_name_prefix="first-round") as pool:
        for namespace in sorted(namespaces) or [""]:
            try:
                for page in cluster.pages(PIPELINES, namespace, size=_PAGE_SIZE):
                    snapshot = _Snapshot(cluster, page, _children(cluster, pool, namespace, page))
                    _look_at_page(page, snapshot, refresher_over(snapshot), sight)
            except ClusterError as error:
                _logger.warning("The first round ends early, pipelines are looked at one by one: %s", error)
    return sight


def _children(
    cluster: ClusterApi, pool: ThreadPoolExecutor, namespace: str, page: Sequence[Body]
) -> dict[Kind, list[Body]]:
    names = {constants.LABEL_PIPELINE: [cronjob_name(body["metadata"]["name"]) for body in page]}
    if not page:
        return {}
    return dict(zip(_CHILDREN, pool.map(lambda kind: cluster.list(kind, namespace, names), _CHILDREN), strict=True))


def _look_at_page(page: Sequence[Body], snapshot: "_Snapshot", refresher: Refresher, sight: FirstSight) -> None:
    for body in page:
        key = PipelineKey(body["metadata"]["namespace"], body["metadata"]["name"])
        if not _may_be_at_rest(body):
            continue
        try:
            again_at = refresher.refresh(key, [])
        except (AskedToWrite, ClusterError):
            continue
        except Exception:
            _logger.exception("Pipeline %s/%s is looked at again by itself", key.namespace, key.name)
            continue
        sight.add(key, again_at, {PIPELINES: [body], **snapshot.children_of(key)})


def _may_be_at_rest(body: Body) -> bool:
    if body["metadata"].get("deletionTimestamp"):
        return False
    return not any(run.is_unreported for run in parse_status(body).runs)


def _identity(plural: str, body: Body) -> _Identity:
    return plural, body["metadata"]["namespace"], body["metadata"]["name"]


class _Snapshot:
    """Implements ClusterApi: pipelines and their children as they were listed, other reads as ever, no writes."""

    def __init__(self, cluster: ClusterApi, page: Collection[Body], children: Mapping[Kind, Collection[Body]]) -> None:
        self._cluster = cluster
        self._pipelines = {_identity(PIPELINES.plural, body): body for body in page}
        self._children: defaultdict[tuple[str, str, str], list[Body]] = defaultdict(list)
        for kind, bodies in children.items():
            for body in bodies:
                metadata = body["metadata"]
                owner = metadata["labels"][constants.LABEL_PIPELINE]
                self._children[kind.plural, metadata["namespace"], owner].append(body)
        self._secrets: dict[tuple[str, str], Body | None] = {}

    def children_of(self, key: PipelineKey) -> dict[Kind, list[Body]]:
        """Return what was listed of a pipeline."""
        return {kind: self._children[kind.plural, key.namespace, cronjob_name(key.name)] for kind in _CHILDREN}

    def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        if kind is PIPELINES:
            return self._pipelines.get((kind.plural, namespace, name))
        if kind is CRONJOBS:
            named = (body for body in self._children[kind.plural, namespace, name] if body["metadata"]["name"] == name)
            return next(named, None)
        if kind is SECRETS:
            if (namespace, name) not in self._secrets:
                self._secrets[namespace, name] = self._cluster.get(kind, namespace, name)
            return self._secrets[namespace, name]
        return self._cluster.get(kind, namespace, name)

    def list(
        self,
        kind: Kind,
        namespace: str,
        labels: Mapping[str, str | Collection[str]],
        *,
        without: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> list[Body]:
        owner = labels.get(constants.LABEL_PIPELINE)
        if kind in _CHILDREN and isinstance(owner, str) and len(labels) == 1 and not without and not fields:
            return list(self._children[kind.plural, namespace, owner])
        return self._cluster.list(kind, namespace, labels, without=without, fields=fields)

    def pages(self, kind: Kind, namespace: str, *, size: int) -> Iterator[Sequence[Body]]:
        return self._cluster.pages(kind, namespace, size=size)

    def rows(self, kind: Kind, namespace: str, *, without: str) -> Sequence[Body]:
        return self._cluster.rows(kind, namespace, without=without)

    def may(self, verb: str, kind: Kind, namespace: str, *, subresource: str = "") -> bool:
        return self._cluster.may(verb, kind, namespace, subresource=subresource)

    def create(self, kind: Kind, body: Body, *, field_manager: str = "") -> Never:
        del kind, body, field_manager
        raise AskedToWrite

    def apply(self, kind: Kind, body: Body, *, field_manager: str, subresource: str = "") -> Never:
        del kind, body, field_manager, subresource
        raise AskedToWrite

    def merge_patch(
        self, kind: Kind, namespace: str, name: str, patch: Body, *, subresource: str = "", field_manager: str = ""
    ) -> Never:
        del kind, namespace, name, patch, subresource, field_manager
        raise AskedToWrite

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        propagation: Propagation,
        uid: str = "",
        resource_version: str = "",
    ) -> Never:
        del kind, namespace, name, propagation, uid, resource_version
        raise AskedToWrite
