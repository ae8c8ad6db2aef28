"""Comparisons: what people name as a side becomes a table of results; a gate becomes a verdict. No Prefect in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
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
from prefect_experiments.experiment.arguments import CompareArguments, Place, Placed
from prefect_experiments.experiment.earlier import NOTHING, Since, between, earlier_runs, refuse_pool, since
from prefect_experiments.experiment.idempotency import given_tags
from prefect_experiments.experiment.places import experiment_key, find_experiment, remote_of, store_of
from prefect_experiments.models import Experiment
from prefect_experiments.signatures import takes
from prefect_experiments.store import Judgement, Store
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

    def side(source: Any, role: str) -> Side:
        return result_side(source, places, arguments.dataset, role=role)

    candidate: Any = arguments.candidate
    if _several(candidate) and arguments.pooled > 1:
        raise InvalidSetting(
            f"pooled={arguments.pooled} takes one candidate, and here are {len(candidate)}: compare them one by one"
        )
    before = side(arguments.baseline, "baseline")
    make: Any = partial(
        compare_results,
        result_table(before),
        confidence=arguments.confidence,
        directions=arguments.directions,
        experiment_evaluators=arguments.experiment_evaluators,
        gate=gate,
    )
    found: Comparison | tuple[Comparison, ...]
    if _several(candidate):
        found = make([result_table(side(one, f"candidate {number}")) for number, one in enumerate(candidate, 1)])
    else:
        after = side(candidate, "candidate")
        earlier = between(before, after, gate, lambda: places()[0], arguments.pooled, named=arguments.baseline)
        found = make(result_table(after), earlier=earlier)
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
        pooled: of how many runs the baseline is pooled.
        since: the experiments since the baseline's.
    """

    baseline: Side | None = None
    gate: Gate | None = None
    note: str | None = None
    pooled: int = 1
    since: Since = NOTHING

    def apply(self, ran: RanExperiment) -> None:
        """Compare and judge; the experiment carries the outcome."""
        if self.baseline is not None:
            ran.baseline = self.baseline
            earlier = earlier_runs(self.since, self.baseline, ran, self.pooled)
            ran.comparison = compare_results(
                result_table(self.baseline), result_table(ran), gate=self.gate, earlier=earlier
            )
            ran.verdict = ran.comparison.verdict
        elif self.gate is not None:
            ran.verdict = self.gate.judge_alone(result_table(ran))


def judgement_of(ran: RanExperiment) -> Judgement:
    """What a gate has said of an experiment, as the store keeps it. It has a verdict."""
    verdict, before, compared = ran.verdict, ran.baseline, ran.comparison
    assert verdict is not None, "no gate has judged it"
    pool = None if compared is None else compared.pooled
    metrics = compared.metrics if compared is not None and pool is not None and pool.runs else {}
    return Judgement(
        status=verdict.status,
        exit_code=verdict.exit_code,
        reasons=verdict.reasons,
        checks=[check.to_dict() for check in verdict.checks],
        moved={} if compared is None else {name: metric.verdict for name, metric in compared.metrics.items()},
        baseline_id=before.record.experiment.id if isinstance(before, RanExperiment) else None,
        baseline=None if compared is None else compared.baseline.label,
        pool={} if pool is None else {"asked": pool.asked, "runs": pool.runs, "left_out": pool.left_out},
        pool_means={name: one.baseline_mean for name, one in metrics.items() if one.baseline_mean is not None},
    )


def judging(
    baseline: Any,
    gate: Any,
    store: Store,
    remote: Remote | None,
    dataset: str,
    *,
    pooled: int = 1,
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
        pooled: as `run_experiment` takes it.
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
        _refuse_nothing_to_pool(pooled)
        return None if checked is None or dry_run else Judging(None, checked)
    try:
        if dry_run and remote is not None and _names_experiment(baseline):
            _look_for(baseline, store, remote, dataset)
            return None
        side = result_side(baseline, lambda: (store, remote), dataset, role="baseline")
        refuse_pool(side, pooled)
        note = _whole(side, baseline)
    except AmbiguousName:
        raise
    except NotFound as missing:
        _refuse_slip(baseline, missing, store, dataset, first_run=first_run)
        alone = "the gate judges this run alone" if checked else "nothing is compared"
        side, note = None, f"There is no baseline {baseline!r} with results on {dataset} yet; {alone}."
    if dry_run:
        return None
    return Judging(side, checked, note, pooled, since(side, checked, store, pooled, named=baseline))


def _refuse_nothing_to_pool(pooled: int) -> None:
    if pooled > 1:
        raise InvalidSetting(
            f"pooled={pooled} (--pooled {pooled}) pools a baseline, and none is named: give one, such as "
            "baseline='tag:baseline' (--baseline tag:baseline)"
        )


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
    tags = given_tags(store, dataset)
    if tag is not None and not tags:
        _refuse_lost(tag, store, dataset)
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


def _refuse_lost(tag: str, store: Store, dataset: str) -> None:
    """Tell a tag that nothing has any more from one that nothing has had yet.

    Raises:
        NotFound: an experiment of the dataset had it, and was deleted or has lost it. A gate that passed then would
            pass whatever has become worse.
    """
    try:
        moves = store.tag_moves.of_dataset(store.datasets.info(dataset).id)
    except NotFound:
        return
    had = [move for move in moves if move.tag == tag and move.experiment_id is not None]
    if had:
        raise NotFound(
            f"there is no baseline 'tag:{tag}' on dataset {dataset!r} any more: experiment {had[-1].experiment_id} had "
            f"the tag from {had[-1].moved_at:%Y-%m-%d %H:%M} UTC on, and was deleted or has lost it. Nothing was run. "
            f"Give the tag to another experiment (prefect-experiments tag EXPERIMENT {tag}), or say that this is to be "
            "the first run again: first_run=True (--first-run)"
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
