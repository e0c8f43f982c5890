import json
import logging

from ingestion_operator.runtime.json_logging import JsonLines, log_context


def line(message: str, *arguments: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("ingestion_operator.x", logging.WARNING, "", 0, message, arguments, None)
    record.__dict__.update(extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    loaded: dict[str, object] = json.loads(text)
    return loaded


def test_a_line_has_time_level_logger_and_message() -> None:
    found = line("Ended: %s", "a\nb")
    assert (found["level"], found["logger"], found["message"]) == ("WARNING", "ingestion_operator.x", "Ended: a\nb")
    assert str(found["time"]).endswith("+00:00")


def test_a_line_has_its_context() -> None:
    with log_context(namespace="data", pipeline="nightly"), log_context(run="r-1"):
        found = line("Waits")
    assert (found["namespace"], found["pipeline"], found["run"]) == ("data", "nightly", "r-1")
    assert "pipeline" not in line("Later")


def test_a_line_of_kopf_names_its_object() -> None:
    reference = {"namespace": "data", "kind": "Job", "name": "nightly-1", "uid": "u"}
    found = line("Handler failed", k8s_ref=reference)
    assert (found["namespace"], found["kind"], found["name"]) == ("data", "Job", "nightly-1")
