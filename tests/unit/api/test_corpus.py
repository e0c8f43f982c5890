"""The shared corpus against the model; tests/integration/apiserver holds it against a real API server."""

import pytest
from pydantic import ValidationError

from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.validation import describe_error
from testing.corpus import Case, accepted, refused


@pytest.mark.parametrize("case", accepted(), ids=str)
def test_the_model_accepts(case: Case) -> None:
    PipelineSpec.model_validate(case.spec, extra="forbid")


@pytest.mark.parametrize("case", refused(), ids=str)
def test_the_model_refuses_and_names_the_field(case: Case) -> None:
    with pytest.raises(ValidationError) as caught:
        PipelineSpec.model_validate(case.spec, extra="forbid")
    text = describe_error(caught.value)
    assert case.in_model in text
