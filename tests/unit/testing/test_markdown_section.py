"""What is between two comments of a document is replaced, and nothing else."""

from pathlib import Path

import pytest

from testing.markdown_section import MarkdownSection, markdown_table, paragraphs

TEXT = "# Title\n<!-- begin -->\nold\n<!-- end -->\nthe rest\n"


def section(path: Path) -> MarkdownSection:
    return MarkdownSection(path, "<!-- begin -->\n", "<!-- end -->\n")


def test_only_the_content_is_replaced(tmp_path: Path) -> None:
    found = section(tmp_path / "document.md")
    found.document.write_text(TEXT)
    found.write("new\n")
    assert found.document.read_text() == TEXT.replace("old", "new")
    assert found.rewritten("new\n") == found.document.read_text()


@pytest.mark.parametrize("text", ["", "<!-- begin -->\n", "<!-- end -->\n<!-- begin -->\n"])
def test_a_document_without_the_comments_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"document\.md has lost the comments"):
        section(tmp_path / "document.md").replaced(text, "new\n")


def test_the_section_names_the_command_that_writes_it(tmp_path: Path) -> None:
    assert "is written by: make table -->" in MarkdownSection.written_by("make table", tmp_path).begin


def test_a_table_has_a_head_and_rows() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert paragraphs("a", "b") == "\na\n\nb\n\n"
