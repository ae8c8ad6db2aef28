"""What the page's table of examples works on: every example with the runs of both sides, as JSON.

The page holds texts cut at `LONGEST_TEXT` characters, and less where many long ones would make a
page that does not open quickly: `TEXT_BUDGET` is for all of them together. What was cut says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from markupsafe import Markup

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.changes import outlines
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.reports.escaping import as_text, kind_of, visible
from prefect_experiments.reports.phrases import regressions
from prefect_experiments.results import ResultRun

LONGEST_TEXT = 8000
TEXT_BUDGET = 40_000_000
MOST_EXAMPLES = 20_000
_SHORTEST_CUT = 250
TASK_ERROR = -1  # stands for the metric "task error" among the metrics' places


@dataclass(slots=True)
class _Example:
    id: str
    baseline: dict[int, ResultRun] = field(default_factory=dict)
    candidate: dict[int, ResultRun] = field(default_factory=dict)
    rank: int = 0
    worse: set[int] = field(default_factory=set)
    better: set[int] = field(default_factory=set)

    def runs(self) -> Iterable[ResultRun]:
        yield from self.candidate.values()
        yield from self.baseline.values()


@dataclass(slots=True)
class ExamplesData:
    """The examples of a page.

    Attributes:
        json: fit to stand in a ``<script type="application/json">``.
        text_limit: texts longer than this were cut.
        n_examples: in the page; `n_left_out` more are not.
        metrics: the evaluators' names, in the table's order.
    """

    json: Markup
    text_limit: int
    n_examples: int
    n_left_out: int
    metrics: list[str]


def examples_data(
    comparison: Comparison | None, candidate: Sequence[ResultRun], baseline: Sequence[ResultRun]
) -> ExamplesData:
    """The examples of both sides, in the candidate's order, then those that only the baseline has."""
    examples: dict[str, _Example] = {}
    for runs, side in ((candidate, "candidate"), (baseline, "baseline")):
        for run in runs:
            found = examples.setdefault(run.example_id, _Example(run.example_id))
            getattr(found, side)[run.repetition_number] = run
    metrics = list(dict.fromkeys(name for run in (*candidate, *baseline) for name in run.counted))
    minimized = {name for name, metric in comparison.metrics.items() if metric.direction == "minimize"} if (
        comparison
    ) else set()  # fmt: skip
    if comparison:
        _mark_changes(comparison, examples, {name: place for place, name in enumerate(metrics)})
    # The place in the dataset goes with each, so that a page of some still knows their order.
    kept = list(enumerate(examples.values()))
    if len(kept) > MOST_EXAMPLES:
        kept = sorted(kept, key=lambda item: not _matters(item[1]))[:MOST_EXAMPLES]
        kept.sort(key=lambda item: item[0])
    limit = _text_limit(run for _, example in kept for run in example.runs())
    # One way of writing for all scores of a metric: 1.00 beside 0.85, and 1 beside 5.
    scores = ((name, one.score) for run in (*candidate, *baseline) for name, one in run.counted.items())
    beyond = {name for name, score in scores if score is not None and not 0 <= score <= 1}
    writer = _Writer(metrics, minimized, limit, beyond, two_sides=bool(baseline))
    data = {
        "metrics": metrics,
        "twoSides": bool(baseline),
        "compared": comparison is not None,
        "limit": limit,
        "examples": [writer.example(place, example) for place, example in kept],
        "notes": writer.notes,  # filled while the examples are written
    }
    return ExamplesData(script_json(data), limit, len(kept), len(examples) - len(kept), metrics)


def script_json(data: Any) -> Markup:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment.

    Its texts are `visible`: what could reorder a line on the page, or cannot be written as UTF-8, is replaced.
    """
    text = visible(json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped right above


def _mark_changes(comparison: Comparison, examples: dict[str, _Example], places: dict[str, int]) -> None:
    """Which examples got worse or better, and how they rank: the comparison says so, not the page."""
    for rank, change in enumerate(outlines(comparison.improved)):
        if found := examples.get(change.example_id):
            found.rank = max(found.rank, len(comparison.improved) - rank)
            found.better.add(places.get(change.metric, TASK_ERROR))
    for rank, change in enumerate(regressions(comparison)):
        if found := examples.get(change.example_id):
            found.rank = min(found.rank, rank - len(comparison.regressed))
            found.worse.add(places.get(change.metric, TASK_ERROR))


def _matters(example: _Example) -> bool:
    """Worth a place in a page that cannot hold all."""
    return bool(example.worse or example.better) or any(_has_error(run) for run in example.runs())


def _has_error(run: ResultRun) -> bool:
    return run.error is not None or any(score.error is not None for score in run.counted.values())


def _text_limit(runs: Iterable[ResultRun]) -> int:
    """How much of each text the page can hold."""
    lengths: list[int] = []
    for run in runs:
        # Rough for what is not text: writing it out twice would cost more than it is worth.
        known = (value for value in (run.record.output, run.input, run.expected) if value is not None)
        lengths.extend(len(value if isinstance(value, str) else str(value)) for value in known)
        lengths.extend(len(one.explanation) for one in run.evaluations.values() if one.explanation)
    limit = LONGEST_TEXT
    while limit > _SHORTEST_CUT and sum(min(length, limit) for length in lengths) > TEXT_BUDGET:
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

    def example(self, place: int, example: _Example) -> dict[str, Any]:
        first = next(iter(example.runs()))
        repetitions = sorted({*example.baseline, *example.candidate})
        errors = [_has_error(run) for run in example.runs()]
        latency = _mean(run.record.latency_ms for run in example.candidate.values())
        data: dict[str, Any] = {
            "place": place,
            "id": example.id,
            "input": self._text(first.input),
            "expected": self._text(first.expected),
            "kinds": [kind_of(first.input), kind_of(first.expected)],
            "rank": example.rank,
            "worse": sorted(example.worse),
            "better": sorted(example.better),
            "error": any(errors),
            "taskErrors": [_failed(example.baseline), _failed(example.candidate)],
            "latency": None if latency is None else [_short(latency), numbers.duration(latency)],
            "cells": [self._cell(name, example) for name in self.metrics],
            "runs": [
                [number, self._run(example.baseline.get(number)), self._run(example.candidate.get(number))]
                for number in repetitions
            ],
        }
        return data

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
