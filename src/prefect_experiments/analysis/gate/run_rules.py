"""The rules on the runs of a gate's candidate: how many failed, and how many scores there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import mcnemar_p_value
from prefect_experiments.analysis.gate.case import ROUNDING, Case
from prefect_experiments.analysis.gate.clause import p_text, worst
from prefect_experiments.analysis.gate.family import Key, Test
from prefect_experiments.analysis.gate.figures import share_p_value
from prefect_experiments.analysis.gate.metric_rules import plain_check
from prefect_experiments.analysis.gate.rule import Rule
from prefect_experiments.analysis.verdicts import MetricCheck, Side, Status

# Keys of tests that are no metric's.
_LOST, _UNSCORED = ("examples lost",), "unscored"
# What is enough where the gate does not say so.
_COVERAGE = 0.9
_ERROR_RATE = 0.5


class MaxErrorRate(Rule):
    """The task must not fail too often, nor on significantly more examples than the baseline's."""

    called: ClassVar[str] = "error rate"

    max_error_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    """The largest share of runs whose task may fail. More than that fails where it is shown to be no chance, and is
    inconclusive where it is not. Without it, half of them; the comparison with the baseline's failures is made either
    way."""

    def tests(self, case: Case) -> Iterator[Test]:
        """That the task fails more often than is allowed, and on more examples than the baseline's."""
        side = case.candidate
        if self.max_error_rate is not None and side.n_errors:
            yield Test((self.called,), share_p_value(side.n_errors / side.n_runs, self.max_error_rate, case.n_ran))
        if case.n_lost + case.n_gained:
            yield _more(_LOST, case.n_lost, case.n_gained)

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """The share of failed runs by itself, and beside the baseline's."""
        side = case.candidate
        reason = f"{side.n_errors:,} of {side.n_runs:,} runs failed"
        if case.baseline is not None:
            reason += f", {case.baseline.n_errors:,} of {case.baseline.n_runs:,} in the baseline"
        status: Status = "passed"
        share = side.n_errors / side.n_runs
        if share > _ERROR_RATE and (self.max_error_rate is None or self.max_error_rate <= _ERROR_RATE):
            status, reason = "failed", f"{reason}: more than {_percent(self.max_error_rate or _ERROR_RATE)} of them"
        elif self.max_error_rate is not None and share > self.max_error_rate + ROUNDING:
            p_value = p_text(case.family.p_value(self.called))
            reason += f": more than the allowed {_percent(self.max_error_rate)}"
            status = "failed" if case.family.rejects(self.called) else "inconclusive"
            reason += f" ({p_value})" if status == "failed" else f", which may be chance ({p_value})"
        if case.family.rejects(*_LOST):
            status = "failed"
            reason += (
                f"; {case.n_lost:,} examples failed or are missing in the candidate only, {case.n_gained:,} in the "
                f"baseline only: significantly more ({p_text(case.family.p_value(*_LOST))})"
            )
        yield MetricCheck(name=self.called, status=status, reason=reason)


