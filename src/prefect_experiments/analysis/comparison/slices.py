"""The metrics again, on groups of the examples: where a candidate got worse that is as good on the whole.

**Which groups.** The values of ``splits`` and of each field of the examples' metadata, nested ones included
(`analysis.example_facts`). A field is looked at where it has from 2 to `MOST_GROUPS` values, and a group where it has
at least `LEAST` examples that both sides ran; at most `MOST_IN_ALL` groups, of fields with few values first. A gate may
ask for a field beyond these bounds, up to `example_facts.MOST_VALUES` values of any size.

**What was known before.** Groups must not be made of what came out. A dataset's metadata are known beforehand. What
stands beside the runs in a table may be a result, such as why an answer ended: such a field is looked at only where
both sides have it and agree on every example.

**Adjusted by itself.** Looking at more groups must not cost the metrics' own tests anything, so the slices' p-values
are a family of their own: Holm's method (1979, Scandinavian Journal of Statistics 6:65) over all slices and metrics of
which enough pairs differ that something could have been shown (Tarone 1990, Biometrics 46:515). A gate that asks for
slices has them in its own family instead, beside all else that it asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prefect_experiments.analysis.comparison.paired import MCNEMAR, alpha_of, holm, paired_test
from prefect_experiments.analysis.comparison.pairing import Pairs, worst_case
from prefect_experiments.analysis.example_facts import Fields
from prefect_experiments.analysis.intervals import mean_and_sd
from prefect_experiments.analysis.slices import Slice, SliceMetric, Slices, SliceVerdict
from prefect_experiments.analysis.verdicts import Direction, WorstCase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]

MOST_GROUPS, MOST_IN_ALL, LEAST = 20, 100, 10


def compare_slices(
    pairs: Pairs, directions: Mapping[str, Direction], confidence: float, asked: Sequence[str] = ()
) -> Slices:
    """Each metric on each group.

    Args:
        pairs: the examples.
        directions: by metric that can be compared.
        confidence: of the intervals; a metric has moved on a group where its adjusted p-value is at most
            1 - confidence.
        asked: fields that are looked at whatever the bounds say.
    """
    if not directions or not len(pairs.in_baseline):
        return Slices(asked=tuple(asked))
    fields, left_out = _fields(pairs, asked)
    groups = _Groups(pairs)
    members = {name: groups.of(values) for name, values in fields.values.items()}
    left_out |= _bounded(members, asked)
    columns = [_Column.of(name, direction, pairs) for name, direction in directions.items()]
    found = [
        Slice(
            field=name,
            value=value,
            n_examples=len(group.shared),
            metrics={column.name: column.on(group, pairs, confidence) for column in columns},
        )
        for name, by_value in members.items()
        for value, group in by_value.items()
    ]
    n = len(pairs.in_baseline)
    without = {name: n - groups.known(fields.values[name]) for name in asked if name in fields.values}
    groups_found = _adjusted(found, {column.name: column for column in columns}, confidence)
    return Slices(groups=groups_found, asked=tuple(asked), left_out=left_out, without=without)


def _fields(pairs: Pairs, asked: Collection[str]) -> tuple[Fields, dict[str, str]]:
    """What makes groups of the examples, and why other fields make none."""
    known = [table for table in (pairs.candidate, pairs.baseline) if table.source.has_dataset]
    if known:
        found = Fields.of(known[0].source.facts())
        return found, _unknown(found, asked)
    sides = [Fields.of(table.source.facts()) for table in (pairs.candidate, pairs.baseline)]
    shared = [pairs.baseline.example_ids[place] for place in pairs.in_baseline.tolist()]
    values: dict[str, Mapping[str, tuple[str, ...]]] = {}
    left_out = {**sides[1].ungrouped, **sides[0].ungrouped}
    for name in dict.fromkeys([*sides[0].values, *sides[1].values]):
        after, before = (side.values.get(name, {}) for side in sides)
        if name in left_out:
            continue
        if not after or not before:
            table = pairs.candidate if after else pairs.baseline
            left_out[name] = (
                f"only {table.label} has it; give both tables the column, as what came out must not make the groups"
            )
        elif differ := sum(after.get(one) != before.get(one) for one in shared):
            left_out[name] = f"it is not the same on both sides on {differ:,} of {len(shared):,} examples"
        else:
            values[name] = {**before, **after}  # of what the candidate has no run of, only the baseline's tells
    found = Fields(values, left_out)
    return found, _unknown(found, asked)


def _unknown(found: Fields, asked: Collection[str]) -> dict[str, str]:
    missing = {name: found.unknown(name) for name in asked if name not in found.names}
    return {**found.ungrouped, **missing}


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The examples of a group, as places among the pairs, and among those that the candidate has no run of."""

    shared: Places
    absent: Places


class _Groups:
    """Turns examples' ids into places."""

    def __init__(self, pairs: Pairs) -> None:
        ids = pairs.baseline.example_ids
        self._shared = {ids[place]: number for number, place in enumerate(pairs.in_baseline.tolist())}
        self._absent = {ids[place]: number for number, place in enumerate(pairs.absent.tolist())}

    def of(self, values: Mapping[str, tuple[str, ...]]) -> dict[str, _Group]:
        """The groups of a field by its values, those of which there is an example to compare; in order."""
        members: dict[str, list[str]] = {}
        for example_id, found in values.items():
            if example_id in self._shared or example_id in self._absent:
                for value in found:
                    members.setdefault(value, []).append(example_id)
        return {value: _Group(*self._places(members[value])) for value in sorted(members)}

    def known(self, values: Mapping[str, tuple[str, ...]]) -> int:
        """How many of the pairs have a value."""
        return sum(example_id in self._shared for example_id in values)

    def _places(self, ids: Iterable[str]) -> tuple[Places, Places]:
        import numpy as np

        shared, absent = ([of[one] for one in ids if one in of] for of in (self._shared, self._absent))
        return np.sort(np.array(shared, dtype=np.intp)), np.sort(np.array(absent, dtype=np.intp))


