from tests.support.double_client import start_double_process
from tests.support.postgres.expected import differences, expected, read
from tests.support.postgres.process import start_postgres


def test_expected_json_lists_what_the_seed_creates() -> None:
    with start_postgres() as database:
        assert read(database) == expected()


def test_an_empty_catalogue_differs_in_everything_expected() -> None:
    wanted = expected()

    with start_double_process() as double:
        found = differences(double, "shop")

    parts = ("schemas", "tables", "views", "routines", "foreignKeys")
    assert len(found) == sum(len(wanted[part]) for part in parts)
