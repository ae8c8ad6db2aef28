"""How many false alarms a gate may raise, and in what time: each night's share of them, and drift over the nights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator

from prefect_experiments.analysis.gate.case import Case, MetricCase
from prefect_experiments.analysis.gate.rule import Rule, as_mapping
from prefect_experiments.analysis.nights.chart import Drift, drift
from prefect_experiments.analysis.nights.records import Night
from prefect_experiments.analysis.verdicts import MetricCheck
from prefect_experiments.options import AsIs

NIGHTS = {"week": 7, "month": 30}
"""How many comparisons each of these has: one a night."""
# What single nights spend of it, and what drift does. The rest is for baselines that were chosen because they were the
# best of several, whose luck makes either alarm more often: simulated by tests/benchmarks/oc_nights.py.
FOR_NIGHTS, FOR_DRIFT = 0.3, 0.3
_SCHEMA = {"anyOf": [{"type": "object"}, {"type": "null"}]}


class AlarmLimit(Rule):
    """How many false alarms there may be.

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    per: Literal["comparison", "week", "month"] = "comparison"
    """The time that it is for: one comparison, or as many as there are nights in a week (7) or a month (30)."""
    at_most: Annotated[float | None, Field(gt=0, lt=0.5)] = None
    """The share of such times in which a gate may fail a candidate that is as good as its baseline. Without it, 1 less
    the gate's confidence."""


MONTHLY = AlarmLimit(per="month")
"""What the nightly flow asks where nobody says otherwise."""


class Alarms(Rule):
    """An application that has not changed seldom alarms over many nights, and one that declines slowly does."""

    called: ClassVar[str] = "drift"

    alarms: Annotated[AlarmLimit | None, AsIs, WithJsonSchema(_SCHEMA)] = None
    """How often the gate may fail a candidate that is as good: per comparison, week or month, such as {per: month,
    at_most: 0.05}. Then each of a month's 30 nights has its share of that for all its tests, and drift that no single
    night shows has another. Without it, 1 less the confidence in each comparison, and in the flow regression in each
    month."""

    @field_validator("alarms", mode="plain")
    @classmethod
    def _limit(cls, given: Any) -> AlarmLimit | None:
        if given is None or isinstance(given, AlarmLimit):
            return given
        must = "Gate.alarms must be a mapping such as {per: month, at_most: 0.05}"
        return AlarmLimit.from_mapping(as_mapping(given, must), "Gate.alarms")

    @property
    def nights(self) -> int | None:
        """How many comparisons share the false alarms; ``None`` where each has its own."""
        return None if self.alarms is None else NIGHTS.get(self.alarms.per)

    def for_tests(self, confidence: float) -> float:
        """The confidence of the family of a single comparison's tests.

        The nights' shares add up, however the nights hang together: all of them are beside one baseline, so a
        baseline that was lucky makes one alarm follow another (Bonferroni's inequality, which spends alpha evenly;
        Lan and DeMets 1983, Biometrika 70:659).
        """
        at_most = self._at_most(confidence)
        return 1 - (at_most if self.nights is None else FOR_NIGHTS * at_most / self.nights)

    def drifts(self, case: Case, confidence: float) -> dict[str, Drift]:
        """By metric that has been compared over several nights, where its chart stands."""
        if self.nights is None:
            return {}
        charted = {name: nights for name, one in case.metrics.items() if (nights := _charted(one))}
        chance = FOR_DRIFT * self._at_most(confidence) / max(1, len(charted))
        return {
            name: drift([score for _, score in nights], chance=chance, nights=self.nights)
            for name, nights in charted.items()
        }

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """That no metric declines over the nights since the baseline's."""
        found = self.drifts(case, case.confidence)
        worse = [_sentence(case.metrics[name], one) for name, one in found.items() if one.is_alarm]
        if worse:
            yield MetricCheck(name=self.called, status="failed", reason="; ".join(worse))
        elif found:
            longest = max(len(one.sums) for one in found.values())
            yield MetricCheck(
                name=self.called, status="passed", reason=f"no drift over {longest + 1} nights since the baseline's"
            )

    def _at_most(self, confidence: float) -> float:
        at_most = None if self.alarms is None else self.alarms.at_most
        return 1 - confidence if at_most is None else at_most


def _charted(case: MetricCase) -> list[tuple[Night, float]]:
    """The nights that the chart is of, each with its score."""
    nights = () if case.metric is None else case.metric.nights
    return [(night, night.worse_by) for night in nights if night.worse_by is not None]


def _sentence(case: MetricCase, found: Drift) -> str:
    nights = _charted(case)
    since = nights[found.since][0].date or "this run"
    lasting = len(nights) - found.since
    return (
        f"{case.name} has been drifting since {since}: over {lasting} {'night' if lasting == 1 else 'nights'} it is "
        f"worse than on those before (their cumulative sum is above its limit of {found.limit:.1f})"
    )
