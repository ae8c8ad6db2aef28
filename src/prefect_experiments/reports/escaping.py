"""Texts of people, models and datasets, made fit for a report: cut, and unable to act as markup.

Nothing here is trusted: not an output, not an example's id, not an experiment's or a metric's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.secret_texts import without_secrets
from prefect_experiments.texts import shortened

# Words that Markdown, GitHub included, can only read as words: no punctuation that could begin
# a link, a mention (@), a reference (#1), emphasis, an entity or a table's cell.
_HARMLESS = re.compile(r"[^\W_]+(?:[ _-][^\W_]+)*")
_LINE_BREAKING = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Characters that make a text read in another order than it is written.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_URL_AS_IT_IS = re.compile(r"[A-Za-z0-9\-._~:/?#@!$&*+,;=%]+")
_NO_WIDTH = "&#8203;"


def as_text(value: Any, *, between: str = "\n") -> str:
    """A value as people read it: text as it is, flat objects line by line, all else as JSON.

    Args:
        value: of whatever type.
        between: what stands between the fields of a flat object.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and value and all(_is_scalar(part) for part in value.values()):
        return between.join(f"{key}: {part if isinstance(part, str) else _json(part)}" for key, part in value.items())
    return _json(value)


def kind_of(value: Any) -> str:
    """What a value is where its text alone does not tell; empty for a text and for nothing."""
    if value is None or isinstance(value, str):
        return ""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    return "object" if isinstance(value, Mapping) else "list" if isinstance(value, list | tuple) else ""


def absent(value: Any) -> bool:
    """There is no value: ``None``, or what pandas has in its place."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return type(value).__name__ in {"NAType", "NaTType"}


def one_line(text: str, longest: int | None = None) -> str:
    """The text in one line, cut to a length."""
    text = _LINE_BREAKING.sub(" ", visible(text)).strip()
    return text if longest is None else shortened(text, longest)


def error_text(text: str, longest: int = 300) -> str:
    """What an error says, in one line, cut to a length, without secrets of ours."""
    return one_line(without_secrets(text), longest)


def visible(text: str) -> str:
    """Without characters that steer a terminal, reorder a line or cannot be written in XML."""
    return _REORDERING.sub("\ufffd", _CONTROL.sub("\ufffd", text))


def markdown(text: str, *, longest: int = 200, cell: bool = False) -> str:
    """Text for Markdown: as it is where it is harmless, else as code.

    Inside code nothing is read: no HTML, no link, no image, no mention, no reference.

    Args:
        text: somebody else's.
        longest: where it is cut.
        cell: whether it stands in a table's cell.
    """
    text = one_line(text, longest)
    if not text:
        return ""
    if _HARMLESS.fullmatch(text) and not text.casefold().startswith("www"):
        return text
    return code(text, longest=longest, cell=cell)


def sentence(text: str, *, longest: int = 600) -> str:
    """One of our own sentences for Markdown. It may name a metric or an example, which are not ours.

    Such a sentence stays readable where it is shown raw: what cannot act as markup is left alone,
    an interval like ``[-6, -1]`` or an underscore inside a word.
    """
    text = one_line(text, longest)
    text = re.sub(r"[\\`*~|]|(?<!\w)_|_(?!\w)|\[(?![-+$\d][^\[\]]*\](?![(\[:]))", lambda found: "\\" + found[0], text)
    text = re.sub(r"&(?=[#\w])", "&amp;", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    # GitHub makes links, mentions and references of what these begin, however they are escaped.
    text = re.sub(
        r"([@#])(?=\w)|(:)(?=//)|\b(www)(?=\.)", lambda found: found[0] + _NO_WIDTH, text, flags=re.IGNORECASE
    )
    # What begins a list, a quotation or a heading. Last, as what is put in here is an entity, and holds a "#" itself.
    return re.sub(r"^(?=[-+>#]|\d+[.)](?!\S))", _NO_WIDTH, text)


def code(text: str, *, longest: int = 200, cell: bool = False) -> str:
    """Text as a piece of Markdown code in one line; ``cell`` says that it stands in a table's cell."""
    text = one_line(text, longest) or " "
    if cell:
        # A pipe ends a cell even inside code. It is escaped, and kept clear of a backslash before it:
        # renderers do not agree on what two backslashes and a pipe are. Elsewhere the backslash would be shown.
        text = re.sub(r"(\\?)\|", lambda found: f"{found[1]}{' ' if found[1] else ''}\\|", text)
    marks = fence(text)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def fence(text: str, least: int = 1) -> str:
    """So many backticks around a text that none within it end the code: `least`, or more."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def web_address(url: str | None) -> str | None:
    """The address where it is one of a page, so that ``javascript:`` and the like never become a link."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def markdown_link(text: str, url: str | None) -> str:
    """A link to a page, or the text alone where there is no address to trust."""
    address = web_address(url)
    shown = markdown(text)
    return f"[{shown}]({address})" if address and _URL_AS_IT_IS.fullmatch(address) else shown


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _json(value: Any) -> str:
    import json

    text = dumps_lenient(value)[0]
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if isinstance(value, Mapping | list) else text
