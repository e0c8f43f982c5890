"""openmetadata-ingestion's generated models, loaded one by one and without the rest of it.

`import metadata` alone pulls in the profiler, every cloud's client and 200 MB. The generated models
need nothing but pydantic, so a bare namespace stands in for the package's `__init__`.
"""

import importlib
import sys
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from .wire import InvalidBodyError

LONGEST_REASON = 2000


def prepare() -> None:
    """Make `metadata.generated` importable; raises SystemExit when the library is not installed."""
    if "metadata" in sys.modules:
        return
    spec = find_spec("metadata")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("openmetadata-ingestion is missing: install testing/fake_openmetadata/requirements.lock")
    package = ModuleType("metadata")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["metadata"] = package
    base = importlib.import_module("metadata.ingestion.models.custom_pydantic")
    # The client encodes names before it sends them and decodes what it gets; a server does neither,
    # and the original would import the profiler to find out which models to treat.
    base.__dict__["transform_entity_names"] = lambda entity, model: entity  # noqa: ARG005


@cache
def model(reference: str) -> type[BaseModel]:
    """The model named by `<module below metadata.generated.schema>:<class>`."""
    prepare()
    module, _, name = reference.partition(":")
    found: type[BaseModel] = getattr(importlib.import_module(f"metadata.generated.schema.{module}"), name)
    return found


def problem(error: ValidationError) -> str:
    """A validation error on one line, without the values (they may be secrets)."""
    errors = error.errors(include_input=False, include_url=False)
    # A union of 60 connections fails 60 times over; only the one whose `type` fits is of interest.
    other_types = {e["loc"][:-1] for e in errors if e["loc"][-1:] == ("type",) and e["type"] == "enum"}
    relevant = [e for e in errors if not any(e["loc"][: len(o)] == o for o in other_types)] or errors
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in relevant)[:LONGEST_REASON]


def check(reference: str, body: Any) -> None:
    """Raise InvalidBodyError unless `body` fits the model."""
    try:
        model(reference).model_validate(body)
    except ValidationError as error:
        raise InvalidBodyError(f"{reference.partition(':')[2]}: {problem(error)}") from error
