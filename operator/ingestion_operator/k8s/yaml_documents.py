"""YAML and JSON texts that people write."""

from typing import Any

import yaml


def parse_document(text: str) -> Any:
    """Return what a YAML or JSON text says. Raises ValueError, naming the place, for what is neither."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
