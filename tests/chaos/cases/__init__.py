"""The rows of the matrix, the least disturbing first."""

from tests.chaos.row import Row
from tests.chaos.rows.control_plane import CONTROL_PLANE
from tests.chaos.rows.ends import ENDS
from tests.chaos.rows.operator import OPERATOR_ROWS
from tests.chaos.rows.pods import PODS
from tests.chaos.rows.server import SERVER

ROWS: tuple[Row, ...] = (*ENDS, *PODS, *SERVER, *OPERATOR_ROWS, *CONTROL_PLANE)
