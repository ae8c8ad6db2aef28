"""The rule on groups of examples: none of them may get worse, however good the whole is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, Any

from pydantic import Field, field_validator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import pairs_to_reach
from prefect_experiments.analysis.example_facts import METADATA, SPLITS, ExampleFacts, Fields
from prefect_experiments.analysis.gate.case import Case
from prefect_experiments.analysis.gate.clause import OFTEN, p_text
from prefect_experiments.analysis.gate.family import Key, Test
from prefect_experiments.analysis.gate.rule import Rule, shown
from prefect_experiments.analysis.power import Asked, noise_of, smallest_drop
from prefect_experiments.analysis.slices import Slice, SliceMetric
from prefect_experiments.analysis.verdicts import MetricCheck
from prefect_experiments.display import some
from prefect_experiments.errors import InvalidSetting

_SLICE, _HIDDEN = "slice", "hidden"
_SHOWN = 5


class SliceRule(Rule):
    """No group of the examples may be significantly worse."""

    slices: str | Annotated[list[str], Field(min_length=1)] | None = None
    """The fields whose groups are judged one by one: splits, or a path into the examples' metadata such as
    metadata.topic or metadata.customer.tier; one or a list. On each group of examples that share a value, no metric
    that the gate judges may be significantly worse than the baseline's, missing scores counted as the worst. Each group
    and metric is one of the gate's tests. A group too small to show anything takes no part, and is named; where all
    are, or where no example has the field, the verdict is inconclusive. Without it, groups that moved are named and not
    judged."""

    @field_validator("slices", mode="before")
    @classmethod
    def _fields_checked(cls, given: Any) -> Any:
        names = [given] if isinstance(given, str) else given
        if names is None:
            return None
        if not isinstance(names, list | tuple) or not names:
            raise InvalidSetting(f"{cls.said_before_names}slices must be a field or a list of them; got {shown(given)}")
        for name in names:
            is_path = isinstance(name, str) and name.startswith(METADATA) and name != METADATA
            if name != SPLITS and not is_path:
                raise InvalidSetting(
                    f"{cls.said_before_names}slices must be splits or metadata.KEY, such as metadata.topic; "
                    f"got {shown(name)}"
                )
        return given

    @property
    def fields(self) -> tuple[str, ...]:
        """`slices` as a tuple; empty where nobody asks."""
        return (self.slices,) if isinstance(self.slices, str) else tuple(dict.fromkeys(self.slices or ()))

    def tests(self, case: Case) -> Iterator[Test]:
        """That a metric is worse on a group, and with the scores that it lacks there as the worst ones."""
        for name in self.fields:
            for group, metric in _judged(name, case):
                yield Test(_key(group, metric), metric.p_worse, metric.smallest_p)
                if (hidden := _hidden(metric, case)) is not None:
                    yield Test((*_key(group, metric), _HIDDEN), hidden)

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """One check a field."""
        if case.comparison is None:
            return
        for name in self.fields:
            found = list(_judged(name, case))
            if not found:
                yield MetricCheck(name=name, status="inconclusive", reason=_nothing(name, case))
                continue
            worse = [said for group, metric in found if (said := _worse(group, metric, case))]
            able = {group.value for group, metric in found if metric.n_pairs >= _enough(case)}
            if worse:
                more = f"; and {numbers.count(len(worse) - _SHOWN, 'other')}" if len(worse) > _SHOWN else ""
                reason = f"{'; '.join(worse[:_SHOWN])}{more}"
                yield MetricCheck(name=name, status="failed", reason=reason)
            elif lost := _unjudged(found, case, lost=True):
                reason = (
                    f"{name} cannot be judged on {some(lost)}: {case.candidate.label} lacks scores that the baseline "
                    f"has, and it takes {_enough(case)} pairs with both to show anything"
                )
                yield MetricCheck(name=name, status="inconclusive", reason=reason, examples_needed=_enough(case))
            elif not able:
                n, groups = _enough(case), numbers.count(len(case.comparison.slices.of(name)), "group")
                reason = f"{name} cannot be judged: none of its {groups} has {n} pairs, which it takes to show anything"
                yield MetricCheck(name=name, status="inconclusive", reason=reason, examples_needed=n)
            else:
                reason = f"{name}: no metric is significantly worse on any of {numbers.count(len(able), 'group')}"
                worth, drop = _worth([pair for pair in found if pair[1].n_pairs >= _enough(case)], case)
                yield MetricCheck(name=name, status="passed", reason=reason + worth, smallest_drop=drop)


def unjudged_slices(case: Case, fields: tuple[str, ...]) -> Iterator[MetricCheck]:
    """Which groups could not be judged, whatever the verdict is, and how many examples are in none.

    Args:
        case: what is judged.
        fields: those that the gate asks for.
    """
    if case.comparison is None:
        return
    for name in fields:
        found = list(_judged(name, case))
        small = _unjudged(found, case, lost=False)
        able = any(metric.n_pairs >= _enough(case) or _worse(group, metric, case) for group, metric in found)
        if small and able:
            reason = (
                f"not judged in {name}, because it takes {_enough(case)} pairs with scores on both sides to show "
                f"anything: {some(small)}"
            )
            yield MetricCheck(name=name, status="passed", reason=reason)
        if without := case.comparison.slices.without.get(name):
            reason = f"{numbers.count(without, 'example')} of {case.comparison.n_pairs:,} in no group of {name}"
            yield MetricCheck(name=name, status="passed", reason=reason)


def slices_to_come(case: Case, facts: Iterable[ExampleFacts], fields: tuple[str, ...]) -> Iterator[MetricCheck]:
    """Of a first run: what the runs to come will not be judged by, as the examples make no groups, or small ones.

    Args:
        case: the first run.
        facts: of the examples.
        fields: those that the gate asks for.
    """
    found = Fields.of(facts) if fields else Fields()
    sizes = {name: Counter(chain.from_iterable(found.values.get(name, {}).values())) for name in fields}
    n_metrics = sum(metric.values is not None for metric in case.metrics.values())
    least = _least(case.family.alpha, n_metrics * sum(map(len, sizes.values())))
    for name, groups in sizes.items():
        small = [value for value, n in sorted(groups.items()) if n < least]
        if not groups:
            reason = f"{name} cannot be judged: {found.ungrouped.get(name) or found.unknown(name)}"
            yield MetricCheck(name=name, status="inconclusive", reason=reason)
        elif len(small) == len(groups):
            reason = (
                f"{name} cannot be judged, in this run or a later one: none of its "
                f"{numbers.count(len(groups), 'group')} has {least} examples, which it takes to show anything"
            )
            yield MetricCheck(name=name, status="inconclusive", reason=reason, examples_needed=least)
        elif small:
            reason = (
                f"later runs will not be judged on all groups of {name}, because it takes {least} examples to show "
                f"anything: {some(small)}"
            )
            yield MetricCheck(name=name, status="passed", reason=reason)


def _judged(name: str, case: Case) -> Iterator[tuple[Slice, SliceMetric]]:
    """The groups of a field with each metric that the gate judges beside the baseline."""
    if case.comparison is None:
        return
    for group in case.comparison.slices.of(name):
        for metric in group.metrics.values():
            judged = case.metrics.get(metric.name)
            if judged is not None and judged.metric is not None:
                yield group, metric


def _unjudged(found: list[tuple[Slice, SliceMetric]], case: Case, *, lost: bool) -> list[str]:
    """The groups that nothing can be said of; where that is so of some of the metrics only, with these.

    Args:
        found: the groups with each metric.
        case: what is judged.
        lost: those which the scores that the candidate lacks would make large enough; else the others, which are small.
    """
    metrics: dict[str, list[str]] = {}
    for group, metric in found:
        if metric.n_pairs < _enough(case) and not _worse(group, metric, case):
            is_lost = metric.n_pairs + metric.n_lacking >= _enough(case)
            if is_lost is lost:
                metrics.setdefault(group.value, []).append(metric.name)
    n = {value: sum(group.value == value for group, _ in found) for value in metrics}
    return [value if len(names) == n[value] else f"{value} ({', '.join(names)})" for value, names in metrics.items()]


def _worth(able: list[tuple[Slice, SliceMetric]], case: Case) -> tuple[str, float | None]:
    """What a pass is worth, for the sentence to go on with: of each metric, on the largest and on the smallest group.

    Returns:
        Also the smallest group's drop as a number, where there is one metric alone: no group that is judged has less.
    """
    metrics: dict[str, list[tuple[Slice, SliceMetric]]] = {}
    for group, metric in sorted(able, key=lambda pair: -pair[1].n_pairs):
        metrics.setdefault(metric.name, []).append((group, metric))
    said, drop = "", None
    for name, groups in list(metrics.items())[:_SHOWN]:
        ends = groups[:: max(1, len(groups) - 1)]
        found = [(group, metric, *_smallest_drop(metric, case)) for group, metric in ends]
        texts = [_found(group, metric, drop, case) for group, metric, drop, known in found if known]
        if texts:
            said += f"; of {name}, {' and '.join(texts)} would have been found {OFTEN}"
        drop = found[-1][2] if len(metrics) == 1 else None
    return said, drop


def _smallest_drop(metric: SliceMetric, case: Case) -> tuple[float | None, bool]:
    """The smallest drop that would have been found, ``None`` for not even the largest; and whether that is known."""
    whole = case.metrics[metric.name]
    noise = noise_of(metric, whole.confidence, whole.metric.worst_score if whole.metric else None)
    if noise is None:
        return None, False
    asked = Asked(alpha=case.family.severest, confidence=whole.confidence, exact=True)
    return smallest_drop(noise, asked), True


def _found(group: Slice, metric: SliceMetric, drop: float | None, case: Case) -> str:
    """Such as ``a drop of 12 points on billing (400 pairs)``."""
    way = "drop" if case.metrics[metric.name].direction == "maximize" else "rise"
    on = f"on {group.value} ({numbers.count(metric.n_pairs, 'pair')})"
    if drop is None:
        return f"not even the largest {way} {on}"
    return f"a {way} of {numbers.value(drop, numbers.unit_of(metric.baseline_mean, metric.candidate_mean))} {on}"


def _key(group: Slice, metric: SliceMetric) -> Key:
    return _SLICE, group.field, group.value, metric.name


def _hidden(metric: SliceMetric, case: Case) -> float | None:
    return metric.p_missing_as_worst if case.missing_count else metric.p_errors_as_worst


def _enough(case: Case) -> int:
    """The fewest pairs that could fail a group that is worse on every one of them, by an exact test."""
    return _least(case.family.alpha, case.family.size)


def _least(alpha: float, n_tests: int) -> int:
    return pairs_to_reach(alpha / max(1, n_tests), "")  # the groups' p-values are exact


def _worse(group: Slice, metric: SliceMetric, case: Case) -> str:
    """What to say of a group that fails, with its figures; else empty."""
    key = _key(group, metric)
    if case.family.rejects(*key):
        return f"{said_of_slice(group, metric)}: significantly worse ({p_text(case.family.p_value(*key))}, one-sided)"
    if case.family.rejects(*key, _HIDDEN):
        p_value = p_text(case.family.p_value(*key, _HIDDEN))
        lacking = f"scores of {metric.name} missing on {numbers.count(metric.n_lacking, 'example')}"
        return f"{group.name}: {lacking}; counted as the worst, it is significantly worse ({p_value})"
    return ""


def said_of_slice(group: Slice, metric: SliceMetric) -> str:
    """Such as ``metadata.topic=refunds: correctness 0.28, -60 points [-75, -42] against 0.88 on 40 pairs``."""
    unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean)
    change = numbers.change(metric.difference, metric.ci_low, metric.ci_high, unit)
    return (
        f"{group.name}: {metric.name} {numbers.value(metric.candidate_mean, unit)}, {change} against "
        f"{numbers.value(metric.baseline_mean, unit)} on {numbers.count(metric.n_pairs, 'pair')}"
    )


def _nothing(name: str, case: Case) -> str:
    """Why there is no group of a field to judge."""
    assert case.comparison is not None
    found = case.comparison.slices
    if why := found.left_out.get(name):
        return f"{name} cannot be judged: {why}"
    return f"{name} cannot be judged: no metric was scored on both sides"
