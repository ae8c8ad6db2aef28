"""A part of the sentence on a metric, and the words that all rules share."""

from __future__ import annotations

from typing import NamedTuple

from prefect_experiments.analysis.verdicts import Status

OFTEN = "4 times of 5"
"""How often what a pass is worth is found: `paired.POWER`."""
_WORST_FIRST: tuple[Status, ...] = ("failed", "inconclusive", "passed")


class Clause(NamedTuple):
    """What one rule says of a metric: a part of the sentence on it, and figures that go into its check."""

    status: Status
    text: str
    examples_needed: int | None = None
    smallest_drop: float | None = None


def unsure(text: str, needed: int | None, of_what: str) -> Clause:
    """What the data cannot tell, and how many examples or pairs could, where that is known."""
    more = "" if needed is None else f"; about {needed:,} {of_what} are needed to tell"
    return Clause("inconclusive", f"{text}{more}", needed)


def worst(statuses: list[Status]) -> Status:
    """The worst of the statuses; passed of none."""
    return next((status for status in _WORST_FIRST if status in statuses), "passed")


def p_text(p_value: float) -> str:
    """Such as ``adjusted p = 0.02``."""
    if p_value < 0.001:
        return "adjusted p < 0.001"
    # Rounded, 0.0501 would seem to be what it just is not.
    return f"adjusted p = {p_value:.2f}" if p_value >= 0.06 else f"adjusted p = {p_value:.2g}"
