"""Who asked the API server for what while this suite ran: enough permissions for all of it, and no further ones.

Runs after all other modules of the suite, and only with all of them: see conftest.py at the root.
"""

import pytest

from testcluster.errors import CommandError
from testing.audit import Audit, Right, granted
from testing.install import GATEWAY, OPERATOR
from testing.installation import Installation

RUNNER = "ingestion-runner"

ON_OLDER_KUBERNETES: set[Right] = {("batch", "jobs", "create")}
"""Before 1.36 a Job cannot be given more memory: another Job continues the run
(tests/integration/apiserver/test_oom_retry.py)."""

NOT_TO_BE_SEEN: set[Right] = {("batch", "cronjobs", "create")}
"""A server-side apply of what is not there needs it, and is a patch in the log."""

UNUSED: dict[str, set[Right]] = {OPERATOR: ON_OLDER_KUBERNETES | NOT_TO_BE_SEEN, GATEWAY: set()}
"""What is granted and not in the log of this suite."""


@pytest.mark.parametrize("account", [OPERATOR, GATEWAY])
def test_an_account_has_exactly_the_permissions_that_it_uses(
    installation: Installation, audit: Audit, account: str
) -> None:
    role = installation.get("role", account)
    assert role is not None
    calls = audit.calls(installation.namespace, account)
    assert [call for call in calls if call.code == 403] == []
    assert {call.right for call in calls} == granted([role]) - UNUSED[account]


def test_the_runners_account_has_no_token_and_calls_nothing(installation: Installation, audit: Audit) -> None:
    pods = installation.list("pods", "app.kubernetes.io/managed-by=ingestion-operator")
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {RUNNER}
    assert audit.tokens(installation.namespace, RUNNER) == []
    assert audit.calls(installation.namespace, RUNNER) == []
    assert audit.tokens(installation.namespace, OPERATOR), "the log shows no token of anybody"


def test_no_account_has_a_role_but_those_of_the_chart(installation: Installation) -> None:
    bound = {
        (subject["name"], binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for binding in installation.list("rolebindings")
        for subject in binding["subjects"]
    }
    assert bound == {(OPERATOR, "Role", OPERATOR), (GATEWAY, "Role", GATEWAY)}
    everywhere = installation.kubectl("get", "clusterrolebindings", "-o", "jsonpath={.items[*].subjects[*].namespace}")
    assert installation.namespace not in everywhere.split()


def test_the_namespace_admits_restricted_pods_alone(installation: Installation) -> None:
    with pytest.raises(CommandError, match='violates PodSecurity "restricted'):
        installation.kubectl("run", "as-root", "--image=localhost/none", "--dry-run=server")
