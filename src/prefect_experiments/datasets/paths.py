"""Dotted paths into objects: ``label``, ``answer.text``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ABSENT: Final = object()
"""What `descend` gives where nothing stands at a path; ``None`` is a value."""


def descend(value: Any, path: str) -> Any:
    """What stands at a path of keys, `ABSENT` where nothing does; a key may hold a dot itself.

    >>> descend({"answer": {"text": "Paris"}}, "answer.text")
    'Paris'
    """
    if not path:
        return value
    if not isinstance(value, Mapping):
        return ABSENT
    if path in value:
        return value[path]
    head, _, rest = path.partition(".")
    return descend(value[head], rest) if rest and head in value else ABSENT
