import pytest

from ingestion_runner.outcomes import ConfigurationError
from ingestion_runner.workflow.application import python_class_of, require_runner_class


def test_class_is_named_with_its_module() -> None:
    assert python_class_of({"config": {"sourcePythonClass": "shop.apps.Sweeper"}}) == "shop.apps.Sweeper"


@pytest.mark.parametrize(
    "source_config",
    [
        {},
        {"config": None},
        {"config": {}},
        {"config": {"sourcePythonClass": ""}},
        {"config": {"sourcePythonClass": "Sweeper"}},
        {"config": {"sourcePythonClass": "apps."}},
        {"config": {"sourcePythonClass": []}},
    ],
)
def test_class_without_a_module_is_refused(source_config: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"sourceConfig\.config\.sourcePythonClass"):
        python_class_of(source_config)


@pytest.mark.parametrize("name", ["nowhere.Sweeper", "nowhere.apps.Sweeper", "json.nowhere.Sweeper"])
def test_class_of_a_module_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}' is not in this image"):
        require_runner_class(name)


def test_class_that_its_module_has_not_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="json has no 'Sweeper'"):
        require_runner_class("json.Sweeper")
