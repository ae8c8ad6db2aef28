"""Drift over many nights: a cumulative sum of what each night says beside all nights before it.

Each night's scores are compared with those of every night before it since the baseline's, by `exchange_test`, and its
p-value becomes a normal score. While nothing changes these scores are independent of each other: given which scores an
example has had so far, it is chance alone which of them is the newest, and that tells nothing of how the earlier ones
followed each other (Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, theorem 2.8, for ranks). A
chart of differences from one noisy baseline has no such property: it alarms because of the baseline. So this is a
self-starting chart (Hawkins 1987, The Statistician 36:299), with Page's cumulative sum (1954, Biometrika 41:100), which
finds a lasting small shift sooner than any single night can show it.

A night that its gate failed adds to the sum, or a lasting drop would come and go with the nights that chance lets pass;
what later nights are compared with, it is no part of. So that one bad night is no drift, no night adds more than a
clear one does, and so that what is mended is soon seen to be, the sum goes no further than a little above its limit.
Neither changes how often there is a first alarm.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from prefect_experiments.analysis.comparison.exchange import exchange_test

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

REFERENCE = 0.5
"""So much a night's score has to exceed 0 to add to the sum: half the shift that is found soonest, in the standard
error of one night."""
CLEAR = 3.0
"""So much a night's score counts at most."""
ABOVE = 0.25
"""So far above its limit the sum goes, so that a night that is like those before ends the alarm. With more, a drop that
lasts shows on a few nights more, and one that is mended on many: simulated by tests/benchmarks/oc_nights.py."""
# States of the Markov chain that the limit is counted with; with twice as many it differs by less than 0.01.
_STATES = 200


class Drift(NamedTuple):
    """Where a chart stands after its last night.

    Attributes:
        sum: the cumulative sum, from 0.
        limit: above which it is an alarm.
        since: the place of the night, from 0, with which the sum began to rise.
        sums: after each night.
    """

    sum: float
    limit: float
    since: int
    sums: tuple[float, ...]

    @property
    def is_alarm(self) -> bool:
        """Whether the sum exceeds its limit."""
        return self.sum > self.limit


def night_score(earlier: Floats, newest: Floats, *, less_is_better: bool = False) -> float:
    """How much worse a night is than those before it: standard normal while nothing changes, above 0 where it is worse.

    Args:
        earlier: one row an example, one column a run: the baseline's and each night's since; NaN without a score.
        newest: the night's scores, one an example.
        less_is_better: of the metric.
    """
    from scipy.special import ndtri

    found = exchange_test(earlier, newest)
    if found.smallest_p >= 1:
        return 0.0  # nothing has ever differed
    p_value = found.p_higher if less_is_better else found.p_lower
    return -float(ndtri(min(max(p_value, 1e-300), 1 - 1e-16)))


def drift(scores: Sequence[float], *, chance: float, nights: int = 30) -> Drift:
    """The cumulative sum of nights' scores.

    Args:
        scores: of `night_score`, one a night, in order.
        chance: how often it may alarm in so many `nights` of an application that does not change.
        nights: what `chance` is for, as many as a month has.
    """
    sums, total, since, limit = [], 0.0, 0, drift_limit(chance, nights)
    for place, score in enumerate(scores):
        if total <= 0:
            since = place
        total = min(max(0.0, total + min(score, CLEAR) - REFERENCE), limit + ABOVE)
        sums.append(total)
    return Drift(total, limit, since, tuple(sums))


@functools.cache
def drift_limit(chance: float, nights: int = 30) -> float:
    """The limit that the sum exceeds within so many nights with that chance, while nothing changes.

    By the Markov chain of Brook and Evans (1972, Biometrika 59:539), begun as the chart is after many nights without an
    alarm, so that each later month keeps the share as well as the first one does.
    """
    low, high = 0.0, 10.0
    while _chance(high, nights) > chance:
        low, high = high, 2 * high
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if _chance(middle, nights) > chance else (low, middle)
    return high


def _chance(limit: float, nights: int) -> float:
    """That independent standard normal scores take the sum above the limit within so many nights."""
    import numpy as np
    from scipy.special import ndtr

    width = 2 * limit / (2 * _STATES - 1)
    places = np.arange(_STATES)
    # From the middle of each state to each other's edges; the first one holds all that is 0 as well.
    edges = (places[None, :] + 0.5) * width - places[:, None] * width + REFERENCE
    edges = np.column_stack([np.full(_STATES, -np.inf), edges])
    below, above = ndtr(edges), ndtr(-edges)
    moves = np.where(edges[:, :-1] > 0, -np.diff(above), np.diff(below))  # far out, all digits are in what is above
    alarms = above[:, -1]
    start = np.eye(1, _STATES)[0]
    for _ in range(100):  # what it settles to, as long as there is no alarm
        start = start @ moves
        start /= start.sum()
    chance = 0.0
    for _ in range(nights):
        chance += float(start @ alarms)
        start = start @ moves
    return chance
