"""Which scores are better: what evaluations say of it themselves.

An evaluation says so in its metadata, ``{"direction": "minimize"}``, as phoenix-evals' scores do; so it goes
with the results to every backend and back, and stands in tables as ``eval.NAME.metadata.direction``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args

from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.datasets.scalars import is_missing

Said = Mapping[str, tuple[str, ...]]
"""By metric what its evaluations say; several where they disagree, and no metric of which none says anything."""

_KNOWN: tuple[Direction, ...] = get_args(Direction)


def said_directions(said: Iterable[tuple[str, Any]]) -> dict[str, tuple[str, ...]]:
    """What evaluations say, of pairs of a metric and what one of its evaluations has as its direction, if anything.

    ``MINIMIZE`` and `` minimize`` are ``minimize``; any other text stays as it is, and is for `unclear` to tell.
    """
    found: dict[str, dict[str, None]] = {}
    for name, direction in said:
        if not is_missing(direction) and (text := str(getattr(direction, "value", direction)).strip()):
            plain = text.lower()
            found.setdefault(name, {})[plain if plain in _KNOWN else text] = None
    return {name: tuple(sorted(directions)) for name, directions in found.items()}


def unclear(directions: Collection[str]) -> bool:
    """Whether what evaluations say leaves open which scores are better: they disagree, or it is no direction."""
    return len(directions) > 1 or any(direction not in _KNOWN for direction in directions)


def agreed(said: Said) -> dict[str, Direction]:
    """The directions of those metrics of which all evaluations that say one say the same."""
    return {
        name: known
        for name, directions in said.items()
        if len(directions) == 1
        for known in _KNOWN
        if directions[0] == known
    }
