"""The rules on what the runs of a gate's candidate took: latency, tokens, cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field, field_validator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.gate.bound_rules import beside_bound
from prefect_experiments.analysis.gate.case import Case, operation_case
from prefect_experiments.analysis.gate.family import Test
from prefect_experiments.analysis.gate.figures import (
    Interval,
    fewest_for_p95,
    p95_interval,
    p_value_beyond,
    total_interval,
)
from prefect_experiments.analysis.gate.metric_rules import MaxRegression, judged, plain_check
from prefect_experiments.analysis.gate.rule import Rule, as_mapping
from prefect_experiments.analysis.verdicts import COSTS, LATENCIES, OPERATIONS, MetricCheck
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import AsIs

# So many of the ok runs' figures must be known.
_KNOWN = 0.9


class MaxP95Latency(Rule):
    """The slowest runs must not be too slow."""

    called: ClassVar[str] = "p95 latency"

    max_p95_latency: Annotated[float | None, Field(ge=0)] = None
    """The largest 95th percentile of the ok runs' latency, in milliseconds. It passes when the percentile's whole
    confidence interval keeps it, which takes 72 examples or more. An unknown one fails."""

    def tests(self, case: Case) -> Iterator[Test]:
        """That the percentile is larger."""
        yield from _tests(self.called, _p95(case), self.max_p95_latency, case)

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """Beside the bound, where there is one."""
        if self.max_p95_latency is not None:
            value, n_known = case.candidate.latency_p95_ms, case.candidate.n_latencies
            bound = self.max_p95_latency, f"{self.max_p95_latency:,g} ms"
            check = _at_most(self.called, value, "{:,.0f} ms".format, _p95(case), bound, n_known, case)
            fewest = fewest_for_p95(case.confidence)
            if check.status == "inconclusive" and n_known < fewest:
                check = replace(check, reason=f"{check.reason}; it takes {fewest} examples", examples_needed=fewest)
            yield check


class MaxCost(Rule):
    """The experiment must not cost too much."""

    called: ClassVar[str] = "cost"

    max_cost: Annotated[float | None, Field(ge=0)] = None
    """What the whole experiment may cost, failed runs included, in US dollars. It passes when as many examples can be
    expected to cost no more: when the total's whole confidence interval keeps it. An unknown cost fails."""

    def tests(self, case: Case) -> Iterator[Test]:
        """That it costs more."""
        yield from _tests(self.called, _total(case), self.max_cost, case)

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """Beside the bound, where there is one."""
        if self.max_cost is not None:
            value, n_known = case.candidate.total_cost, case.candidate.n_costs
            bound = self.max_cost, numbers.money(self.max_cost)
            yield _at_most(self.called, value, numbers.money, _total(case), bound, n_known, case)


def _p95(case: Case) -> Callable[[float], Interval] | None:
    found = case.candidate.measured.get(LATENCIES)
    if found is None or not len(found):
        return None
    n = min(len(found), case.n_ran)
    return lambda confidence: p95_interval(found, n, confidence)


def _total(case: Case) -> Callable[[float], Interval] | None:
    found = case.candidate.measured.get(COSTS)
    return None if found is None or not len(found) else lambda confidence: total_interval(found, confidence)


def _tests(
    called: str, interval: Callable[[float], Interval] | None, bound: float | None, case: Case
) -> Iterator[Test]:
    if bound is not None and interval is not None and case.bounds == "interval":
        yield Test((called,), p_value_beyond(interval, bound, most=True))


def _at_most(
    called: str,
    value: float | None,
    written: Callable[[float], str],
    interval: Callable[[float], Interval] | None,
    bound: tuple[float, str],
    n_known: int,
    case: Case,
) -> MetricCheck:
    """The check of a figure that has a bound: it has to be known, and of enough of the ok runs."""
    n_ok = case.candidate.n_runs - case.candidate.n_errors
    if value is None:
        return plain_check(called, f"the {called} is not known, and at most {bound[1]} is allowed", failed=True)
    said = f"the {called} of {written(value)}"
    status, reason = beside_bound(
        said,
        value,
        None if interval is None else interval(case.confidence),
        (bound[0], f"the allowed {bound[1]}"),
        most=True,
        bounds=case.bounds,
        is_beyond=case.family.rejects(called),
        written=written,
    )
    if status != "failed" and n_known < _KNOWN * n_ok:
        why = f"{said} over the {n_known:,} of {n_ok:,} ok runs of which it is known, too few for a bound"
        return plain_check(called, why, failed=True)
    return MetricCheck(name=called, status=status, reason=reason)


class Operation(MaxRegression):
    """What a gate asks of latency, tokens or cost beside the baseline's."""


class Operations(Rule):
    """Latency, tokens and cost must not be worse than the baseline's by more than is allowed."""

    operations: Annotated[Mapping[str, Operation | Mapping[str, Any] | None], AsIs] = {}
    """What is asked of latency_ms, token_count and total_cost beside the baseline's, on the examples that both sides
    ran, such as latency_ms: {max_regression: 10%}, or a number of milliseconds, tokens or dollars an example; with
    nothing, that they are not significantly more."""

    @field_validator("operations", mode="plain")
    @classmethod
    def _parsed_operations(cls, given: Any) -> dict[str, Operation]:
        found = {}
        for name, rule in as_mapping(given, "Gate.operations must be a mapping such as {latency_ms: ...}").items():
            if name not in OPERATIONS:
                raise InvalidSetting(f"Gate.operations: {unknown_value('figure', str(name), list(OPERATIONS))}")
            found[name] = rule if isinstance(rule, Operation) else _operation(name, rule)
        return found

    def tests(self, case: Case) -> Iterator[Test]:
        """That there is more of it."""
        for name, rule in self._rules.items():
            if (found := operation_case(name, case)) is not None:
                yield from rule.tests(found)

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """Each, where there is a baseline."""
        if case.comparison is None:
            return
        for name, rule in self._rules.items():
            found = operation_case(name, case)
            if found is None or found.metric is None:
                yield plain_check(name, f"{name} cannot be judged: it is not known on both sides", failed=True)
                continue
            yield judged(found, list(rule.check(found)))

    @property
    def _rules(self) -> dict[str, Operation]:
        return cast("dict[str, Operation]", self.operations)


def _operation(name: str, rule: Any) -> Operation:
    where = f"operation {name!r} of the gate"
    return Operation.from_mapping(as_mapping(rule, f"{where} must be a mapping such as {{max_regression: 10%}}"), where)
