"""What a gate's groups of examples cost a plan: how many tests of theirs will share the false alarms.

A group's test takes part only where so many of its examples differ that it could show something (see `gate.family`).
How many will is not known before. A plan takes what is expected of as many examples, drawn by the groups' own shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prefect_experiments.analysis.comparison.paired import pairs_to_reach
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.gate.case import Case
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class PlannedGroups:
    """The groups of the fields that a gate asks for, in the baseline.

    Attributes:
        shares: by metric, for each group the share of the examples that have a score of it and are in the group.
        fields: by field, for each group the largest of these shares.
        alpha: the share of false alarms of the whole gate.
        n_main: its tests beside the groups'.
    """

    shares: Mapping[str, tuple[float, ...]]
    fields: Mapping[str, tuple[float, ...]]
    alpha: float
    n_main: int

    @classmethod
    def of(cls, case: Case, gate: Gate, n_there: int) -> PlannedGroups:
        """Of a baseline compared with itself, which has so many examples."""
        found = () if case.comparison is None else case.comparison.slices.groups
        by_metric: dict[str, tuple[float, ...]] = {}
        for name in case.metrics:
            pairs = [one.metrics[name].n_pairs for one in found if one.field in gate.fields and name in one.metrics]
            by_metric[name] = tuple(n / n_there for n in pairs if n)
        by_field = {}
        for field in gate.fields:
            groups = [one for one in found if one.field == field]
            pairs = [max((one.n_pairs for one in group.metrics.values()), default=0) for group in groups]
            by_field[field] = tuple(n / n_there for n in pairs)
        return cls(by_metric, by_field, case.family.alpha, case.family.sharing)

    def sharing(self, n: int, differing: Mapping[str, float]) -> float:
        """How many tests are expected to share the false alarms.

        Args:
            n: examples.
            differing: by metric, the share of the examples that score differently on either side.
        """
        import numpy as np
        from scipy.special import betainc

        least = pairs_to_reach(self.alpha, "")  # the groups' p-values are exact
        total = float(max(1, self.n_main))
        for name, shares in self.shares.items():
            sizes = np.round(n * np.array(shares))
            large = sizes[sizes >= least]
            # That so many or more of a group differ: the binomial distribution's tail.
            total += float(betainc(least, large - least + 1, differing[name]).sum())
        return total

    def able(self, n: int) -> dict[str, int]:
        """By field, how many of its groups have so many examples that they can be judged at all."""
        every = self.n_main + sum(map(len, self.shares.values()))
        least = pairs_to_reach(self.alpha / max(1, every), "")
        return {field: sum(round(n * share) >= least for share in shares) for field, shares in self.fields.items()}


def unknown_examples(gate: Gate, case: Case, table: ResultTable) -> dict[str, str]:
    """What the gate asks of examples and the baseline's table does not know: why, by ``required`` or the field.

    Raises:
        InvalidSetting: its dataset is known, and has no such example or field, or one that makes no groups.
    """
    found: dict[str, str] = {}
    if gate.must is not None:
        _, unknown = gate.must.among(table.source.facts(), (*(table.expected_ids or ()), *table.example_ids))
        if unknown:
            found["required"] = "; ".join(unknown)
    for name in gate.fields:
        why = None if case.comparison is None else case.comparison.slices.left_out.get(name)
        if why is not None:
            found[name] = why
    if found and table.source.has_dataset:
        said = "; ".join(f"{name}: {why}" for name, why in found.items())
        raise InvalidSetting(f"the gate asks for what the dataset of {table.label} does not have: {said}")
    return found
