"""Settings of the documentation site: `make docs`.

The site's source is the repository itself, so links between docs/ and files beside it (the chart's README, samples)
work on the site as they do in a repository viewer. Linked Markdown files named below are pages; other linked files are
copied. docs/README.md is the start page, and its sections and links are the navigation. A page that it does not link to
fails the build, and so does a link whose file or anchor does not exist.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx

from ingestion_operator import __version__

ROOT: Final = Path(__file__).parent.parent
_HEADING: Final = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\]\((?P<path>[^)#:]+)\.md(?:#[^)]*)?\)")

project = "ingestion-operator"
author = "The ingestion-operator authors"
version = release = __version__
extensions = ["myst_parser"]
root_doc = "docs/README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/**/*.md",
    "charts/ingestion-operator/README.md",
    "runner-image/README.md",
]
exclude_patterns = [".*", "build", "tests", "testing", "testcluster"]
myst_heading_anchors = 4
nitpicky = True
html_theme = "furo"
html_title = f"ingestion-operator {release}"
html_show_sphinx = False
html_copy_source = False
html_use_index = False


def setup(app: Sphinx) -> None:
    """Add the navigation, and a page that leads to the start page."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _write_redirect)


def _add_navigation(_: Sphinx, document: str, source: list[str]) -> None:
    """Append the navigation to the start page; to other indexes in docs/, the pages of their folder."""
    if document == root_doc:
        source[0] += "".join(_toctree(lines, caption) for caption, lines in _sections(source[0]))
    elif document.startswith("docs/") and document.endswith("/README"):
        source[0] += _toctree(["*"], glob=True)


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each section's title and the documents that it links to, each where it is linked first.

    The text above the first section has no title.
    """
    parts = ["", *_HEADING.split(text)]
    seen: set[str] = set()
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        linked = [posixpath.normpath(posixpath.join("docs", link["path"])) for link in _LINK.finditer(body)]
        documents = [name for name in dict.fromkeys(linked) if name not in seen]
        seen.update(documents)
        yield title, [f"/{name}" for name in documents]


def _toctree(lines: list[str], caption: str = "", *, glob: bool = False) -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else []), *([":glob:"] if glob else [])]
    return "\n".join(["\n", "```{toctree}", *options, "", *lines, "```", ""])


def _write_redirect(app: Sphinx, problem: Exception | None) -> None:
    if problem is None and app.builder.format == "html":
        target = app.builder.get_target_uri(root_doc)
        page = f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={target}">\n'
        (Path(app.outdir) / "index.html").write_text(page)
