"""The figures of an agreement between an evaluator and people, by SciPy."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_experiments.analysis.intervals import clustered_interval, difference_range
from prefect_experiments.analysis.labels.contingency import LabelPairs, confusion_lines, finite, shown
from prefect_experiments.models import _Record

_WIDEST_SCALE = 20
_PERMUTATIONS = 9999
_CLEAR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAgreement(_Record):
    """Labels of an evaluator beside those of people.

    Attributes:
        labels: every label, in the order of `confusion`.
        n: runs with both labels; `n_agree` of them with the same one.
        rate: `n_agree` of `n`, 0 to 1, and its interval, made as `interval_method` says: Clopper and Pearson's, or
            with repetitions a t-interval over examples.
        kappa: Cohen's (1960); ``None`` where only one label occurs. Its interval is a bootstrap over
            examples; ``None`` where all runs agree, and where a side gave one label only.
        weighted_kappa: quadratic-weighted, for labels given in order.
        confusion: runs by people's label (rows) and the evaluator's (columns).
        human_counts, evaluator_counts: how often each side gave each label.
        positive: the positive label; without one the rest is ``None``.
        false_positives: runs that only the evaluator calls positive; `n_human_negative` could be.
        false_negatives: runs that only people call positive; `n_human_positive` could be.
        true_positive_rate: of the runs that people call positive, the share that the evaluator does.
        true_negative_rate: of the runs that people do not, the share that the evaluator does not.
        bias_p_value: whether the evaluator errs in one direction: McNemar's exact test (1947) of
            false positives against false negatives; with repetitions, the same by flipping the
            signs of whole examples. 1 where there are neither.
    """

    labels: tuple[str, ...]
    n: int
    n_agree: int
    rate: float
    rate_ci_low: float | None
    rate_ci_high: float | None
    interval_method: str
    kappa: float | None
    kappa_ci_low: float | None
    kappa_ci_high: float | None
    weighted_kappa: float | None
    confusion: tuple[tuple[int, ...], ...]
    human_counts: Mapping[str, int]
    evaluator_counts: Mapping[str, int]
    positive: str | None
    n_human_positive: int | None
    n_human_negative: int | None
    false_positives: int | None
    false_negatives: int | None
    true_positive_rate: float | None
    true_negative_rate: float | None
    bias_p_value: float | None

    def __str__(self) -> str:
        """Several lines for a terminal."""
        kappa = shown(self.kappa, self.kappa_ci_low, self.kappa_ci_high)
        lines = [
            f"labels: same in {shown(self.rate, self.rate_ci_low, self.rate_ci_high)} ({self.n_agree} of {self.n}), "
            f"Cohen's kappa {kappa}"
        ]
        if self.weighted_kappa is not None:
            lines[-1] += f", quadratic-weighted {shown(self.weighted_kappa)}"
        if self.positive is not None:
            lines.append(
                f"  {self.positive!r}: says so where people do not in {self.false_positives} of "
                f"{self.n_human_negative}, misses it in {self.false_negatives} of {self.n_human_positive}; "
                f"{self._direction()}"
            )
        lines += confusion_lines(self.confusion, self.labels, "people \\ evaluator")
        return "\n".join(lines)

    def _direction(self) -> str:
        more, fewer = self.false_positives or 0, self.false_negatives or 0
        p_value = 1.0 if self.bias_p_value is None else self.bias_p_value
        if p_value >= _CLEAR:
            return f"no clear lean, p {p_value:.2g}"
        return f"leans {'towards' if more > fewer else 'away from'} it, p {p_value:.2g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreAgreement(_Record):
    """Scores of an evaluator beside those of people, in the scores' own unit.

    Attributes:
        n: runs with both scores.
        evaluator_mean, human_mean: over these.
        spearman: rank correlation, ties sharing their rank; ``None`` where a side is constant.
        kendall_tau_b: the same by pairs, corrected for ties (Kendall 1945).
        mean_absolute_error: mean of abs(evaluator - human).
        bias: mean of evaluator - human, with an interval over examples; see `analysis.intervals`.
        limits_low, limits_high: bias -/+ 1.96 standard deviations of the differences, where 95 % of
            them lie if they are normal (Bland and Altman 1986), repetitions taken as they are; ``None``
            below two runs.
        weighted_kappa: quadratic-weighted kappa (Cohen 1968), for whole-number scores on one scale of
            at most 20 steps; else ``None``. Its interval is a bootstrap over examples.
    """

    n: int
    evaluator_mean: float
    human_mean: float
    spearman: float | None
    kendall_tau_b: float | None
    mean_absolute_error: float
    bias: float
    bias_ci_low: float | None
    bias_ci_high: float | None
    limits_low: float | None
    limits_high: float | None
    weighted_kappa: float | None
    weighted_kappa_ci_low: float | None
    weighted_kappa_ci_high: float | None

    def __str__(self) -> str:
        """Two lines for a terminal."""
        text = (
            f"scores: Spearman {shown(self.spearman)}, Kendall tau-b {shown(self.kendall_tau_b)}, "
            f"mean absolute error {shown(self.mean_absolute_error)}"
        )
        if self.weighted_kappa is not None:
            kappa = shown(self.weighted_kappa, self.weighted_kappa_ci_low, self.weighted_kappa_ci_high)
            text += f", quadratic-weighted kappa {kappa}"
        bias = shown(self.bias, self.bias_ci_low, self.bias_ci_high, sign="+")
        text += f"\n  bias {bias} (evaluator {shown(self.evaluator_mean)}, people {shown(self.human_mean)})"
        if self.limits_low is not None and self.limits_high is not None:
            text += f", limits of agreement {shown(self.limits_low, sign='+')} to {shown(self.limits_high, sign='+')}"
        return text


def label_agreement(
    pairs: LabelPairs, positive: str | None, ordinal: bool, confidence: float, notes: list[str]
) -> LabelAgreement:
    """The figures of labels: people's first, the evaluator's second.

    Args:
        pairs: with at least one run.
        positive: the positive label, where there is one.
        ordinal: whether the labels were given in order.
        confidence: of the intervals.
        notes: gets what is undefined, and why.
    """
    n, agree = len(pairs.first), pairs.n_agree
    (rate_low, rate_high), method = pairs.share_interval(confidence)
    kappa = pairs.kappa()
    kappa_low, kappa_high = pairs.kappa_interval(confidence)
    if kappa is None:
        notes.append("kappa is undefined: only one label occurs, so chance alone gives full agreement")
    elif agree == n:
        notes.append("kappa has no interval: all runs agree, so resampling them shows no spread")
    elif pairs.has_constant_side:
        notes.append("kappa has no interval: one side gave a single label, so kappa is 0 whatever the other one did")
    return LabelAgreement(
        labels=tuple(pairs.labels),
        n=n,
        n_agree=agree,
        rate=agree / n,
        rate_ci_low=rate_low,
        rate_ci_high=rate_high,
        interval_method=method,
        kappa=kappa,
        kappa_ci_low=kappa_low,
        kappa_ci_high=kappa_high,
        weighted_kappa=pairs.kappa("quadratic") if ordinal else None,
        confusion=pairs.confusion(),
        human_counts={label: pairs.first.count(label) for label in pairs.labels},
        evaluator_counts={label: pairs.second.count(label) for label in pairs.labels},
        positive=positive,
        **_direction(pairs, positive, notes),
    )


def _direction(pairs: LabelPairs, positive: str | None, notes: list[str]) -> dict[str, Any]:
    """Which way the evaluator errs."""
    if positive is None:
        names = ("n_human_positive", "n_human_negative", "false_positives", "false_negatives")
        return dict.fromkeys([*names, "true_positive_rate", "true_negative_rate", "bias_p_value"])
    n_positive = pairs.first.count(positive)
    n_negative = len(pairs.first) - n_positive
    only_evaluator = [o == positive != h for h, o in zip(pairs.first, pairs.second, strict=True)]
    only_people = [h == positive != o for h, o in zip(pairs.first, pairs.second, strict=True)]
    for n, side in ((n_positive, "true positive"), (n_negative, "true negative")):
        if not n:
            notes.append(f"the {side} rate is undefined: people gave no such label")
    return {
        "n_human_positive": n_positive,
        "n_human_negative": n_negative,
        "false_positives": sum(only_evaluator),
        "false_negatives": sum(only_people),
        "true_positive_rate": 1 - sum(only_people) / n_positive if n_positive else None,
        "true_negative_rate": 1 - sum(only_evaluator) / n_negative if n_negative else None,
        "bias_p_value": _bias_p_value(only_evaluator, only_people, pairs.examples, pairs.seed),
    }


def _bias_p_value(more: Sequence[bool], fewer: Sequence[bool], examples: Sequence[Hashable], seed: int) -> float:
    from scipy.stats import binomtest, permutation_test

    n_more, n_fewer = sum(more), sum(fewer)
    if not n_more + n_fewer:
        return 1.0
    if len(set(examples)) == len(examples):
        return float(binomtest(n_more, n_more + n_fewer).pvalue)
    net: dict[Hashable, int] = {}
    for example, up, down in zip(examples, more, fewer, strict=True):
        net[example] = net.get(example, 0) + up - down
    differences = [value for value in net.values() if value]
    if len(differences) < 2:  # either sign of one example is as far from 0 as the other
        return 1.0
    # Runs of one example are not independent, so examples keep or change their sign as a whole.
    return float(
        permutation_test(
            (differences, [0] * len(differences)),
            lambda one, other, axis: (one - other).sum(axis=axis),
            permutation_type="samples",
            n_resamples=_PERMUTATIONS,
            batch=100,
            vectorized=True,
            random_state=seed,
        ).pvalue
    )


def score_agreement(
    judged: Sequence[float], truth: Sequence[float], examples: Sequence[Hashable], confidence: float, notes: list[str]
) -> ScoreAgreement:
    """The figures of scores.

    Args:
        judged: the evaluator's, at least one.
        truth: people's, in the same order.
        examples: the example of each run.
        confidence: of the intervals.
        notes: gets what is undefined or to be read with care, and why.
    """
    n = len(judged)
    differences = [float(one - other) for one, other in zip(judged, truth, strict=True)]
    bias = statistics.fmean(differences)
    bounds = difference_range([*judged, *truth], differences)
    of_bias = clustered_interval(list(zip(examples, differences, strict=True)), bounds, confidence)
    spread = None if n < 2 else 1.96 * statistics.stdev(differences)
    spearman, kendall = _rank_correlations(judged, truth, notes)
    pairs = _ratings(judged, truth, examples)
    kappa_low, kappa_high = pairs.kappa_interval(confidence, "quadratic") if pairs else (None, None)
    _warn_of_scales(judged, truth, notes)
    return ScoreAgreement(
        n=n,
        evaluator_mean=statistics.fmean(judged),
        human_mean=statistics.fmean(truth),
        spearman=spearman,
        kendall_tau_b=kendall,
        mean_absolute_error=statistics.fmean(map(abs, differences)),
        bias=bias,
        bias_ci_low=of_bias[0],
        bias_ci_high=of_bias[1],
        limits_low=None if spread is None else bias - spread,
        limits_high=None if spread is None else bias + spread,
        weighted_kappa=pairs.kappa("quadratic") if pairs else None,
        weighted_kappa_ci_low=kappa_low,
        weighted_kappa_ci_high=kappa_high,
    )


def _rank_correlations(
    judged: Sequence[float], truth: Sequence[float], notes: list[str]
) -> tuple[float | None, float | None]:
    from scipy.stats import kendalltau, spearmanr

    for values, side in ((judged, "the evaluator's scores"), (truth, "people's scores")):
        if len(set(values)) < 2:
            notes.append(f"rank correlations are undefined: {side} are all the same")
            return None, None
    return finite(spearmanr(judged, truth).statistic), finite(kendalltau(judged, truth, variant="b").statistic)


def _ratings(judged: Sequence[float], truth: Sequence[float], examples: Sequence[Hashable]) -> LabelPairs | None:
    """Whole-number scores as labels on one scale; ``None`` for scores that are no ratings."""
    every = {*judged, *truth}
    if not all(float(score).is_integer() for score in every) or max(every) - min(every) > _WIDEST_SCALE:
        return None
    if len(every) < 2:
        return None
    first, second = ([str(int(score)) for score in side] for side in (truth, judged))
    scale = [str(step) for step in range(int(min(every)), int(max(every)) + 1)]
    return LabelPairs(first=first, second=second, examples=examples, labels=scale)


def _warn_of_scales(judged: Sequence[float], truth: Sequence[float], notes: list[str]) -> None:
    within = [min(side) >= 0 and max(side) <= 1 for side in (judged, truth)]
    if within[0] != within[1]:
        spans = [f"{min(side):g} to {max(side):g}" for side in (judged, truth)]
        notes.append(
            f"the evaluator's scores go from {spans[0]}, people's from {spans[1]}: on different scales only the rank "
            "correlations mean something"
        )
