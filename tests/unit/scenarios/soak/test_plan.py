"""The steps of a soak, from its seed."""

from itertools import islice

import pytest

from tests.scenarios.soak.plan import APPLIED, Step, names, steps


def first(seed: int, count: int = 2000, *, size: int = 6) -> list[Step]:
    return list(islice(steps(seed, size), count))


def test_a_seed_determines_everything() -> None:
    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("seed", range(5))
def test_every_step_is_possible_after_those_before_it(seed: int) -> None:
    paused: dict[str, bool] = {}
    for step in first(seed):
        assert (step.pipeline in paused) is (step.kind != "create"), step
        if step.kind in ("pause", "resume"):
            assert paused[step.pipeline] is (step.kind == "resume"), step
            paused[step.pipeline] = step.kind == "pause"
        elif step.kind == "delete":
            del paused[step.pipeline]
        elif step.kind == "create":
            paused[step.pipeline] = False


def test_applied_pipelines_are_not_changed_through_the_gateway() -> None:
    ways = {step.way for step in first(3) if step.pipeline.startswith(APPLIED) and step.kind in ("change", "delete")}
    assert ways == {"kubernetes"}


def test_every_kind_of_step_comes_and_every_pipeline_is_used() -> None:
    found = first(4)
    assert {step.kind for step in found} == {
        "create", "change", "run", "run manually", "kill", "pause", "resume", "read", "delete",
    }  # fmt: skip
    assert {step.pipeline for step in found} == set(names(6))
    assert len({step.run_id for step in found}) == len(found)
