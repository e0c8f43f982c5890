import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.k8s.naming import cronjob_name, short_hash

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?", fullmatch=True)
PIPELINE_NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join).filter(lambda name: len(name) <= 253)


@given(PIPELINE_NAME)
def test_cronjob_name_is_a_dns_label_of_at_most_52_characters(name: str) -> None:
    assert len(cronjob_name(name)) <= 52
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", cronjob_name(name))


@given(st.lists(PIPELINE_NAME, min_size=2, max_size=20, unique=True))
def test_cronjob_names_of_different_pipelines_differ(names: list[str]) -> None:
    assert len({cronjob_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("length", [1, 51, 52])
def test_a_short_plain_name_is_kept(length: int) -> None:
    assert cronjob_name("a" * length) == "a" * length


def test_a_name_of_53_characters_is_cut_and_gets_a_hash() -> None:
    name = "a" * 53
    assert cronjob_name(name) == f"{'a' * 42}--{short_hash(name)}"


def test_dotted_and_dashed_names_do_not_collide() -> None:
    assert cronjob_name("shop.nightly").startswith("shop-nightly--")
    assert cronjob_name("shop.nightly") != cronjob_name("shop-nightly")


@given(PIPELINE_NAME)
def test_a_pipeline_named_like_anothers_cronjob_gets_its_own(name: str) -> None:
    taken = cronjob_name(name)
    assert taken == name or cronjob_name(taken) != taken


def test_a_name_that_leaves_nothing_to_keep_still_gives_a_label() -> None:
    assert cronjob_name("." * 60) == short_hash("." * 60)


def test_hash_is_stable_over_versions() -> None:
    # Changing it would rename the CronJobs that exist.
    assert cronjob_name("shop.nightly") == "shop-nightly--eca9d331"
