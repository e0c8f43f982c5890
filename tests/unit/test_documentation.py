"""The README stays short, and the documentation site builds without a warning and loads nothing from other hosts."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc="(?P<source>[^"]*)|<link\b[^>]*\bhref="(?P<link>[^"]*)"""
)


def test_the_readme_can_be_read_in_two_minutes() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 600
    assert len(text.splitlines()) <= 90


def test_the_site_has_no_broken_link_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    folders = ["--conf-dir", "docs", "--doctree-dir", str(tmp_path / "doctrees"), ".", str(tmp_path / "site")]

    build = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, text=True, check=False)

    assert build.returncode == 0, build.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 70
    loaded = {match.group() for page in pages for match in LOADED.finditer(page.read_text())}
    assert [element for element in loaded if "//" in element.split('="')[-1]] == []
