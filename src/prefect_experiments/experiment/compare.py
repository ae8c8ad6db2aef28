"""Comparisons: what people name as a side becomes a table of results; a gate becomes a verdict. No Prefect in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from prefect_experiments import datasets
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.backends import Remote
from prefect_experiments.errors import AmbiguousName, InvalidDataset, InvalidSetting, NotFound, unknown_value
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.experiment.arguments import CompareArguments, Place, Placed
from prefect_experiments.experiment.places import experiment_key, find_experiment, remote_of, store_of
from prefect_experiments.models import Experiment
from prefect_experiments.signatures import takes
from prefect_experiments.store import Store
from prefect_experiments.store.named import BY_LATEST, BY_TAG, LATEST
from prefect_experiments.sync import sync_twin

logger = logging.getLogger("prefect_experiments")

Side = RanExperiment | ResultTable
_MOST_DATASETS = 5
Places = Callable[[], tuple[Store, Remote | None]]
"""Gives where experiments are looked for: the store, and the backend if that is another place."""


def result_side(source: Any, places: Places, dataset: str | None = None, *, role: str) -> Side:
    """A side of a comparison, with its results at hand.

    Args:
        source: an id, a name, ``tag:NAME``, ``latest``, ``latest:NAME``, an experiment, a DataFrame, rows, or a
            file's path.
        places: where experiments are looked for; called only where an experiment is named.
        dataset: the dataset that a name, a tag or ``latest`` is looked for in.
        role: what a table without a name of its own is called.

    Raises:
        NotFound: no such experiment.
        InvalidInput: a table that cannot be used.
    """
    if isinstance(source, RanExperiment):
        return source
    if not _names_experiment(source):
        return result_table(source, None if isinstance(source, str | Path | ResultTable) else role)
    store, remote = places()
    record = find_experiment(source, store, dataset if isinstance(source, str) else None, remote)
    link = None if remote is None else store.links.of_experiment(record.experiment.id, remote.target)
    return RanExperiment(store, record, link=link)


def _names_experiment(source: Any) -> bool:
    """Whether a side is named, and is no table of results."""
    return isinstance(source, Experiment) or (isinstance(source, str) and not datasets.is_path(source))


def _several(candidate: Any) -> bool:
    """Whether these are candidates, and not the rows of one table."""
    if not isinstance(candidate, list | tuple) or not candidate:
        return False
    return not all(isinstance(item, Mapping) and not isinstance(item, RanExperiment) for item in candidate)


class CompareCall(Placed, CompareArguments):
    """`CompareArguments` outside a client."""

    print_summary: bool = True


@takes(CompareCall)
async def acompare_experiments(call: CompareCall) -> Comparison | tuple[Comparison, ...]:
    """Compare experiments on the examples that both sides ran, with the right paired test for each metric.

    Returns:
        A `Comparison`, for several candidates a tuple of them.

    Raises:
        NotFound: no such experiment.
        InvalidInput: a table, a gate or a parameter that cannot be used.
        InvalidEvaluator: an experiment evaluator raised, or gave no number.
    """
    return await asyncio.to_thread(compare, call, call.client)


compare_experiments = sync_twin(acompare_experiments)


def compare(arguments: CompareArguments, client: Place | None) -> Comparison | tuple[Comparison, ...]:
    """`compare_experiments` in a client's store and backend."""
    gate = None if arguments.gate is None else Gate.parse(arguments.gate)

    @cache
    def places() -> tuple[Store, Remote | None]:
        return store_of(client), remote_of(None, client)

    def table(source: Any, role: str) -> ResultTable:
        return result_table(result_side(source, places, arguments.dataset, role=role))

    make: Any = partial(
        compare_results,
        table(arguments.baseline, "baseline"),
        confidence=arguments.confidence,
        directions=arguments.directions,
        experiment_evaluators=arguments.experiment_evaluators,
        gate=gate,
    )
    candidate: Any = arguments.candidate
    found: Comparison | tuple[Comparison, ...]
    if _several(candidate):
        found = make([table(one, f"candidate {number}") for number, one in enumerate(candidate, 1)])
    else:
        found = make(table(candidate, "candidate"))
    if arguments.print_summary:
        from prefect_experiments.reports.terminal import beside_the_result, print_comparison

        with beside_the_result():
            for one in found if isinstance(found, tuple) else (found,):
                print_comparison(one)
    return found


@dataclass(frozen=True, slots=True)
class Judging:
    """What a new experiment is compared with when it is done, and by which rules.

    Attributes:
        baseline: its results; ``None`` where there is none (yet).
        gate: the rules; ``None`` to compare without a verdict.
        note: what is to be said of a baseline that is not there yet, or not whole.
    """

    baseline: Side | None = None
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


