"""The geometry of a metric over time; `templates/history.html` draws it as SVG.

Places along the time are in per cent of the chart's width, and heights in pixels: so a chart is as wide as its page,
on a telephone as well, and its letters and dots stay as large as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prefect_experiments.analysis import History, HistoryEntry, numbers
from prefect_experiments.reports import charts
from prefect_experiments.reports import history_words as words
from prefect_experiments.reports.escaping import one_line

TOP, BOTTOM, HEIGHT = 44.0, 204.0, 226.0
"""Where the axis begins and ends; above it are the marks, below it the dates."""
_DATES = 5
_FEW, _MANY = 12, 100
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Dot:
    """A mean with its interval.

    Attributes:
        row: which entry it is, from 0.
        style: the gate's verdict on the experiment, or ``none``.
        title: all that is said of it.
    """

    row: int
    x: float
    y: float
    low: float | None
    high: float | None
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """From one mean to the next one, or a baseline's mean along the experiments that were compared with it."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Sign:
    """A mark above the chart, at the entry of that row."""

    row: int
    x: float
    y: float
    sign: str
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text at an axis."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Timeline:
    """One metric over the experiments of a history.

    Attributes:
        baselines: the means of what the experiments were compared with, as far as they are known.
        radius: of dots.
        description: in words, for who cannot see it.
    """

    name: str
    note: str
    dots: Sequence[Dot]
    lines: Sequence[Line]
    baselines: Sequence[Line]
    signs: Sequence[Sign]
    values: Sequence[Label]
    dates: Sequence[Label]
    radius: float
    description: str


def timeline(history: History, name: str) -> Timeline:
    """A metric of a history: experiments stand at equal distances, in the order in which they were made."""
    entries, n = history.entries, max(1, len(history.entries))
    low, high = _axis(entries, name)

    def x(row: int) -> float:
        return round(100 * (row + 0.5) / n, 3)

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    half_step = round(50 / n, 3)
    dots, lines, signs, baselines = list[Dot](), list[Line](), list[Sign](), list[Line]()
    for row, entry in enumerate(entries):
        signs += _signs(entry, name, row, x(row))
        if (point := entry.metrics.get(name)) is None:
            continue
        if entry.baseline and (before := entry.baseline.means.get(name)) is not None:
            _prolong(baselines, Line(round(x(row) - half_step, 3), y(before), round(x(row) + half_step, 3), y(before)))
        dots.append(
            Dot(
                row,
                x(row),
                y(point.mean),
                None if point.ci_low is None else y(point.ci_low),
                None if point.ci_high is None else y(point.ci_high),
                entry.gate or "none",
                _said(entry, name),
            )
        )
        if len(dots) > 1 and dots[-2].row == row - 1:  # else there is a gap
            lines.append(Line(dots[-2].x, dots[-2].y, x(row), y(point.mean)))
    direction = history.directions.get(name)
    return Timeline(
        name=name,
        note="less is better" if direction == "minimize" else "neither is better" if direction == "neutral" else "",
        dots=dots,
        lines=lines,
        baselines=baselines,
        signs=signs,
        values=[Label(y(tick.x), tick.label) for tick in charts.labelled(low, high, 4, numbers.score)],
        dates=_dates(entries, x),
        radius=2.2 if n > _MANY else 3.5,
        description=_in_words(history, name),
    )


def _prolong(lines: list[Line], more: Line) -> None:
    """Add a level line; one that goes on where the last one ends becomes a part of it, so that its dashes are even."""
    last = lines[-1] if lines else None
    if last is not None and last.y1 == more.y1 and abs(last.x2 - more.x1) < 0.01:
        lines[-1] = replace(last, x2=more.x2)
    else:
        lines.append(more)


def _said(entry: HistoryEntry, name: str) -> str:
    """Such as ``2026-11-29 02:00 UTC, night-3: 0.84 [0.81, 0.87], baseline 0.86 (night-1)``."""
    found = entry.baseline
    before = found.means.get(name) if found else None
    against = "" if before is None else f", baseline {numbers.score(before)} ({one_line(words.baseline(entry), 80)})"
    when = words.moment(entry.created_at)
    return f"{when} UTC, {one_line(entry.name, 80)}: {words.mean(entry.metrics.get(name))}{against}"


def _axis(entries: Sequence[HistoryEntry], name: str) -> tuple[float, float]:
    points = [entry.metrics[name] for entry in entries if name in entry.metrics]
    ends = [end for point in points for end in (point.mean, point.ci_low, point.ci_high)]
    ends += [mean for entry in entries if entry.baseline and (mean := entry.baseline.means.get(name)) is not None]
    low, high = charts.axis_around(ends)
    if all(end is None or 0 <= end <= 1 for end in ends):
        return max(0.0, low), min(1.0, high)
    return low, high


def _signs(entry: HistoryEntry, name: str, row: int, x: float) -> list[Sign]:
    """What happened at an experiment: the verdict and why, tags that it got, an evaluator that has changed."""
    when = words.moment(entry.created_at)
    signs = []
    if entry.gate in ("failed", "inconclusive"):
        why = one_line("; ".join(words.reasons(entry)) or "why was not kept", _LONGEST_REASON)
        signs.append(Sign(row, x, 12.0, words.gate_mark(entry), entry.gate, f"{when} {entry.gate}: {why}"))
    if entry.promotions:
        given = "; ".join(f"{one_line(p.tag, 60)} from {words.moment(p.since)}" for p in entry.promotions)
        signs.append(Sign(row, x, 26.0, words.PROMOTED, "promoted", f"{one_line(entry.name, 80)} got {given}"))
    if (point := entry.metrics.get(name)) is not None and point.evaluator_changed:
        signs.append(Sign(row, x, 39.0, words.CHANGED, "changed", f"{when} its evaluator is another one than before"))
    return signs


def _dates(entries: Sequence[HistoryEntry], x: charts.Place) -> list[Label]:
    """Some days along the time, each once, or times where all is of one day: the first and the last are among them."""
    n = len(entries)
    rows = sorted({round(part * (n - 1) / (_DATES - 1)) for part in range(_DATES)}) if n else []
    if n > 1 and len({entry.created_at.date() for entry in entries}) == 1:
        form = "%H:%M"
    else:
        form = "%m-%d" if len({entry.created_at.year for entry in entries}) == 1 else "%Y-%m-%d"
    found: dict[str, int] = {}
    for row in rows:
        found.setdefault(entries[row].created_at.strftime(form), row)
    # Where there are few, the first and the last stand far enough from the edges to have their dates right below them.
    anchors = {0: "start", n - 1: "end"} if n > _FEW else {}
    return [Label(x(row), text, anchors.get(row, "middle")) for text, row in found.items()]


def _in_words(history: History, name: str) -> str:
    points = [entry.metrics[name] for entry in history.entries if name in entry.metrics]
    if not points:
        return "no scores"
    means = [point.mean for point in points]
    lowest, highest = numbers.score(min(means)), numbers.score(max(means))
    return f"{numbers.count(len(points), 'mean')} from {lowest} to {highest}; the last one is {words.mean(points[-1])}"
