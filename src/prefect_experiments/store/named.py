"""How experiments are named: beside an id and a name, ``latest``, ``latest:NAME`` and ``tag:NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prefect_experiments.display import some
from prefect_experiments.errors import AmbiguousName

LATEST, BY_LATEST, BY_TAG = "latest", "latest:", "tag:"
_MOST_LISTED = 10


def newest_of(key: str) -> str | None:
    """The name in ``latest:NAME``: of an experiment, or where none has it, of a dataset; ``None`` of another key."""
    return key.removeprefix(BY_LATEST).strip() if key.startswith(BY_LATEST) else None


def ambiguous(what: str, found: Sequence[tuple[str, datetime | None]], *, instead: str = "") -> AmbiguousName:
    """That a name leads to several experiments.

    Args:
        what: such as ``experiments are called 'nightly'``.
        found: their ids and when they were made, the newest first.
        instead: what leads to one of them beside its id.
    """
    listed = some(
        found,
        _MOST_LISTED,
        lambda one: one[0] if one[1] is None else f"{one[0]} ({one[1]:%Y-%m-%d %H:%M} UTC)",
    )
    other = f", or {instead}" if instead else ""
    return AmbiguousName(f"{len(found)} {what}; name one by its id: {listed}{other}")


def by_newest(name: str) -> str:
    """What leads to the newest experiment of a name, for a sentence."""
    return f"the newest of them as {BY_LATEST + name!r}"
