"""Generated parts of Markdown documents: a program writes what is between two comments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class MarkdownSection:
    """The part of a document between two comments."""

    document: Path
    begin: str
    end: str

    @classmethod
    def written_by(cls, command: str, document: Path) -> Self:
        """Return the section that names the command that writes it."""
        return cls(
            document,
            f"<!-- the rest of this section is written by: {command} -->\n",
            "<!-- end of what is written -->\n",
        )

    def replaced(self, text: str, content: str) -> str:
        """Return a document's text with a new content of the section. Raises ValueError without the comments."""
        before, begin, rest = text.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end:
            raise ValueError(f"{self.document.name} has lost the comments {self.begin.strip()} … {self.end.strip()}")
        return f"{before}{begin}{content}{end}{after}"

    def rewritten(self, content: str) -> str:
        """Return the document with a new content of the section."""
        return self.replaced(self.document.read_text(), content)

    def write(self, content: str) -> None:
        """Rewrite the document."""
        self.document.write_text(self.rewritten(content))


def paragraphs(*texts: str) -> str:
    """Return paragraphs, with an empty line around each."""
    return "".join(f"\n{text}\n" for text in texts) + "\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
