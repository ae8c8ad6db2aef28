"""How a text is cut to a length, in messages, reports and on terminals alike."""

from __future__ import annotations

ELLIPSIS = "…"


def shortened(text: str, longest: int) -> str:
    """The text, or as much of its beginning as fits with an ellipsis into so many characters."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + ELLIPSIS
