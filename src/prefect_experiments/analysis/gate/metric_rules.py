"""What a gate asks of one metric: each rule a class, and `Metric`, which is made of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field, WithJsonSchema, field_validator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import examples_to_exclude
from prefect_experiments.analysis.comparison.said import said_of_correction, unit_of_correction
from prefect_experiments.analysis.corrected import SURELY_CHOSEN, Corrected
from prefect_experiments.analysis.gate.bound_rules import Min
from prefect_experiments.analysis.gate.case import ROUNDING, Better, MetricCase
from prefect_experiments.analysis.gate.clause import OFTEN, Clause, p_text, unsure, worst
from prefect_experiments.analysis.gate.family import Test
from prefect_experiments.analysis.gate.rule import Rule, as_mapping
from prefect_experiments.analysis.power import Asked, noise_of, smallest_corrected_drop, smallest_drop
from prefect_experiments.analysis.verdicts import MetricCheck, MetricComparison, WorstCase
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import AsIs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# What the tests are called.
_WORSE, _HIDDEN = "worse", "hidden"
_FIELD = re.compile(r"(?:annotation|eval)\.(.+)\.(?:score|label)")
_PERCENT = re.compile(r"\d+(?:\.\d+)?\s*%")
_MARGIN = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "%$"}, {"type": "null"}]}


class MaxRegression(Rule):
    """Not worse than the baseline, or not by more than is allowed."""

    max_regression: Annotated[float | str | None, AsIs, WithJsonSchema(_MARGIN)] = None
    """How much worse than the baseline the candidate may be, in the metric's own unit, or as a share of the baseline's
    mean (5%). It passes when the whole confidence interval lies within this margin (a non-inferiority test), and fails
    when the candidate is significantly worse and not shown to be within; anything between is inconclusive. Without it,
    only what is significantly worse fails, and too few pairs to show even that are inconclusive."""

    @field_validator("max_regression", mode="plain")
    @classmethod
    def _checked(cls, given: Any) -> float | str | None:
        where = f"{cls.said_before_names}max_regression must be"
        share = _PERCENT.fullmatch(given) if isinstance(given, str) else None
        if given is None or share:
            return cast("str | None", given)
        if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= sys.float_info.max:
            raise InvalidSetting(
                f"{where} a finite number, or a share of the baseline's such as 5%; got {given!r:.100}"
            )
        if given < 0:
            raise InvalidSetting(f"{where} at least 0, got {given!r}")
        return float(given)

    def tests(self, case: MetricCase) -> Iterator[Test]:
        """That the candidate is worse on the pairs with both scores, and with those that it lacks as the worst ones."""
        if (test := case.worse(_WORSE)) is not None:
            yield test
        if case.filled is not None:
            # Two-sided, as all that errors may have made: see `run_rules`.
            is_less = case.oriented(case.filled.difference) < 0
            yield Test((case.name, _HIDDEN), case.filled.p_value if is_less else 1.0)

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """By the pairs with both scores, and with missing scores counted as the worst ones."""
        if case.incomparable:
            yield Clause("inconclusive", case.incomparable)
        if (metric := case.metric) is None:
            return
        worse = f"significantly worse ({p_text(case.family.p_value(case.name, _WORSE))}, one-sided)"
        is_worse = case.family.rejects(case.name, _WORSE)
        if case.corrected is not None:
            yield from self._by_people(case, case.corrected, worse, is_worse=is_worse)
        elif self.max_regression is None:
            yield from self._not_worse(case, metric, worse, is_worse=is_worse)
        elif self._is_within(case, metric):
            yield Clause("passed", f"within {self._allowed(case)}")
        elif is_worse:
            yield Clause("failed", f"{worse} and not shown to be within {self._allowed(case)}")
        else:
            needed = self._examples_needed(case, metric)
            yield unsure(f"not shown to be within {self._allowed(case)}", needed, "pairs")
        if case.filled is not None:
            yield self._filled(case, metric, case.filled)
        if not is_worse:
            yield from self._found(case, metric)

    def _found(self, case: MetricCase, metric: MetricComparison) -> Iterator[Clause]:
        """What a pass is worth: the smallest drop that would have failed."""
        asked = Asked(alpha=case.family.severest, confidence=case.confidence, margin=self._margin(case))
        if case.corrected is not None:
            if case.corrected.difference is None:
                return
            drop, unit = smallest_corrected_drop(case.corrected, asked), unit_of_correction(metric)
        else:
            noise = noise_of(metric, case.confidence, metric.worst_score)
            if noise is None or metric.n_pairs < case.family.enough(metric.test):
                return
            unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean, operation=case.operation)
            drop = smallest_drop(noise, asked)
        way = "drop" if case.direction == "maximize" else "rise"
        if drop is None:
            yield Clause("passed", f"not even the largest {way} would have been found {OFTEN}")
            return
        yield Clause(
            "passed", f"a {way} of {numbers.value(drop, unit)} would have been found {OFTEN}", smallest_drop=drop
        )

    def _not_worse(self, case: MetricCase, metric: MetricComparison, worse: str, *, is_worse: bool) -> Iterator[Clause]:
        enough = case.family.enough(metric.test)
        if is_worse:
            yield Clause("failed", worse)
        elif metric.n_pairs < enough:
            among = f" among {case.family.size} tests" if case.family.size > 1 else ""
            few = f"{numbers.count(metric.n_pairs, 'pair')} cannot show any regression{among}, however large"
            yield Clause("inconclusive", f"{few}: at least {numbers.count(enough, 'pair')} can", enough)
        else:
            yield Clause("passed", f"not {worse}" if case.difference < 0 else "not worse")

    def _by_people(self, case: MetricCase, found: Corrected, worse: str, *, is_worse: bool) -> Iterator[Clause]:
        """The difference by the judge beside the corrected one, and what is asked of that; or why there is none."""
        assert case.metric is not None
        yield Clause("inconclusive" if found.difference is None else "passed", said_of_correction(case.metric))
        if found.difference is None:
            return
        if found.p_chosen is not None and found.p_chosen <= SURELY_CHOSEN:
            more = "people's scores of runs drawn at random are needed to tell (`prefect-experiments annotate`)"
            yield Clause("inconclusive", more)
        if self.max_regression is None:
            is_less = case.oriented(found.difference) < 0
            yield Clause("failed", worse) if is_worse else Clause("passed", f"not {worse}" if is_less else "not worse")
        elif self._is_within(case, found):
            yield Clause("passed", f"within {self._allowed(case)}")
        elif is_worse:
            yield Clause("failed", f"{worse} and not shown to be within {self._allowed(case)}")
        else:
            yield Clause("inconclusive", f"not shown to be within {self._allowed(case)}")

    def _filled(self, case: MetricCase, metric: MetricComparison, filled: WorstCase) -> Clause:
        unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean)
        change = numbers.change(filled.difference, filled.ci_low, filled.ci_high, unit)
        text = f"with missing scores counted as the worst ({filled.n_candidate} of the candidate's) {change}"
        if self._is_within(case, filled):
            return Clause("passed", text)
        if case.family.rejects(case.name, _HIDDEN):
            p_value = p_text(case.family.p_value(case.name, _HIDDEN))
            return Clause("failed", f"{text}, significantly worse ({p_value})")
        if self.max_regression is not None:
            return Clause("inconclusive", f"{text}, not shown to be within {self._allowed(case)}")
        return Clause("passed", text)

    @property
    def has_margin(self) -> bool:
        """Whether it is said how much worse the candidate may be."""
        return self.max_regression is not None

    @property
    def is_wide(self) -> bool:
        """Whether it is more than scores from 0 to 1 can fall, so that nothing might ever fail."""
        if isinstance(self.max_regression, str):
            return _share(self.max_regression) > 1
        return self.max_regression is not None and self.max_regression > 1

    def margin(self, baseline_mean: float | None) -> float | None:
        """What is allowed, in the metric's own unit."""
        if self.max_regression is None or isinstance(self.max_regression, float):
            return self.max_regression
        return None if baseline_mean is None else _share(self.max_regression) * abs(baseline_mean)

    def _margin(self, case: MetricCase) -> float | None:
        return self.margin(case.baseline_mean)

    def _allowed(self, case: MetricCase) -> str:
        text = numbers.value(self._margin(case), numbers.OPERATION_UNITS.get(case.operation, "plain"))
        if isinstance(self.max_regression, str):
            text = f"{self.max_regression} ({text})"
        return f"the allowed regression of {text}"

    def _is_within(self, case: MetricCase, found: MetricComparison | WorstCase | Corrected) -> bool:
        """Whether the whole interval lies on the good side of the allowed regression."""
        margin = self._margin(case)
        if found.ci_low is None or found.ci_high is None or margin is None:
            return False
        return min(case.oriented(found.ci_low), case.oriented(found.ci_high)) > -margin

    def _examples_needed(self, case: MetricCase, metric: MetricComparison) -> int | None:
        """Pairs to show either that the regression is within the allowed one, or that there is one."""
        margin = self._margin(case)
        if metric.ci_low is None or metric.ci_high is None or margin is None:
            return None
        to_pass = examples_to_exclude(
            case.difference + margin,
            metric.sd_difference,
            (metric.ci_high - metric.ci_low) / 2,
            metric.n_pairs,
            confidence=case.confidence,
        )
        to_fail = metric.examples_needed if case.difference < 0 else None
        return min((n for n in (to_pass, to_fail) if n is not None), default=None)


