"""What can go wrong, sorted by who has to act.

OperatorError
├── Rejected      the user has to change something; retrying alone does not help
├── LogRangeError the page of a log that was asked for is not there
├── StoreError    the log archive could not do its part
└── ClusterError  the API server (or OpenMetadata's) answered with an error
    ├── NotFound
    ├── Conflict     the object changed since it was read: recompute
    ├── Forbidden    a permission is missing: the administrator has to act
    ├── Invalid      the API server refuses the object
    ├── ActionsFailed some actions of a reconciliation failed: it is repeated
    └── Unavailable  away, overloaded or too slow: retry with a delay
"""


class OperatorError(Exception):
    """Root of this program's own errors."""


class Rejected(OperatorError):
    """The desired state cannot be realised.

    `reason` is a stable CamelCase word for conditions and Events; `message` names field, value and fix.
    `is_external`: another object than the pipeline can remove the cause, so it is worth trying again without an edit.
    """

    def __init__(self, reason: str, message: str, *, is_external: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.is_external = is_external


class LogRangeError(OperatorError):
    """The page asked for is not there; the text names the pages that are."""


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
    """HTTP 409: somebody else wrote first, or the name is taken."""


class Forbidden(ClusterError):
    """HTTP 403."""


class Invalid(ClusterError):
    """HTTP 400 or 422: the object itself is refused."""


class Unavailable(ClusterError):
    """HTTP 401, 429, 5xx, a timeout or no connection at all.

    `retry_after` is how many seconds the server asks to be left alone.
    """

    def __init__(self, message: str, *, code: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ActionsFailed(ClusterError):
    """Some actions of a reconciliation failed, which is repeated with back-off; the text names the first."""
