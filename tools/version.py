"""Write the version wherever it stands, or check that all places have it.

    python -m tools.version            write
    python -m tools.version --check    exit 1 and name the command when a place has another version

The one source is `__version__` in operator/ingestion_operator/__init__.py; the package's metadata is built from it.
manifests/ are rendered from the chart; what this writes there is what `python -m tools.render_manifests` would write.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ingestion_operator import __version__

ROOT: Final = Path(__file__).parent.parent
_VERSION: Final = r"\d+\.\d+\.\d+"  # Helm and Python write pre-releases in different ways
_LABEL: Final = r'org\.opencontainers\.image\.version="@"'
_RENDERED: Final = (r'app\.kubernetes\.io/version: "@"', r"image: ingestion-operator:@")
PLACES: Final[dict[str, tuple[str, ...]]] = {
    "runner-image/ingestion_runner/__init__.py": (r'^__version__ = "@"$',),
    "operator/Dockerfile": (_LABEL,),
    "runner-image/Dockerfile": (_LABEL,),
    "charts/ingestion-operator/Chart.yaml": (r"^version: @$", r'^appVersion: "@"$'),
    "charts/ingestion-operator/ci/maximal-values.yaml": (r'repository: \S+/ingestion-operator, tag: "@"',),
    "manifests/gateway.yaml": _RENDERED,
    "manifests/log-archive.yaml": _RENDERED[:1],
    "manifests/operator.yaml": _RENDERED,
    "manifests/rbac.yaml": _RENDERED[:1],
    "manifests/settings.yaml": _RENDERED[:1],
    "docs/operations/gitops.md": (r"targetRevision: v@", r"tag: v@"),
    "docs/operations/install.md": (r"newName: \S+/ingestion-operator, newTag: @",),
}
"""Each file that repeats the version, and the patterns around it; `@` stands for the version."""


def outdated(root: Path, version: str) -> dict[Path, str]:
    """Return the files that have another version, with the text that they should have.

    Raises ValueError for a pattern that a file does not have.
    """
    texts = {root / name: _with_version(root / name, patterns, version) for name, patterns in PLACES.items()}
    return {path: text for path, text in texts.items() if path.read_text() != text}


def _with_version(path: Path, patterns: tuple[str, ...], version: str) -> str:
    text = path.read_text()
    for pattern in patterns:
        before, after = pattern.split("@")
        text, places = re.subn(f"({before}){_VERSION}({after})", rf"\g<1>{version}\g<2>", text, flags=re.MULTILINE)
        if not places:
            raise ValueError(f"{path} has no version where tools/version.py expects it: {pattern}")
    return text


def _messages(check: bool) -> Iterator[str]:
    for path, text in outdated(ROOT, __version__).items():
        name = path.relative_to(ROOT)
        if check:
            yield f"{name} does not have version {__version__}: run `python -m tools.version` and commit the result"
        else:
            path.write_text(text)
            yield f"wrote {name}"


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a place has another version")
    arguments = parser.parse_args()
    messages = list(_messages(arguments.check))
    print("\n".join(messages), end="\n" if messages else "")
    return 1 if messages and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
