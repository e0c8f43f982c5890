import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.naming import cronjob_name
from ingestion_operator.pipeline_service.names import (
    check_name,
    job_name,
    last_part,
    resource_name,
    source_config_secret_name,
    token_secret_name,
)

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@given(names, st.uuids())
def test_every_name_that_is_derived_is_one_that_kubernetes_takes(name: str, run: object) -> None:
    resource = resource_name(name)
    assert LABEL.fullmatch(resource)
    assert len(resource) <= 52
    assert cronjob_name(resource) == resource
    assert LABEL.fullmatch(job_name(resource, str(run)))
    assert len(job_name(resource, str(run))) <= 63
    assert LABEL.fullmatch(source_config_secret_name(resource))
    assert LABEL.fullmatch(token_secret_name("http://openmetadata:8585/api", name))


@given(names, names)
def test_two_names_never_meet(one: str, other: str) -> None:
    assert (resource_name(one) == resource_name(other)) is (one == other)


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("nightly", "nightly-2a3b62b53ddb"),
        ("Sales (EU) – täglich / lineage v2.1", "sales-eu-t-glich-lineage-v2-1-0eceedddef27"),  # noqa: RUF001
        ("日本", "pipeline-cf2abf0c5be3"),
    ],
)
def test_a_name_stays_what_it_is_in_every_release(name: str, resource: str) -> None:
    assert resource_name(name) == resource


@pytest.mark.parametrize(
    ("fully_qualified_name", "name"),
    [
        ("shop.nightly", "nightly"),
        ('shop."v2.1"', "v2.1"),
        ('"a.b".c', "c"),
        ('"a.b"."say ""hi"" v1.0"', 'say "hi" v1.0'),
        ("shop.schema.suite", "suite"),
        ("nightly", "nightly"),
    ],
)
def test_the_last_part_of_a_full_name_is_the_bare_name(fully_qualified_name: str, name: str) -> None:
    assert last_part(fully_qualified_name) == name


@given(names)
def test_the_last_part_is_found_whatever_the_full_name_is(text: str) -> None:
    assert isinstance(last_part(text), str)


@pytest.mark.parametrize("name", ["", "x" * 257, "\ud800"])
def test_a_name_that_openmetadata_cannot_have_given_is_refused(name: str) -> None:
    with pytest.raises(Rejected, match="'name'"):
        check_name(name)


def test_a_slash_at_the_end_makes_no_other_server() -> None:
    assert token_secret_name("http://om/api/", "bot") == token_secret_name("http://om/api", "bot")
