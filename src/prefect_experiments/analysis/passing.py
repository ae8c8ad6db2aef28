"""The pass rule: an entry passes where all its scores reach a threshold, as pixie has it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect_experiments.analysis.directions import agreed, unclear
from prefect_experiments.analysis.entries import Entries, Entry, EntryOutcome, EntryScore, Passing
from prefect_experiments.analysis.lazy_items import MOST_AT_HAND
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.sources import Remark
from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.errors import InvalidSetting

THRESHOLD = 0.5
"""Pixie's."""

TASK_FAILED = "the task failed"
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


def passing_of(
    table: ResultTable,
    threshold: float,
    directions: Mapping[str, Direction | None],
    *,
    of: Collection[str] | None = None,
    by: Collection[str] | None = None,
    baseline: ResultTable | None = None,
) -> Passing:
    """`passing` of a results table that was read.

    Args:
        table: the results.
        threshold: the lowest score that passes.
        directions: by metric, as far as somebody else than its evaluations says.
        of: the ids of the examples that are asked about; by default all.
        by: the names of the evaluations that have a say; by default all.
        baseline: what it is compared with. Where nobody says which examples a table should have, it is those as well.
    """
    rule = _Rule(table, threshold, directions, by)
    rows = _rows_of(table)
    ids = table.due(baseline)
    asked = len(ids) if of is None else sum(example_id in of for example_id in ids)
    judged: list[int] = []
    outcomes: list[EntryOutcome] = []
    n_pending = array("i")
    is_less = False
    for place, example_id in enumerate(ids):
        if of is not None and example_id not in of:
            continue
        if entry := rule.entry(place + 1, example_id, rows.get(example_id, {})):
            judged.append(place)
            outcomes.append(entry.outcome)
            n_pending.append(sum(score.outcome == "pending" for score in entry.scores))
            is_less = is_less or any(score.less_is_better for score in entry.scores)

    def make(places: Sequence[int]) -> Iterator[Entry]:
        some = [judged[place] for place in places]
        texts = _Texts(table, {ids[place]: rows.get(ids[place], {}) for place in some}, rule.evaluators)
        for place in some:
            if entry := rule.entry(place + 1, ids[place], rows.get(ids[place], {}), texts):
                yield entry

    entries = Entries(outcomes, n_pending, is_less, make)
    return Passing(
        threshold=threshold,
        entries=entries if len(entries) > MOST_AT_HAND else tuple(entries),
        n_unjudged=asked - len(entries),
        neutral=rule.neutral,
    )


def _rows_of(table: ResultTable) -> Mapping[str, _Rows]:
    """By example its rows."""
    found: dict[str, dict[int, int]] = {}
    for row, (place, repetition) in enumerate(
        zip(table.places.tolist(), table.repetition_numbers.tolist(), strict=True)
    ):
        found.setdefault(table.example_ids[place], {})[repetition] = row
    return found


class _Texts:
    """What there is to read of some entries."""

    def __init__(self, table: ResultTable, rows: Mapping[str, _Rows], evaluators: Sequence[str]) -> None:
        every = [row for some in rows.values() for row in some.values()]
        self.remarks = table.source.remarks([row for row in every if not table.failed[row]], evaluators)
        self.errors = table.source.errors([row for row in every if table.failed[row]])
        self.metadata = table.source.metadata(list(rows))


class _Rule:
    """The rule, for the entries of one table."""

    def __init__(
        self,
        table: ResultTable,
        threshold: float,
        directions: Mapping[str, Direction | None],
        by: Collection[str] | None,
    ) -> None:
        said = {name: direction for name, direction in directions.items() if direction is not None}
        self.table, self.threshold = table, threshold
        self.directions = {**agreed(table.directions), **said}
        self.unclear = {name for name, ways in table.directions.items() if name not in said and unclear(ways)}
        every = dict.fromkeys(name for name in (*table.evaluators, *table.scores) if by is None or name in by)
        self.neutral = tuple(name for name in every if self.directions.get(name) == "neutral")
        self.evaluators = [name for name in every if name not in self.neutral]

    def entry(self, number: int, example_id: str, rows: _Rows, texts: _Texts | None = None) -> Entry | None:
        """What becomes of an entry; nothing of one that no evaluator is meant for.

        Args:
            number: its place, from 1.
            example_id: whose.
            rows: of its runs.
            texts: what was read of it; without, the entry has no texts.
        """
        chosen = self.table.meant_for
        evaluators = [name for name in self.evaluators if name not in chosen or example_id in chosen[name]]
        if not evaluators:
            return None
        ok = [row for row in rows.values() if not self.table.failed[row]]
        scores = [self._worst(name, ok, texts) for name in evaluators] if ok else []
        why, error = self._trouble(rows, texts)
        return Entry(
            number=number,
            example_id=example_id,
            description=None if texts is None else _described(texts.metadata.get(example_id)),
            outcome="failed" if why else _worst_of(score.outcome for score in scores),
            scores=tuple(scores),
            why=why,
            error=error,
        )

    def _trouble(self, rows: _Rows, texts: _Texts | None) -> tuple[str, str | None]:
        """Why an entry fails whatever its scores are, and the task's error."""
        failed = [row for row in rows.values() if self.table.failed[row]]
        repetitions = self.table.repetitions
        if failed:
            of = f" in {len(failed)} of {len(rows)} repetitions" if len(rows) > 1 else ""
            return f"{TASK_FAILED}{of}", None if texts is None else texts.errors.get(failed[0])
        if (missing := repetitions - len(rows)) > 0:
            return (f"{missing} of {repetitions} repetitions were not run" if rows else _NOT_RUN), None
        return "", None

    def _worst(self, name: str, rows: Sequence[int], texts: _Texts | None) -> EntryScore:
        """What an evaluator says of an entry's runs: of the one that it says the worst of."""
        found = [self._score(name, row, texts) for row in rows]
        return min(found, key=lambda one: (_WORST_FIRST.index(one.outcome), one.score is not None, self._height(one)))

    def _score(self, name: str, row: int, texts: _Texts | None) -> EntryScore:
        """What it says of one run."""
        table = self.table
        scores, remark = table.scores.get(name), Remark() if texts is None else texts.remarks.get((row, name), Remark())
        score = None if scores is None or math.isnan(scores[row]) else float(scores[row])  # or what a label counts as
        found = EntryScore(
            evaluator=name,
            outcome="failed",
            score=score,
            explanation=remark.explanation,
            error=remark.error,
            criteria=remark.criteria,
            repetition_number=int(table.repetition_numbers[row]),
            less_is_better=self.directions.get(name) == "minimize",
        )
        label = table.labels[name][row] if name in table.labels else None
        if name in table.broken and table.broken[name][row]:
            return replace(found, why="failed")
        if name in table.pending and table.pending[name][row]:
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


def _described(metadata: Mapping[str, Any] | None) -> str | None:
    said = None if metadata is None else metadata.get(_DESCRIPTION)
    return said if isinstance(said, str) else None


def _not_run(ran: RanExperiment) -> tuple[Entry, ...]:
    """The entries of an experiment that has not begun."""
    return tuple(
        Entry(number=number, example_id=name, description=_described(example.metadata), outcome="failed", why=_NOT_RUN)
        for number, (name, example) in enumerate(ran.examples.items(), 1)
    )
