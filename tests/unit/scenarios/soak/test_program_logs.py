"""Which lines of the programs' logs are violations."""

import json

import pytest

from tests.scenarios.soak.program_logs import problems


def line(level: str, logger: str, message: str) -> str:
    return json.dumps({"time": "now", "level": level, "logger": logger, "message": message})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line("INFO", "ingestion_operator.controllers.main", "Operator starts"), []),
        (line("WARNING", "ingestion_operator.reporter", "the server is away"), []),
        (line("ERROR", "kopf._core", "Request attempt #1/9 failed"), []),
        (line("ERROR", "ingestion_operator.controllers.queue", "wrong\nTraceback"), ["the operator-1 logged wrong"]),
        (line("WARNING", "urllib3", "Connection pool is full"), ["the operator-1 logged Connection pool is full"]),
        ("Traceback (most recent call last):", ["the operator-1 logged Traceback (most recent call last):"]),
    ],
)
def test_own_errors_and_single_use_connections_are_violations(text: str, expected: list[str]) -> None:
    assert problems("operator-1", [text]) == expected
