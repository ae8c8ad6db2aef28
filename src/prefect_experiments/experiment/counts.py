"""How far an experiment is, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is: what it has done of what it has to do, not what was there already.

    Attributes:
        experiment_id: empty until the experiment is made.
        began: whether calls are being made.
        runs: calls of the task that have ended, of `runs_expected`.
        run_errors: those of them that failed.
        evaluations: evaluator calls that have ended.
        evaluators: evaluators in use.
        not_meant: evaluations that no evaluator is to give, as it is meant for other examples.
        trouble: what keeps calls that are under way from ending: refusals, timeouts, failures; empty where all is well.
    """

    experiment_id: str = ""
    began: bool = False
    runs: int = 0
    runs_expected: int = 0
    run_errors: int = 0
    evaluations: int = 0
    evaluators: int = 0
    not_meant: int = 0
    trouble: str = ""

    def __str__(self) -> str:
        """Such as ``run 400/1,319, 3 failed, 797/2,632 evaluations``, and what keeps calls from ending."""
        parts = []
        if self.runs_expected:
            parts.append(f"run {self.runs:,}/{self.runs_expected:,}")
        if self.run_errors:
            parts.append(f"{self.run_errors:,} failed")
        if self.evaluators:
            of = f"/{self.evaluations_expected:,}" if self.runs_expected else ""
            parts.append(f"{self.evaluations:,}{of} evaluations")
        said = ", ".join(parts) or "nothing left to do"
        return f"{said}; {self.trouble}" if self.trouble else said

    @property
    def evaluations_expected(self) -> int:
        """Evaluator calls that there are to be, as far as is known: those on runs that failed are not made.

        How many evaluations the runs of an earlier session lack is not known beforehand.
        """
        expected = (self.runs_expected - self.run_errors) * self.evaluators - self.not_meant
        return max(self.evaluations, expected)

    @property
    def share(self) -> float:
        """The share of all calls that have ended, from 0 to 1, as far as is known."""
        if not self.runs_expected:
            return float(self.began)
        return min(1.0, (self.runs + self.evaluations) / (self.runs_expected + self.evaluations_expected))
