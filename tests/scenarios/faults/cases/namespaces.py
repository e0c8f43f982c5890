"""One of two watched namespaces cannot be read any more; the other one must not notice it."""

import json
from collections.abc import Callable
from typing import Any, Final

from testing.installation import Installation
from testing.waiting import wait_for
from tests.scenarios.faults.case import Case, Setup
from tests.scenarios.faults.cases.watches import LIGHT, SECONDS
from tests.scenarios.faults.environment import prepare_namespace
from tests.scenarios.faults.trial import Trial

_BESIDE_SECONDS: Final = 10.0
"""How soon a pipeline of the other namespace is Ready during the fault."""

_RIGHTS: Final = "serviceaccount,role,rolebinding"
_FIRST, _LAST = "a", "z"


def _namespace_deleted(victim: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        place = trial.target.in_namespace(victim)
        permissions = _role_and_binding(place)
        run = _begin(trial, place)
        trial.disturbed()
        place.cluster.kubectl("delete", "namespace", place.namespace, "--timeout=60s", timeout=70)
        _stays_able_beside(trial, run)
        prepare_namespace(place)
        place.apply(*permissions)
        trial.recovered()
        trial.check_able(place)

    return act


def binding_removed(trial: Trial) -> None:
    """A pipeline that is made meanwhile is reconciled once the permissions are back."""
    place = trial.target.in_namespace(_FIRST)
    permissions = _role_and_binding(place)
    run = _begin(trial, place)
    trial.disturbed()
    place.kubectl("delete", "rolebinding", "--all")
    meanwhile = trial.light(suffix="-meanwhile", installation=place)
    _stays_able_beside(trial, run)
    place.apply(*permissions)
    trial.recovered()
    namespace, bound = place.namespace, trial.able_within
    trial.check(
        "the pipeline that was made meanwhile to be Ready",
        lambda: trial.target.is_ready(namespace, meanwhile),
        timeout=bound,
    )
    trial.check_able(place)


def _begin(trial: Trial, place: Installation) -> str:
    """Start a run in the namespace that stays, and have a pipeline in the other one that is Ready."""
    name = trial.light(suffix="-victim", installation=place)
    ready = lambda: trial.target.is_ready(place.namespace, name)  # noqa: E731
    wait_for("the pipeline that will be cut off", ready, timeout=60)
    run = trial.start(trial.light(seconds=20))
    trial.wait_until_working(run)
    return run


def _stays_able_beside(trial: Trial, run: str) -> None:
    """Let every watch be asked for again, as it is within five minutes, and see that the other namespace goes on."""
    trial.target.proxy.cut_watches()
    trial.check_able(within=_BESIDE_SECONDS)
    trial.wait_until_recorded(run, timeout=SECONDS)
    trial.target.proxy.cut_watches()
    trial.check_able(within=_BESIDE_SECONDS)


def _role_and_binding(place: Installation) -> list[dict[str, Any]]:
    """Return the release's objects in a namespace, to be applied again."""
    items = json.loads(place.kubectl("get", _RIGHTS, "-l", "app.kubernetes.io/instance", "-o", "json"))["items"]
    for body in items:
        kept = {key: body["metadata"].get(key) for key in ("name", "namespace", "labels")}
        body["metadata"] = {key: value for key, value in kept.items() if value}
    assert len(items) >= 2, f"the release has no permissions in {place.namespace}"
    return list(items)


NAMESPACES: Final = (
    *(
        Case(
            f"namespace-{word}-deleted",
            f"of two watched namespaces the {word} in the alphabet is deleted, and made again",
            _namespace_deleted(victim),
            LIGHT,
            able_within=60,
            place="own",
            setup=Setup(watched=(victim, other)),
            is_timed=False,
            most_restarts=0,
            about_seconds=200,
        )
        for word, victim, other in (("first", _FIRST, _LAST), ("last", _LAST, _FIRST))
    ),
    Case(
        "binding-removed",
        "the operator's RoleBinding in one of two watched namespaces is removed, and restored",
        binding_removed,
        LIGHT,
        able_within=60,
        place="own",
        setup=Setup(watched=(_FIRST, _LAST)),
        is_timed=False,
        most_restarts=0,
        about_seconds=150,
    ),
)
