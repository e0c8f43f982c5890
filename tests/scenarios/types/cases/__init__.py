"""The rows of the table."""

from typing import Final

from tests.scenarios.types.case import Case
from tests.scenarios.types.cases.data_quality import DATA_QUALITY
from tests.scenarios.types.cases.databases import DATABASES
from tests.scenarios.types.cases.other_services import OTHER_SERVICES

CASES: Final[tuple[Case, ...]] = (*DATABASES, *DATA_QUALITY, *OTHER_SERVICES)
