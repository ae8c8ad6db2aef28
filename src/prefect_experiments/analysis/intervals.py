"""Intervals for a mean of scores, wherever one stands: in a summary, a report, a gate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Interval = tuple[float | None, float | None]


def mean_interval(values: Floats, confidence: float = 0.95) -> Interval:
    """An interval for a mean over examples, within the range of the scores.

    Args:
        values: one an example, repetitions averaged before.
        confidence: of the interval.

    Returns:
        The ends; ``(None, None)`` where there are too few values.
    """
    import numpy as np
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return None, None
    ordered = np.sort(values)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * float(ordered.std(ddof=1)) / math.sqrt(n)
    return float(ordered.mean()) - half, float(ordered.mean()) + half
