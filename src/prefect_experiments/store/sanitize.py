"""Text and JSON on their way into the store: what no database takes is made visible, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from prefect_experiments.errors import InvalidInput
from prefect_experiments.jsonable import dumps_strict

_MOST_SHOWN = 20
MOST_NAMES = 1_000  # so many of a store's are looked through for those like one that is not there


def object_text(value: Mapping[str, Any] | None, what: str) -> str:
    """JSON text of an object; an empty one for ``None``.

    Raises:
        InvalidInput: it is not a JSON object.
    """
    try:
        return dumps_strict(dict(value or {}))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{what} must be a JSON object: {error}") from None


def nearest_first(value: str, names: Iterable[str]) -> list[str]:
    """Some of the names for an error's text: those like the value first."""
    every = sorted(names)
    near = get_close_matches(value, every, n=3)
    return list(dict.fromkeys([*near, *every]))[:_MOST_SHOWN]
