"""Text made fit for places with little room."""


def cut(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters, an ellipsis telling that there was more."""
    if len(text) <= limit:
        return text
    return text[: limit - 1] + "…" if limit else ""


def one_line(text: str) -> str:
    """The text on one line, and without the lone surrogates that cannot be written as UTF-8."""
    return " ".join(text.encode("utf-8", "replace").decode().split())
