"""The rows of the table."""

from typing import Final

from tests.types.case import Case
from tests.types.cases.data_quality import DATA_QUALITY
from tests.types.cases.databases import DATABASES
from tests.types.cases.other_services import OTHER_SERVICES

CASES: Final[tuple[Case, ...]] = (*DATABASES, *DATA_QUALITY, *OTHER_SERVICES)
