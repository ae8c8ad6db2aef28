"""The examples that got worse and those that got better, with what to show of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Direction, ExampleChange

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TASK_ERROR = "task error"
_ROUNDING = 1e-12


def changed_examples(
    baseline: ResultTable,
    candidate: ResultTable,
    ids: Sequence[str],
    means: Mapping[str, tuple[Floats, Floats]],
    directions: Mapping[str, Direction],
) -> tuple[tuple[ExampleChange, ...], tuple[ExampleChange, ...]]:
    """Each example and metric on which the sides differ.

    Args:
        baseline: one side.
        candidate: the other.
        ids: the examples that both ran.
        means: by metric, the score of each of these examples on either side, NaN without one.
        directions: by metric.

    Returns:
        What got worse and what got better. First the examples on which the task failed on one side
        only (or in more of its repetitions), then by the size of the difference in proportion to
        the metric's range, then in the baseline's order. With repetitions the input, output and
        error shown are of the two runs that differ most.
    """
    import numpy as np

    found: list[tuple[bool, float, ExampleChange]] = []
    rows = (_Rows(baseline, ids), _Rows(candidate, ids))
    failing = tuple(side.means(side.table.failed.astype(float)) for side in rows)
    found += _of_metric(TASK_ERROR, "minimize", failing, rows)
    for name, pair in means.items():
        found += _of_metric(name, directions[name], pair, rows)
    order = np.argsort([(-1e9 if failure else 0.0) - size for failure, size, _ in found], kind="stable").tolist()
    ranked = [found[place][2] for place in order]
    return tuple(c for c in ranked if c.difference < 0), tuple(c for c in ranked if c.difference > 0)


class _Rows:
    """The runs of the compared examples on one side."""

    def __init__(self, table: ResultTable, ids: Sequence[str]) -> None:
        self.table = table
        self.ids = ids
        place = {example_id: number for number, example_id in enumerate(table.example_ids)}
        self._places = [place[example_id] for example_id in ids]
        self._runs: list[list[int]] = [[] for _ in table.example_ids]
        for row, number in enumerate(table.places.tolist()):
            self._runs[number].append(row)

    def means(self, values: Floats) -> Floats:
        """Values of runs as one value for each of the compared examples."""
        return self.table.means(values)[self._places]

    def shown(self, metric: str, place: int, sign: float) -> dict[str, Any]:
        """What there is of the example's run that scored highest (sign 1) or lowest (sign -1)."""
        runs = self._runs[self._places[place]]
        row = runs[0]
        if len(runs) > 1:
            values = self.table.failed if metric == TASK_ERROR else self.table.scores[metric]
            row = max(runs, key=lambda run: -math.inf if math.isnan(values[run]) else sign * values[run])
        run = self.table.results.runs[row]
        return {"input": run.input, "expected": run.expected, "output": run.record.output, "error": run.error}


def _of_metric(
    name: str, direction: Direction, means: tuple[Floats, ...], rows: tuple[_Rows, _Rows]
) -> list[tuple[bool, float, ExampleChange]]:
    import numpy as np

    left, right = means
    sign = 1.0 if direction == "maximize" else -1.0
    difference = sign * (right - left)
    size = np.maximum(np.abs(left), np.abs(right))
    changed = np.flatnonzero(np.abs(difference) > _ROUNDING * size)  # never where a side has no score
    if not len(changed):
        return []
    known = np.concatenate([left, right])
    span = float(np.nanmax(known) - np.nanmin(known)) or 1.0
    failure = name == TASK_ERROR
    found = []
    for place in changed.tolist():
        d = float(difference[place])
        before = rows[0].shown(name, place, sign * (1 if d < 0 else -1))
        after = rows[1].shown(name, place, sign * (-1 if d < 0 else 1))
        change = ExampleChange(
            example_id=rows[0].ids[place],
            metric=name,
            difference=d,
            baseline_score=None if failure else float(left[place]),
            candidate_score=None if failure else float(right[place]),
            input=after["input"] if after["input"] is not None else before["input"],
            expected=after["expected"] if after["expected"] is not None else before["expected"],
            baseline_output=before["output"],
            candidate_output=after["output"],
            baseline_error=before["error"],
            candidate_error=after["error"],
        )
        found.append((failure, abs(d) / span, change))
    return found
