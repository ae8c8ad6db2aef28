"""The runs of one experiment that somebody should look at first: those that failed, and those that scored lowest."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from prefect_experiments.analysis import RanExperiment, numbers
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.reports import escaping
from prefect_experiments.reports.escaping import markdown as plain
from prefect_experiments.reports.figures import SideFigures
from prefect_experiments.reports.lowest import Directions, Ranges, directions_of, places_of, ranges_of
from prefect_experiments.reports.markdown import LONGEST_TEXT, texts_below
from prefect_experiments.reports.report_model import reading, runs_of
from prefect_experiments.results import ResultRun
from prefect_experiments.results.stored import Runs

SHOWN = 10


def worst_runs_lines(ran: RanExperiment, shown: int = SHOWN, *, contents: bool = True) -> list[str]:
    """Failed runs, then those with the lowest scores, as a Markdown list; none where all is at its best.

    Scores of different ranges count alike: each as its place between the experiment's lowest and highest.

    Args:
        ran: the experiment; all of its results are read, of which only what is shown is kept.
        shown: at most so many runs; their texts are cut.
        contents: whether anything of a row is shown; else only the example's id and the scores.
    """
    runs, figures = reading(runs_of(ran)), SideFigures()
    for run in runs.light():
        figures.add(run)
    ranges, directions = ranges_of(figures), directions_of(ran.summary, ran.comparison)
    worst, total = _worst(runs, ranges, directions, shown)
    if not total:
        return []
    several = ran.experiment.repetitions > 1
    lines = [
        f"**Failed runs and lowest scores** ({numbers.count(min(shown, total))} of {total:,})",
        "",
    ]
    for run in worst:
        name = escaping.code(run.example_id, longest=60) + (f", repetition {run.repetition_number}" if several else "")
        lines.append(f"- {name} {_said(run, ranges, directions, contents)}")
        if contents:
            lines += texts_below(output=run.record.output, expected=run.expected, input=run.input)
    return lines


def _worst(runs: Runs, ranges: Ranges, directions: Directions, shown: int) -> tuple[Sequence[ResultRun], int]:
    """What is not at its best, worst first, in full; and how many such runs there are."""
    total = 0

    def keys() -> Iterator[tuple[float, int, str, int]]:
        nonlocal total
        for number, run in enumerate(runs.light()):
            places = [place for _, place in places_of(run, ranges, directions)]
            if run.error is not None or any(place < 1 for place in places):
                total += 1
                key = -2.0 if run.error is not None else sum(places) / len(places)
                yield key, number, run.example_id, run.repetition_number  # of two that are as low, in dataset order

    found = [(example_id, repetition) for _, _, example_id, repetition in heapq.nsmallest(shown, keys())]
    whole = runs.of(list(dict.fromkeys(example_id for example_id, _ in found)))
    known = {(example_id, run.repetition_number): run for example_id, some in whole for run in some}
    return [known[key] for key in found if key in known], total


def _said(run: ResultRun, ranges: Ranges, directions: Directions, contents: bool) -> str:
    """What became of a run."""
    if run.error is not None:
        return f"failed{_why(run.error, contents)}"
    places = places_of(run, ranges, directions)
    return "; ".join(_evaluation(one, contents) for one, place in places if place < 1)


def _evaluation(one: EvaluationRecord, contents: bool) -> str:
    if one.error is not None:
        return f"{plain(one.name)} failed{_why(one.error, contents)}"
    return f"{plain(one.name)} {numbers.score(one.score)}"


def _why(error: str | None, contents: bool) -> str:
    """An error's text may hold a row's."""
    return f": {escaping.code(str(error), longest=LONGEST_TEXT)}" if contents else ""
