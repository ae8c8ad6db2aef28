"""How long to wait before something is tried again: one formula, whatever it is that failed."""

from __future__ import annotations

import random

_MOST_DOUBLINGS = 30  # far above any limit that is set, far below where a float overflows


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures in a row.

    Twice as long after each, up to a limit, and less by up to half of it at random, so that those who failed together
    do not come back together ("equal jitter": M. Brooker, Exponential Backoff And Jitter, AWS, 2015).

    Args:
        failures: how many there were, from 1.
        first: the longest wait after the first, in seconds.
        longest: the longest after any, in seconds.
    """
    most = min(first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest)
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about it
