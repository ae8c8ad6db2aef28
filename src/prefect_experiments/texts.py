"""Texts as they are kept and shown: how one is cut to a length, and what no database takes."""

from __future__ import annotations

ELLIPSIS = "…"


def shortened(text: str, longest: int) -> str:
    """The text, or as much of its beginning as fits with an ellipsis into so many characters."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + ELLIPSIS


def plain_text(text: str) -> str:
    r"""Text that every database takes: NUL as U+2400 (the sign for it), a lone surrogate as ``\udcxx``.

    For text that is kept as it is. JSON has its own way of writing NUL.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode(errors="backslashreplace").decode()
    return text.replace("\x00", "\u2400") if "\x00" in text else text
