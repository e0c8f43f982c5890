"""An application with a long log, as a user's own application would be mounted into the runner's pod.

Only the pod has the library; here the text alone matters, which becomes a ConfigMap.
"""

from typing import Any

LINES = 24_000
LINE = 99
CHARACTERS = LINES * (LINE + 1)
"""What the application writes: more than one page of 2,000,000 characters."""

LAST_WORDS = "waiting for the end"

_SOURCE = """
import sys
import time

from metadata.workflow.application import AppRunner


class Chatty(AppRunner):
    def run(self):
        for number in range(LINES):
            sys.stdout.write(f"line {number:06} ".ljust(WIDTH, "ü") + "\\n")
        print("LAST_WORDS", flush=True)
        time.sleep(600)

    def close(self):
        pass
"""

FOLDER = "/applications"
CONFIG_MAP = "applications"


def config_map() -> dict[str, Any]:
    """The ConfigMap with the module `chatty`."""
    source = _SOURCE.replace("LINES", str(LINES)).replace("WIDTH", str(LINE)).replace("LAST_WORDS", LAST_WORDS)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP},
        "data": {"chatty.py": source.lstrip()},
    }


def layer() -> dict[str, Any]:
    """The pod template that brings it to where Python finds it."""
    return {
        "container": {
            "env": [{"name": "PYTHONPATH", "value": f"/opt/runner:{FOLDER}"}],
            "volumeMounts": [{"name": "applications", "mountPath": FOLDER, "readOnly": True}],
            "resources": {"requests": {"cpu": "100m"}},
        },
        "spec": {"volumes": [{"name": "applications", "configMap": {"name": CONFIG_MAP, "optional": True}}]},
    }


def line(number: int) -> str:
    """One line of its log."""
    return f"line {number:06} ".ljust(LINE, "ü")
