"""Checks for packages of some pipeline types that are not part of connectors.

The library checks late: after it has written a `running` row, or by a download of what is missing.
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import Any

from ingestion_runner.outcomes import Reason, RunError

EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "autoClassification": ("pii-processor", ("presidio_analyzer", "spacy")),
    "dbt": ("dbt", ("collate_dbt_artifacts_parser",)),
}
"""The library's extra of a pipeline type, and packages that only this extra includes."""

_MODELS = ("metadata.pii.constants", "LANGUAGE_MODEL_MAPPING")
_LANGUAGES = ("metadata.generated.schema.type.classificationLanguages", "ClassificationLanguage")
_ENGLISH = "en"


def require_extra(pipeline_type: str) -> None:
    """Check that the packages of a pipeline type are in this image.

    Raises:
        RunError: They are not; the message has the build argument.
    """
    extra, packages = EXTRAS.get(pipeline_type, ("", ()))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise RunError(
            Reason.MISSING_PLUGIN,
            f"this image lacks packages for pipelines of type {pipeline_type} ({', '.join(missing)}): "
            f"build it with the build argument EXTRAS including {extra!r}",
        )


def require_language_models(source_config: Mapping[str, Any]) -> None:
    """Check that the language models of a classification are in this image: the library would download them.

    Raises:
        RunError: They are not; the message has the build argument.
    """
    config = source_config.get("config")
    if not isinstance(config, Mapping) or not config.get("enableAutoClassification"):
        return
    language = str(config.get("classificationLanguage") or _ENGLISH)
    missing = [model for model in _models_for(language) if not _is_installed(model)]
    if missing:
        raise RunError(
            Reason.MISSING_LANGUAGE_MODEL,
            f"this image lacks the language model {', '.join(missing)} for classificationLanguage {language!r}, and "
            "nothing is downloaded at run time: build it with the build argument SPACY_MODEL, or set "
            "sourceConfig.config.enableAutoClassification to false to store samples only",
        )


def _models_for(language: str) -> list[str]:
    """Return the model of the language and the English model, which the recognisers of all languages use."""
    models, languages = _named(_MODELS), _named(_LANGUAGES)
    known = {one.value for one in languages}
    # The library's model of the configuration rejects unknown languages.
    return sorted({str(models[languages(one)]) for one in (_ENGLISH, language) if one in known})


def _is_installed(model: str) -> bool:
    # spaCy finds a model by its name in the same way.
    try:
        importlib.metadata.distribution(model)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _named(named: tuple[str, str]) -> Any:
    module, name = named
    return getattr(importlib.import_module(module), name)