def is_beyond(scores: Floats, drop: float, direction: Better) -> bool:
    """Whether no candidate can be so much worse: the drop is larger than the scale that these scores lie on."""
    if scores.min() < 0:
        return False
    highest = max(1.0, float(scores.max()))
    if direction == "minimize":
        return highest <= 1 + ROUNDING and drop > 1  # else nobody knows how much more there can be
    return drop > highest + ROUNDING


def _share(percent: str) -> float:
    return float(percent.rstrip(" %")) / 100


class Positive(Rule):
    """Labels that count as a score of 1, so that there is something to be better or worse."""

    positive: str | Annotated[list[str], Field(min_length=1)] | None = None
    """The label that is good, or a list of them: each run scores 1 with such a label and 0 with any other, whatever
    scores the evaluator gives beside. Without it, labels that shift make the verdict inconclusive."""

    @property
    def good(self) -> tuple[str, ...]:
        """The good labels; none where nobody has said."""
        return (self.positive,) if isinstance(self.positive, str) else tuple(self.positive or ())

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """That there are such labels."""
        unknown = [label for label in self.good if label not in case.labels]
        if unknown and not case.labels and case.corrected_by:  # what people's labels are, their correction says
            yield Clause("passed", f"{self._counting} in {case.corrected_by}'s labels")
        elif unknown and not case.labels:
            yield Clause("failed", f"positive names the label {unknown[0]!r}, and its evaluator gives no labels")
        elif unknown and (len(unknown) == len(self.good) or (unknown := self._misspelt(case, unknown))):
            yield Clause("failed", f"positive: {unknown_value('label', unknown[0], list(case.labels))}")
        elif self.good:
            yield Clause("passed", self._counting)

    @property
    def _counting(self) -> str:
        return f"{' and '.join(map(repr, self.good))} {'counts' if len(self.good) == 1 else 'count'} as 1"

    def _misspelt(self, case: MetricCase, unknown: list[str]) -> list[str]:
        """Those that are nearly a label which counts as 0."""
        others = [label for label in case.labels if label not in self.good]
        return [label for label in unknown if get_close_matches(label, others, n=1)]


