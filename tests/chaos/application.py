"""The cheapest real run: an application that behaves as its configuration says, mounted into the runner's pod.

Only the pod has the library; here the text alone matters, which becomes a ConfigMap. What it is to do travels in
the fields of the library's own example, since the library checks an application's configuration.
"""

from typing import Any, Final

from tests.support.chatty import CONFIG_MAP

SERVICE: Final = "OpenMetadata"
FIRST_WORDS: Final = "the application begins"
LAST_WORDS: Final = "the application ends"
FAILURE: Final = "the application was told to fail"

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
    """What a pipeline says of it: sleep so many seconds, then behave so."""
    return {
        "config": {
            "type": "Application",
            "sourcePythonClass": "troubled.Troubled",
            "appConfig": {"sleep": round(seconds), "echo": behaviour},
        }
    }
