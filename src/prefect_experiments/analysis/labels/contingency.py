"""Two labels on each run, side by side: how often they agree, beyond chance, and how sure that is.

Serves the classification report (truth and prediction) and meta-evaluation (people and evaluator).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from prefect_experiments.analysis.intervals import Interval, bootstrap_tail, clustered_interval
from prefect_experiments.datasets.scalars import is_missing, python_scalar
from prefect_experiments.errors import InvalidInput, InvalidSetting, unknown_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]

KappaWeights = Literal["linear", "quadratic"]

RESAMPLES = 2000
_ADDED = 2
_MOST_PAIRED = 20
MOST_LABELS = 500
_AT_ONCE = 2_000_000
_WIDEST_SCALE = 100
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelPairs:
    """Two labels for each run.

    Attributes:
        first, second: the labels of the same runs in the same order.
        examples: the example of each run. Runs of one example are not independent, so intervals
            are made over examples.
        labels: every label that may occur, in order.
        scale: the labels on an evenly spaced scale, for weighted kappa; default, `labels`.
        seed: of the resampling.
    """

    first: Sequence[str]
    second: Sequence[str]
    examples: Sequence[Hashable]
    labels: Sequence[str]
    scale: Sequence[str] = ()
    seed: int = 42
    _sums: dict[str | None, Floats] = field(default_factory=dict, init=False, repr=False)

    @property
    def n_agree(self) -> int:
        """Runs whose two labels are the same."""
        return sum(one == other for one, other in zip(self.first, self.second, strict=True))

    @property
    def n_examples(self) -> int:
        """Examples behind the runs."""
        return len(set(self.examples))

    @property
    def has_repetitions(self) -> bool:
        """Whether some example has more than one run here."""
        return self.n_examples < len(self.examples)

    @property
    def has_constant_side(self) -> bool:
        """Whether a side gave every run the same label."""
        return len(set(self.first)) < 2 or len(set(self.second)) < 2

    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """How often each pair of labels occurs: a row for each `first`, a column for each `second`."""
        times = Counter(zip(self.first, self.second, strict=True))
        return tuple(tuple(times[one, other] for other in self.labels) for one in self.labels)

    def kappa(self, weights: KappaWeights | None = None) -> float | None:
        """Cohen's kappa; ``None`` where chance alone gives full agreement."""
        if not self.first:
            return None
        return finite(self._kappas(self._sums_of([0] * len(self.first), weights), weights)[0])

    def share_interval(self, confidence: float) -> tuple[Interval, str]:
        """An interval for the share of runs that agree, and how it was made; see `analysis.intervals`."""
        agree = [float(one == other) for one, other in zip(self.first, self.second, strict=True)]
        interval = clustered_interval(list(zip(self.examples, agree, strict=True)), (0.0, 1.0), confidence)
        return interval, "t over examples" if self.has_repetitions else "Clopper-Pearson"

    def kappa_interval(self, confidence: float, weights: KappaWeights | None = None) -> Interval:
        """A bootstrap over examples; ``(None, None)`` where resamples cannot show how kappa varies.

        That is where all runs agree, and where a side gave one label only: kappa is 0 then whatever the other did.

        The plain percentile interval is too short for few examples (77 % of rare labels, n = 20). So its quantiles are
        further out (`bootstrap_tail`), and what is drawn from has two examples more, spread evenly over all pairs of
        labels (for two labels Haldane's and Anscombe's one half in each cell, 1956): a pair that has not come yet may
        come.
        """
        n, kappa = self.n_examples, self.kappa(weights)
        if n < 2 or kappa is None or self.n_agree == len(self.first) or self.has_constant_side:
            return None, None
        tail = bootstrap_tail(n, confidence)
        low, high = _quantiles(self._kappas(self._resampled(weights), weights), tail)
        return min(low, kappa), max(high, kappa)

    def _kappas(self, sums: Floats, weights: KappaWeights | None) -> Floats:
        """Of each row of sums: 1 - the disagreement / that by chance (Cohen 1960; weighted, 1968); NaN for 0/0."""
        import numpy as np

        k = len(self._scale(weights))
        first, second = sums[:, 2 : 2 + k], sums[:, 2 + k :]
        by_chance = ((first @ self._distances(weights)) * second).sum(axis=1) / sums[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            kappas: Floats = 1 - sums[:, 1] / by_chance
        return kappas

    def _scale(self, weights: KappaWeights | None) -> Sequence[str]:
        return self.scale if weights and self.scale else self.labels

    def _distances(self, weights: KappaWeights | None) -> Floats:
        """How much each pair of labels disagrees."""
        import numpy as np

        k = len(self._scale(weights))
        if weights is None:
            return 1 - np.eye(k)
        apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(float)
        return apart if weights == "linear" else apart**2

    def _resampled(self, weights: KappaWeights | None) -> Floats:
        """The sums of `_sums_of` for each resample of the examples.

        Drawing examples with replacement is drawing how often each of them is in; examples that
        look the same are drawn together, which makes it quick.
        """
        import numpy as np

        if weights in self._sums:
            return self._sums[weights]
        kinds, times = np.unique(self._sums_of(self.examples, weights), axis=0, return_counts=True)
        n, random = int(times.sum()), np.random.default_rng(self.seed)
        more = self._every_pair()
        if more is not None:
            kinds = np.concatenate([kinds, more._sums_of(more.examples, weights)])
            times = np.append(times, np.full(len(more.first), _ADDED / len(more.first)))
        chances = times / times.sum()
        step = max(1, _AT_ONCE // len(kinds))
        parts = [
            random.multinomial(n, chances, size=min(step, RESAMPLES - start)) @ kinds
            for start in range(0, RESAMPLES, step)
        ]
        self._sums[weights] = np.concatenate(parts)
        return self._sums[weights]

    def _every_pair(self) -> LabelPairs | None:
        """One run of each pair of the labels that occur; ``None`` where these are so many that it would take long."""
        occurring = sorted({*self.first, *self.second})
        if len(occurring) > _MOST_PAIRED:
            return None
        first, second = zip(*itertools.product(occurring, repeat=2), strict=True)
        return replace(self, first=first, second=second, examples=range(len(first)))

    def _sums_of(self, groups: Sequence[Hashable], weights: KappaWeights | None) -> Floats:
        """For each group of runs: runs, disagreement, and how often either side gave each label."""
        import numpy as np

        place = {label: number for number, label in enumerate(self._scale(weights))}
        first = np.array([place[label] for label in self.first])
        second = np.array([place[label] for label in self.second])
        numbers: dict[Hashable, int] = {}
        group = np.array([numbers.setdefault(one, len(numbers)) for one in groups])
        sums = np.zeros((len(numbers), 2 + 2 * len(place)))
        sums[:, 0] = np.bincount(group)
        sums[:, 1] = np.bincount(group, weights=self._distances(weights)[first, second])
        np.add.at(sums, (group, 2 + first), 1)
        np.add.at(sums, (group, 2 + len(place) + second), 1)
        return sums


def _quantiles(values: Floats, tail: float) -> tuple[float, float]:
    """Of the resamples where the figure is defined."""
    import numpy as np

    low, high = np.quantile(values[np.isfinite(values)], [tail, 1 - tail])
    return float(low), float(high)


def label_of(value: Any, what: str, *, ignore_case: bool = False, strip: bool = False) -> str | None:
    """A value as a label: text as it is, True and False as those words, 1.0 as ``1``; ``None`` where missing.

    Raises:
        InvalidInput: an object or a list, which is no label.
    """
    value = python_scalar(value.value if isinstance(value, Enum) else value)
    if is_missing(value):
        return None
    if isinstance(value, Mapping | list | tuple | set | frozenset) or hasattr(value, "__array__"):
        keys = ", ".join(map(str, list(value)[:5])) if isinstance(value, Mapping) else ""
        hint = f"; name the field in them, such as {what}.{next(iter(value))}. They have: {keys}" if keys else ""
        raise InvalidInput(f"{what} holds values of type {type(value).__name__}, which are no labels{hint}")
    if isinstance(value, float) and value.is_integer():  # pandas makes floats of whole numbers beside gaps
        value = int(value)
    text = str(value)
    text = text.strip() if strip else text
    return text.casefold() if ignore_case else text


def labels_in_order(found: Iterable[str], given: Sequence[Any] | None, **options: bool) -> list[str]:
    """The labels as they were given, else those found: numbers by size, then texts by alphabet.

    Raises:
        InvalidSetting: a label given twice, or one found that was not given.
        InvalidInput: too many different labels for a classification.
    """
    labels = set(found)
    if len(labels) > MOST_LABELS:
        raise InvalidInput(
            f"{len(labels):,} different labels (at most {MOST_LABELS}): these are free texts or numbers, not classes. "
            "Compare free texts with an evaluator such as exact_match"
        )
    if given is None:
        return sorted(labels, key=_by_size)
    order = [str(label_of(label, "labels", **options)) for label in given]
    if len(set(order)) < len(order):
        raise InvalidSetting(f"labels= names one twice: {', '.join(order)}")
    unknown = sorted(labels - set(order))
    if unknown:
        raise InvalidSetting(f"labels= must name every label that occurs; {unknown_label('label', unknown[0], order)}")
    return order


def unknown_label(what: str, label: str, labels: Sequence[str]) -> str:
    """The text for a label that does not occur, with those that do unless they are many."""
    if len(labels) <= _MOST_NAMED:
        return unknown_value(what, label, list(labels))
    return f"unknown {what} {label!r}: it is none of the {len(labels)} labels"


def _by_size(label: str) -> tuple[bool, float, str]:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    return (False, number, label) if math.isfinite(number) else (True, 0.0, label)


def even_scale(labels: Sequence[str]) -> list[str]:
    """Whole-number labels with the numbers between them: weighted kappa goes by places on the scale.

    Raises:
        InvalidSetting: labels that are no whole numbers, whose order nobody has said, or too wide a scale.
    """
    try:
        numbers = [int(label) for label in labels]
    except ValueError:
        raise InvalidSetting(
            "weighted kappa needs the labels in order: give labels=, lowest first. "
            f"They are {', '.join(labels[:_MOST_NAMED])}"
        ) from None
    if numbers and max(numbers) - min(numbers) > _WIDEST_SCALE:
        raise InvalidSetting(
            f"weighted kappa: labels from {min(numbers)} to {max(numbers)} are no scale; give labels=, lowest first"
        )
    return [str(number) for number in range(min(numbers), max(numbers) + 1)] if numbers else []


def check_confidence(confidence: float) -> float:
    """A confidence level between 0 and 1.

    Raises:
        InvalidSetting: it is not.
    """
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence < 1:
        raise InvalidSetting(f"confidence must be above 0 and below 1, such as 0.95; got {confidence!r}")
    return confidence


def finite(value: Any) -> float | None:
    """A plain number, ``None`` for ``None`` and NaN: undefined is not 0."""
    return None if value is None or not math.isfinite(value) else float(value)


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Lines of a text table: the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        indent + "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def shown(value: float | None, low: float | None = None, high: float | None = None, sign: str = "") -> str:
    """Such as ``0.84 [0.79, 0.88]``, and ``undefined`` for ``None``."""
    if value is None:
        return "undefined"
    text = f"{value:{sign}.{_decimals(value)}f}"
    return text if low is None or high is None else f"{text} [{shown(low, sign=sign)}, {shown(high, sign=sign)}]"


def _decimals(value: float) -> int:
    """Two, none for large numbers, and as many as keep 0.998 from looking like 1 and 0.001 like 0."""
    if abs(value) >= 100:
        return 0
    whole = round(value)
    if abs(whole) > 1:
        return 2
    return next((n for n in range(2, 6) if value == whole or round(value, n) != whole), 6)


def confusion_lines(confusion: Sequence[Sequence[int]], labels: Sequence[str], corner: str) -> list[str]:
    """The confusion matrix as text, where it is small enough to read."""
    if len(labels) > 12:
        return [f"  confusion matrix of {len(labels)} labels: see .confusion"]
    names = [label if label.strip() else repr(label) for label in labels]
    return aligned([[corner, *names], *([name, *map(str, row)] for name, row in zip(names, confusion, strict=True))])
