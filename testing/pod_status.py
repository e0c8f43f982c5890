"""The status that a kubelet writes for the pod of a run; pure."""

import json
from typing import Any

Body = dict[str, Any]


def outcome(*, success: bool) -> str:
    """Return the termination message of a runner whose workflow has reported the run's end itself."""
    state, reason = ("success", "Succeeded") if success else ("failed", "WorkflowFailed")
    said = {"version": 1, "state": state, "reason": reason, "message": "", "records": 48, "warnings": 0,
            "errors": 0 if success else 3, "reportedBy": "workflow"}  # fmt: skip
    return json.dumps(said)


def running(pod: Body, started: str) -> Body:
    """Return the status of a pod whose container has been running since a moment in RFC 3339."""
    return status(pod, "Running", started, {"running": {"startedAt": started}})


def ended(pod: Body, started: str, finished: str, *, success: bool) -> Body:
    """Return the status of a pod whose container ran between two moments."""
    state = {
        "exitCode": 0 if success else 1,
        "reason": "Completed" if success else "Error",
        "message": outcome(success=success),
        "startedAt": started,
        "finishedAt": finished,
    }
    return status(pod, "Succeeded" if success else "Failed", started, {"terminated": state})


def status(pod: Body, phase: str, started: str, state: Body) -> Body:
    """Return the status of a pod in a phase, whose container has a state."""
    container = pod["spec"]["containers"][0]
    return {
        "phase": phase,
        "startTime": started,
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": container["image"],
                "ready": "running" in state,
                "restartCount": 0,
                "state": state,
            }
        ],
    }
