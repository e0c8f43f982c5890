"""The Lease that elects is deleted, taken by another holder, or cannot be renewed."""

import json
import time
from datetime import UTC, datetime
from typing import Final

from ingestion_operator import constants
from testing.fault_proxy import Call, Fault, Rule
from testing.waiting import wait_for
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.cases.watches import LIGHT, SECONDS, SILENCE_BOUND, disturb
from tests.scenarios.faults.trial import Trial

_LEASES: Final = "/leases"
_FENCE_SECONDS: Final = 20.0
"""After this time without a renewal no write may be sent: the Lease is valid for 15 s."""


def deleted(trial: Trial) -> None:
    run = trial.start(trial.light(seconds=15))
    trial.wait_until_working(run)
    trial.disturbed()
    _delete(trial)
    wait_for("the Lease to be there again", trial.target.leader, timeout=trial.able_within)
    trial.recovered()


def deleted_again_and_again(trial: Trial) -> None:
    """As a controller does that removes what it does not know."""
    unknown = Rule(Fault("pass"), target="^never$", times=None)
    unknown.struck.set()
    disturb(trial, unknown, SECONDS, lambda: _delete(trial))


def stolen(trial: Trial) -> None:
    """Another holder writes itself into the Lease and does not renew it: the process ends and comes back."""
    run = trial.start(trial.light(seconds=15))
    trial.wait_until_working(run)
    trial.disturbed()
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {"holderIdentity": "thief", "acquireTime": now, "renewTime": now}
    _kubectl(trial, "patch", "lease", constants.LEASE_NAME, "--type=merge", "--patch", json.dumps({"spec": spec}))
    wait_for("the operator to hold the Lease again", trial.target.leader, timeout=trial.able_within)
    trial.recovered()
    assert trial.target.restarts() == 1, "the process that has lost its Lease must end"


def refused(trial: Trial) -> None:
    """While the Lease cannot be renewed nothing is written: another replica may be at work."""
    begin = time.monotonic()
    calls: list[Call] = []

    def record() -> None:
        if time.monotonic() > begin + _FENCE_SECONDS and not calls:
            with trial.target.proxy.recording() as found:
                time.sleep(SECONDS - _FENCE_SECONDS - 10)  # the time in which no write may come
            calls.extend(found)

    disturb(trial, Rule(Fault(403), target=_LEASES, times=None), SECONDS, record)
    written = [call for call in calls if call.is_write and _LEASES not in call.target]
    assert calls, "the operator has stopped to try"
    assert not written, f"without a Lease it wrote {written}"


def silent(trial: Trial) -> None:
    disturb(trial, Rule(Fault("silence"), target=_LEASES, times=None), SECONDS)


def _delete(trial: Trial) -> None:
    _kubectl(trial, "delete", "lease", constants.LEASE_NAME, "--ignore-not-found")


def _kubectl(trial: Trial, *arguments: str) -> str:
    return trial.installation.cluster.kubectl("-n", trial.target.operator_namespace, *arguments)


LEASES: Final = (
    Case(
        "lease-deleted",
        "kubectl delete lease, of the one replica",
        deleted,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=90,
    ),
    Case(
        "lease-deleted-often",
        f"the Lease is deleted every 2 s for {SECONDS} s",
        deleted_again_and_again,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=1,
        about_seconds=150,
    ),
    Case(
        "lease-stolen",
        "another holder writes itself into the Lease",
        stolen,
        LIGHT,
        able_within=60,
        place="own",
        is_timed=False,
        most_restarts=1,
        about_seconds=120,
    ),
    Case(
        "lease-refused",
        f"every call for the Lease is answered 403 for {SECONDS} s",
        refused,
        LIGHT,
        place="own",
        is_timed=False,
        most_restarts=1,
        about_seconds=150,
    ),
    Case(
        "lease-silent",
        f"no call for the Lease is answered for {SECONDS} s",
        silent,
        LIGHT,
        able_within=SILENCE_BOUND,
        place="own",
        is_timed=False,
        most_restarts=1,
        about_seconds=220,
    ),
)
