"""Which scores are better: what evaluations say of it themselves.

An evaluation says so in its metadata, ``{"direction": "minimize"}``, as phoenix-evals' scores do; so it goes
with the results to every backend and back, and stands in tables as ``eval.NAME.metadata.direction``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from prefect_experiments.analysis.verdicts import Direction

Said = Mapping[str, tuple[Direction, ...]]
"""By metric what its evaluations say; several where they disagree, and no metric of which none says anything."""


def said_directions(said: Iterable[tuple[str, Any]]) -> dict[str, tuple[Direction, ...]]:
    """What evaluations say, of pairs of a metric and what one of its evaluations has as its direction, if anything."""
    found: dict[str, dict[Direction, None]] = {}
    for name, direction in said:
        for known in get_args(Direction):
            if direction == known:
                found.setdefault(name, {})[known] = None
    return {name: tuple(sorted(directions)) for name, directions in found.items()}


def agreed(said: Said) -> dict[str, Direction]:
    """The directions of those metrics of which all evaluations that say one say the same."""
    return {name: directions[0] for name, directions in said.items() if len(directions) == 1}
