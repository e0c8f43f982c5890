"""Product and documents use the field's words: docs/glossary.md. The patterns count those that are not."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PATTERNS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\blooks?\b(?! (?:like|up\b))",
        r"\blooked (?:at|after|for)\b",
        r"\bmark(?:s|ed)?\b(?! ?down)",
        r"\btold\b",
        r"\btells?\b",
        r"\bsays?\b",
        r"\bplay(?:ed|s|ing)?\b",
        r"\bsomebody\b|\bnobody\b|\bwhoever\b|\bwhom\b",
        r"\banew\b",
        r"\bmend(?:s|ed)?\b",
        r"\bat rest\b",
        r"\bnot heard of\b|\bunheard\b",
        r"\bby hand\b",
        r"\bfirst.round\b",
        r"\bown.writes?\b|\bis no news\b|\bnews\b",
        r"\bput back\b|\bgive up\b|\bgives up\b|\bgave up\b|\bgiven up\b",
        r"\bcarry out\b|\bcarried out\b",
        r"\bbed\b",
        r"\bbills? of materials\b",
        r"\bprocessor\b",
        r"\bdefinition\b(?= (?:of the|in the|is|has|stays))",
        r"\bis no\b|\bare no\b|\bto be had\b",
    )
]

ALLOWED: dict[str, str] = {}
"""Phrases that are taken out before the count, each with its reason. At most 15."""

WORDS = re.compile(r"[A-Za-z]{2,}")
LIMITS = {"product": 60, "docs": 100}
"""Hits in 100,000 words."""


def test_the_allow_list_stays_short_and_gives_reasons() -> None:
    assert len(ALLOWED) <= 15
    assert all(ALLOWED.values())


@pytest.mark.parametrize("part", sorted(LIMITS))
def test_private_words_stay_below_their_limit(part: str) -> None:
    hits, words = count(path.read_text() for path in files(part))
    assert words > 10_000
    assert sum(hits.values()) * 100_000 / words <= LIMITS[part], hits.most_common(20)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tell nobody by hand", 3),
        ("def own_writes(): a firstRound", 2),
        ("It looks like markdown; look up the mark down", 0),
        ("the definition of the resource", 1),
    ],
)
def test_identifiers_are_split_before_the_count(text: str, found: int) -> None:
    hits, _ = count([text])
    assert sum(hits.values()) == found


def files(part: str) -> list[Path]:
    """Return the files of a part that git knows."""
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    product = ("operator/", "runner-image/ingestion_runner/")
    chart = (".yaml", ".txt", ".tpl")
    if part == "product":
        chosen = [name for name in known if name.startswith(product) and name.endswith(".py")]
    else:
        chosen = [
            name for name in known if name.endswith(".md") or (name.startswith("charts/") and name.endswith(chart))
        ]
    return [ROOT / name for name in chosen if (ROOT / name).is_file()]


def count(texts: Iterable[str]) -> tuple[Counter[str], int]:
    """Return how often each private word was found, and the number of words."""
    hits: Counter[str] = Counter()
    words = 0
    for text in texts:
        split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
        words += len(WORDS.findall(split))
        for phrase in ALLOWED:
            split = split.replace(phrase, "")
        for pattern in PATTERNS:
            hits.update(found.group(0).lower() for found in pattern.finditer(split))
    return hits, words
