"""The runs between a baseline's and a candidate's: a baseline pooled of several, and each night beside those before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from prefect_experiments.analysis.comparison.exchange import exchange_test
from prefect_experiments.analysis.comparison.paired import PairedResult, paired_test
from prefect_experiments.analysis.comparison.sameness import differences
from prefect_experiments.analysis.nights.chart import night_score
from prefect_experiments.analysis.nights.records import UNLIKE, Night, Pooled
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Direction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SELDOM = 0.05 / 30
"""How likely a run of an application that does not change is taken to be unlike those before it: one month of 20 has
such a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """An experiment that was made after the baseline's and before the candidate's, and that a gate has judged.

    Attributes:
        table: its results.
        date: when it was made, such as ``2026-11-29``.
        changed: examples with another input or expected output than the candidate's.
        changed_evaluators: metrics whose evaluator is not the candidate's.
        of_baseline: whether the baseline's task made it, so that the baseline may be pooled of it.
        of_candidate: whether the candidate's task made it, so that it is one of the candidate's nights.
        unlike: whether its scores are unlike those of the baseline's runs before it, so that no baseline is pooled of
            it: one that is much better was as lucky as one that fails was unlucky, or is another application.
        failed: whether its gate failed it: the baseline is not pooled of it, nor are later nights compared with it.
        is_trial: whether that was other code than the candidate's, so that it says nothing of that: something that was
            rejected, or has been mended since.
    """

    table: ResultTable
    date: str = ""
    changed: frozenset[str] = frozenset()
    changed_evaluators: frozenset[str] = frozenset()
    of_baseline: bool = True
    of_candidate: bool = True
    unlike: bool = False
    failed: bool = False
    is_trial: bool = False

    def beside(self, candidate: ResultTable) -> EarlierRun:
        """The same, with what of it cannot be compared with a candidate."""
        found = differences(self.table, candidate)
        changed = frozenset((*found.inputs, *found.expected))
        return replace(self, changed=changed, changed_evaluators=frozenset(found.evaluators))

    @property
    def is_poolable(self) -> bool:
        """Whether a baseline may be pooled of it."""
        return self.of_baseline and not self.failed and not self.unlike

    def scores(self, name: str, ids: Sequence[str]) -> Floats | None:
        """Of a metric, one an example; NaN where there is none that can be compared, ``None`` where none at all can."""
        import numpy as np

        table = self.table
        if name not in table.scores or name in self.changed_evaluators:
            return None
        means = dict(zip(table.example_ids, table.means(table.scores[name]).tolist(), strict=True))
        return np.array([np.nan if one in self.changed else means.get(one, np.nan) for one in ids])


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """All of them, in the order in which they were made.

    Attributes:
        runs: the experiments.
        pooled: so many runs make the baseline: its own and the first ones after it. Not the newest ones: a baseline
            that moved on with the nights would take a slow decline along.
        left_out: why others of the baseline's task are no part of the pool, and how many.
    """

    runs: tuple[EarlierRun, ...] = ()
    pooled: int = 1
    left_out: Mapping[str, int] = field(default_factory=dict)

    def beside(self, candidate: ResultTable, baseline: ResultTable) -> EarlierRuns:
        """The same, with what of each cannot be compared with a candidate, and what is unlike the baseline."""
        alike = replace(self, runs=tuple(run.beside(candidate) for run in self.runs))
        return alike if self.pooled == 1 else alike._without_unlike(baseline)

    def with_positive(self, positive: Mapping[str, Collection[str]]) -> EarlierRuns:
        """The same with labels as scores; see `ResultTable.with_positive`."""
        return replace(self, runs=tuple(replace(run, table=run.table.with_positive(positive)) for run in self.runs))

    def _without_unlike(self, baseline: ResultTable) -> EarlierRuns:
        """The same, with those marked whose scores are unlike those of the runs that the baseline is pooled of.

        Args:
            baseline: its own run.
        """
        ids, runs, n = baseline.example_ids, list[EarlierRun](), 1
        pool = {name: [baseline.means(scores)] for name, scores in baseline.scores.items()}
        for run in self.runs:
            runs.append(run)
            if not run.is_poolable:
                continue
            new = {name: scores for name in pool if (scores := run.scores(name, ids)) is not None}
            found = [exchange_test(_columns(pool[name]), scores) for name, scores in new.items()]
            level = SELDOM / max(1, len(found))
            if any(2 * min(one.p_higher, one.p_lower) <= level for one in found):
                runs[-1] = replace(run, unlike=True)
            elif n < self.pooled:
                n += 1
                for name, scores in new.items():
                    pool[name].append(scores)
        n_unlike = sum(run.unlike for run in runs)
        left_out = {**self.left_out, **({UNLIKE: n_unlike} if n_unlike else {})}
        return replace(self, runs=tuple(runs), left_out=left_out)

    @property
    def pool(self) -> tuple[EarlierRun, ...]:
        """Those that the baseline is pooled of, beside its own."""
        return tuple(run for run in self.runs if run.is_poolable)[: self.pooled - 1]

    def said(self, own: str) -> Pooled | None:
        """What a comparison says of the pool; nothing where the baseline is one run.

        Args:
            own: what the baseline's own run is called.
        """
        if self.pooled == 1:
            return None
        labels = [run.table.label for run in self.pool]
        if len({own, *labels}) <= len(labels):  # several are called alike
            labels = [f"{run.table.label} of {run.date}" for run in self.pool]
        changed = {run.table.label: len(run.changed) for run in self.pool if run.changed}
        evaluators = {run.table.label: tuple(sorted(run.changed_evaluators)) for run in self.pool}
        return Pooled(
            asked=self.pooled,
            runs=tuple(labels),
            left_out=self.left_out,
            changed_examples=changed,
            changed_evaluators={label: names for label, names in evaluators.items() if names},
        )

    def test(
        self, name: str, ids: Sequence[str], baseline: Floats, candidate: Floats, confidence: float
    ) -> PairedResult:
        """A metric on the examples with a score on both sides, beside the pool where there is one.

        Args:
            name: the metric's.
            ids: of these examples.
            baseline: the scores of the baseline's own run.
            candidate: the candidate's.
            confidence: of the interval.
        """
        import numpy as np

        more = [scores for run in self.pool if (scores := run.scores(name, ids)) is not None]
        if not more:
            return paired_test(baseline, candidate, confidence=confidence)
        pool = np.column_stack([baseline, *more])
        found = paired_test(np.nanmean(pool, axis=1), candidate, confidence=confidence)
        exchanged = exchange_test(pool, candidate)
        usual = np.nanmedian(pool, axis=1)
        higher, lower = int((candidate > usual).sum()), int((candidate < usual).sum())
        return replace(
            found,
            test=exchanged.test,
            p_value=min(1.0, 2 * min(exchanged.p_higher, exchanged.p_lower)),
            p_higher=exchanged.p_higher,
            p_lower=exchanged.p_lower,
            smallest_p=exchanged.smallest_p,
            higher=higher,
            lower=lower,
            ties=found.n_pairs - higher - lower,
        )

    def nights(
        self, name: str, ids: Sequence[str], baseline: Floats, candidate: Floats, direction: Direction
    ) -> tuple[Night, ...]:
        """Each night since the baseline's, the candidate last, beside the nights before it.

        The baseline's own run is no part of what they are compared with: who chose it knew its scores, and a run that
        was chosen because it was the best looks like a decline of all that follow. Neither is what a gate has failed,
        or a drop that lasts would become what is usual.
        """
        pool: list[Floats] = [baseline]
        before: list[Floats] = []
        found: list[Night] = []
        for run in (*self.runs, None):
            scores = candidate if run is None else run.scores(name, ids)
            if scores is None:
                continue
            if run is None or run.of_candidate:
                found.append(_night(run, scores, pool, before, less_is_better=direction == "minimize"))
            if run is not None and run.of_candidate and not run.failed:
                before.append(scores)
            if run is not None and run.is_poolable and len(pool) < self.pooled:
                pool.append(scores)
        return tuple(found)


def _night(
    run: EarlierRun | None, scores: Floats, pool: list[Floats], before: list[Floats], *, less_is_better: bool
) -> Night:
    """A night, or the candidate, beside the baseline's runs and beside the nights before it."""
    beside = exchange_test(_columns(pool), scores)
    p_better = beside.p_lower if less_is_better else beside.p_higher
    counts = before and not (run is not None and run.is_trial)
    worse_by = night_score(_columns(before), scores, less_is_better=less_is_better) if counts else None
    if run is None:
        return Night(worse_by=worse_by, p_better=p_better)
    return Night(label=run.table.label, date=run.date, worse_by=worse_by, p_better=p_better, failed=run.failed)


def _columns(runs: Sequence[Floats]) -> Floats:
    import numpy as np

    return np.column_stack(list(runs))


NONE = EarlierRuns()
