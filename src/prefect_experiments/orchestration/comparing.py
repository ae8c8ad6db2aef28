"""Comparisons: what people name as a side becomes a table of results; a gate becomes a verdict. No Prefect in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prefect_experiments import datasets
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import ExperimentEvaluators, compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison, Direction
from prefect_experiments.backends import Remote
from prefect_experiments.errors import NotFound
from prefect_experiments.loops import waited
from prefect_experiments.models import Experiment
from prefect_experiments.orchestration.request import find_experiment, remote_of, store_of
from prefect_experiments.store import Store

_MOVING = ("latest", "tag:")
"""Names that lead to another experiment at another time, and to none at first."""


def result_side(source: Any, store: Store, remote: Remote | None = None, dataset: str | None = None) -> Any:
    """What a side of a comparison is: a `RanExperiment`, or the source itself where it is a table of results.

    Args:
        source: an id, a name, ``tag:NAME``, ``latest``, an experiment, a DataFrame, rows, or a file's path.
        store: where experiments are looked for.
        remote: the backend, if it is not the store.
        dataset: the dataset that a name, a tag or ``latest`` is looked for in.

    Raises:
        NotFound: no such experiment.
    """
    if isinstance(source, Path) or (isinstance(source, str) and datasets.is_path(source)):
        return source
    if isinstance(source, str | Experiment):
        record = find_experiment(source, store, dataset, remote)
        link = None if remote is None else store.links.of_experiment(record.experiment.id, remote.target)
        return RanExperiment(store, record, link=link)
    return source


def _several(candidate: Any) -> bool:
    """Whether these are candidates, and not the rows of one table."""
    if not isinstance(candidate, list | tuple) or not candidate:
        return False
    return not all(isinstance(item, Mapping) and not isinstance(item, RanExperiment) for item in candidate)


async def acompare_experiments(
    *,
    baseline: Any,
    candidate: Any,
    gate: Gate | Mapping[str, Any] | str | Path | None = None,
    confidence: float | None = None,
    directions: Mapping[str, Direction] | None = None,
    experiment_evaluators: ExperimentEvaluators | None = None,
    dataset: str | None = None,
    print_summary: bool = True,
    client: Any = None,
) -> Comparison | tuple[Comparison, ...]:
    """Compare experiments on the examples that both sides ran, with the right paired test for each metric.

    Args:
        baseline: an id, a name, ``tag:NAME``, ``latest``, a `RanExperiment`, or a results table (a
            DataFrame, rows or a file) shaped like ``RanExperiment.to_dataframe()``.
        candidate: likewise; or a list of several, each compared with the baseline.
        gate: turns a comparison into a verdict: a `Gate`, a mapping of its fields, or the path of a
            YAML or JSON file of them.
        confidence: of the intervals; default the gate's, else 0.95.
        directions: ``"minimize"`` for metrics of which less is better.
        experiment_evaluators: functions over the whole table of runs of one side, by name.
        dataset: the dataset that a name, a tag or ``latest`` is looked for in.
        print_summary: print the comparison.
        client: the `Client` whose store and backend to use; default, those that the settings name.

    Returns:
        A `Comparison`, for several candidates a tuple of them.

    Raises:
        NotFound: no such experiment.
        InvalidInput: a table, a gate or a parameter that cannot be used.
        InvalidEvaluator: an experiment evaluator raised, or gave no number.
    """
    store, remote = store_of(client), remote_of(None, client)
    checked = None if gate is None else Gate.parse(gate)

    def table(source: Any) -> ResultTable:
        return result_table(result_side(source, store, remote, dataset))

    def compare() -> Comparison | tuple[Comparison, ...]:
        make: Any = partial(
            compare_results,
            table(baseline),
            confidence=confidence,
            directions=directions,
            experiment_evaluators=experiment_evaluators,
            gate=checked,
        )
        compared: Comparison | tuple[Comparison, ...]
        compared = make([table(one) for one in candidate]) if _several(candidate) else make(table(candidate))
        return compared

    found = await asyncio.to_thread(compare)
    if print_summary:
        from prefect_experiments.reports.terminal import print_comparison

        for one in found if isinstance(found, tuple) else (found,):
            print_comparison(one)
    return found


compare_experiments = waited(acompare_experiments)
compare_experiments.__name__ = compare_experiments.__qualname__ = "compare_experiments"


@dataclass(frozen=True, slots=True)
class Judging:
    """What a new experiment is compared with when it is done, and by which rules.

    Attributes:
        baseline: its results; ``None`` where there is none (yet).
        gate: the rules; ``None`` to compare without a verdict.
        note: what is to be said of a baseline that is not there yet.
    """

    baseline: Any = None
    gate: Gate | None = None
    note: str | None = None

    def apply(self, ran: RanExperiment) -> None:
        """Compare and judge; the experiment carries the outcome."""
        if self.baseline is not None:
            ran.baseline = self.baseline
            ran.comparison = compare_results(result_table(self.baseline), result_table(ran), gate=self.gate)
            ran.verdict = ran.comparison.verdict
        elif self.gate is not None:
            ran.verdict = self.gate.judge_alone(result_table(ran))


def judging(baseline: Any, gate: Any, store: Store, remote: Remote | None, dataset: str) -> Judging | None:
    """The baseline and the gate of a new experiment, looked up and checked before anything is run.

    A tag that nobody has and ``latest`` where nothing has been run are no errors: the first run has
    no baseline.

    Raises:
        NotFound: a baseline by id or name that is not there.
        InvalidSetting: a gate that cannot be used.
    """
    if baseline is None and gate is None:
        return None
    checked = None if gate is None else Gate.parse(gate)
    try:
        side = None if baseline is None else result_side(baseline, store, remote, dataset)
    except NotFound:
        if not (isinstance(baseline, str) and baseline.startswith(_MOVING)):
            raise
        note = f"There is no baseline {baseline!r} on {dataset} yet; this run is judged on its own."
        return Judging(None, checked, note)
    if side is not None:
        result_table(side)  # a table that cannot be used is refused now, not after everything has run
    return Judging(side, checked)
