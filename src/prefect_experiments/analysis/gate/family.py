"""The one family of tests of a gate: what all its rules ask of chance, sharing one share of false alarms.

Two promises, and what each needs:

- **A candidate that is as good fails in at most 5 % of comparisons**, whatever the number of metrics and rules. A gate
  fails where any of its tests says so (a union of rejections), so all of them share the 5 % by Holm's method.
- **Nothing passes for lack of data.** A gate passes only where every rule does (an intersection), so what a rule needs
  to pass, such as an interval within a margin, it may ask at the whole confidence (Berger 1982, Technometrics 24:295).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from prefect_experiments.analysis.comparison.paired import alpha_of, holm, pairs_to_reach

Key = tuple[str, ...]


class Test(NamedTuple):
    """One question to chance: a p-value that speaks against the candidate.

    Attributes:
        key: what asks, such as a metric's name and a rule's.
        p_value: not adjusted.
        least: the smallest p-value that could have come out, given how many examples differ at all.
        is_main: whether it is what the gate is for, and not only what errors may have made: it takes part wherever
            there is something to find, and so counts when power is told.
    """

    key: Key
    p_value: float
    least: float = 0.0
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """All tests of a gate, adjusted together.

    Attributes:
        alpha: the share of false alarms that they share.
        size: how many there are.
        adjusted: the p-values by Holm's method (1979, Scandinavian Journal of Statistics 6:65) over the tests that
            could have said anything: one that could not be significant whatever came out takes no part (Tarone 1990,
            Biometrics 46:515), and has its own p-value, which is above alpha.
        sharing: how many share alpha wherever there is something to find.
    """

    alpha: float = 0.05
    size: int = 0
    sharing: int = 0
    adjusted: Mapping[Key, float] = field(default_factory=dict)

    @classmethod
    def of(cls, tests: Iterable[Test], confidence: float) -> Family:
        """The tests of a gate with that confidence."""
        alpha = alpha_of(confidence)
        asked = list(tests)
        able = [test for test in asked if test.least <= alpha]
        together = holm([test.p_value for test in able])
        adjusted = {test.key: test.p_value for test in asked}
        adjusted |= {test.key: p_value for test, p_value in zip(able, together, strict=True)}
        sharing = sum(test.is_main or test.least <= alpha for test in asked)
        return cls(alpha, len(asked), sharing, adjusted)

    @property
    def severest(self) -> float:
        """The smallest share of alpha that Holm's method may leave to one of them."""
        return self.alpha / max(1, self.sharing)

    def p_value(self, *key: str) -> float:
        """The adjusted p-value; 1 where there is no such test."""
        return self.adjusted.get(key, 1.0)

    def rejects(self, *key: str) -> bool:
        """Whether this test speaks against the candidate."""
        return self.p_value(*key) <= self.alpha

    def enough(self, test: str) -> int:
        """The fewest pairs with which a test could fail a candidate that is worse on every one of them.

        Args:
            test: the name of its test.
        """
        return pairs_to_reach(self.alpha / max(1, self.size), test)
