"""The runs of one experiment that somebody should look at first: those that failed, and those that scored lowest."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from prefect_experiments.analysis import RanExperiment, numbers
from prefect_experiments.models import Evaluation, ExperimentRun
from prefect_experiments.reports import escaping
from prefect_experiments.reports.escaping import markdown as plain
from prefect_experiments.reports.markdown import LONGEST_TEXT, texts_below

SHOWN = 10


def worst_runs_lines(ran: RanExperiment, shown: int = SHOWN, *, contents: bool = True) -> list[str]:
    """Failed runs, then those with the lowest scores, as a Markdown list; none where all is at its best.

    Scores of different ranges count alike: each as its place between the experiment's lowest and highest.

    Args:
        ran: the experiment; all of its results are read.
        shown: at most so many runs; their texts are cut.
        contents: whether anything of a row is shown; else only the example's id and the scores.
    """
    comparison = ran.comparison
    directions = {name: metric.direction for name, metric in ran.summary.metrics.items()}
    directions |= {name: metric.direction for name, metric in (comparison.metrics if comparison else {}).items()}
    evaluations: dict[str, list[Evaluation]] = defaultdict(list)
    failed = {run.id for run in ran.failed}
    for evaluation in ran.evaluation_runs:
        if evaluation.run_id not in failed:
            evaluations[evaluation.run_id].append(evaluation)
    ranked = _ranked(ran.task_runs, evaluations, directions, contents)
    if not ranked:
        return []
    several = ran.experiment.repetitions > 1
    lines = [
        f"**Failed runs and lowest scores** ({numbers.count(min(shown, len(ranked)))} of {len(ranked):,})",
        "",
    ]
    for run, found in ranked[:shown]:
        name = escaping.code(run.example_id, longest=60) + (f", repetition {run.repetition_number}" if several else "")
        lines.append(f"- {name} {found}")
        if contents and (example := ran.examples.get(run.example_id)):
            lines += texts_below(output=run.output, expected=example.output, input=example.input)
    return lines


def _ranked(
    runs: Sequence[ExperimentRun],
    evaluations: Mapping[str, Sequence[Evaluation]],
    directions: Mapping[str, str | None],
    contents: bool,
) -> list[tuple[ExperimentRun, str]]:
    """What is not at its best, worst first, with what became of it."""
    ranges = _ranges(evaluations)
    found: list[tuple[float, ExperimentRun, str]] = []
    for run in runs:
        if run.status == "error":
            found.append((-2.0, run, f"failed{_why(run.error, contents)}"))
            continue
        places: list[float] = []
        said: list[str] = []
        for evaluation in evaluations.get(run.id, ()):
            if evaluation.error is not None:
                said.append(f"{plain(evaluation.name)} failed{_why(evaluation.error, contents)}")
                places.append(-1.0)
            elif evaluation.score is not None and directions.get(evaluation.name) != "neutral":
                low, high = ranges[evaluation.name]
                place = (evaluation.score - low) / (high - low) if high > low else 1.0
                less_is_better = directions.get(evaluation.name) == "minimize"
                places.append(1 - place if less_is_better and high > low else place)
                if places[-1] < 1:
                    said.append(f"{plain(evaluation.name)} {numbers.score(evaluation.score)}")
        if said:
            found.append((sum(places) / len(places), run, "; ".join(said)))
    found.sort(key=lambda each: each[0])  # stable: else in dataset order
    return [(run, what) for _, run, what in found]


def _ranges(evaluations: Mapping[str, Sequence[Evaluation]]) -> dict[str, tuple[float, float]]:
    """Between which values the scores of each evaluator lie; what lies between 0 and 1 has that range."""
    ranges: dict[str, tuple[float, float]] = {}
    for evaluation in (each for one in evaluations.values() for each in one):
        if evaluation.score is None:
            continue
        low, high = ranges.get(evaluation.name, (math.inf, -math.inf))
        ranges[evaluation.name] = min(low, evaluation.score), max(high, evaluation.score)
    return {name: (0.0, 1.0) if low >= 0 and high <= 1 else (low, high) for name, (low, high) in ranges.items()}


def _why(error: str | None, contents: bool) -> str:
    """An error's text may hold a row's."""
    return f": {escaping.code(str(error), longest=LONGEST_TEXT)}" if contents else ""
