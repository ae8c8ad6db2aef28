"""Experiment evaluators: the user's functions over a whole table of runs, such as F1 or BLEU over a corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis.comparison.paired import PairedResult
from prefect_experiments.errors import InvalidEvaluator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Places = npt.NDArray[np.intp]

N_BOOTSTRAP = 1_000
BOOTSTRAP = f"paired bootstrap over examples, {N_BOOTSTRAP:,} resamples"

_SEED = 20_240_802
_REPEAT_MARK = "~"


def compare_corpus_metric(
    name: str,
    function: Callable[[pd.DataFrame], float],
    baseline: pd.DataFrame,
    candidate: pd.DataFrame,
    example_ids: Sequence[str],
    *,
    confidence: float = 0.95,
) -> PairedResult:
    """Compare a function of the whole table by the paired bootstrap over examples.

    1,000 times as many examples as there are are drawn with replacement (fixed seed), the same
    ones for both sides, each with all its repetitions. The interval is the percentile interval of
    the difference; the two-sided p-value is twice the smaller share of resamples on either side of
    0, with one added to count and number, so that its resolution is 0.002. Both need some dozens
    of examples to be trusted. Calls the function about 2,000 times.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13; Koehn
    2004, Statistical Significance Tests for Machine Translation Evaluation.

    Args:
        name: of the metric, for messages.
        function: gets one row a run, failed runs included, and returns a finite number. An example
            that was drawn twice comes with two ids, ``ID`` and ``ID~2``, so that grouping by
            ``example_id`` stays right.
        baseline: the runs of one side; column ``example_id`` (text).
        candidate: those of the other.
        example_ids: which examples to compare; each has rows on both sides.
        confidence: of the interval.

    Raises:
        InvalidEvaluator: the function raised, or returned something else than a finite number.
    """
    import numpy as np
    from scipy import stats

    # In an order of their own, so that the order of the rows has no influence.
    names = np.array(sorted(example_ids), dtype=object)
    sides = (_Runs(baseline, names), _Runs(candidate, names))
    everything = np.arange(len(names), dtype=np.intp)
    values = [_call(name, function, side.of(everything), "") for side in sides]

    def difference(drawn: Places) -> float:
        drawn = np.sort(drawn)
        before, after = (_call(name, function, side.of(drawn), " on a resample of the examples") for side in sides)
        return after - before

    n = len(names)
    low: float | None = None
    high: float | None = None
    if n > 1:
        result = stats.bootstrap(
            (everything,),
            difference,
            n_resamples=N_BOOTSTRAP,
            vectorized=False,
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(_SEED),
        )
        low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
        drawn = result.bootstrap_distribution
    else:
        drawn = np.zeros(N_BOOTSTRAP)
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    # What a standard deviation of differences of examples would be, were the metric a mean.
    sd = float(drawn.std(ddof=1)) * math.sqrt(n) if n > 1 else None
    return PairedResult(
        n_pairs=n,
        baseline_mean=values[0],
        candidate_mean=values[1],
        difference=values[1] - values[0],
        ci_low=low,
        ci_high=high,
        p_value=min(1.0, 2 * (tail + 1) / (N_BOOTSTRAP + 1)),
        p_higher=min(1.0, (int((drawn <= 0).sum()) + 1) / (N_BOOTSTRAP + 1)),
        p_lower=min(1.0, (int((drawn >= 0).sum()) + 1) / (N_BOOTSTRAP + 1)),
        smallest_p=1 / (N_BOOTSTRAP + 1),
        higher=0,
        lower=0,
        ties=0,
        sd_difference=sd,
        effect_size=None,
        test=BOOTSTRAP,
    )


def corpus_value(name: str, function: Callable[[pd.DataFrame], float], runs: pd.DataFrame) -> float:
    """What an experiment evaluator says of one table of runs.

    Raises:
        InvalidEvaluator: it raised, or returned something else than a finite number.
    """
    return _call(name, function, runs.reset_index(drop=True), "")


class _Runs:
    """The runs of one side, ready to be drawn by example."""

    def __init__(self, frame: pd.DataFrame, names: npt.NDArray[np.object_]) -> None:
        import numpy as np

        place = {name: number for number, name in enumerate(names.tolist())}
        of_example = np.array([place.get(name, -1) for name in frame["example_id"].tolist()], dtype=np.intp)
        rows = np.argsort(of_example, kind="stable")
        rows = rows[of_example[rows] >= 0]
        self._frame = frame.iloc[rows].reset_index(drop=True)
        self._counts = np.bincount(of_example[rows], minlength=len(names))
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
        self._labels = [names]

    def of(self, drawn: Places) -> pd.DataFrame:
        """The rows of the drawn examples, which come sorted."""
        import numpy as np

        counts = self._counts[drawn]
        ends = np.cumsum(counts)
        within = np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
        frame = self._frame.iloc[np.repeat(self._starts[drawn], counts) + within].reset_index(drop=True)
        copies = np.arange(len(drawn)) - np.searchsorted(drawn, drawn)
        if copies.any():
            frame["example_id"] = np.repeat(self._named(drawn, copies), counts)
        return frame

    def _named(self, drawn: Places, copies: Places) -> npt.NDArray[np.object_]:
        import numpy as np

        names = self._labels[0]
        for number in range(len(self._labels) + 1, int(copies.max()) + 2):
            self._labels.append(np.array([f"{name}{_REPEAT_MARK}{number}" for name in names], dtype=object))
        found = names[drawn]
        for copy in range(1, int(copies.max()) + 1):
            found = np.where(copies == copy, self._labels[copy][drawn], found)
        return found


def _call(name: str, function: Callable[[pd.DataFrame], float], frame: pd.DataFrame, where: str) -> float:
    try:
        value: Any = function(frame)
    except Exception as error:  # the user's code
        raise InvalidEvaluator(
            f"experiment evaluator {name!r} raised {type(error).__name__}{where}. "
            "It must cope with any subset of the examples, with failed runs and with missing scores"
        ) from error
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        shown = repr(value)[:40] if isinstance(value, int | float) else f"a value of type {type(value).__qualname__}"
        raise InvalidEvaluator(f"experiment evaluator {name!r} must return a finite number{where}, got {shown}")
    return number
