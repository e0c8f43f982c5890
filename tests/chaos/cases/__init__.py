"""The cases of the matrix, the least disturbing first."""

from tests.chaos.case import Case
from tests.chaos.cases.api_calls import API_CALLS
from tests.chaos.cases.control_plane import CONTROL_PLANE
from tests.chaos.cases.cronjobs import CRONJOBS
from tests.chaos.cases.disruptions import DISRUPTIONS
from tests.chaos.cases.ends import ENDS
from tests.chaos.cases.jobs import JOBS
from tests.chaos.cases.leases import LEASES
from tests.chaos.cases.namespaces import NAMESPACES
from tests.chaos.cases.operator import OPERATOR_CASES
from tests.chaos.cases.pods import PODS
from tests.chaos.cases.server import SERVER
from tests.chaos.cases.specs import SPECS
from tests.chaos.cases.steps import STEPS
from tests.chaos.cases.watches import WATCHES

CASES: tuple[Case, ...] = (
    *ENDS,
    *PODS,
    *DISRUPTIONS,
    *SERVER,
    *SPECS,
    *CRONJOBS,
    *JOBS,
    *OPERATOR_CASES,
    *STEPS,
    *LEASES,
    *NAMESPACES,
    *WATCHES,
    *API_CALLS,
    *CONTROL_PLANE,
)
