"""The variables of mustache prompts, such as ``{{input.question}}``, and whether an example fills them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_SECTION = re.compile(r"\{\{[#^]\s*([\w.]+)\s*\}\}.*?\{\{/\s*\1\s*\}\}", re.DOTALL)
_VARIABLE = re.compile(r"\{\{\{?\s*&?\s*(\w[\w.]*)")


def texts_of(prompt: Any) -> Iterator[str]:
    """The texts of a prompt: a text, messages with a ``content``, or lists of parts with a ``text``."""
    if isinstance(prompt, str):
        yield prompt
    elif isinstance(prompt, Mapping):
        for key in ("content", "text"):
            yield from texts_of(prompt.get(key))
    elif isinstance(prompt, list | tuple):
        for part in prompt:
            yield from texts_of(part)


def variables(texts: Iterable[str]) -> list[str]:
    """The variables that stand in the texts, not those within a section: that is for what may be missing."""
    found = [name for text in texts for name in _VARIABLE.findall(_SECTION.sub("", text))]
    return [name for name in dict.fromkeys(found) if not name.startswith("__")]


def is_filled(variable: str, there: Mapping[str, Any]) -> bool:
    """Whether fields fill a variable: each of its parts leads to a value. What an output holds is not known before."""
    root, *parts = variable.split(".")
    value = there.get(root)
    if root == "output":
        return True
    for part in parts:
        if not isinstance(value, Mapping):
            return False
        value = value.get(part)
    return value is not None
