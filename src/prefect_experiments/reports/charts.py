"""The geometry of the page's charts; `templates/charts.html` draws them as SVG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prefect_experiments.analysis import numbers

WIDTH = 300.0  # of an interval plot, in SVG units
BARS_WIDTH = 520.0
BARS_HEIGHT = 150.0
_EDGE = 16.0  # room for half a tick's label
_MOST_VALUES = 12
_BINS = 24
_FURTHEST = 1e300  # what lies beyond is drawn there: of larger numbers the difference is none that a float can hold
_TENTHS = 11  # bars of scores from 0 to 1: one around each tenth, the first and the last of them included

Place: TypeAlias = Callable[[int], float]
"""Gives where along an axis the item of a number stands."""
Floats: TypeAlias = npt.NDArray[np.float64]
Role = Literal["baseline", "candidate", "improved", "regressed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with its interval, on a line of its own."""

    role: Role
    x: float
    low: float | None
    high: float | None
    y: float


@dataclass(frozen=True, slots=True)
class IntervalPlot:
    """Values with intervals over an axis.

    Attributes:
        zero: where no difference is; ``None`` where the axis has no such place.
    """

    marks: Sequence[Mark]
    ticks: Sequence[Tick]
    zero: float | None
    height: float
    width: float = WIDTH


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram; `title` says it in words."""

    role: Role
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars of both sides beside each other, as shares of each side's values; the axis ends at the `highest` share."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    top: str
    description: str
    highest: float
    width: float = BARS_WIDTH
    height: float = BARS_HEIGHT

    def up_to(self, highest: float) -> Histogram:
        """The same on an axis that ends at a share, so that several can be read against each other."""
        factor = self.highest / highest
        bars = [
            replace(bar, height=round(bar.height * factor, 1), y=round(BARS_HEIGHT - bar.height * factor, 1))
            for bar in self.bars
        ]
        return replace(self, bars=bars, top=numbers.percent(highest), highest=highest)


Interval = tuple[Role, float, float | None, float | None]


def interval_plot(
    intervals: Sequence[Interval],
    axis: tuple[float, float],
    label: Callable[[float], str] = numbers.plain,
    *,
    zero: bool = False,
) -> IntervalPlot:
    """Each interval on a line of its own over a common axis.

    Args:
        intervals: role, value, lower and upper end of each.
        axis: from where to where it goes.
        label: writes a tick.
        zero: draw the line of no difference.
    """
    low, high = axis

    def place(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(_EDGE + share * (WIDTH - 2 * _EDGE), 1)

    marks = [
        Mark(
            role,
            place(value),
            None if start is None else place(start),
            None if end is None else place(end),
            10.0 + 14.0 * row,
        )
        for row, (role, value, start, end) in enumerate(intervals)
    ]
    ticks = [replace(tick, x=place(tick.x)) for tick in labelled(low, high, 4, label)]
    return IntervalPlot(marks, ticks, place(0) if zero else None, 14.0 * len(marks) + 24)


def axis_around(values: Iterable[float | None], *, with_zero: bool = False) -> tuple[float, float]:
    """An axis that holds all values with some room, and is never of no length."""
    known = [value for value in values if value is not None and math.isfinite(value)] + ([0.0] if with_zero else [])
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    low, high = max(-_FURTHEST, min(low, _FURTHEST)), max(-_FURTHEST, min(high, _FURTHEST))
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def histogram(
    sides: Sequence[tuple[Role, str, Sequence[float]]], label: Callable[[float], str], *, longest: float | None = None
) -> Histogram | None:
    """How the values of each side spread: a bar a value where there are few, else a bar a range.

    Values from 0 to 1 are on the whole scale in any case, each at its place, so that metrics can be told apart at a
    glance.

    Args:
        sides: role, name and values of each.
        label: writes a value.
        longest: what lies beyond goes into the last bar, so that a few far values do not press
            all others into one.
    """
    arrays = [np.clip(np.asarray(values, dtype=float), -_FURTHEST, _FURTHEST) for _, _, values in sides]
    every = np.concatenate(arrays) if arrays else np.array([])
    if not every.size:
        return None
    distinct = np.unique(every)
    if longest is None and distinct[0] >= 0 and distinct[-1] <= 1:
        places = [np.round(values * (_TENTHS - 1)).astype(int) for values in arrays]
        counts = [np.bincount(found, minlength=_TENTHS) for found in places]
        names = _around_tenths(every, label)
        ticks = [Tick((place + 0.5) / _TENTHS, label(place / (_TENTHS - 1))) for place in range(0, _TENTHS, 2)]
    elif distinct.size <= _MOST_VALUES:
        counts = [np.array([(values == one).sum() for one in distinct]) for values in arrays]
        names = [label(float(one)) for one in distinct]
        ticks = [Tick((place + 0.5) / len(names), name) for place, name in enumerate(names)]
    else:
        edges = _edges(every, longest)
        start, end = float(edges[0]), float(edges[-1])
        counts = [np.histogram(np.clip(values, start, end), edges)[0] for values in arrays]
        names = [f"{label(float(a))} to {label(float(b))}" for a, b in itertools.pairwise(edges)]
        if start % 1 and (edges[1] - start) % 1 == 0:
            names = [_whole(math.ceil(a), math.floor(b)) for a, b in itertools.pairwise(edges.tolist())]
        beyond = bool(every.max() > end)
        if beyond:
            names[-1] = f"{label(float(edges[-2]))} and more"
        found = [tick for tick in labelled(start, end, 6, label) if start <= tick.x]
        ticks = [replace(tick, x=(tick.x - start) / (end - start)) for tick in found]
    return _bars([(role, name) for role, name, _ in sides], counts, names, ticks)


def _around_tenths(values: Floats, label: Callable[[float], str]) -> list[str]:
    """What the bar at each tenth holds: that value alone, or those around it."""
    names = []
    for place in range(_TENTHS):
        held = values[np.round(values * (_TENTHS - 1)) == place]
        low, high = (float(held.min()), float(held.max())) if held.size else (0.0, 0.0)
        names.append(label(low) if label(low) == label(high) else f"{label(low)} to {label(high)}")
    return names


def _whole(first: int, last: int) -> str:
    return numbers.count(first) if first == last else f"{first:,} to {last:,}"


def _edges(values: Floats, longest: float | None) -> Floats:
    """Where each range begins, and where the last ends."""
    low, high = float(values.min()), float(values.max())
    if longest is not None and low < longest < high:
        high = longest
    if low >= 0 and low < 0.3 * high:
        low = 0.0
    if longest is None and bool((values == np.round(values)).all()):
        # Ranges of as many whole numbers each, or some would hold more of them than others.
        step = math.ceil((high - low + 1) / _BINS)
        return np.arange(low - 0.5, high + 0.5 + step, step)
    return np.linspace(low, high, _BINS + 1)


def _bars(
    sides: Sequence[tuple[Role, str]],
    counts: Sequence[npt.NDArray[np.int64]],
    names: Sequence[str],
    ticks: Sequence[Tick],
) -> Histogram:
    totals = [max(1, int(count.sum())) for count in counts]
    top = max(float((count / total).max()) for count, total in zip(counts, totals, strict=True))
    slot = BARS_WIDTH / len(names)
    gap = min(12.0, 0.2 * slot)
    width = min(48.0, (slot - gap) / len(sides))
    bars = []
    for side, (role, name) in enumerate(sides):
        for place, n in enumerate(counts[side].tolist()):
            if not n:
                continue
            share = n / totals[side]
            height = max(1.0, share / top * BARS_HEIGHT)
            left = place * slot + slot / 2 + (side - len(sides) / 2) * width
            title = f"{names[place]}: {numbers.share(n, totals[side])} of {name}"
            bars.append(
                Bar(role, round(left, 1), round(BARS_HEIGHT - height, 1), round(width, 1), round(height, 1), title)
            )
    description = "; ".join(
        f"{name}: most at {names[int(count.argmax())]} ({numbers.share(int(count.max()), total)})"
        for (_, name), count, total in zip(sides, counts, totals, strict=True)
    )
    placed = [Tick(round(tick.x * BARS_WIDTH, 1), tick.label) for tick in ticks]
    return Histogram(bars, placed, numbers.percent(top), description, top)


def labelled(low: float, high: float, about: int, label: Callable[[float], str]) -> list[Tick]:
    """Round numbers between two ends, as many as have labels of their own: milliseconds have no decimals, say."""
    for most in range(about, 0, -1):
        ticks = [Tick(value, label(value)) for value in _ticks(low, high, most)]
        if len({tick.label for tick in ticks}) == len(ticks):
            return ticks
    return ticks[:1]


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between two ends."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
