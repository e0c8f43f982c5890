"""What people copy must work as it stands."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.render.cronjob import cronjob
from ingestion_operator.render.pod import RUNNABLE_PIPELINE_TYPES
from testing.objects import NAMESPACE, NOW, settings

SAMPLES = sorted((Path(__file__).parents[2] / "manifests" / "samples").glob("*.yaml"))


def pipelines(path: Path) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return [document for document in documents if document["kind"] == "IngestionPipeline"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_rendered_as_it_stands(path: Path) -> None:
    for document in pipelines(path):
        spec = PipelineSpec.model_validate(document["spec"])
        name = document["metadata"]["name"]
        cronjob(Pipeline(NAMESPACE, name, "uid", 1, "1", spec, PipelineStatus()), settings(), NOW)


def test_every_type_that_runs_has_a_sample() -> None:
    shown = {document["spec"]["pipelineType"] for path in SAMPLES for document in pipelines(path)}
    assert shown == RUNNABLE_PIPELINE_TYPES.keys()
