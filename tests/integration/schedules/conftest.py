from collections.abc import Iterator

import pytest

from testing import cron_oracle


@pytest.fixture(scope="session")
def robfig() -> Iterator[cron_oracle.Robfig]:
    with cron_oracle.robfig() as oracle:
        yield oracle
