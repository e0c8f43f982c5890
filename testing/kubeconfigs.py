"""Files that an operator starts with, for a server on this machine."""

from pathlib import Path

import yaml

from ingestion_operator.controller.app import Operator
from testing.objects import NAMESPACE, SETTINGS


def operator_for(server: str, folder: Path) -> Operator:
    """An operator of one namespace at the API server whose URL is `server`; it is not running."""
    settings, kubeconfig = folder / "settings.yaml", folder / "kubeconfig"
    settings.write_text(yaml.safe_dump(SETTINGS))
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    return Operator(settings, [NAMESPACE], str(kubeconfig))
