"""Shortening of texts."""


def cut(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of a text; an ellipsis shows that it was shortened."""
    if len(text) <= limit:
        return text
    return text[: limit - 1] + "…" if limit else ""


def one_line(text: str) -> str:
    """Return the text in one line, without lone surrogates, which UTF-8 does not allow."""
    return " ".join(text.encode("utf-8", "replace").decode().split())
