"""Experiment evaluators: the user's functions over a whole table of runs, such as F1 or BLEU over a corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis.comparison.paired import PairedResult
from prefect_experiments.analysis.intervals import Range, bootstrap_tail, interval_of, range_of
from prefect_experiments.errors import InvalidEvaluator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Places = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

N_RESAMPLES = 1_000
FEWEST_EXAMPLES = 30
EXCHANGED = f"paired permutation over examples, {N_RESAMPLES:,} resamples"

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
    """Compare a function of the whole table, such as F1 or BLEU of a corpus.

    P-values: were the sides equal, each example's runs could as well stand on the other one. 1,000 times a random half
    of the examples changes sides (fixed seed), and p is (b + 1) / 1,001 for the b times in which the difference was at
    least as large. That is an exact test, whatever the function and however few the examples.

    The interval is a percentile bootstrap over examples, the same ones on both sides and each with all its repetitions,
    with the quantiles of Student's t, because the plain one is too short for few examples; and it is never shorter than
    that of a mean in which nothing differs, because resampling sees nothing of what has not happened. Below 30 examples
    there is none: nothing holds what it promises then. It suits functions that all examples have a part in; one of the
    few lowest or highest scores alone, it does not.

    Calls the function about 4,000 times.

    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses, chapter 2, "approximate randomization";
    Riezler and Maxwell 2005, On Some Pitfalls in Automatic Evaluation and Significance Testing for MT; Hesterberg 2015,
    The American Statistician 69:371, section 4.3, for the quantiles.

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

    # In an order of their own, so that the order of the rows has no influence.
    names = np.array(sorted(example_ids), dtype=object)
    n, rng = len(names), np.random.default_rng(_SEED)
    sides = (_Runs(baseline, names), _Runs(candidate, names))
    both, everything = _BothSides(*sides), np.arange(n, dtype=np.intp)
    values = [_call(name, function, side.of(everything), "") for side in sides]
    difference = values[1] - values[0]

    def exchanged() -> float:
        """The difference where a random half of the examples has changed sides."""
        where = " on examples of which some changed sides"
        before, after = (_call(name, function, runs, where) for runs in both.exchanged(rng.random(n) < 0.5))
        return after - before

    def resampled() -> float:
        drawn = np.sort(rng.integers(0, n, n))
        before, after = (_call(name, function, side.of(drawn), " on a resample of the examples") for side in sides)
        return after - before

    changed = np.array([exchanged() for _ in range(N_RESAMPLES)])
    near = 1e-9 * max(map(abs, values))  # a sum taken in another order is the same one
    p_higher, p_lower, p_value = (
        (int(found.sum()) + 1) / (N_RESAMPLES + 1)
        for found in (
            changed >= difference - near,
            changed <= difference + near,
            np.abs(changed) >= abs(difference) - near,
        )
    )
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    if n >= FEWEST_EXAMPLES:
        drawn = np.array([resampled() for _ in range(N_RESAMPLES)])
        low, high = _bootstrap_interval(drawn, difference, n, range_of(values), confidence)
        sd = float(drawn.std(ddof=1)) * math.sqrt(n)  # what that of examples would be, were the metric a mean
    return PairedResult(
        n_pairs=n,
        baseline_mean=values[0],
        candidate_mean=values[1],
        difference=difference,
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        p_higher=p_higher,
        p_lower=p_lower,
        smallest_p=max(1 / (N_RESAMPLES + 1), 0.5**n),
        higher=0,
        lower=0,
        ties=0,
        sd_difference=sd,
        effect_size=None,
        test=EXCHANGED,
    )


def _bootstrap_interval(
    drawn: Floats, difference: float, n: int, bounds: Range, confidence: float
) -> tuple[float, float]:
    import numpy as np

    tail = bootstrap_tail(n, confidence)
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    widest = bounds[1] - bounds[0]
    least = interval_of(n, 0.0, 0.0, (-widest, widest), confidence)[1] or 0.0
    return max(-widest, min(low, difference - least)), min(widest, max(high, difference + least))


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
        self.frame = frame.iloc[rows].reset_index(drop=True)
        self._counts = np.bincount(of_example[rows], minlength=len(names))
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
        self._labels = [names]

    def examples(self) -> Places:
        """The number of each row's example."""
        import numpy as np

        return np.repeat(np.arange(len(self._counts)), self._counts)

    def of(self, drawn: Places) -> pd.DataFrame:
        """The rows of the drawn examples, which come sorted."""
        import numpy as np

        counts = self._counts[drawn]
        ends = np.cumsum(counts)
        within = np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
        frame = self.frame.iloc[np.repeat(self._starts[drawn], counts) + within].reset_index(drop=True)
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


class _BothSides:
    """The runs of both sides in one table, so that examples can change sides."""

    def __init__(self, first: _Runs, second: _Runs) -> None:
        import numpy as np
        import pandas as pd

        self._example = np.concatenate([first.examples(), second.examples()])
        self._is_first = np.arange(len(self._example)) < len(first.frame)
        order = np.argsort(self._example, kind="stable")
        self._example, self._is_first = self._example[order], self._is_first[order]
        self._frame = pd.concat([first.frame, second.frame], ignore_index=True).iloc[order].reset_index(drop=True)

    def exchanged(self, changes: Flags) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Both sides' tables, in which these examples have changed sides."""
        on_first = self._is_first != changes[self._example]
        return self._frame[on_first].reset_index(drop=True), self._frame[~on_first].reset_index(drop=True)


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
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        shown = repr(value)[:40] if isinstance(value, int | float) else f"a value of type {type(value).__qualname__}"
        raise InvalidEvaluator(f"experiment evaluator {name!r} must return a finite number{where}, got {shown}")
    return number