def _bounded(members: dict[str, dict[str, _Group]], asked: Collection[str]) -> dict[str, str]:
    """Drop what is beyond the bounds and was not asked for, and say why."""
    left_out: dict[str, str] = {}
    room = MOST_IN_ALL
    for name in sorted(members, key=lambda name: len(members[name])):
        if name in asked:
            continue
        every = members.pop(name)
        large = {value: group for value, group in every.items() if len(group.shared) >= LEAST}
        if len(every) < 2:
            left_out[name] = "all examples have the same value"
        elif len(every) > MOST_GROUPS:
            left_out[name] = f"it has {len(every)} values, more than {MOST_GROUPS}"
        elif not large:
            left_out[name] = f"none of its groups has {LEAST} examples"
        elif len(large) > room:
            left_out[name] = f"there are {MOST_IN_ALL} groups without it"
        else:
            members[name] = large
            room -= len(large)
    return left_out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Column:
    """One metric of the pairs.

    Attributes:
        left, right: each pair's scores on either side, NaN without one.
        lacking, absent: the pairs, and the absent examples, of which the candidate lacks a score.
    """

    name: str
    direction: Direction
    left: Floats
    right: Floats
    lacking: Flags
    absent: Flags

    @classmethod
    def of(cls, name: str, direction: Direction, pairs: Pairs) -> _Column:
        """That metric, which both sides have."""
        import numpy as np

        baseline, candidate = pairs.baseline, pairs.candidate
        left, right = pairs.means(baseline.scores[name], candidate.scores[name])
        asked, absent_asked = pairs.asked(name)
        erred = candidate.means(candidate.errors[name].astype(float))[pairs.in_candidate] > 0
        lacking = asked & ~np.isnan(left) & (np.isnan(right) | erred)
        absent = absent_asked & ~np.isnan(baseline.means(baseline.scores[name])[pairs.absent])
        return cls(name=name, direction=direction, left=left, right=right, lacking=lacking, absent=absent)

    def on(self, group: _Group, pairs: Pairs, confidence: float) -> SliceMetric:
        """It on a group."""
        import numpy as np

        left, right = self.left[group.shared], self.right[group.shared]
        both = ~np.isnan(left) & ~np.isnan(right)
        n_lacking = int(self.lacking[group.shared].sum() + self.absent[group.absent].sum())
        found = SliceMetric(name=self.name, n_lacking=n_lacking)
        if n_lacking and self.direction != "neutral":
            found = self._filled(found, group, pairs, confidence)
        if not both.any():
            return found
        result = paired_test(left[both], right[both], confidence=confidence)
        better, worse = result.better_and_worse(self.direction)
        exact = 2 if result.test == MCNEMAR else 1  # its one-sided p-values are mid-p
        return replace(
            found,
            n_pairs=result.n_pairs,
            baseline_mean=result.baseline_mean,
            candidate_mean=result.candidate_mean,
            difference=result.difference,
            ci_low=result.ci_low,
            ci_high=result.ci_high,
            wins=better,
            losses=worse,
            p_value=result.p_value,
            p_worse=result.p_value / 2 if self._is_worse(result.difference) else 1.0,
            smallest_p=min(1.0, exact * result.smallest_p),
            sd_difference=result.sd_difference,
            baseline_sd=mean_and_sd(left[both])[1],
            test=result.test,
        )

    def _filled(self, found: SliceMetric, group: _Group, pairs: Pairs, confidence: float) -> SliceMetric:
        part = replace(
            pairs,
            in_baseline=pairs.in_baseline[group.shared],
            in_candidate=pairs.in_candidate[group.shared],
            absent=pairs.absent[group.absent],
        )
        every, errors = (
            self._p_value(worst_case(self.name, self.direction, part, confidence, errors_only=errors_only))
            for errors_only in (False, True)
        )
        return replace(found, p_missing_as_worst=every, p_errors_as_worst=errors)

    def _p_value(self, filled: WorstCase | None) -> float | None:
        if filled is None or not filled.n_candidate:
            return None
        return filled.p_value if self._is_worse(filled.difference) else 1.0

    def _is_worse(self, difference: float) -> bool:
        return difference < 0 if self.direction == "maximize" else self.direction == "minimize" and difference > 0

    def verdict(self, metric: SliceMetric) -> SliceVerdict:
        """What to call a metric that has moved."""
        if self.direction == "neutral":
            return "changed"
        return "regressed" if self._is_worse(metric.difference or 0.0) else "improved"


def _adjusted(groups: Sequence[Slice], columns: Mapping[str, _Column], confidence: float) -> tuple[Slice, ...]:
    """With adjusted p-values, and what has moved."""
    alpha = alpha_of(confidence)
    able = {
        (number, name): metric.p_value
        for number, one in enumerate(groups)
        for name, metric in one.metrics.items()
        if metric.n_pairs and 2 * metric.smallest_p <= alpha
    }
    adjusted = dict(zip(able, holm(list(able.values())), strict=True))
    found = []
    for number, one in enumerate(groups):
        metrics = dict(one.metrics)
        for name, metric in metrics.items():
            if (p := adjusted.get((number, name))) is not None:
                moved = columns[name].verdict(metric) if p <= alpha else "unchanged"
                metrics[name] = replace(metric, p_value_adjusted=p, verdict=moved)
        found.append(replace(one, metrics=metrics))
    return tuple(found)
