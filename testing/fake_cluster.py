"""An API server in memory: enough of Kubernetes to test services that talk to the port ClusterApi.

What it does like the real one: uids, resourceVersions and generations; server-side apply with an owner for
each field, so that a field no longer applied goes away and items that others added to a list stay; the status
as a subresource; 409 for a uid or resourceVersion that is not the live one; a write that changes nothing
leaves the resourceVersion alone. It neither validates nor fills in defaults: tests/integration/apiserver has the real
one.

    cluster = FakeCluster()
    cluster.fail("apply", Unavailable("away", code=503))       # the next apply, once
    cluster.interleave("apply", lambda: cluster.delete(...))   # another client, just before the next apply
    cluster.writes                                             # what was written, in order
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from ingestion_operator.errors import Conflict, NotFound
from ingestion_operator.ports import Kind, Propagation
from testing import field_ownership
from testing.fake_clock import FakeClock

Body = dict[str, Any]
_T = TypeVar("_T")


_WRITES: Final = frozenset({"create", "apply", "replace_spec", "merge_patch", "delete"})


class Call(NamedTuple):
    """One request."""

    verb: str
    plural: str
    name: str
    subresource: str = ""


@dataclass
class _Fault:
    verb: str
    plural: str | None
    error: Exception | None
    action: Callable[[], object] | None
    times: int
    after: bool


class FakeCluster:
    """Implements ClusterApi; the other methods are for tests."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.calls: list[Call] = []
        self._clock = clock or FakeClock()
        self._objects: dict[tuple[str, str, str], Body] = {}
        self._owners: dict[tuple[str, str, str], dict[str, set[field_ownership.Path]]] = {}
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)
        self._faults: list[_Fault] = []
        self.denied: set[tuple[str, str]] = set()
        """Verbs and resources that `may` denies."""

    # What tests read and set up.

    @property
    def writes(self) -> list[Call]:
        """The calls that write, in order."""
        return [call for call in self.calls if call.verb in _WRITES]

    @property
    def version(self) -> str:
        """The resourceVersion of a list that is made now."""
        return str(next(self._versions))

    def fail(
        self, verb: str, error: Exception, *, plural: str | None = None, times: int = 1, after: bool = False
    ) -> None:
        """Let the next calls of `verb` fail; `after` the effect: the answer was lost, not the request."""
        self._faults.append(_Fault(verb, plural, error, None, times, after))

    def interleave(self, verb: str, action: Callable[[], object], *, plural: str | None = None) -> None:
        """Let another client act just before the next call of `verb`."""
        self._faults.append(_Fault(verb, plural, None, action, 1, after=False))

    def put(self, kind: Kind, body: Body) -> Body:
        """Store an object as it is, without a call being counted.

        What the server keeps stays (uid, status) or is filled in (uid, generation, resourceVersion).
        """
        key = _key(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        stored, before = deepcopy(body), self._objects.get(key)
        metadata = stored["metadata"]
        if before is not None and "uid" not in metadata:
            metadata |= {field: before["metadata"][field] for field in ("uid", "creationTimestamp")}
            stored = {key: before[key] for key in ("status",) if key in before} | stored
            metadata = stored["metadata"]
        metadata.setdefault("uid", f"uid-{next(self._uids)}")
        metadata.setdefault("creationTimestamp", f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}")
        changed = before is None or before.get("spec") != stored.get("spec")
        metadata["generation"] = (before["metadata"]["generation"] if before else 0) + changed
        metadata["resourceVersion"] = str(next(self._versions))
        self._objects[key] = stored
        self._owners.setdefault(key, {})
        return deepcopy(stored)

    def edit(self, kind: Kind, namespace: str, name: str, change: Callable[[Body], object]) -> Body:
        """Change an object as another client would."""
        body = deepcopy(self._objects[_key(kind, namespace, name)])
        change(body)
        return self.put(kind, body)

    def _remove(self, key: tuple[str, str, str]) -> None:
        uid = self._objects.pop(key)["metadata"]["uid"]
        self._owners.pop(key)
        for other, body in list(self._objects.items()):
            if other in self._objects and any(o.get("uid") == uid for o in body["metadata"].get("ownerReferences", [])):
                self._remove(other)

    def all(self, kind: Kind) -> list[Body]:
        """Every object of a kind, in the order of creation."""
        return [deepcopy(body) for key, body in self._objects.items() if key[0] == kind.plural]

    def stored(self, kind: Kind) -> Sequence[Mapping[str, Any]]:
        """Every object of a kind without a copy, to be read only."""
        return [body for key, body in self._objects.items() if key[0] == kind.plural]

    # ClusterApi.

    def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        return self._call(Call("get", kind.plural, name), lambda: self._read(kind, namespace, name))

    def list(
        self,
        kind: Kind,
        namespace: str,
        labels: Mapping[str, str | Collection[str]],
        *,
        exclude_label: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> list[Body]:
        def found() -> list[Body]:
            return [
                deepcopy(body)
                for key, body in self._objects.items()
                if key[0] == kind.plural
                and namespace in ("", key[1])
                and all(_carries(body, label, value) for label, value in labels.items())
                and exclude_label not in body["metadata"].get("labels", {})
                and all(_field(body, path) == value for path, value in (fields or {}).items())
            ]

        return self._call(Call("list", kind.plural, ""), found)

    def create(self, kind: Kind, body: Body, *, field_manager: str = "") -> Body:
        metadata = body["metadata"]

        def created() -> Body:
            key = _key(kind, metadata["namespace"], metadata["name"])
            if key in self._objects:
                raise Conflict(f"{kind.plural} {metadata['name']} already exists", code=409)
            stored = self.put(kind, body)
            self._owners[key][field_manager or "creator"] = field_ownership.leaves(body)
            return stored

        return self._call(Call("create", kind.plural, metadata["name"]), created)

    def apply(
        self, kind: Kind, body: Body, *, field_manager: str, subresource: str = "", dry_run: bool = False
    ) -> Body:
        if dry_run:
            return self._call(Call("dry_run", kind.plural, body["metadata"]["name"]), lambda: deepcopy(body))
        metadata = body["metadata"]
        key = _key(kind, metadata["namespace"], metadata["name"])

        def applied() -> Body:
            live = self._objects.get(key)
            if live is None and (subresource or {"uid", "resourceVersion"} & metadata.keys()):
                raise (NotFound if subresource else Conflict)(f"{key} is not there", code=404 if subresource else 409)
            if live is not None:
                _check_preconditions(live, metadata)
            wanted = field_ownership.part_of(body, subresource)
            merged = field_ownership.merged_with(deepcopy(live) if live else {"metadata": {}}, wanted)
            owners = self._owners.setdefault(key, {})
            manager, fields = f"{field_manager}{subresource}", field_ownership.leaves(wanted)
            for path in sorted(owners.get(manager, set()) - fields, key=len, reverse=True):
                if not any(path in owned for other, owned in owners.items() if other != manager):
                    field_ownership.remove(merged, path)
            owners[manager] = fields
            return self._store(kind, live, merged)

        return self._call(Call("apply", kind.plural, metadata["name"], subresource), applied)

    def replace_spec(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        spec: Body,
        *,
        uid: str,
        annotations: Mapping[str, str],
        field_manager: str,
    ) -> Body:
        del field_manager  # who owns what matters to `apply` alone

        def replaced() -> Body:
            live = self._objects.get(_key(kind, namespace, name))
            if live is None:
                raise NotFound(f"{kind.plural} {name} is not there", code=404)
            _check_preconditions(live, {"uid": uid})
            metadata = live["metadata"]
            metadata = metadata | {"annotations": metadata.get("annotations", {}) | dict(annotations)}
            return self._store(kind, live, deepcopy({**live, "metadata": metadata, "spec": spec}))

        return self._call(Call("replace_spec", kind.plural, name), replaced)

    def merge_patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Body,
        *,
        subresource: str = "",
        field_manager: str = "",
    ) -> Body:
        del field_manager  # who owns what matters to `apply` alone

        def patched() -> Body:
            live = self._objects.get(_key(kind, namespace, name))
            if live is None:
                raise NotFound(f"{kind.plural} {name} is not there", code=404)
            _check_preconditions(live, patch.get("metadata", {}))
            return self._store(
                kind, live, field_ownership.merge_patch(live, field_ownership.part_of(patch, subresource))
            )

        return self._call(Call("merge_patch", kind.plural, name, subresource), patched)

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        propagation: Propagation | None = None,
        uid: str = "",
        resource_version: str = "",
    ) -> None:
        """Remove an object and what it owns; without `propagation` another client does, and no call is counted."""
        key = _key(kind, namespace, name)

        def deleted() -> None:
            if (live := self._objects.get(key)) is not None:
                wanted = {"uid": uid, "resourceVersion": resource_version}
                _check_preconditions(live, {field: value for field, value in wanted.items() if value})
                self._remove(key)

        if propagation is None:
            self._remove(key)
        else:
            self._call(Call("delete", kind.plural, name), deleted)

    def can_i(self, verb: str, kind: Kind, namespace: str, *, subresource: str = "") -> bool:
        del namespace
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        return self._call(Call("may", resource, verb), lambda: (verb, resource) not in self.denied)

    # How it works.

    def _call(self, call: Call, effect: Callable[[], _T]) -> _T:
        self.calls.append(call)
        fault = next((f for f in self._faults if f.verb == call.verb and f.plural in (None, call.plural)), None)
        if fault is None:
            return effect()
        fault.times -= 1
        if fault.times == 0:
            self._faults.remove(fault)
        if fault.action is not None:
            fault.action()
        if fault.error is not None:
            if fault.after:
                effect()
            raise fault.error
        return effect()

    def _read(self, kind: Kind, namespace: str, name: str) -> Body | None:
        return deepcopy(self._objects.get(_key(kind, namespace, name)))

    def _store(self, kind: Kind, live: Body | None, merged: Body) -> Body:
        if live is not None and merged == live:
            return deepcopy(live)
        return self.put(kind, merged)


def _carries(body: Body, label: str, value: str | Collection[str]) -> bool:
    found = body["metadata"].get("labels", {}).get(label)
    return found == value if isinstance(value, str) else found in value


def _key(kind: Kind, namespace: str, name: str) -> tuple[str, str, str]:
    return kind.plural, namespace, name


def _field(body: Body, path: str) -> Any:
    value: Any = body
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _check_preconditions(live: Body, metadata: Mapping[str, Any]) -> None:
    for field in ("uid", "resourceVersion"):
        if metadata.get(field, live["metadata"][field]) != live["metadata"][field]:
            name = live["metadata"]["name"]
            raise Conflict(f"{name}: {field} is {live['metadata'][field]}, not {metadata[field]}", code=409)
