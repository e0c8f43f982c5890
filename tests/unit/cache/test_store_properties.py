"""Whatever the order of events, lists and answers: the store ends as the API server, and never falls behind a write."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_operator.cache.store import Store
from ingestion_operator.ports import JOBS, Kind
from testing.objects import NAMESPACE, Body, job

NAMES = ("a", "b")


@dataclass
class Server:
    """Jobs of an API server, and all that has happened to them, oldest first."""

    version: int = 100
    objects: dict[str, Body] = field(default_factory=dict)
    log: list[tuple[str, Body]] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    """The version of the last change of each name by another client."""
    deleted: set[str] = field(default_factory=set)

    def write(self, name: str, *, is_own: bool) -> Body:
        self.version += 1
        uid = self.objects[name]["metadata"]["uid"] if name in self.objects else f"uid-{self.version}"
        body = job(name, uid=uid)
        body["metadata"]["resourceVersion"] = str(self.version)
        self.log.append(("ADDED" if name not in self.objects else "MODIFIED", body))
        self.objects[name] = body
        if not is_own:
            self.foreign[name] = self.version
        return body

    def delete(self, name: str, *, is_own: bool) -> Body:
        self.version += 1
        body = self.objects.pop(name)
        body = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        self.log.append(("DELETED", body))
        self.deleted.add(body["metadata"]["uid"])
        if is_own:
            self.foreign.pop(name, None)  # who deletes an object knows that there was one
        else:
            self.foreign[name] = self.version
        return body


class Exchange:
    """A server, a store, and what is under way between them."""

    def __init__(self, version: int) -> None:
        self.server = Server(version)
        self.store = Store([NAMESPACE], [JOBS])
        self.position: int | None = None
        """How much of the log the watch has shown; None: a list is due."""
        self.listed: tuple[int, int, list[Body]] | None = None
        """A list that has been read and is not in the store yet: version, place in the log, bodies."""
        self.answers: list[tuple[str, Body]] = []
        self.progress = 0
        self.notices: dict[str, int] = {}
        """Up to which version the observer has been called for each name."""
        self.written: dict[str, int] = {}
        self.gone: set[str] = set()
        self.store.on_change(self.observe)

    def observe(self, _kind: Kind, _scope: str, old: Any, new: Any) -> None:
        self.notices[(new or old).name] = self.progress

    def take(self, step: str, name: str, place: int) -> None:  # noqa: C901  one line per step
        if step == "write":
            self.server.write(name, is_own=False)
        elif step == "overlaid write":
            self.answers.append(("wrote", self.server.write(name, is_own=True)))
        elif step == "delete" and name in self.server.objects:
            self.server.delete(name, is_own=False)
            if self.store.job(NAMESPACE, name) is None:
                del self.server.foreign[name]  # it need never have been seen
        elif step == "own delete" and name in self.server.objects:
            self.answers.append(("deleted", self.server.delete(name, is_own=True)))
        elif step == "answer" and self.answers:
            self.answer(*self.answers.pop(place % len(self.answers)))
        elif step == "event":
            self.event()
        elif step == "cut":
            self.position, self.listed = None, None
        elif step == "list" and self.position is None and self.listed is None:
            self.listed = self.server.version, len(self.server.log), list(self.server.objects.values())
        elif step == "replace":
            self.replace()
        self.check()

    def answer(self, what: str, body: Body) -> None:
        metadata = body["metadata"]
        if what == "wrote":
            self.store.overlay_write(JOBS, body)
            self.written[metadata["uid"]] = max(int(metadata["resourceVersion"]), self.written.get(metadata["uid"], 0))
        else:
            self.store.overlay_deletion(JOBS, NAMESPACE, metadata["name"], metadata["uid"])
            self.gone.add(metadata["uid"])

    def event(self) -> None:
        if self.position is None or self.position == len(self.server.log):
            return
        kind, body = self.server.log[self.position]
        self.position += 1
        self.progress = int(body["metadata"]["resourceVersion"])
        (self.store.remove if kind == "DELETED" else self.store.upsert)(JOBS, body)

    def replace(self) -> None:
        if self.listed is None:
            return
        self.progress, self.position, bodies = self.listed
        self.listed = None
        self.store.replace(JOBS, NAMESPACE, bodies, str(self.progress))

    def check(self) -> None:
        """No answer that has arrived is undone."""
        for name in NAMES:
            record = self.store.job(NAMESPACE, name)
            if record is not None:
                assert record.uid not in self.gone
                assert int(record.resource_version) >= self.written.get(record.uid, 0)
            live = self.server.objects.get(name)
            if live is not None and live["metadata"]["uid"] in self.written:
                assert record is not None
                assert record.uid == live["metadata"]["uid"]

    def settle(self) -> None:
        """Let everything arrive that is under way."""
        while self.answers:
            self.take("answer", "", 0)
        for step in ("list", "replace"):
            self.take(step, "", 0)
        while self.position != len(self.server.log):
            self.take("event", "", 0)


STEPS = (
    "write",
    "overlaid write",
    "delete",
    "own delete",
    "answer",
    "answer",
    "event",
    "event",
    "cut",
    "list",
    "replace",
)


@pytest.mark.parametrize("first", [100, 995])  # versions of as many digits, and of more
@settings(max_examples=max(150, settings().max_examples))
@given(data=st.data())
def test_the_store_ends_as_the_api_server_is(first: int, data: st.DataObject) -> None:
    steps = st.tuples(st.sampled_from(STEPS), st.sampled_from(NAMES), st.integers(0, 5))
    exchange = Exchange(first)
    for step, name, place in data.draw(st.lists(steps, min_size=10, max_size=60)):
        exchange.take(step, name, place)
    exchange.settle()
    for name in NAMES:
        record = exchange.store.job(NAMESPACE, name)
        live = exchange.server.objects.get(name, {"metadata": {}})["metadata"]
        assert (record and record.resource_version) == live.get("resourceVersion")
        assert (record and record.uid) == live.get("uid")
        if record is not None:  # whatever others did to it, a reconcile was asked for afterwards
            assert exchange.notices.get(name, 0) >= exchange.server.foreign.get(name, 0)
    assert sorted(one.name for one in exchange.store.jobs_of(NAMESPACE, "nightly")) == sorted(exchange.server.objects)
