from testing.fake_openmetadata_client import start_fake_openmetadata
from testing.postgres.expected import differences, expected, read
from testing.postgres.process import start_postgres


def test_expected_json_lists_what_the_seed_creates() -> None:
    with start_postgres() as database:
        assert read(database) == expected()


def test_an_empty_catalogue_differs_in_everything_expected() -> None:
    wanted = expected()

    with start_fake_openmetadata() as fake_server:
        found = differences(fake_server, "shop")

    parts = ("schemas", "tables", "views", "routines", "foreignKeys")
    assert len(found) == sum(len(wanted[part]) for part in parts)
