"""The experiments since the baseline's: what a baseline is pooled of, and what a gate looks for drift in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, get_args

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison.earlier import EarlierRun, EarlierRuns
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.history import tag_periods
from prefect_experiments.analysis.nights.records import (
    FAILED,
    NOT_JUDGED,
    NOT_WHOLE,
    OTHER_EXAMPLES,
    TAG_ELSEWHERE,
)
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import Status
from prefect_experiments.errors import InvalidSetting, NotFound
from prefect_experiments.models import Experiment
from prefect_experiments.origin import GATE, is_failed
from prefect_experiments.store import Store
from prefect_experiments.store.named import BY_TAG

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


class Since(NamedTuple):
    """The experiments since the baseline's, in the order in which they were made.

    Attributes:
        runs: those that were made in the same way and that a gate has judged.
        left_out: others of the baseline's task, each with why it is left out.
    """

    runs: tuple[Experiment, ...] = ()
    left_out: tuple[tuple[Experiment, str], ...] = ()


NOTHING = Since()


def since(baseline: Any, gate: Gate | None, store: Store, pooled: int, *, named: Any = None) -> Since:
    """The experiments that were made after the baseline's in the same way, and that a gate has judged.

    By whatever task: which of them are those of the candidate's is known when that is made. What a gate failed is no
    part of a pool, or a baseline would take in what it is there to find; it is one of the nights. What was inconclusive
    is both: leaving out what only looked worse would make a baseline that is better than the application. What no gate
    has judged is somebody's trial.

    Args:
        baseline: what was found; where that is no experiment, there are none.
        gate: which may look for drift.
        store: where they are.
        pooled: of how many runs the baseline is pooled.
        named: by what it was found. Of a tag's experiment, what was made while another one had the tag is left out: a
            tag that is put back to an older one leaves what came between behind.

    Returns:
        None of them where nobody looks at them.
    """
    looked_at = pooled > 1 or (gate is not None and gate.nights is not None)
    if not looked_at or not isinstance(baseline, RanExperiment) or baseline.store is None:
        return NOTHING
    own = baseline.record.experiment
    elsewhere = _elsewhere(own, named, store)
    every = [(one, _why_not(one, own, elsewhere)) for one in _after(own, store)][::-1]
    return Since(
        runs=tuple(one for one, why in every if not why),
        left_out=tuple((one, why) for one, why in every if why and one.task == own.task),
    )


def between(
    baseline: Any, candidate: Any, gate: Gate | None, store: Callable[[], Store], pooled: int, *, named: Any = None
) -> EarlierRuns:
    """The runs between two that are there already.

    Args:
        baseline: what was found.
        candidate: likewise; beside a table of results, the baseline is its own run alone.
        gate: which may look for drift.
        store: gives where experiments are.
        pooled: of how many runs the baseline is pooled.
        named: by what the baseline was found, as `since` takes it.

    Raises:
        InvalidSetting: the baseline is to be pooled, and is no experiment.
    """
    refuse_pool(baseline, pooled)
    if not isinstance(baseline, RanExperiment) or not isinstance(candidate, RanExperiment):
        return EarlierRuns(pooled=pooled)
    return earlier_runs(since(baseline, gate, store(), pooled, named=named), baseline, candidate, pooled)


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


def _elsewhere(own: Experiment, named: Any, store: Store) -> list[tuple[datetime, datetime]]:
    """From when to when another experiment had the tag by which the baseline was found."""
    if not isinstance(named, str) or not named.startswith(BY_TAG):
        return []
    tag = named.removeprefix(BY_TAG).strip()
    periods = tag_periods(store.tag_moves.of_dataset(own.dataset_id))
    others = [one for one in periods if one.tag == tag and one.experiment_id != own.id]
    return [(one.since, one.until) for one in others if one.until is not None]


def _why_not(one: Experiment, own: Experiment, elsewhere: list[tuple[datetime, datetime]]) -> str:
    """Why an experiment says nothing beside a baseline; empty where it was made as that was, and was judged."""
    if any(one[name] != own[name] for name in ("repetitions", "splits", "example_count")):
        return OTHER_EXAMPLES
    if one.origin.get(GATE) not in get_args(Status):
        return NOT_JUDGED
    made = one.created_at
    if made is not None and any(start <= made < end for start, end in elsewhere):
        return TAG_ELSEWHERE
    return ""


def earlier_runs(found: Since, baseline: Any, candidate: RanExperiment, pooled: int) -> EarlierRuns:
    """These with their results, without the candidate, what was made after it, what is not whole, and other tasks.

    A new variant under another name is a task of its own: the baseline is pooled of its own task's runs alone, and what
    the nights show together, drift or that the variant is better, of the candidate's.

    Args:
        found: of `since`.
        baseline: what was found.
        candidate: what is judged.
        pooled: of how many runs the baseline is pooled.
    """
    if not isinstance(baseline, RanExperiment) or baseline.store is None:
        return EarlierRuns(pooled=pooled)
    own, store, pooled_task = candidate.record.experiment, baseline.store, baseline.record.experiment.task
    runs, before = list[EarlierRun](), [one for one in found.runs if _is_before(one, own)]
    left_out = Counter(why for one, why in found.left_out if _is_before(one, own))
    left_out[FAILED] += sum(is_failed(one.origin) for one in before if one.task == pooled_task)
    for one in _chosen(before, pooled_task, own.task, pooled):
        of_baseline, of_candidate = one.task == pooled_task, one.task == own.task
        try:
            record = store.experiments.get(one.id)
            table = result_table(RanExperiment(store, record))
        except NotFound:  # deleted since
            continue
        if len(table.failed) < table.n_expected:
            left_out[NOT_WHOLE] += of_baseline and not is_failed(one.origin)
            continue
        runs.append(
            EarlierRun(
                table=table,
                date=f"{one.created_at:%Y-%m-%d}" if one.created_at else "",
                of_baseline=of_baseline,
                of_candidate=of_candidate,
                failed=is_failed(one.origin),
                is_trial=is_failed(one.origin) and record.task.fingerprint != candidate.record.task.fingerprint,
            )
        )
    return EarlierRuns(runs=tuple(runs), pooled=pooled, left_out={why: n for why, n in left_out.items() if n})


def _is_before(one: Experiment, own: Experiment) -> bool:
    """Whether it is another one than the candidate, and was not made after it."""
    return one.id != own.id and not (one.created_at and own.created_at and one.created_at > own.created_at)


def _chosen(runs: list[Experiment], baseline: str, candidate: str, pooled: int) -> Iterator[Experiment]:
    """Those that the baseline is pooled of, and the newest ones of the candidate's task, in their order."""
    first = [one.id for one in runs if one.task == baseline and not is_failed(one.origin)][: max(0, pooled - 1)]
    rest = [one.id for one in runs if one.task == candidate and one.id not in first]
    chosen = {*first, *rest[max(0, len(rest) - (MOST_NIGHTS - len(first))) :]}
    return (one for one in runs if one.id in chosen)