def judging(
    baseline: Any,
    gate: Any,
    store: Store,
    remote: Remote | None,
    dataset: str,
    *,
    dry_run: bool = False,
    first_run: bool = False,
) -> Judging | None:
    """The baseline and the gate of a new experiment, looked up and checked before anything is run.

    A tag, where no experiment of the dataset has any, and ``latest`` where nothing has been run, are no errors: the
    first run has no baseline. The results of a table are read now, and not again: the file may be gone by then.

    Args:
        baseline: as `run_experiment` takes it.
        gate: likewise.
        store: where experiments are looked for.
        remote: the backend, if it is not the store.
        dataset: the name of the new experiment's dataset.
        dry_run: only look whether everything is there; nothing is compared, and nothing comes here
            from the backend.
        first_run: a tag that no experiment of the dataset has is no error, whatever other tags there are.

    Returns:
        ``None`` where there is nothing to compare with and nothing to judge by.

    Raises:
        NotFound: a baseline by id or name that is not there; a tag that no experiment of the dataset has, where others
            of its experiments have tags.
        AmbiguousName: several of them.
        InvalidInput: a table or a gate that cannot be used, such as one with a margin where no baseline is named.
    """
    checked = None if gate is None else Gate.parse(gate)
    if checked is not None:
        checked.refuse_without(baseline, first_run=first_run)
    if baseline is None:
        return None if checked is None or dry_run else Judging(None, checked)
    try:
        if dry_run and remote is not None and _names_experiment(baseline):
            _look_for(baseline, store, remote, dataset)
            return None
        side = result_side(baseline, lambda: (store, remote), dataset, role="baseline")
        note = _whole(side, baseline)
    except AmbiguousName:
        raise
    except NotFound as missing:
        _refuse_slip(baseline, missing, store, dataset, first_run=first_run)
        alone = "the gate judges this run alone" if checked else "nothing is compared"
        side, note = None, f"There is no baseline {baseline!r} with results on {dataset} yet; {alone}."
    return None if dry_run else Judging(side, checked, note)


def _refuse_slip(baseline: Any, missing: NotFound, store: Store, dataset: str, *, first_run: bool) -> None:
    """Tell a baseline that is not there yet from one that was misspelt, or is another dataset's.

    Raises:
        NotFound: it is no first run.
    """
    key = experiment_key(baseline)
    tag = key.removeprefix(BY_TAG) if key.startswith(BY_TAG) else None
    may_be_new = tag is not None or key.startswith(BY_LATEST)
    if key in (LATEST, BY_LATEST + dataset) or (may_be_new and first_run) or _is_new(store, dataset, key):
        return
    tags = store.experiments.tags(dataset)
    if tag is not None and not tags:
        return
    others = _elsewhere(store, key, dataset)
    there = f". {others}: give its id to compare with it, example by example of the same id" if others else ""
    if tag is None:
        why = f"dataset {dataset!r} has no experiment of that name" if others else str(missing)
        raise NotFound(f"there is no baseline {key!r}: {why}{there}")
    raise NotFound(
        f"there is no baseline {key!r} on dataset {dataset!r}: {unknown_value('tag', tag, tags)}{there}. Nothing was "
        "run. If this is to be the first run for a new tag, say so: first_run=True (--first-run)"
    )


def _elsewhere(store: Store, key: str, dataset: str) -> str:
    """Which other datasets have such an experiment, each once, with the newest that it has."""
    found: dict[str, list[str]] = {}
    for name, experiment_id, made in store.experiments.elsewhere(key, dataset):
        found.setdefault(name, []).append(f"{experiment_id}, {made:%Y-%m-%d %H:%M} UTC")
    said = [
        f"{name!r} has one ({those[0]})" if len(those) == 1 else f"{name!r} has {len(those)} (the newest is {those[0]})"
        for name, those in list(found.items())[:_MOST_DATASETS]
    ]
    return f"Dataset {', '.join(said)}" if said else ""


def _is_new(store: Store, dataset: str, key: str) -> bool:
    """Whether the newest of a name is asked for where there is nothing of any name: a dataset's first run."""
    if not key.startswith(BY_LATEST):
        return False
    try:
        return not store.experiments.page(dataset=dataset, limit=1)[0]
    except NotFound:
        return True


