"""The pass rule of a gate: a count of entries beside a bound, and no test of chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.gate.case import ROUNDING, Case
from prefect_experiments.analysis.gate.pending import how_to_fill_in
from prefect_experiments.analysis.gate.rule import Rule
from prefect_experiments.analysis.passing import THRESHOLD
from prefect_experiments.analysis.verdicts import MetricCheck, Status


class PassThreshold(Rule):
    """The entries have to pass, one by one."""

    called: ClassVar[str] = "pass rate"

    pass_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    """The lowest score that passes. An entry (an example) passes when all its scores, of the evaluators that are meant
    for it, are at least this in every repetition; where less is better, 1 - score must be. An error of the task or of
    an evaluator, and a missing run or score, fail the entry. While an evaluation is pending the verdict is
    inconclusive, unless too many entries have failed already. It is a count, with or without a baseline, and no test of
    chance."""
    min_pass_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    """The smallest share of the entries that must pass; all of them without it. Without pass_threshold, that is 0.5."""

    @property
    def threshold(self) -> float | None:
        """The lowest score that passes; ``None`` where nobody asks."""
        return THRESHOLD if self.pass_threshold is None and self.min_pass_rate is not None else self.pass_threshold

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """How many entries pass, beside how many must."""
        found = case.candidate.passing
        if self.threshold is None or found is None:
            return
        failed, n_pending, n = found.places_of("failed"), found.n_pending, len(found.entries)
        least = 1.0 if self.min_pass_rate is None else self.min_pass_rate
        reason = f"{found.n_passed:,} of {numbers.count(n, 'entry', 'entries')} {'passes' if n == 1 else 'pass'}"
        reason += f" ({found.rule})"
        reason += "" if least == 1 else f", and {100 * least:g} % must"
        if failed:
            reason += f"; failed: {found.listed(failed)}"
        if found.n_unjudged:
            whole = numbers.count(n + found.n_unjudged, "entry", "entries")
            reason += f"; {found.n_unjudged:,} of {whole} not judged, without {found.lacking}"
        status: Status = "passed"
        if not n:
            status, reason = "failed", f"no entry has {found.lacking}, so there is none that could pass"
        elif n - len(failed) < least * n - ROUNDING:
            status = "failed"
        elif n_pending:
            status, reason = "inconclusive", f"{reason}; {how_to_fill_in(n_pending, case.candidate)}"
        yield MetricCheck(name=self.called, status=status, reason=reason)
