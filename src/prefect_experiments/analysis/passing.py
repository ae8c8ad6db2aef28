"""The pass rule: an entry passes where all its scores reach a threshold, as pixie has it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect_experiments.analysis.directions import agreed, unclear
from prefect_experiments.analysis.entries import Entry, EntryOutcome, EntryScore, Passing
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.models import Example

THRESHOLD = 0.5
"""Pixie's."""

_DESCRIPTION, _NOT_RUN = "description", "it was not run"
# 1 - 0.9 is 0.09999999999999998.
_ROUNDING = 1e-9
_Rows = Mapping[int, int]
"""By repetition, the row of an example's run in its table."""
_WORST_FIRST: tuple[EntryOutcome, ...] = ("failed", "pending", "passed")


def passing(
    results: Any, threshold: float = THRESHOLD, *, directions: Mapping[str, Direction | None] | None = None
) -> Passing:
    """Which entries of an experiment pass.

    An entry passes where its task has not failed, and all scores of the evaluators that are meant for it are at least
    the threshold, in all repetitions. An evaluator's error, or a missing score, fails it. Of a metric of which less is
    better, the score counts from the other end: 1 - score has to reach the threshold. A ``neutral`` one has no say.

    Args:
        results: as `result_table` takes them. A table does not say which entries have which evaluators: there an empty
            score is a missing one.
        threshold: from 0 to 1.
        directions: by metric, which scores are better; of the others, what their evaluations say, else more is better.

    Raises:
        InvalidSetting: a threshold out of its range.
        InvalidDataset: a table that cannot be read.
    """
    if isinstance(threshold, bool) or not 0 <= threshold <= 1:
        raise InvalidSetting(f"the threshold must be from 0 to 1, such as 0.5; got {threshold!r}")
    if isinstance(results, RanExperiment) and not results.summary.n_runs:
        return Passing(threshold=threshold, entries=_not_run(results))
    return passing_of(result_table(results), threshold, directions or {})


def passing_of(table: ResultTable, threshold: float, directions: Mapping[str, Direction | None]) -> Passing:
    """`passing` of a results table that was read.

    Args:
        table: the results.
        threshold: the lowest score that passes.
        directions: by metric, as far as somebody else than its evaluations says.
    """
    rule = _Rule(table, threshold, directions)
    rows: dict[str, dict[int, int]] = {}
    for row, run in enumerate(table.runs):
        rows.setdefault(run.example_id, {})[run.repetition_number] = row
    ids = dict.fromkeys([*table.examples, *rows])
    entries = [
        found
        for number, example_id in enumerate(ids, 1)
        if (found := rule.entry(number, example_id, rows.get(example_id, {})))
    ]
    return Passing(
        threshold=threshold, entries=tuple(entries), n_unjudged=len(ids) - len(entries), neutral=rule.neutral
    )


class _Rule:
    """The rule, for the entries of one table."""

    def __init__(self, table: ResultTable, threshold: float, directions: Mapping[str, Direction | None]) -> None:
        said = {name: direction for name, direction in directions.items() if direction is not None}
        self.table, self.threshold = table, threshold
        self.directions = {**agreed(table.directions), **said}
        self.unclear = {name for name, ways in table.directions.items() if name not in said and unclear(ways)}
        every = dict.fromkeys([*(one.name for one in table.results.evaluators), *table.scores])
        self.neutral = tuple(name for name in every if self.directions.get(name) == "neutral")
        self.evaluators = [name for name in every if name not in self.neutral]

    def entry(self, number: int, example_id: str, rows: _Rows) -> Entry | None:
        """What becomes of an entry; nothing of one that no evaluator is meant for."""
        chosen = self.table.results.meant_for
        evaluators = [name for name in self.evaluators if name not in chosen or example_id in chosen[name]]
        if not evaluators:
            return None
        ok = [row for row in rows.values() if not self.table.failed[row]]
        scores = [self._worst(name, ok) for name in evaluators] if ok else []
        why, error = self._trouble(rows)
        return Entry(
            number=number,
            example_id=example_id,
            description=_described(self.table.examples.get(example_id)),
            outcome="failed" if why else _worst_of(score.outcome for score in scores),
            scores=tuple(scores),
            why=why,
            error=error,
        )

    def _trouble(self, rows: _Rows) -> tuple[str, str | None]:
        """Why an entry fails whatever its scores are, and the task's error."""
        errors = [error for row in rows.values() if (error := self.table.runs[row].error) is not None]
        repetitions = self.table.repetitions
        if errors:
            of = f" in {len(errors)} of {len(rows)} repetitions" if len(rows) > 1 else ""
            return f"the task failed{of}", errors[0]
        if (missing := repetitions - len(rows)) > 0:
            return (f"{missing} of {repetitions} repetitions were not run" if rows else _NOT_RUN), None
        return "", None

    def _worst(self, name: str, rows: Sequence[int]) -> EntryScore:
        """What an evaluator says of an entry's runs: of the one that it says the worst of."""
        found = [self._score(name, row) for row in rows]
        return min(found, key=lambda one: (_WORST_FIRST.index(one.outcome), one.score is not None, self._height(one)))

    def _score(self, name: str, row: int) -> EntryScore:
        """What it says of one run."""
        run, scores = self.table.runs[row], self.table.scores.get(name)
        one = run.counted.get(name)
        score = None if scores is None or math.isnan(scores[row]) else float(scores[row])  # or what a label counts as
        found = EntryScore(
            evaluator=name,
            outcome="failed",
            score=score,
            explanation=None if one is None else one.explanation,
            error=None if one is None else one.error,
            criteria=None if one is None else one.pending,
            repetition_number=run.repetition_number,
            less_is_better=self.directions.get(name) == "minimize",
        )
        label = None if one is None else one.label
        if found.error is not None:
            return replace(found, why="failed")
        if found.criteria is not None:
            return replace(found, outcome="pending", why="is pending")
        if name in self.unclear:
            return replace(found, why="does not say clearly which scores are better")
        if score is None:
            return replace(found, why="gave no score" if label is None else f"gave the label {label!r} and no score")
        return replace(found, outcome="passed") if self._height(found) >= self.threshold else found

    def _height(self, found: EntryScore) -> float:
        """The score with more as better."""
        if found.score is None:
            return 0.0
        return 1 - found.score + _ROUNDING if found.less_is_better else found.score


def _worst_of(outcomes: Iterable[EntryOutcome]) -> EntryOutcome:
    found = set(outcomes)
    return next(outcome for outcome in _WORST_FIRST if outcome in found)


def _described(example: Example | None) -> str | None:
    said = None if example is None else example.metadata.get(_DESCRIPTION)
    return said if isinstance(said, str) else None


def _not_run(ran: RanExperiment) -> tuple[Entry, ...]:
    """The entries of an experiment that has not begun."""
    return tuple(
        Entry(number=number, example_id=name, description=_described(example), outcome="failed", why=_NOT_RUN)
        for number, (name, example) in enumerate(ran.examples.items(), 1)
    )
