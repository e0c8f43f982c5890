"""The cases of the matrix, the least disturbing first."""

from tests.scenarios.faults.case import Case
from tests.scenarios.faults.cases.api_calls import API_CALLS
from tests.scenarios.faults.cases.control_plane import CONTROL_PLANE
from tests.scenarios.faults.cases.cronjobs import CRONJOBS
from tests.scenarios.faults.cases.disruptions import DISRUPTIONS
from tests.scenarios.faults.cases.ends import ENDS
from tests.scenarios.faults.cases.jobs import JOBS
from tests.scenarios.faults.cases.leases import LEASES
from tests.scenarios.faults.cases.namespaces import NAMESPACES
from tests.scenarios.faults.cases.operator import OPERATOR_CASES
from tests.scenarios.faults.cases.pods import PODS
from tests.scenarios.faults.cases.server import SERVER
from tests.scenarios.faults.cases.specs import SPECS
from tests.scenarios.faults.cases.steps import STEPS
from tests.scenarios.faults.cases.watches import WATCHES

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
