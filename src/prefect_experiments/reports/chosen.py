"""Which examples a page holds that cannot hold all, and what it says of that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.changes import outlines
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.reports.figures import Outline
from prefect_experiments.reports.lowest import directions_of, lowest_first, ranges_of
from prefect_experiments.reports.phrases import regressions
from prefect_experiments.reports.report_model import ReportSide

Filter = Literal["regressed", "improved", "errors"]


@dataclass(frozen=True, slots=True)
class _Group:
    """Examples that are worth a place on the page, the worthiest first.

    Attributes:
        share: of the page's places, where the others need theirs.
        first: what those are that come first: the worst, say.
        filter: the button of the page that shows them.
    """

    words: str
    ids: Collection[str]
    share: float
    first: str = ""
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The examples of a page.

    Attributes:
        ids: in the order of the page.
        n_all: examples that there are.
        said: such as ``all 12 with an error``: of each group what is there of how many.
        totals: by the page's button, how many examples there are of which it shows some.
    """

    ids: Sequence[str]
    n_all: int
    said: Sequence[str] = ()
    totals: Mapping[Filter, int] = field(default_factory=dict)

    @property
    def n_left_out(self) -> int:
        """Examples that are not on the page."""
        return self.n_all - len(self.ids)


def chosen(outline: Outline, comparison: Comparison | None, candidate: ReportSide, most: int) -> Chosen:
    """The examples that a page holds: all; of more than it can hold, those to be looked at first."""
    n_all = len(outline.places)
    if n_all <= most:
        return Chosen(list(outline.places), n_all)
    groups = _groups(outline, comparison, candidate)
    taken: dict[str, None] = {}
    for group in groups:
        _take(taken, group.ids, min(most, len(taken) + int(group.share * most)))
    for group in groups:
        _take(taken, group.ids, most)
    _take(taken, outline.places, most)
    ids = sorted(taken, key=outline.places.__getitem__)
    return Chosen(
        ids,
        n_all,
        [_said(group, taken) for group in groups if group.ids],
        {group.filter: len(group.ids) for group in groups if group.filter},
    )


def _take(taken: dict[str, None], ids: Iterable[str], until: int) -> None:
    others = (example_id for example_id in ids if example_id not in taken)
    taken.update(dict.fromkeys(islice(others, max(0, until - len(taken)))))


def _groups(outline: Outline, comparison: Comparison | None, candidate: ReportSide) -> list[_Group]:
    failed = [name for name, place in outline.places.items() if outline.with_error[place]]
    errors = _Group("with an error", failed, 0.25 if comparison else 0.5, filter="errors")
    if comparison is None:
        return [errors, _lowest(outline, candidate)]
    known = outline.places.keys()
    worse, better = (
        [name for name in dict.fromkeys(change.example_id for change in changes) if name in known]
        for changes in (regressions(comparison), outlines(comparison.improved))
    )
    return [
        _Group("that got worse", worse, 0.5, "the worst", filter="regressed"),
        errors,
        _Group("that got better", better, 0.25, "the best", filter="improved"),
    ]


def _lowest(outline: Outline, side: ReportSide) -> _Group:
    """Of one experiment, the examples that are not at their best."""
    ranges, directions = ranges_of(outline.sides[0]), directions_of(side.summary, None)
    ordered, n_low = lowest_first(side.read.light(), outline.places, ranges, directions)
    names = list(outline.places)
    return _Group("that could have scored higher", [names[place] for place in ordered[:n_low]], 0.5, "the lowest")


def _said(group: _Group, taken: Collection[str]) -> str:
    """Such as ``10,000 of 41,204 that got worse (the worst among them)``."""
    held = sum(example_id in taken for example_id in group.ids)
    if held == len(group.ids):
        return f"all {numbers.count(held)} {group.words}"
    which = f" ({group.first} among them)" if group.first else ""
    return f"{numbers.count(held)} of {numbers.count(len(group.ids))} {group.words}{which}"
