"""Errors, grouped by who has to act.

OperatorError
├── Rejected      the user has to change something; a retry alone does not help
├── LogRangeError the requested page of a log does not exist
├── StoreError    a call to the log archive failed
└── ClusterError  the API server (or OpenMetadata's) returned an error
    ├── NotFound
    ├── Conflict     the object changed since it was read: decide again
    ├── Forbidden    a permission is missing: the administrator has to act
    ├── Invalid      the API server rejects the object
    ├── ActionsFailed some actions of a reconciliation failed: it is retried
    └── Unavailable  unreachable, overloaded or too slow: retry with a delay
"""


class OperatorError(Exception):
    """Base class of this program's errors."""


class Rejected(OperatorError):
    """The desired state cannot be reached."""

    def __init__(self, reason: str, message: str, *, is_external: bool = False) -> None:
        """Create the error.

        Args:
            reason: A stable CamelCase word for conditions and Events.
            message: Names field, value and fix.
            is_external: Whether a change of another object than the pipeline can remove the cause. Then a retry without
                an edit of the pipeline may succeed.
        """
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.is_external = is_external


class LogRangeError(OperatorError):
    """The requested page of a log does not exist; the text names the existing pages."""


class StoreError(OperatorError):
    """A call to the log archive failed; the text names the operation and the key."""


class ClusterError(OperatorError):
    """A call to the API server failed; the text names verb, kind, namespace, name and HTTP code."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class NotFound(ClusterError):
    """HTTP 404."""


class Conflict(ClusterError):
    """HTTP 409: another client wrote first, or the name is taken."""


class Forbidden(ClusterError):
    """HTTP 403."""


class Invalid(ClusterError):
    """HTTP 400 or 422: the API server rejects the object."""


class Unavailable(ClusterError):
    """HTTP 401, 429, 5xx, a timeout or no connection."""

    def __init__(self, message: str, *, code: int = 0, retry_after: float | None = None) -> None:
        """Create the error. `retry_after` is the server's Retry-After, in seconds."""
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ActionsFailed(ClusterError):
    """Some actions of a reconciliation failed; it is retried with back-off. The text names the first failure."""
