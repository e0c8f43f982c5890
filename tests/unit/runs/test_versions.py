import pytest

from ingestion_operator.runs.versions import VersionFinding, compare_versions

HOST_PORT = "http://openmetadata:8585/api"


def problem(server: str, library: str = "2.0.6.0", offered: tuple[str, ...] = ("1.13", "2.0")) -> str:
    finding = compare_versions(HOST_PORT, server, library, offered)
    assert finding is not None
    return finding.problem


@pytest.mark.parametrize("server", ["2.0.6", "2.0.0-rc1", "2.0", "2.0.7-SNAPSHOT"])
def test_a_server_of_the_same_minor_version_fits(server: str) -> None:
    assert compare_versions(HOST_PORT, server, "2.0.6.0", ["2.0"]) == VersionFinding("")


@pytest.mark.parametrize("server", ["2.1.0", "1.13.6", "12.0.6", "2.01.0", "20.0.1"])
def test_any_other_does_not(server: str) -> None:
    assert f"has version {server}, but runs would use openmetadata-ingestion 2.0.6.0" in problem(server)


def test_the_fix_names_the_field_and_its_value() -> None:
    assert problem("1.13.6").endswith(": set spec.server.version to '1.13'")


def test_without_an_image_for_the_server_the_fix_begins_with_one() -> None:
    fix = "add an image for '2.1' to runnerImages in the operator's settings, and set spec.server.version to '2.1'"
    assert problem("2.1.0").endswith(f": {fix}")


@pytest.mark.parametrize(
    ("server", "library"), [("", "2.0.6.0"), ("unknown", "2.0.6.0"), ("2", "2.0.6.0"), ("2.0", "x")]
)
def test_what_cannot_be_understood_is_not_a_statement(server: str, library: str) -> None:
    assert compare_versions(HOST_PORT, server, library, ["2.0"]) is None