def check_margins(judging: Judging | None) -> None:
    """Refuse, before anything is spent, margins that no candidate could exceed.

    Raises:
        InvalidSetting: there is one; see `Gate.refuse_unreachable`.
    """
    if judging is None or judging.baseline is None or judging.gate is None or not judging.gate.with_wide_margins:
        return  # nothing to read the baseline's results for
    judging.gate.refuse_unreachable(result_table(judging.baseline).side())


def check_names(judging: Judging | None, evaluators: Sequence[BoundEvaluator]) -> None:
    """Say, before anything is spent, which metric of the gate no evaluator is called: it may be a slip.

    It is no error: one evaluator may give scores of several names.
    """
    if judging is None or judging.gate is None or not evaluators:
        return
    known = [evaluator.name for evaluator in evaluators]
    missing = [name for name in judging.gate.rules if name not in known]
    if missing and judging.baseline is not None:
        side = result_table(judging.baseline).side()
        missing = [name for name in missing if name not in side.metrics and name not in side.labels_only]
    for name in missing:
        logger.warning("The gate asks for what no evaluator is called: %s", unknown_value("metric", name, known))


def check_pairs(judging: Judging | None, dataset: str, example_ids: Callable[[], Sequence[str]]) -> None:
    """Refuse, before anything is spent, a baseline on something else that has none of the examples.

    Args:
        judging: what the new experiment is compared with.
        dataset: the name of its dataset. What is on that as well may have been edited since: the comparison says so.
        example_ids: gives the ids of its examples.

    Raises:
        InvalidDataset: nothing could be compared.
    """
    side = None if judging is None else judging.baseline
    if side is None or (isinstance(side, RanExperiment) and side.experiment.dataset_name == dataset):
        return
    theirs, ours = list(side.example_ids), example_ids()
    if ours and theirs and not set(ours) & set(theirs):
        whose = f" is on dataset {side.experiment.dataset_name!r}, and" if isinstance(side, RanExperiment) else ""
        raise InvalidDataset(
            f"the baseline{whose} shares no example with dataset {dataset!r}: its example ids are such as "
            f"{', '.join(map(repr, theirs[:3]))}, and here {', '.join(map(repr, ours[:3]))}. Nothing was run: name an "
            "experiment on the same examples, or give both sides the same ids"
        )


def check_directions(judging: Judging | None, evaluators: Sequence[BoundEvaluator]) -> None:
    """Refuse, before anything is spent, evaluators that say another direction than the baseline's evaluations.

    Raises:
        InvalidSetting: they do, and the gate does not say which counts.
    """
    if judging is None or judging.baseline is None:
        return
    said = judging.baseline.directions
    rules = judging.gate.rules if judging.gate is not None else {}
    for evaluator in evaluators:
        before = said.get(evaluator.name, ())
        decided = evaluator.name in rules and rules[evaluator.name].direction is not None
        if before and evaluator.direction is not None and before != (evaluator.direction,) and not decided:
            raise InvalidSetting(
                f"evaluator {evaluator.name!r} says {evaluator.direction}, and the baseline's evaluations of that name "
                f"say {' and '.join(before)}: nothing was run. Give the evaluator another name, or let the gate say "
                f"which counts: {{metrics: {{{evaluator.name}: {{direction: {evaluator.direction}}}}}}}"
            )


def _look_for(baseline: str | Experiment, store: Store, remote: Remote, dataset: str) -> None:
    """Look whether an experiment is there, without taking it over from the backend."""
    key = experiment_key(baseline)
    link = store.links.of_experiment(key, remote.target)
    try:
        remote.experiments.find(key if link is None else link.remote_id, dataset)
    except NotFound:
        store.experiments.get(key, dataset=dataset)


def _whole(side: Side, named: Any) -> str | None:
    """What is to be said of a baseline that lacks runs.

    Raises:
        NotFound: the latest experiment has none, as if there were no experiment yet.
        InvalidDataset: one that was named has none.
    """
    if not isinstance(side, RanExperiment):
        return None
    summary, experiment = side.summary, side.experiment
    if summary.n_runs >= summary.n_expected:
        return None
    if not summary.n_runs and isinstance(named, str) and (named == LATEST or named.startswith(BY_LATEST)):
        raise NotFound(f"experiment {experiment.id} has no runs")
    if not summary.n_runs:
        raise InvalidDataset(
            f"the baseline, experiment {experiment.name!r} ({experiment.id}) on dataset {experiment.dataset_name!r}, "
            "has no runs"
        )
    return (
        f"The baseline, experiment {experiment.name!r}, has {summary.n_runs} of {summary.n_expected} runs only, and is "
        f"used as it is; `prefect-experiments resume {experiment.id}` completes it."
    )
