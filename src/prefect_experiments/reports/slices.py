"""What moved on groups of the examples, and which examples are flaky, in sentences that all reports share."""

from __future__ import annotations

from collections.abc import Callable

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.changes import outlines
from prefect_experiments.analysis.gate.slice_rule import said_of_slice
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.reports import phrases
from prefect_experiments.reports.escaping import one_line

SLICES_SHOWN = 10
FLAKY_SHOWN = 5
SLICES_MOVED = "Groups of examples that moved"
"""Stands above `slice_lines`."""


def slice_lines(comparison: Comparison, shown: int = SLICES_SHOWN) -> list[str]:
    """Such as ``metadata.topic=refunds: correctness 0.28, -60 points [-74, -45] ...: regressed (p <0.001)``.

    Args:
        comparison: what was compared.
        shown: so many groups and metrics at most; the worst come first.
    """
    moved = comparison.slices.moved
    lines = [
        f"{said_of_slice(group, metric)}: {metric.verdict} (p {numbers.p_value(metric.p_value_adjusted)})"
        for group, metric in moved[:shown]
    ]
    more = len(moved) - shown
    return [*lines, f"and {numbers.count(more, 'other')}"] if more > 0 else lines


def flaky_line(comparison: Comparison, written: Callable[[str], str] = one_line, shown: int = FLAKY_SHOWN) -> str:
    """Which examples got worse by no more than their own repetitions differ; empty where none did.

    Args:
        comparison: what was compared.
        written: writes an example's id for the medium.
        shown: so many ids at most.
    """
    solid = {change.example_id for change in phrases.solid_changes(comparison)}
    flaky = [change.example_id for change in outlines(comparison.regressed) if change.is_flaky]
    ids = [one for one in dict.fromkeys(flaky) if one not in solid]
    if not ids:
        return ""
    more = f" and {numbers.count(len(ids) - shown, 'other')}" if len(ids) > shown else ""
    return (
        f"Flaky: {numbers.count(len(ids), 'more example')} got worse within what repetitions of the same side show: "
        f"{', '.join(map(written, ids[:shown]))}{more}"
    )
