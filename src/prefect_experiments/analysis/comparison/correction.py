"""People's scores of either side's runs, and a metric corrected by them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from prefect_experiments.analysis.comparison.pairing import Pairs
from prefect_experiments.analysis.corrected import (
    NOT_BY_PEOPLE,
    UNKNOWN_LABELS,
    Corrected,
    corrected_difference,
)
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import MetricComparison, WorstCase
from prefect_experiments.errors import InvalidSetting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


class _People(NamedTuple):
    """What people say of one side.

    Attributes:
        scores: of each run, NaN where there is none.
        labels: likewise, the labels beside which there is no score.
        kinds: what has given it, where that is known and is not people.
    """

    scores: Floats
    labels: tuple[str | None, ...]
    kinds: frozenset[str]


def refuse_correcting(corrected_by: Mapping[str, str], experiment_evaluators: Collection[str]) -> None:
    """Refuse to correct what has no scores of examples.

    Raises:
        InvalidSetting: an experiment evaluator is to be corrected.
    """
    for name, human in corrected_by.items():
        if name in experiment_evaluators:
            raise InvalidSetting(
                f"metric {name!r} of the gate: corrected_by={human!r} corrects scores of examples, and {name!r} is an "
                "experiment evaluator, which gives one value over all of them; leave corrected_by out"
            )


def correction(name: str, human: str, pairs: Pairs, good: Collection[str], confidence: float) -> Corrected:
    """A metric on the pairs with both scores, corrected by people's; see `analysis.corrected`.

    Args:
        name: of a metric that both sides have scores of, on one example at least.
        human: what people's scores are called: an annotation, or an evaluator of the kind ``HUMAN``.
        pairs: the examples.
        good: labels that count as a score of 1 where people gave no score; without any, labels say nothing.
        confidence: of the interval.
    """
    tables = (pairs.baseline, pairs.candidate)
    said = [_said(table, human) for table in tables]
    before, after = ([label for label in one.labels if label is not None] for one in said)
    unread = [*before, *after]
    by_judge = {label for table in tables for label in table.labels.get(name, ()) if label is not None}
    if good:
        unknown = unknown_labels((before, after), good, by_judge)
        unread = [label for label in unread if label in unknown]
    kinds = said[0].kinds | said[1].kinds
    why = NOT_BY_PEOPLE if kinds else UNKNOWN_LABELS if good and unread else ""
    scores = [_scores(one, () if why else good, known=not why) for one in said]
    found = corrected_difference(
        pairs.means(pairs.baseline.scores[name], pairs.candidate.scores[name]),
        pairs.means(scores[0], scores[1]),
        human=human,
        confidence=confidence,
    )
    return replace(
        found,
        method=why or found.method,
        n_unread=len(unread),
        unread=tuple(dict.fromkeys(unread)),
        kinds=tuple(sorted(kinds)),
        others=_others(tables, human),
    )


def unknown_labels(
    sides: tuple[Collection[str], Collection[str]], good: Collection[str], by_judge: Collection[str]
) -> set[str]:
    """People's labels of which nobody has said whether they are good, nor that they are not.

    On a side where people have given a good label, the others are known to be none: as are those that the judge gives,
    and those beside a good one on the other side. What is a good label but for upper and lower case is a slip.
    """
    folded, unknown = {label.casefold().strip() for label in good}, set()
    for own, other in (sides, sides[::-1]):
        others = {*own} - {*good}
        unknown |= {label for label in others if label.casefold().strip() in folded}
        if len(others) == len({*own}):
            unknown |= others - {*by_judge} - ({*other} if not {*other}.isdisjoint(good) else set())
    return unknown


def filled_with(filled: WorstCase, metric: MetricComparison, confidence: float) -> WorstCase:
    """Missing scores as the worst ones, in the corrected difference: they move it as far as they move the judge's.

    How far they do is uncertain as well: by no more than if each filled example moved by all there is, either way.

    Args:
        filled: by the judge alone.
        metric: with a corrected difference.
        confidence: of the interval.
    """
    from scipy.special import stdtr, stdtrit

    found = metric.corrected
    assert found is not None
    assert found.difference is not None
    assert found.stderr is not None
    assert found.df is not None
    difference = found.difference + filled.difference - (metric.difference or 0.0)
    moved = math.sqrt(filled.n_baseline + filled.n_candidate) * found.widest / filled.n_pairs
    stderr = math.hypot(found.stderr, moved)
    half = float(stdtrit(found.df, (1 + confidence) / 2)) * stderr
    p_higher, p_lower = (float(stdtr(found.df, sign * difference / stderr)) for sign in (-1, 1))
    return replace(
        filled,
        difference=difference,
        ci_low=difference - half,
        ci_high=difference + half,
        p_value=min(1.0, 2 * min(p_higher, p_lower)),
        p_higher=p_higher,
        p_lower=p_lower,
        smallest_p=0.0,
    )


def _said(table: ResultTable, human: str) -> _People:
    """What people say of a side, by an evaluator of that name or in their annotations."""
    import numpy as np

    nothing = np.full(len(table.failed), np.nan)
    if human in table.scores or human in table.labels:
        scores, given = table.scores.get(human, nothing), table.labels.get(human, ())
        kinds = table.source.kinds(human) - {"HUMAN"}
    else:
        notes = table.source.notes(human)
        scores, kinds = nothing.copy(), frozenset[str]()
        for row, note in notes.items():
            scores[row] = math.nan if note.score is None else note.score
        given = tuple(notes[row].label if row in notes else None for row in range(len(nothing)))
    # Of a run that failed there is no output that anything could be said of.
    labels = tuple(
        None if failed or not math.isnan(score) else label
        for label, score, failed in zip(given or (None,) * len(nothing), scores, table.failed, strict=True)
    )
    return _People(np.where(table.failed, np.nan, scores), labels, kinds)


def _scores(people: _People, good: Collection[str], *, known: bool) -> Floats:
    """Their score of each run, labels read; NaN where there is none, as everywhere if nothing is known of them."""
    import numpy as np

    if not known:
        return np.full(len(people.labels), np.nan)
    read = [math.nan if label is None or not good else float(label in good) for label in people.labels]
    return np.where(np.isnan(people.scores), read, people.scores)


def _others(tables: tuple[ResultTable, ResultTable], human: str) -> tuple[str, ...]:
    """The names of annotations that there are, where people's scores are called otherwise."""
    names = [name for table in tables for name in (*table.scores, *table.labels)]
    annotated = [name for table in tables for name in table.source.annotated()] if human not in names else []
    return () if human in annotated else tuple(dict.fromkeys(annotated))
