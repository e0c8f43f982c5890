"""Texts of limited length."""


def cut(text: str, limit: int) -> str:
    """Return `text` on one line in at most `limit` bytes of UTF-8, cut between characters."""
    line = " ".join(text.split())
    raw = line.encode()
    if len(raw) <= limit:
        return line
    ellipsis = "…"
    return raw[: limit - len(ellipsis.encode())].decode(errors="ignore") + ellipsis