class CorrectedBy(Rule):
    """By whose scores the judge's errors are corrected, in what `MaxRegression` asks."""

    corrected_by: Annotated[str, Field(min_length=1)] | None = None
    """The annotation, or the evaluator of kind HUMAN, with people's scores of some of the runs, drawn at random. It is
    then the difference corrected for the judge's errors (prediction-powered inference), in the unit of people's scores,
    that must not be worse, or not by more than max_regression. Fewer than 10 examples with such a score on either side
    are inconclusive. Where people gave labels only, positive says which count as 1."""

    @field_validator("corrected_by")
    @classmethod
    def _named(cls, given: str | None) -> str | None:
        if given and (field := _FIELD.fullmatch(given)):
            raise InvalidSetting(
                f"{cls.said_before_names}corrected_by={given!r} is a field; name what it is of: {field[1]!r}"
            )
        return given

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """That there is no difference to correct; what is corrected is said where the difference is judged."""
        if self.corrected_by is not None and case.metric is None and not case.incomparable:
            text = f"corrected_by {self.corrected_by} is asked of the difference to a baseline, and there is none"
            yield Clause("passed", text)


class Metric(CorrectedBy, Positive, Min, MaxRegression):
    """What a gate asks of one metric.

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    direction: Better | None = None
    """minimize where less is better, maximize where more is. Without it, what the metric's evaluations say, as those of
    phoenix-evals do, else more."""

    @property
    def needs_mean(self) -> bool:
        """Whether it asks for what labels without scores have none of: a mean."""
        return any(asked is not None for asked in (self.min, self.max_regression, self.corrected_by))

    def judge(self, case: MetricCase) -> MetricCheck:
        """The worst that its rules say, and all of it in one sentence with the figures."""
        waiting = [Clause("inconclusive", case.pending)] if case.pending else []
        return judged(case, [*self.checks(case), *waiting])

    @classmethod
    def parse(cls, value: Any, name: str = "") -> Metric:
        """A `Metric` from a mapping of its attributes, or nothing.

        Args:
            value: a `Metric`, a mapping, or ``None`` for one without bounds.
            name: the metric's, for messages.

        Raises:
            InvalidSetting: an unknown key, or a value that cannot be used.
        """
        if isinstance(value, Metric):
            return value
        where = f"metric {name!r} of the gate" if name else "a metric of the gate"
        return cls.from_mapping(as_mapping(value, f"{where} must be a mapping such as {{min: 0.8}}"), where)


def plain_check(name: str, reason: str, *, failed: bool = False) -> MetricCheck:
    """A check without figures to weigh."""
    return MetricCheck(name=name, status="failed" if failed else "passed", reason=reason)


def judged(case: MetricCase, clauses: list[Clause]) -> MetricCheck:
    """The worst of the clauses, and all of them in one sentence with the figures."""
    figures = case.name if case.metric is None else figures_of(case.metric, case.operation)
    return MetricCheck(
        name=case.name,
        status=worst([clause.status for clause in clauses]),
        reason=f"{figures}: {'; '.join(clause.text for clause in clauses)}",
        examples_needed=next((n for clause in clauses if (n := clause.examples_needed) is not None), None),
        smallest_drop=next((drop for clause in clauses if (drop := clause.smallest_drop) is not None), None),
    )


def figures_of(metric: MetricComparison, operation: str = "") -> str:
    """Such as ``correctness 0.84, -3 points [-6, -1] against 0.87 on 400 pairs; 8 improved, 21 regressed``."""
    unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean, operation=operation)
    note = " (less is better)" if metric.direction == "minimize" else ""
    text = (
        f"{metric.name}{note} {numbers.value(metric.candidate_mean, unit)}, "
        f"{numbers.change(metric.difference, metric.ci_low, metric.ci_high, unit)} "
        f"against {numbers.value(metric.baseline_mean, unit)} on {numbers.count(metric.n_pairs, 'pair')}"
    )
    if metric.wins or metric.losses or metric.ties:
        text += f"; {metric.wins:,} improved, {metric.losses:,} regressed"
    return text
