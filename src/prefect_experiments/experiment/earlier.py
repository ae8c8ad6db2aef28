"""The experiments since the baseline's: what a baseline is pooled of, and what a gate looks for drift in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison.earlier import EarlierRun, EarlierRuns
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import InvalidSetting, NotFound
from prefect_experiments.models import Experiment
from prefect_experiments.origin import GATE
from prefect_experiments.store import Store

MOST_NIGHTS = 40
"""So many are looked at: the first ones, which the baseline may be pooled of, and the newest."""
_PAGE = 100


def refuse_pool(baseline: Any, pooled: int) -> None:
    """Refuse to pool what is no experiment.

    Args:
        baseline: what was found; ``None`` where there is none.
        pooled: of how many runs it is to be pooled.

    Raises:
        InvalidSetting: it is a table of results.
    """
    if pooled > 1 and baseline is not None and not isinstance(baseline, RanExperiment):
        raise InvalidSetting(
            f"pooled={pooled} (--pooled {pooled}) takes the baseline's experiment and those after it, and the baseline "
            "is a table of results: name an experiment, such as tag:baseline, or leave pooled out"
        )


def since(baseline: Any, gate: Gate | None, store: Store, pooled: int) -> tuple[Experiment, ...]:
    """The experiments that were made after the baseline's in the same way, and that their gate did not fail.

    By whatever task: which of them are those of the candidate's is known when that is made.

    What their gate failed is left out, or a baseline would take in what it is there to find. What was inconclusive is
    not: leaving out what only looked worse would make a baseline that is better than the application. What no gate has
    judged is somebody's trial.

    Args:
        baseline: what was found; where that is no experiment, there are none.
        gate: which may look for drift.
        store: where they are.
        pooled: of how many runs the baseline is pooled.

    Returns:
        In the order in which they were made; none where nobody looks at them.
    """
    looked_at = pooled > 1 or (gate is not None and gate.nights is not None)
    if not looked_at or not isinstance(baseline, RanExperiment) or baseline.store is None:
        return ()
    own = baseline.record.experiment
    return tuple(one for one in _after(own, store) if _is_like(one, own))[::-1]


def between(baseline: Any, candidate: Any, gate: Gate | None, store: Callable[[], Store], pooled: int) -> EarlierRuns:
    """The runs between two that are there already.

    Args:
        baseline: what was found.
        candidate: likewise; beside a table of results, the baseline is its own run alone.
        gate: which may look for drift.
        store: gives where experiments are.
        pooled: of how many runs the baseline is pooled.

    Raises:
        InvalidSetting: the baseline is to be pooled, and is no experiment.
    """
    refuse_pool(baseline, pooled)
    if not isinstance(baseline, RanExperiment) or not isinstance(candidate, RanExperiment):
        return EarlierRuns(pooled=pooled)
    return earlier_runs(since(baseline, gate, store(), pooled), baseline, candidate, pooled)


def _after(own: Experiment, store: Store) -> Iterator[Experiment]:
    """All experiments on the same dataset that were made later, the newest first."""
    cursor: str | None = None
    while True:
        some, pagination = store.experiments.page(dataset=own.dataset_id, limit=_PAGE, cursor=cursor)
        for one in some:
            if one.id == own.id:
                return
            yield one
        cursor = pagination.next_cursor
        if cursor is None:
            return


def _is_like(one: Experiment, own: Experiment) -> bool:
    """Whether it was made as the baseline was, but for its task, and a gate has not failed it."""
    same = ("repetitions", "splits", "example_count")
    return one.origin.get(GATE) in ("passed", "inconclusive") and all(one[name] == own[name] for name in same)


def earlier_runs(runs: tuple[Experiment, ...], baseline: Any, candidate: RanExperiment, pooled: int) -> EarlierRuns:
    """These with their results, without the candidate, what was made after it, what is not whole, and other tasks.

    A new variant under another name is a task of its own: the baseline is pooled of its own task's runs alone, and what
    the nights show together, drift or that the variant is better, of the candidate's.

    Args:
        runs: as `since` found them.
        baseline: what was found.
        candidate: what is judged.
        pooled: of how many runs the baseline is pooled.
    """
    if not runs or not isinstance(baseline, RanExperiment) or baseline.store is None:
        return EarlierRuns(pooled=pooled)
    own, store, pooled_task = candidate.record.experiment, baseline.store, baseline.record.experiment.task
    found = []
    for one in _chosen(_before(runs, own), pooled_task, own.task, pooled):
        try:
            table = result_table(RanExperiment(store, store.experiments.get(one.id)))
        except NotFound:  # deleted since
            continue
        if len(table.failed) >= table.n_expected:
            date = f"{one.created_at:%Y-%m-%d}" if one.created_at else ""
            of_baseline, of_candidate = one.task == pooled_task, one.task == own.task
            found.append(EarlierRun(table=table, date=date, of_baseline=of_baseline, of_candidate=of_candidate))
    return EarlierRuns(runs=tuple(found), pooled=pooled)


def _before(runs: tuple[Experiment, ...], own: Experiment) -> list[Experiment]:
    return [
        one
        for one in runs
        if one.id != own.id and not (one.created_at and own.created_at and one.created_at > own.created_at)
    ]


def _chosen(runs: list[Experiment], baseline: str, candidate: str, pooled: int) -> Iterator[Experiment]:
    """Those that the baseline is pooled of, and the newest ones of the candidate's task, in their order."""
    first = [one.id for one in runs if one.task == baseline][: max(0, pooled - 1)]
    rest = [one.id for one in runs if one.task == candidate and one.id not in first]
    chosen = {*first, *rest[max(0, len(rest) - (MOST_NIGHTS - len(first))) :]}
    return (one for one in runs if one.id in chosen)
