"""The results of a pod's connections: the pods of our images have Python, and no other tool is needed."""

import json
from typing import Final

from testcluster.handle import Cluster
from testing.waiting import wait_for

PYTHON: Final = "/opt/venv/bin/python"
_SETTLED_SECONDS = 15

_CONNECT = """
import json, socket, sys
def accepts(host, port):
    addresses = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)  # an unknown name is not a refusal
    try:
        socket.create_connection(addresses[0][4], timeout=3).close()
    except OSError:
        return False
    return True
print(json.dumps({target: accepts(*target.rsplit(":", 1)) for target in sys.argv[1:]}))
"""


class Reach:
    """A pod, from which connections are tried."""

    def __init__(self, cluster: Cluster, namespace: str, target: str) -> None:
        """Take `target` as kubectl does: a pod, or `deployment/name`."""
        self._cluster = cluster
        self._words = ("-n", namespace, "exec", target, "--", PYTHON, "-c")

    def run(self, code: str, *arguments: str) -> str:
        """Run some Python in the pod; return what it prints."""
        return self._cluster.kubectl(*self._words, code, *arguments)

    def tries(self, *targets: str) -> dict[str, bool]:
        """Whether each `host:port` takes a connection. Raises CommandError for a name that is not known."""
        return dict(json.loads(self.run(_CONNECT, *targets)))

    def expect(self, expected: dict[str, bool]) -> None:
        """Raise AssertionError unless connections end as expected, soon: a network learns of pods with a delay."""

        def differences() -> dict[str, bool]:
            return {target: took for target, took in self.tries(*expected).items() if took is not expected[target]}

        left = {"": True}

        def settled() -> bool:
            left.clear()
            left.update(differences())
            return not left

        try:
            wait_for("connections to end as expected", settled, timeout=_SETTLED_SECONDS)
        except AssertionError:
            raise AssertionError(f"these end otherwise than expected (True: taken): {left}") from None
