"""The schedule reaches Kubernetes, and no tick runs late that must not."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testing import installation as installations
from testing.installation import Installation
from testing.ticks import minutes_from_now
from testing.waiting import wait_for

_LATE_TICK_SECONDS = 8
"""The CronJob controller makes up for a missed tick within a second of the change."""


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def pretend_last_tick(installation: Installation, cronjob: str, ago: timedelta) -> None:
    """Make Kubernetes believe that the last tick was that long ago, so that newer ones count as missed."""
    patch = f'{{"status":{{"lastScheduleTime":"{stamp(datetime.now(UTC) - ago)}"}}}}'
    installation.kubectl("patch", "cronjob", cronjob, "--subresource=status", "--type=merge", "-p", patch)


def cronjob_spec(installation: Installation, name: str) -> dict[str, Any]:
    return dict((installation.get("cronjob", name) or {}).get("spec", {}))


def jobs_within(installation: Installation, pipeline: str, seconds: float) -> list[dict[str, Any]]:
    """The first Jobs of the pipeline that appear within the time, none if none does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if jobs := installation.list("jobs", f"ingestion.openmetadata.org/pipeline={pipeline}"):
            return jobs
        time.sleep(0.5)  # the pace of looking; what is shown is that nothing comes in all this time
    return []


def test_changed_schedule_zone_and_suspension_reach_the_cronjob(installation: Installation) -> None:
    installation.apply(installations.pipeline("changing", schedule={"cron": "@daily"}))
    wait_for("the CronJob", lambda: cronjob_spec(installation, "changing").get("schedule") == "0 0 * * *", timeout=30)
    installation.apply(
        installations.pipeline("changing", schedule={"cron": "15 3 * * 7", "timeZone": "Europe/Zurich"}, suspend=True)
    )
    wait_for("the suspension", lambda: cronjob_spec(installation, "changing").get("suspend"), timeout=30)
    spec = cronjob_spec(installation, "changing")
    assert (spec["schedule"], spec["timeZone"]) == ("15 3 * * 0", "Europe/Zurich")
    condition = wait_for(
        "the condition",
        lambda: c if (c := installation.condition("changing", "Scheduled"))["status"] == "False" else None,
        timeout=10,
    )
    assert (condition["reason"], condition["observedGeneration"]) == ("Suspended", 2)
    installation.apply(installations.pipeline("changing"))
    wait_for(
        "the schedule to be gone",
        lambda: installation.condition("changing", "Scheduled")["reason"] == "OnDemand",
        timeout=30,
    )
    assert cronjob_spec(installation, "changing")["suspend"] is True


def test_kubernetes_itself_would_run_a_missed_tick_late(installation: Installation) -> None:
    """The control: without our care the scenarios below do start a run."""
    installation.apply(installations.pipeline("control", schedule={"cron": minutes_from_now(-2)}))
    wait_for("the CronJob", lambda: installation.get("cronjob", "control"), timeout=30)
    pretend_last_tick(installation, "control", timedelta(minutes=8))
    assert jobs_within(installation, "control", _LATE_TICK_SECONDS)


def test_tick_missed_while_paused_does_not_run_after_the_pause(installation: Installation) -> None:
    schedule = {"cron": minutes_from_now(-2)}
    installation.apply(installations.pipeline("paused", schedule=schedule, suspend=True))
    wait_for("the CronJob", lambda: installation.get("cronjob", "paused"), timeout=30)
    pretend_last_tick(installation, "paused", timedelta(minutes=8))
    installation.apply(installations.pipeline("paused", schedule=schedule, suspend=False))
    wait_for("the schedule to go on", lambda: cronjob_spec(installation, "paused")["suspend"] is False, timeout=30)
    assert jobs_within(installation, "paused", _LATE_TICK_SECONDS) == []


def test_tick_of_an_edited_schedule_does_not_run_for_the_past(installation: Installation) -> None:
    installation.apply(installations.pipeline("edited", schedule={"cron": minutes_from_now(-60)}))
    wait_for("the CronJob", lambda: installation.get("cronjob", "edited"), timeout=30)
    pretend_last_tick(installation, "edited", timedelta(minutes=8))
    edited = minutes_from_now(-2)
    installation.apply(installations.pipeline("edited", schedule={"cron": edited}))
    wait_for("the edit", lambda: cronjob_spec(installation, "edited")["schedule"] == edited, timeout=30)
    # An edit alone lets the controller sleep until the next tick; anything else, such as its restart, wakes it.
    installation.kubectl("annotate", "cronjob", "edited", "woken=yes")
    assert jobs_within(installation, "edited", _LATE_TICK_SECONDS) == []


def test_tick_before_the_start_date_does_not_run_when_it_comes(installation: Installation) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
    installation.apply(
        installations.pipeline("opening", schedule={"cron": minutes_from_now(-2), "startDate": stamp(start)})
    )
    wait_for("the CronJob", lambda: installation.get("cronjob", "opening"), timeout=30)
    assert installation.condition("opening", "Scheduled")["reason"] == "NotStarted"
    pretend_last_tick(installation, "opening", timedelta(minutes=8))
    wait_for("the start date", lambda: cronjob_spec(installation, "opening")["suspend"] is False, timeout=30)
    assert datetime.now(UTC) >= start
    assert jobs_within(installation, "opening", _LATE_TICK_SECONDS) == []


def test_schedule_ends_at_its_end_date(installation: Installation) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
    installation.apply(installations.pipeline("ending", schedule={"cron": "@yearly", "endDate": stamp(end)}))
    wait_for("the CronJob", lambda: installation.get("cronjob", "ending"), timeout=30)
    assert cronjob_spec(installation, "ending")["suspend"] is False
    wait_for("the end date", lambda: cronjob_spec(installation, "ending")["suspend"], timeout=30)
    wait_for("the condition", lambda: installation.condition("ending", "Scheduled")["reason"] == "Ended", timeout=10)


@pytest.mark.parametrize("field", ["cron", "timeZone"])
def test_an_invalid_schedule_makes_the_pipeline_not_ready(installation: Installation, field: str) -> None:
    name = f"judged-{field.lower()}"
    wrong = {"cron": "5-1 * * * *", "timeZone": "Europe/Atlantis"}[field]
    installation.apply(installations.pipeline(name, schedule={"cron": "@daily", field: wrong}))
    ready = wait_for("the condition", lambda: installation.condition(name, "Ready"), timeout=30)
    assert ready["status"] == "False"
    assert ready["reason"] == {"cron": "InvalidSchedule", "timeZone": "UnknownTimeZone"}[field]
    assert wrong in ready["message"]
    installation.apply(installations.pipeline(name, schedule={"cron": "@daily"}))
    wait_for("the repair", lambda: installation.condition(name, "Ready")["status"] == "True", timeout=15)
