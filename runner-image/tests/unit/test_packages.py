import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from enum import Enum
from types import ModuleType

import pytest

from ingestion_runner.outcomes import ExitCode, Reason, RunError
from ingestion_runner.workflow.config import WORKFLOW_CLASSES
from ingestion_runner.workflow.packages import EXTRAS, require_extra, require_language_models


@pytest.mark.parametrize(
    ("pipeline_type", "package", "extra"),
    [("autoClassification", "spacy", "pii-processor"), ("dbt", "collate_dbt_artifacts_parser", "dbt")],
)
def test_type_whose_packages_are_missing_is_refused(pipeline_type: str, package: str, extra: str) -> None:
    with pytest.raises(RunError, match=rf"{package}.*build argument EXTRAS including '{extra}'") as refused:
        require_extra(pipeline_type)

    assert refused.value.reason is Reason.MISSING_PLUGIN
    assert refused.value.reason.exit_code is ExitCode.CONFIGURATION


def test_type_whose_packages_are_there_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec("anything", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)

    for pipeline_type in EXTRAS:
        require_extra(pipeline_type)


def test_other_types_need_no_extra() -> None:
    for pipeline_type in WORKFLOW_CLASSES.keys() - EXTRAS.keys():
        require_extra(pipeline_type)


class Language(Enum):
    en = "en"
    de = "de"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The installed models, in an image whose library knows English and German."""
    models: set[str] = set()
    constants, languages = ModuleType("constants"), ModuleType("languages")
    constants.__dict__["LANGUAGE_MODEL_MAPPING"] = {Language.en: "en_core", Language.de: "de_core"}
    languages.__dict__["ClassificationLanguage"] = Language
    monkeypatch.setitem(sys.modules, "metadata.pii.constants", constants)
    monkeypatch.setitem(sys.modules, "metadata.generated.schema.type.classificationLanguages", languages)

    def distribution(name: str) -> str:
        if name not in models:
            raise importlib.metadata.PackageNotFoundError(name)
        return name

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    return models


def classification(**changes: object) -> dict[str, object]:
    return {"config": {"type": "AutoClassification", "enableAutoClassification": True, **changes}}


def test_classification_without_its_language_model_is_refused(installed: set[str]) -> None:
    with pytest.raises(RunError, match=r"en_core.*build argument SPACY_MODEL") as refused:
        require_language_models(classification())

    assert not installed
    assert refused.value.reason is Reason.MISSING_LANGUAGE_MODEL
    assert refused.value.reason.exit_code is ExitCode.CONFIGURATION


def test_classification_in_another_language_needs_both_models(installed: set[str]) -> None:
    installed.add("en_core")

    with pytest.raises(RunError, match=r"model de_core for classificationLanguage 'de'"):
        require_language_models(classification(classificationLanguage="de"))

    installed.add("de_core")
    require_language_models(classification(classificationLanguage="de"))


@pytest.mark.usefixtures("installed")
def test_samples_alone_need_no_language_model() -> None:
    require_language_models(classification(enableAutoClassification=False))


def test_language_that_the_library_does_not_know_is_left_to_it(installed: set[str]) -> None:
    installed.add("en_core")

    require_language_models(classification(classificationLanguage="xx"))
