"""What the operations come to where nothing fails."""

import threading
import uuid

from testing.pipeline_state import State, settled_state
from testing.server_client import Reply
from tests.integration.apiserver.gateway.operations import OPERATIONS, Environment


class Reference:
    """Prepares pipelines for operations, and knows the state and the answer that belong to each. Thread-safe."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._shared: dict[str, str] = {}
        self._known: dict[str, tuple[State, Reply]] = {}
        self._lock = threading.RLock()

    def prepare(self, operation: str) -> str:
        """Make what an operation is called for; return its pipeline, a new one unless the operation only reads."""
        found = OPERATIONS[operation]
        with self._lock:
            if operation in self._shared:
                return self._shared[operation]
            name = f"case-{uuid.uuid4().hex[:12]}"
            found.prepare(self._environment, name)
            if found.is_read:
                self._shared[operation] = name
            return name

    def of(self, operation: str) -> tuple[State, Reply]:
        """Return what an operation leaves behind, and its answer."""
        with self._lock:
            if operation not in self._known:
                name = self.prepare(operation)
                with self._environment.another_server() as server:
                    reply = OPERATIONS[operation].call(server, name)
                assert reply.code == 200, reply.body
                self._known[operation] = settled_state(self._environment.api, self._environment.namespace, name), reply
            return self._known[operation]
