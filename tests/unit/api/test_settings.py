from pathlib import Path

import pytest
import yaml

from ingestion_operator.api.settings import load_settings
from ingestion_operator.errors import Rejected
from testing.objects import SETTINGS, settings

GOOD = yaml.safe_dump(SETTINGS)


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_a_settings_file_is_read(tmp_path: Path) -> None:
    read = load_settings(_file(tmp_path, yaml.safe_dump(SETTINGS)))
    assert read == settings()


def test_the_settings_of_the_plain_manifests_are_valid(tmp_path: Path) -> None:
    manifest = yaml.safe_load((Path(__file__).parents[3] / "manifests" / "settings.yaml").read_text())
    assert load_settings(_file(tmp_path, manifest["data"]["settings.yaml"])).runner_images


def test_an_empty_section_is_an_absent_one(tmp_path: Path) -> None:
    assert load_settings(_file(tmp_path, yaml.safe_dump(SETTINGS) + "podTemplate:\n")) == settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "document: Input should be"),
        ("[]", "document: Input should be"),
        ("{", "is not YAML"),
        ("{}", "runnerImages: Field required; defaultServerVersion: Field required"),
        ("{runnerImages: {}, defaultServerVersion: '2.0'}", "runnerImages: Dictionary should have at least 1 item"),
        (
            "{runnerImages: {'1.13': {image: x, version: 1.13.2}}, defaultServerVersion: '2.0'}",
            "defaultServerVersion '2.0' has no entry in runnerImages: add one",
        ),
        ("{runnerImages: {'2.0': {image: x, version: '2'}}, defaultServerVersion: '2.0'}", "runnerImages.2.0.version"),
        (
            "{runnerImages: {'2.0': {image: x, version: 2.0.6 b}}, defaultServerVersion: '2.0'}",
            "runnerImages.2.0.version",
        ),
        (
            GOOD + "allowedServiceAccount: [a]",
            "allowedServiceAccount: Extra inputs are not permitted",
        ),
        (
            GOOD + "podTemplate: {spec: {hostNetwork: true}}",
            "podTemplate.spec.hostNetwork: Extra inputs are not permitted",
        ),
        (
            GOOD + "podTemplatesByPipelineType: {nosuch: {}}",
            "podTemplatesByPipelineType.nosuch",
        ),
        (GOOD + "tracing: {endpoint: 'otel-collector:4318'}", "tracing.endpoint"),
        (GOOD + "tracing: {endpoint: 'http://name:password@otel-collector:4318'}", "tracing.endpoint"),
        (GOOD + "tracing: {endpoint: 'http://otel-collector:4318/'}", "tracing.endpoint"),
        (GOOD + "allowedServers: [openmetadata, 'http://openmetadata:8585/api']", "allowedServers.1: 'http://"),
        (GOOD + "defaultTimeout: 366d", "defaultTimeout: must be at most 365d"),
        (GOOD + "defaultTimeout: 1", "defaultTimeout: Input should be a valid string"),
        (GOOD + "defaultTimeout: false", "defaultTimeout: Input should be a valid string"),
        (GOOD + "defaultTimeout: '00'", "defaultTimeout: String should match pattern '^(0|"),
        (GOOD + "startTimeout: 999999d", "startTimeout: must be at most 365d"),
        (GOOD + "logArchive: {url: 's3://logs', retention: 3651d}", "logArchive.retention: must be at most 3650d"),
        (GOOD + "scratch: {sizeLimit: 4Gb}", "scratch.sizeLimit: '4Gb' is not a quantity: use e.g. 500m, 2 or 4Gi"),
        ("{runnerImages: {2.0: {image: x, version: 2.0.6}}, defaultServerVersion: '2.0'}", "valid string"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_field(tmp_path: Path, text: str, said: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(Rejected) as caught:
        load_settings(path)
    assert caught.value.reason == "InvalidSettings"
    assert str(path) in caught.value.message
    assert said in caught.value.message


def test_a_missing_file_is_refused_saying_so(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="cannot be read: No such file"):
        load_settings(tmp_path / "absent.yaml")


def test_a_file_that_is_not_a_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Rejected, match="is not YAML"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 86_400), ("defaultTimeout: 2h", 7200), ("defaultTimeout: 0", None), ("defaultTimeout: '0'", None)],
)
def test_the_default_timeout_is_a_day_unless_set(tmp_path: Path, text: str, seconds: int | None) -> None:
    assert load_settings(_file(tmp_path, GOOD + text)).default_timeout_seconds == seconds


def test_the_runner_image_is_that_of_the_servers_version() -> None:
    assert settings().runner_image("1.13").image.endswith(":1.13")
    assert settings().runner_image(None).image.endswith(":2.0")


def test_a_version_without_image_is_rejected_with_a_list() -> None:
    with pytest.raises(Rejected, match=r"use one of 1\.13, 2\.0, or add it to runnerImages") as caught:
        settings().runner_image("0.9")
    assert caught.value.reason == "UnsupportedServerVersion"


def test_layers_come_weakest_first_and_only_those_that_apply() -> None:
    def layer(name: str) -> dict[str, object]:
        return {"metadata": {"labels": {"layer": name}}}

    read = settings(
        podTemplate=layer("all"),
        podTemplatesByPipelineType={"metadata": layer("metadata"), "profiler": layer("profiler")},
        podTemplatesByService=[
            {"podTemplate": layer("every-service")},
            {"type": "databaseService", "podTemplate": layer("databases")},
            {"type": "dashboardService", "podTemplate": layer("dashboards")},
            {"name": "shop", "podTemplate": layer("shop")},
            {"type": "databaseService", "name": "other", "podTemplate": layer("other")},
        ],
    )
    names = [
        found["metadata"]["labels"]["layer"]
        for found in read.pod_template_layers("metadata", "databaseService", "shop")
    ]
    assert names == ["all", "metadata", "every-service", "databases", "shop"]
    assert settings().pod_template_layers("usage", "databaseService", "shop") == [{}]