class MinCoverage(Rule):
    """There must be enough runs and enough scores to judge by, on both sides."""

    called: ClassVar[str] = "coverage"

    min_coverage: Annotated[float | None, Field(ge=0, le=1)] = None
    """The smallest share of the examples that must have a score: of those that the baseline scored and the candidate
    should have run, without a baseline of all that its evaluator is meant for; pending ones do not count. Fewer fail
    where that is shown to be no chance, and are inconclusive where it is not. Without it 0.9, which is inconclusive to
    lack where the baseline lacks less, and scores that are missing for whatever reason on significantly more examples
    than the baseline's fail; with it, only those do that are missing because of an error."""

    @property
    def _least(self) -> float:
        return _COVERAGE if self.min_coverage is None else self.min_coverage

    def tests(self, case: Case) -> Iterator[Test]:
        """That scores are missing on more examples than the baseline's, and than is allowed."""
        for name in case.metrics:
            more, fewer = self._unscored(name, case)
            if more + fewer:
                yield _more((name, _UNSCORED), more, fewer)
        if self._is_bound(case):
            for name, coverage in case.coverages.items():
                if coverage[0] < coverage[1]:
                    yield Test((name, self.called), self._p_value(coverage))

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """The baseline's runs, else the candidate's runs and its scores of each metric."""
        side, before = case.candidate, case.baseline
        if before is not None and _incomplete(before, self._least):
            why = f"the baseline is not complete ({_made(before)}); finish it with resume, or name another"
            yield plain_check(self.called, why, failed=True)
            return
        low: list[tuple[Status, str]] = []
        needs = f"at least {_percent(self._least)} is needed"
        if _incomplete(side, self._least):
            low.append(("failed", f"{_made(side)}; {needs}"))
        for name in case.metrics:
            low += self._low(name, case)
        for name in case.labels:
            low += self._few_labels(name, case)
        of_what = "examples" if before is None else "examples that the baseline scored"
        scores = ", ".join(f"{name} {n:,} of {expected:,}" for name, (n, expected) in case.coverages.items())
        reason = f"scores on {of_what}: {scores or 'none asked for'}"
        if low:
            reason = f"too little to judge by: {'; '.join(text for _, text in low)}"
        yield MetricCheck(name=self.called, status=worst([status for status, _ in low]), reason=reason)

    def _low(self, name: str, case: Case) -> Iterator[tuple[Status, str]]:
        """What is missing of one metric's scores."""
        side, coverage = case.candidate, case.coverages.get(name)
        found = side.metrics.get(name)
        if found is not None and 2 * found.n_errors > found.n_asked_runs:
            lost = numbers.count(found.n_errors)
            yield "failed", f"{name} has no score on {lost} of {found.n_asked_runs:,} runs because of errors"
        elif coverage is not None and self._is_low(coverage):
            n, expected = coverage
            of_what = "examples" if case.baseline is None else "examples that the baseline scored"
            text = f"{name} has a score on {n:,} of {expected:,} {of_what}, and {_percent(self._least)} is needed"
            if self._is_bound(case):
                yield self._by_chance(name, text, case, unsure=": fewer may be chance")
            elif self._p_by_chance(name, coverage, case) <= case.family.alpha:
                yield "inconclusive", f"{text} to tell"
        if case.family.rejects(name, _UNSCORED):
            more, fewer = self._unscored(name, case)
            yield (
                "failed",
                f"{name} has no score on {numbers.count(more, 'example')} that the baseline scored, and the baseline "
                f"none on {fewer:,} that the candidate did: significantly more "
                f"({p_text(case.family.p_value(name, _UNSCORED))})",
            )

    def _few_labels(self, name: str, case: Case) -> Iterator[tuple[Status, str]]:
        """What is missing of labels without scores: with a share that the gate names, like scores."""
        coverage = case.coverages.get(name)
        if self._is_bound(case) and coverage is not None and self._is_low(coverage):
            n, expected = coverage
            text = f"{name} has a label on {n:,} of {expected:,} runs that the baseline has one of"
            yield self._by_chance(name, f"{text}, and {_percent(self._least)} is needed", case)

    def _by_chance(self, name: str, text: str, case: Case, *, unsure: str = "") -> tuple[Status, str]:
        """What a share that is too low comes to: failed where that is shown to be no chance."""
        p_value = p_text(case.family.p_value(name, self.called))
        if case.family.rejects(name, self.called):
            return "failed", f"{text} ({p_value})"
        return "inconclusive", f"{text}{unsure} ({p_value})"

    def _is_low(self, coverage: tuple[int, int]) -> bool:
        return coverage[0] < self._least * coverage[1] - ROUNDING

    def _is_bound(self, case: Case) -> bool:
        """Whether scores have to reach the share by themselves, else no fewer than the baseline's."""
        return self.min_coverage is not None or case.baseline is None

    def _unscored(self, name: str, case: Case) -> tuple[int, int]:
        """Examples on which only the candidate lacks a score, and only the baseline."""
        found = case.unscored(name)
        if self.min_coverage is None:
            return found.candidate_only, found.baseline_only
        return found.candidate_errors, found.baseline_errors

    def _p_by_chance(self, name: str, coverage: tuple[int, int], case: Case) -> float:
        """That so many scores are missing by chance: less than is needed, or more than the baseline's.

        Nothing fails by it, so it is no part of the family.
        """
        more, fewer = self._unscored(name, case)
        beside = _p_of_more(more + case.n_lost, fewer + case.n_gained)
        return min(len(case.metrics) * self._p_value(coverage), beside)

    def _p_value(self, coverage: tuple[int, int]) -> float:
        n, expected = coverage
        return share_p_value(1 - n / expected, 1 - self._least, expected)


def _more(key: Key, more: int, fewer: int) -> Test:
    return Test(key, _p_of_more(more, fewer), 0.5 ** (more + fewer - 1))


def _p_of_more(more: int, fewer: int) -> float:
    """That more is missing on the candidate: McNemar's exact test, two-sided.

    Twice as careful as where a metric is worse: calls fail in bursts, and baselines are chosen among good nights.
    """
    return mcnemar_p_value(more, fewer) if more > fewer else 1.0


def _incomplete(side: Side, least: float) -> bool:
    """Whether too few runs were made: nothing that chance would do."""
    return side.n_runs < least * side.n_expected - ROUNDING


def _made(side: Side) -> str:
    return f"{side.n_runs:,} of {side.n_expected:,} runs were made"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
