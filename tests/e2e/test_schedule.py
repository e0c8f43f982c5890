"""What the schedule says reaches Kubernetes, and no tick runs late that must not."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testing import site as sites
from testing.site import Site
from testing.ticks import minutes_from_now
from testing.waiting import wait_for

_LATE_TICK_SECONDS = 8
"""The CronJob controller makes up for a missed tick within a second of the change."""


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def pretend_last_tick(site: Site, cronjob: str, ago: timedelta) -> None:
    """Make Kubernetes believe that the last tick was that long ago, so that newer ones count as missed."""
    patch = f'{{"status":{{"lastScheduleTime":"{stamp(datetime.now(UTC) - ago)}"}}}}'
    site.kubectl("patch", "cronjob", cronjob, "--subresource=status", "--type=merge", "-p", patch)


def cronjob_spec(site: Site, name: str) -> dict[str, Any]:
    return dict((site.get("cronjob", name) or {}).get("spec", {}))


def jobs_within(site: Site, pipeline: str, seconds: float) -> list[dict[str, Any]]:
    """The first Jobs of the pipeline that appear within the time, none if none does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if jobs := site.list("jobs", f"ingestion.openmetadata.org/pipeline={pipeline}"):
            return jobs
        time.sleep(0.5)  # the pace of looking; what is shown is that nothing comes in all this time
    return []


def test_changed_schedule_zone_and_suspension_reach_the_cronjob(site: Site) -> None:
    site.apply(sites.pipeline("changing", schedule={"cron": "@daily"}))
    wait_for("the CronJob", lambda: cronjob_spec(site, "changing").get("schedule") == "0 0 * * *", timeout=30)
    site.apply(sites.pipeline("changing", schedule={"cron": "15 3 * * 7", "timeZone": "Europe/Zurich"}, suspend=True))
    wait_for("the suspension", lambda: cronjob_spec(site, "changing").get("suspend"), timeout=30)
    spec = cronjob_spec(site, "changing")
    assert (spec["schedule"], spec["timeZone"]) == ("15 3 * * 0", "Europe/Zurich")
    condition = wait_for(
        "the condition",
        lambda: c if (c := site.condition("changing", "Scheduled"))["status"] == "False" else None,
        timeout=10,
    )
    assert (condition["reason"], condition["observedGeneration"]) == ("Suspended", 2)
    site.apply(sites.pipeline("changing"))
    wait_for(
        "the schedule to be gone", lambda: site.condition("changing", "Scheduled")["reason"] == "OnDemand", timeout=30
    )
    assert cronjob_spec(site, "changing")["suspend"] is True


def test_kubernetes_itself_would_run_a_missed_tick_late(site: Site) -> None:
    """The control: without our care the scenarios below do start a run."""
    site.apply(sites.pipeline("control", schedule={"cron": minutes_from_now(-2)}))
    wait_for("the CronJob", lambda: site.get("cronjob", "control"), timeout=30)
    pretend_last_tick(site, "control", timedelta(minutes=8))
    assert jobs_within(site, "control", _LATE_TICK_SECONDS)


def test_tick_missed_while_paused_does_not_run_after_the_pause(site: Site) -> None:
    schedule = {"cron": minutes_from_now(-2)}
    site.apply(sites.pipeline("paused", schedule=schedule, suspend=True))
    wait_for("the CronJob", lambda: site.get("cronjob", "paused"), timeout=30)
    pretend_last_tick(site, "paused", timedelta(minutes=8))
    site.apply(sites.pipeline("paused", schedule=schedule, suspend=False))
    wait_for("the schedule to go on", lambda: cronjob_spec(site, "paused")["suspend"] is False, timeout=30)
    assert jobs_within(site, "paused", _LATE_TICK_SECONDS) == []


def test_tick_of_an_edited_schedule_does_not_run_for_the_past(site: Site) -> None:
    site.apply(sites.pipeline("edited", schedule={"cron": minutes_from_now(-60)}))
    wait_for("the CronJob", lambda: site.get("cronjob", "edited"), timeout=30)
    pretend_last_tick(site, "edited", timedelta(minutes=8))
    edited = minutes_from_now(-2)
    site.apply(sites.pipeline("edited", schedule={"cron": edited}))
    wait_for("the edit", lambda: cronjob_spec(site, "edited")["schedule"] == edited, timeout=30)
    # An edit alone lets the controller sleep until the next tick; anything else, such as its restart, wakes it.
    site.kubectl("annotate", "cronjob", "edited", "woken=yes")
    assert jobs_within(site, "edited", _LATE_TICK_SECONDS) == []


def test_tick_before_the_start_date_does_not_run_when_it_comes(site: Site) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
    site.apply(sites.pipeline("opening", schedule={"cron": minutes_from_now(-2), "startDate": stamp(start)}))
    wait_for("the CronJob", lambda: site.get("cronjob", "opening"), timeout=30)
    assert site.condition("opening", "Scheduled")["reason"] == "NotStarted"
    pretend_last_tick(site, "opening", timedelta(minutes=8))
    wait_for("the start date", lambda: cronjob_spec(site, "opening")["suspend"] is False, timeout=30)
    assert datetime.now(UTC) >= start
    assert jobs_within(site, "opening", _LATE_TICK_SECONDS) == []


def test_schedule_ends_at_its_end_date(site: Site) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
    site.apply(sites.pipeline("ending", schedule={"cron": "@yearly", "endDate": stamp(end)}))
    wait_for("the CronJob", lambda: site.get("cronjob", "ending"), timeout=30)
    assert cronjob_spec(site, "ending")["suspend"] is False
    wait_for("the end date", lambda: cronjob_spec(site, "ending")["suspend"], timeout=30)
    wait_for("the condition", lambda: site.condition("ending", "Scheduled")["reason"] == "Ended", timeout=10)


@pytest.mark.parametrize("field", ["cron", "timeZone"])
def test_schedule_that_only_the_operator_can_judge_makes_the_pipeline_not_ready(site: Site, field: str) -> None:
    name = f"judged-{field.lower()}"
    wrong = {"cron": "5-1 * * * *", "timeZone": "Europe/Atlantis"}[field]
    site.apply(sites.pipeline(name, schedule={"cron": "@daily", field: wrong}))
    ready = wait_for("the condition", lambda: site.condition(name, "Ready"), timeout=30)
    assert ready["status"] == "False"
    assert ready["reason"] == {"cron": "InvalidSchedule", "timeZone": "UnknownTimeZone"}[field]
    assert wrong in ready["message"]
    site.apply(sites.pipeline(name, schedule={"cron": "@daily"}))
    wait_for("the repair", lambda: site.condition(name, "Ready")["status"] == "True", timeout=15)
