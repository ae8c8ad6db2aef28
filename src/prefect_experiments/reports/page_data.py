"""What the page's table of examples works on: examples with the runs of both sides, as JSON, written as it is read.

The page holds texts cut at `LONGEST_TEXT` characters, and less where many long ones would make a
page that does not open quickly: `TEXT_BUDGET` is for all of them together. What was cut says so. Of more than
`MOST_EXAMPLES`, it holds those to be looked at first, and says how many there are.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from markupsafe import Markup

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.changes import outlines
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.reports.chosen import Chosen, chosen
from prefect_experiments.reports.escaping import as_text, kind_of, visible
from prefect_experiments.reports.figures import Outline, has_error
from prefect_experiments.reports.phrases import regressions
from prefect_experiments.reports.report_model import ReportSide
from prefect_experiments.results import ResultRun

LONGEST_TEXT = 8000
TEXT_BUDGET = 40_000_000
MOST_EXAMPLES = 20_000
_SHORTEST_CUT = 250
ANY_METRIC = -2
TASK_ERROR = -1  # stands for the metric "task error" among the metrics' places


@dataclass(slots=True)
class _Example:
    id: str
    baseline: dict[int, ResultRun]
    candidate: dict[int, ResultRun]

    def runs(self) -> Iterable[ResultRun]:
        yield from self.candidate.values()
        yield from self.baseline.values()


@dataclass(slots=True)
class _Change:
    """What a comparison says of an example: how it ranks, and the places of the metrics on which it moved."""

    rank: int = 0
    worse: set[int] = field(default_factory=set)
    better: set[int] = field(default_factory=set)
    flaky: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ExamplesData:
    """The examples of a page.

    Attributes:
        text_limit: texts longer than this are cut.
        chosen: which examples the page holds.
        metrics: the evaluators' names, in the table's order.
    """

    text_limit: int
    chosen: Chosen
    metrics: list[str]
    _write: Callable[[], Iterator[Markup]]

    def pieces(self) -> Iterator[Markup]:
        """The examples as JSON that can stand in a ``<script type="application/json">``; read while it is written."""
        return self._write()


def examples_data(comparison: Comparison | None, sides: Sequence[ReportSide], outline: Outline) -> ExamplesData:
    """The examples of both sides, in the candidate's order, then those that only the baseline has.

    Args:
        comparison: of the sides, where they were compared.
        sides: the candidate, then the baseline, where there is one.
        outline: of these sides.
    """
    found = chosen(outline, comparison, sides[0], MOST_EXAMPLES)
    limit = _text_limit(run for example in _examples(sides, found.ids) for run in example.runs())
    return ExamplesData(limit, found, outline.metrics, partial(_pieces, comparison, sides, outline, found, limit))


def _examples(sides: Sequence[ReportSide], ids: Sequence[str]) -> Iterator[_Example]:
    """These examples with their runs on both sides, a few in memory at once."""
    for each in zip(*(side.read.of(ids) for side in sides), strict=True):
        runs = [{run.repetition_number: run for run in found} for _, found in each]
        yield _Example(each[0][0], candidate=runs[0], baseline=runs[1] if len(runs) > 1 else {})


def _pieces(
    comparison: Comparison | None, sides: Sequence[ReportSide], outline: Outline, found: Chosen, limit: int
) -> Iterator[Markup]:
    metrics, two_sides = outline.metrics, len(sides) > 1
    minimized = {name for name, metric in comparison.metrics.items() if metric.direction == "minimize"} if (
        comparison
    ) else set()  # fmt: skip
    changes = _changes(comparison, found.ids, {name: place for place, name in enumerate(metrics)}) if comparison else {}
    # One way of writing for all scores of a metric: 1.00 beside 0.85, and 1 beside 5.
    writer = _Writer(metrics, minimized, limit, outline.beyond, two_sides=two_sides)
    head: dict[str, Any] = {
        "metrics": metrics,
        "twoSides": two_sides,
        "compared": comparison is not None,
        "limit": limit,
    }
    if found.n_left_out:
        head["totals"] = _totals(found, comparison, metrics)
    yield Markup('%s,"examples":[') % script_json(head)[:-1]
    for number, example in enumerate(_examples(sides, found.ids)):
        # The place in the dataset goes with each, so that a page of some still knows their order.
        written = script_json(writer.example(outline.places[example.id], example, changes.get(example.id) or _Change()))
        yield Markup(",") + written if number else written
    yield Markup('],"notes":%s}') % script_json(writer.notes)  # filled while the examples were written


def script_json(data: Any) -> Markup:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment.

    Its texts are `visible`: what could reorder a line on the page, or cannot be written as UTF-8, is replaced.
    """
    text = visible(json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped right above


def _changes(comparison: Comparison, ids: Iterable[str], places: dict[str, int]) -> dict[str, _Change]:
    """Which of some examples got worse or better, and how they rank: the comparison says so, not the page."""
    found = {example_id: _Change() for example_id in ids}
    for rank, change in enumerate(outlines(comparison.improved)):
        if one := found.get(change.example_id):
            one.rank = max(one.rank, len(comparison.improved) - rank)
            one.better.add(places.get(change.metric, TASK_ERROR))
            one.flaky |= {places.get(change.metric, TASK_ERROR)} if change.is_flaky else set()
    for rank, change in enumerate(regressions(comparison)):
        if one := found.get(change.example_id):
            one.rank = min(one.rank, rank - len(comparison.regressed))
            one.worse.add(places.get(change.metric, TASK_ERROR))
            one.flaky |= {places.get(change.metric, TASK_ERROR)} if change.is_flaky else set()
    return found


def _totals(found: Chosen, comparison: Comparison | None, metrics: Sequence[str]) -> dict[str, dict[int, int]]:
    """By button of the page and by metric, how many examples there are, of which the page has some."""
    totals: dict[str, dict[int, int]] = {name: {ANY_METRIC: n} for name, n in found.totals.items()}
    totals["all"] = {ANY_METRIC: found.n_all}
    if comparison:
        for name, changes in (("regressed", comparison.regressed), ("improved", comparison.improved)):
            moved = Counter(change.metric for change in outlines(changes))
            totals[name] |= {place: moved.pop(metric, 0) for place, metric in enumerate(metrics)}
            totals[name][TASK_ERROR] = moved.total()
    return totals


def _text_limit(runs: Iterable[ResultRun]) -> int:
    """How much of each text the page can hold."""
    lengths: Counter[int] = Counter()  # how many texts there are of a length; all that are cut anyway count as one
    for run in runs:
        # Rough for what is not text: writing it out twice would cost more than it is worth.
        known = (value for value in (run.record.output, run.input, run.expected) if value is not None)
        lengths.update(min(len(value if isinstance(value, str) else str(value)), LONGEST_TEXT) for value in known)
        lengths.update(min(len(one.explanation), LONGEST_TEXT) for one in run.evaluations.values() if one.explanation)
    limit = LONGEST_TEXT
    while limit > _SHORTEST_CUT and sum(min(length, limit) * n for length, n in lengths.items()) > TEXT_BUDGET:
        limit = limit * 3 // 4
    return max(limit, _SHORTEST_CUT)


class _Writer:
    """Turns examples into what the page's script reads; see `examples.js` for the fields."""

    def __init__(
        self, metrics: Sequence[str], minimized: set[str], limit: int, beyond: set[str], *, two_sides: bool
    ) -> None:
        self.metrics = metrics
        self._beyond = beyond
        self.minimized = minimized
        self.limit = limit
        self.two_sides = two_sides
        self.notes: list[str] = []
        self._note_places: dict[str, int] = {}

    def example(self, place: int, example: _Example, change: _Change) -> dict[str, Any]:
        first = next(iter(example.runs()))
        repetitions = sorted({*example.baseline, *example.candidate})
        errors = [has_error(run) for run in example.runs()]
        latency = _mean(run.record.latency_ms for run in example.candidate.values())
        data: dict[str, Any] = {
            "place": place,
            "id": example.id,
            "input": self._text(first.input),
            "expected": self._text(first.expected),
            "kinds": [kind_of(first.input), kind_of(first.expected)],
            "rank": change.rank,
            "worse": sorted(change.worse),
            "better": sorted(change.better),
            "error": any(errors),
            "taskErrors": [_failed(example.baseline), _failed(example.candidate)],
            "latency": None if latency is None else [_short(latency), numbers.duration(latency)],
            "cells": [self._cell(name, example) for name in self.metrics],
            "runs": [
                [number, self._run(example.baseline.get(number)), self._run(example.candidate.get(number))]
                for number in repetitions
            ],
        }
        return data | ({"flaky": sorted(change.flaky)} if change.flaky else {})

    def _cell(self, name: str, example: _Example) -> list[Any]:
        """Means of both sides as text, then what the table is sorted by: the change (worse is less) or the score."""
        before, after = _mean_score(name, example.baseline), _mean_score(name, example.candidate)
        written = partial(_written, plain=name in self._beyond)
        if not self.two_sides:
            return [None, written(after), None if after is None else _short(after)]
        change = None
        if before is not None and after is not None:
            change = _short((after - before) * (-1 if name in self.minimized else 1))
        return [written(before), written(after), change]

    def _run(self, run: ResultRun | None) -> dict[str, Any] | None:
        if run is None:
            return None
        record, output = run.record, run.record.output
        facts = {
            "latency": numbers.duration(record.latency_ms),
            "tokens": "" if record.token_count is None else numbers.plain(record.token_count),
            "cost": numbers.money(record.total_cost),
            "trace": record.trace_id or "",
        }
        scores = [[self._note(name), *self._score(one)] for name, one in run.evaluations.items()]
        notes = [[self._note(f"{name} (annotation)"), *self._score(one)] for name, one in run.annotations.items()]
        return {
            "output": self._text(output),
            "kind": kind_of(output),
            "error": None if run.error is None else self._cut(run.error),
            "facts": {key: fact for key, fact in facts.items() if fact not in ("", numbers.NOTHING)},
            "scores": [score for score in (*scores, *notes) if any(part is not None for part in score[1:])],
        }

    def _note(self, name: str) -> int:
        """The place of a name among `notes`, so that thousands of runs do not repeat it."""
        if (place := self._note_places.get(name)) is None:
            place = self._note_places[name] = len(self.notes)
            self.notes.append(name)
        return place

    def _score(self, score: EvaluationRecord) -> list[Any]:
        shown = None if score.score is None else numbers.score(score.score)
        texts = (score.pending or score.explanation, score.error)
        label = score.label if score.pending is None else "pending"
        return [shown, label, *(None if text is None else self._cut(text) for text in texts)]

    def _text(self, value: Any) -> str | list[Any] | None:
        return None if value is None else self._cut(as_text(value))

    def _cut(self, text: str) -> str | list[Any]:
        """The text, or what is kept of it with its full length."""
        return text if len(text) <= self.limit else [text[: self.limit], numbers.count(len(text))]


def _failed(runs: dict[int, ResultRun]) -> str:
    """How many of an example's runs failed; empty for none."""
    failed = sum(run.error is not None for run in runs.values())
    return "" if not failed else "task error" if len(runs) == 1 else f"{failed} of {len(runs)} task errors"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _mean_score(name: str, runs: dict[int, ResultRun]) -> float | None:
    return _mean(found.score for run in runs.values() if (found := run.counted.get(name)))


def _written(score: float | None, *, plain: bool) -> str | None:
    return None if score is None else numbers.plain(score) if plain else numbers.score(score)


def _short(value: float) -> float:
    """Enough digits to sort by."""
    return float(f"{value:.6g}")
