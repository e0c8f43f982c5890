"""Render manifests/ from the chart, or check that it is up to date.

    python -m tools.render_manifests            write
    python -m tools.render_manifests --check    exit 1 and name the command when a file differs

Needs helm: `python -m testcluster helm`. Not part of `make lint`, which builds nothing; tests/integration/helm checks
it.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from testcluster.binaries import ensure_helm
from testcluster.commands import run
from tools.generate_chart import CHART, ROOT

TARGET: Final = ROOT / "manifests"
NAMESPACE: Final = "ingestion"
_HEADER: Final = "# Rendered from charts/ingestion-operator by `python -m tools.render_manifests`: do not edit.\n"
_VALUES: Final = {
    "crds.enabled": "false",  # crds/ is part of the kustomization
    "logArchive.volume.keep": "false",  # only Helm knows the word
    "gateway.credentials.existingSecret": "ingestion-gateway-credentials",  # a file can hold no random password
}
_FILES: Final = {
    "rbac": "",
    "settings": "# Images and defaults for all pipelines: see docs/user-guide/settings.md.\n",
    "log-archive": "",
    "operator": "",
    "gateway": (
        "# Optional: needs the operator beside it and a Secret with what the server logs in with:\n"
        "#   kubectl -n ingestion create secret generic ingestion-gateway-credentials \\\n"
        "#     --from-literal=username=admin --from-literal=password=…\n"
    ),
}
"""Each template of the chart that becomes a file, and what is to be said above it."""

_OF_HELM: Final = re.compile(
    # What is not true without Helm, and the namespace, which is kustomize's to set.
    rf"^ *(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm|namespace: {NAMESPACE})\n",
    re.MULTILINE,
)


def rendered() -> dict[Path, str]:
    """Return the files and what they have to hold."""
    options = [word for key, value in _VALUES.items() for word in ("--set", f"{key}={value}")]
    helm = str(ensure_helm() / "helm")
    words = [helm, "template", "ingestion", str(CHART), "--namespace", NAMESPACE, *options]
    documents: dict[str, list[str]] = {name: [] for name in _FILES}
    for document in run(words).removeprefix("---\n").split("\n---\n"):
        source, _, text = document.partition("\n")
        name = Path(source.removeprefix("# Source: ")).stem
        if name not in documents:
            raise ValueError(f"{source}: no file of manifests/ is named for this template")
        documents[name].append(_OF_HELM.sub("", f"{text.rstrip()}\n"))
    return {
        TARGET / f"{name}.yaml": "".join([_HEADER, _FILES[name], "---\n".join(parts)])
        for name, parts in documents.items()
    }


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a file is out of date")
    arguments = parser.parse_args()
    outdated = {path: text for path, text in rendered().items() if not path.exists() or path.read_text() != text}
    for path, text in outdated.items():
        if arguments.check:
            print(f"{path.relative_to(ROOT)} does not match the chart: run `python -m tools.render_manifests`")
        else:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if outdated and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
