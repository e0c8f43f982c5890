"""Parsing of YAML and JSON texts that users write."""

from typing import Any

import yaml


def parse_document(text: str) -> Any:
    """Return the content of a YAML or JSON text. Raises ValueError with the position of a syntax error."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
