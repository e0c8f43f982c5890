import math
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingestion_runner.workflow.literals import literal

# YAML reads back no lone surrogates; JSON texts that come from UTF-8 files have none either.
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))


@given(JSON)
def test_literal_is_read_back_by_yaml_as_what_it_was(value: Any) -> None:
    assert yaml.safe_load(f"key: {literal(value)}\n") == {"key": value}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_literal_of_a_float_stays_a_float(value: float) -> None:
    assert isinstance(yaml.safe_load(literal(value)), float)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_literal_refuses_what_json_has_not(value: float) -> None:
    with pytest.raises(ValueError, match="JSON has no"):
        literal(value)


def test_literal_refuses_a_name_that_the_template_was_not_given() -> None:
    with pytest.raises(jinja2.UndefinedError):
        literal(jinja2.StrictUndefined(name="surce"))
