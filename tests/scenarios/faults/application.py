"""The cheapest real run: an application that behaves as configured, mounted into the runner's pod.

Only the pod has the library; here the text alone matters, which becomes a ConfigMap. What it has to do is written in
the fields of the library's own example, since the library checks an application's configuration.
"""

from typing import Any, Final

from testing.chatty import CONFIG_MAP

SERVICE: Final = "OpenMetadata"
FIRST_WORDS: Final = "the application begins"
LAST_WORDS: Final = "the application ends"
FAILURE: Final = "the application fails as configured"

_SOURCE: Final = """
import time

from metadata.workflow.application import AppRunner


class Troubled(AppRunner):
    def run(self):
        print("FIRST_WORDS", flush=True)
        seconds, behaviour = self._wishes()
        if behaviour.startswith("until:"):
            seconds = float(behaviour.removeprefix("until:")) - time.time()
        time.sleep(max(0.0, seconds))
        if behaviour == "fail":
            raise RuntimeError("FAILURE")
        print("LAST_WORDS", flush=True)

    def close(self):
        pass

    def _wishes(self):
        wishes = self.app_config if isinstance(self.app_config, dict) else self.app_config.model_dump()
        return float(wishes["sleep"]), wishes["echo"]
"""


LIGHT: Final = "light-workflow"
"""Name of the ConfigMap, and of the volume."""

_LIGHT_FOLDER: Final = "/light"
_LIGHT_SOURCE: Final = """
import os
import sys
import tempfile
import time
import types

import ingestion_runner.reporting  # the parent's part, which it would otherwise load at the end
from ingestion_runner.outcomes import Outcome, Reason, State


def run_workflow(document, paths, channel):
    print("FIRST_WORDS", flush=True)
    until = float(os.environ.get("ENDS_AT") or time.time() + float(os.environ["LASTS"]))
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(int(os.environ["FILLS_MIB"])):
            file.write(bytes(2**20))
        file.flush()
        time.sleep(max(0.0, until - time.time()))
    print("LAST_WORDS", flush=True)
    return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="The light workflow has ended")


module = types.ModuleType("ingestion_runner.workflow.run")
module.run_workflow = run_workflow
sys.modules[module.__name__] = module
"""


def light_config_map() -> dict[str, Any]:
    """The ConfigMap that takes the place of the workflow, and of the 270 MB and 10 s of its library.

    The runner's parent, which watches and reports the outcome, is the real one.
    """
    source = _LIGHT_SOURCE.replace("FIRST_WORDS", FIRST_WORDS).replace("LAST_WORDS", LAST_WORDS)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": LIGHT},
        "data": {"sitecustomize.py": source.lstrip()},
    }


def light_template(seconds: float = 0, *, ends_at: float | None = None, fills_mib: int = 0) -> dict[str, Any]:
    """The pod template of a light run that lasts so long, or ends at a moment in seconds since 1970.

    It fills so many MiB of its scratch volume first.
    """
    variables = {
        "PYTHONPATH": f"{_LIGHT_FOLDER}:/opt/runner",
        "LASTS": str(seconds),
        "ENDS_AT": str(ends_at or ""),
        "FILLS_MIB": str(fills_mib),
    }
    return {
        "container": {
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "volumeMounts": [{"name": LIGHT, "mountPath": _LIGHT_FOLDER, "readOnly": True}],
            "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}},
        },
        "spec": {"volumes": [{"name": LIGHT, "configMap": {"name": LIGHT}}]},
    }


def config_map() -> dict[str, Any]:
    """The ConfigMap with the module `troubled`, under the name that the runner's pod template mounts."""
    source = _SOURCE.replace("FIRST_WORDS", FIRST_WORDS).replace("LAST_WORDS", LAST_WORDS).replace("FAILURE", FAILURE)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP},
        "data": {"troubled.py": source.lstrip()},
    }


def source_config(behaviour: str, seconds: float) -> dict[str, Any]:
    """A pipeline's source configuration for it: sleep so many seconds, then behave so."""
    return {
        "config": {
            "type": "Application",
            "sourcePythonClass": "troubled.Troubled",
            "appConfig": {"sleep": round(seconds), "echo": behaviour},
        }
    }
