"""People's scores of either side's runs, and a metric corrected by them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect_experiments.analysis.comparison.pairing import Pairs
from prefect_experiments.analysis.corrected import Corrected, corrected_difference
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import MetricComparison, WorstCase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def correction(name: str, human: str, pairs: Pairs, good: Collection[str], confidence: float) -> Corrected:
    """A metric on the pairs with both scores, corrected by people's; see `analysis.corrected`.

    Args:
        name: of a metric that both sides have scores of, on one example at least.
        human: what people's scores are called: an annotation, or an evaluator of the kind ``HUMAN``.
        pairs: the examples.
        good: labels that count as a score of 1 where people gave no score; without any, labels say nothing.
        confidence: of the interval.
    """
    sides = (pairs.baseline, pairs.candidate)
    (before, unread_before), (after, unread_after) = (_human_scores(table, human, good) for table in sides)
    found = corrected_difference(
        pairs.means(pairs.baseline.scores[name], pairs.candidate.scores[name]),
        pairs.means(before, after),
        human=human,
        confidence=confidence,
    )
    return replace(found, n_unread=unread_before + unread_after)


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
    moved = (filled.n_baseline + filled.n_candidate) * (found.widest / filled.n_pairs) ** 2
    stderr = math.sqrt(found.stderr**2 + moved)
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


def _human_scores(table: ResultTable, human: str, good: Collection[str]) -> tuple[Floats, int]:
    """People's score of each run, NaN where there is none; and how many labels are none."""
    import numpy as np

    if human in table.scores:
        return table.scores[human], 0
    given: list[tuple[float | None, str | None]] = [(None, None)] * len(table.failed)
    if human in table.labels:
        given = [(None, label) for label in table.labels[human]]
    else:
        for row, note in table.source.notes(human).items():
            given[row] = note.score, note.label
    scores = np.array([_score(score, label, good) for score, label in given], dtype=np.float64)
    scores[table.failed] = np.nan  # there is no output that they could be of
    unread = sum(score is None and label is not None and not good for score, label in given)
    return scores, unread


def _score(score: float | None, label: str | None, good: Collection[str]) -> float:
    if score is not None:
        return score
    return float(label in good) if label is not None and good else math.nan
