"""Tests and intervals by themselves: false alarms, power, coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from draws import Floats, Pair, Random, five_points, repeated, skewed, two_valued
from operating_characteristics import Row, percent
from scipy import stats

from prefect_experiments.analysis.comparison.corpus import compare_corpus_metric
from prefect_experiments.analysis.comparison.paired import paired_test
from prefect_experiments.analysis.intervals import mean_interval, range_of
from prefect_experiments.analysis.labels.contingency import LabelPairs

TITLE = "Tests and intervals"

Ends = tuple[float | None, float | None]


# What there is to draw ---------------------------------------------------------------------------

EQUAL: dict[str, Callable[[Random, int], Pair]] = {
    "scores of 0 and 1, half alike": lambda rng, n: two_valued(rng, n, 0.8, 0.8, 0.5),
    "five points, mostly tied": five_points,
    "three repetitions": repeated,
    "skewed": skewed,
}
MEANS: dict[str, tuple[Callable[[Random, int], Floats], float]] = {
    "0/1, true 0.95": (lambda rng, n: 1.0 * (rng.random(n) < 0.95), 0.95),
    "0/1, true 0.99": (lambda rng, n: 1.0 * (rng.random(n) < 0.99), 0.99),
    "skewed": (lambda rng, n: rng.beta(8, 1, n), 8 / 9),
    "0.9, but 3 % are 0": (lambda rng, n: 0.9 * (rng.random(n) > 0.03), 0.873),
    "1 to 5, mostly 5": (lambda rng, n: rng.choice([1.0, 2, 3, 4, 5], n, p=[0.02, 0.03, 0.05, 0.2, 0.7]), 4.53),
    "three repetitions": (lambda rng, n: rng.binomial(3, 0.95, n) / 3, 0.95),
}
DIFFERENCES: dict[str, tuple[Callable[[Random, int], Pair], float]] = {
    "0/1, 0.95 to 0.90, half alike": (lambda rng, n: two_valued(rng, n, 0.95, 0.9, 0.5), -0.05),
    "3 % fall from 1 to 0, the rest by up to 0.01": (
        lambda rng, n: (np.ones(n), np.where(rng.random(n) < 0.03, 0.0, 1 - 0.01 * rng.random(n))),
        -0.03 - 0.97 * 0.005,
    ),
    "five points, mostly tied": (five_points, 0.0),
    "three repetitions": (repeated, 0.0),
    "skewed": (skewed, 0.0),
}


# How it was, to measure beside it ----------------------------------------------------------------


def plain_t(values: Floats) -> Ends:
    """A mean's interval before."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def adjusted_t(left: Floats, right: Floats) -> Ends:
    """A difference's interval before, of scores other than 0 and 1: with a pair added at either end of those seen."""
    differences, n = right - left, len(left)
    low, high = range_of(np.concatenate([left, right]))
    largest = np.abs(differences).max() or high - low
    added = np.concatenate([differences, [-largest, largest]])
    half = stats.t.ppf(0.975, n - 1) * added.std() / math.sqrt(n + 2)
    return added.mean() - half, added.mean() + half


def sampled_p_value(differences: Floats, rng: Random) -> float:
    """The permutation test before: sums of floats under 9,999 random signs."""
    sums = rng.choice([-1.0, 1.0], (9_999, len(differences))) @ differences
    return (int((np.abs(sums) >= abs(differences.sum())).sum()) + 1) / 10_000


# The rows ----------------------------------------------------------------------------------------


def rows(n_sim: int, seed: int) -> list[Row]:
    """Everything of this page that concerns a test or an interval alone."""
    rng = np.random.default_rng(seed)
    return [*_alarms(n_sim, rng), *_power(n_sim, rng), *_ties(rng), *_coverage(n_sim, rng), *_others(n_sim, rng)]


def _alarms(n_sim: int, rng: Random) -> Iterator[Row]:
    for what, draw in EQUAL.items():
        for n in (20, 100):
            found = [paired_test(*draw(rng, n)) for _ in range(n_sim)]
            before = np.mean([result.p_value <= 0.05 and result.difference < 0 for result in found])
            now = np.mean([result.p_lower <= 0.05 for result in found])
            yield Row(f"false alarms: {what}, n = {n}", percent(before), percent(now), "<= 5 %")


def _power(n_sim: int, rng: Random) -> Iterator[Row]:
    for n, bar in ((100, ">= 60 %"), (200, "")):
        found = [paired_test(*two_valued(rng, n, 0.8, 0.7, 0.5)) for _ in range(n_sim)]
        before = np.mean([result.p_value <= 0.05 and result.difference < 0 for result in found])
        now = np.mean([result.p_lower <= 0.05 for result in found])
        yield Row(f"found: 0.8 to 0.7, half alike, n = {n}", percent(before), percent(now), bar)


def _ties(rng: Random) -> Iterator[Row]:
    """On which side of 0.05 a p-value lies, beside all sign patterns enumerated."""
    wrong, before, n_tables = 0, 0, 0
    signs = 1 - 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1)
    while n_tables < 300:
        whole = rng.choice([-3, -2, -1, 1, 2], 16, p=[0.1, 0.15, 0.35, 0.3, 0.1])
        exact = float((np.abs(signs @ whole) >= abs(whole.sum())).mean())
        if not 0.02 < exact < 0.12:
            continue
        n_tables += 1
        differences = whole / 3
        p_value = paired_test(np.full(16, 2.0), 2 + differences, are_scores=False).p_value
        wrong += (p_value <= 0.05) != (exact <= 0.05)
        before += (sampled_p_value(differences, rng) <= 0.05) != (exact <= 0.05)
    yield Row(
        "on the wrong side of 0.05: tied thirds, n = 16, p from 0.02 to 0.12, of 300 tables", f"{before}", f"{wrong}",
        "<= 0",
    )  # fmt: skip


def _coverage(n_sim: int, rng: Random) -> Iterator[Row]:
    for what, (draw, true) in MEANS.items():
        for n in (20, 50, 200):
            drawn = [draw(rng, n) for _ in range(n_sim)]
            before, now = (_held(map(interval, drawn), true) for interval in (plain_t, mean_interval))
            yield Row(f"a mean's interval holds it: {what}, n = {n}", percent(before), percent(now), ">= 93 %")
    for what, (draw_pair, true) in DIFFERENCES.items():
        for n in (20, 50, 200):
            pairs = [draw_pair(rng, n) for _ in range(n_sim)]
            found = [(result.ci_low, result.ci_high) for result in (paired_test(*pair) for pair in pairs)]
            now = _held(found, true)
            before = now if what.startswith("0/1") else _held((adjusted_t(*pair) for pair in pairs), true)
            yield Row(f"a difference's interval holds it: {what}, n = {n}", percent(before), percent(now), ">= 93 %")


def _held(intervals: object, true: float) -> float:
    return float(np.mean([low is not None and low <= true <= high for low, high in intervals]))  # type: ignore[attr-defined]


def _others(n_sim: int, rng: Random) -> Iterator[Row]:
    """Kappa, and numbers about a whole table; the latter take long, so there are fewer of them."""
    for what, joint in {"two labels": [[0.5, 0.1], [0.08, 0.32]], "a rare label": [[0.88, 0.04], [0.04, 0.04]]}.items():
        for n in (20, 50, 200):
            ends = _kappas(np.array(joint), n, n_sim // 2, rng)
            before, now = (_held(which, _kappa(np.array(joint))) for which in zip(*ends, strict=True))
            yield Row(f"kappa's interval holds it: {what}, n = {n}", percent(before), percent(now), ">= 93 %")
    yield from _corpus(max(20, n_sim // 40), rng)


def _kappa(joint: Floats) -> float:
    """Cohen's kappa of a table; NaN where it is undefined."""
    shares = joint / joint.sum()
    agreed, chance = float(np.trace(shares)), float(shares.sum(axis=1) @ shares.sum(axis=0))
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


def _kappas(joint: Floats, n: int, n_sim: int, rng: Random) -> Iterator[tuple[Ends, Ends]]:
    """Kappa's interval as it was, the percentiles of resamples, and as it is."""
    made = 0
    while made < n_sim:
        cells = rng.choice(4, n, p=joint.ravel())
        pairs = LabelPairs(
            first=[str(cell // 2) for cell in cells], second=[str(cell % 2) for cell in cells],
            examples=range(n), labels=["0", "1"], seed=made,
        )  # fmt: skip
        now = pairs.kappa_interval(0.95)
        if now[0] is None:
            continue
        made += 1
        counts = np.bincount(cells, minlength=4)
        kappas = np.array([_kappa(drawn.reshape(2, 2)) for drawn in rng.multinomial(n, counts / n, 400)])
        low, high = np.nanquantile(kappas, [0.025, 0.975])
        yield (float(low), float(high)), now


def _corpus(n_sim: int, rng: Random) -> Iterator[Row]:
    import pandas as pd

    def f1(runs: pd.DataFrame) -> float:
        truth, said = runs["truth"].to_numpy(), runs["said"].to_numpy()
        hits = (truth & said).sum()
        return float(2 * hits / max(1, truth.sum() + said.sum()))

    def worst_ten(runs: pd.DataFrame) -> float:
        return float(np.sort(runs["score"].to_numpy())[:10].mean())

    def side(truth: Floats) -> pd.DataFrame:
        said = np.where(rng.random(len(truth)) < 0.85, truth, ~truth)
        score = rng.beta(4, 2, len(truth))
        ids = [f"q{i:04d}" for i in range(len(truth))]
        return pd.DataFrame({"example_id": ids, "truth": truth, "said": said, "score": score})

    for name, function, n, before in (("F1", f1, 40, ""), ("mean of the worst ten", worst_ten, 10, "11.0 %")):
        alarms, held = [], []
        for _ in range(n_sim):
            truth = rng.random(n) < 0.4
            left, right = side(truth), side(truth)
            result = compare_corpus_metric(name, function, left, right, list(left["example_id"]))
            alarms.append(result.p_value <= 0.05)
            if result.ci_low is not None:
                held.append((result.ci_low, result.ci_high))
        what = f"of a whole table ({n_sim} simulations): {name}, n = {n}"
        yield Row(f"false alarms {what}", before, percent(np.mean(alarms)), "")
        if held:
            yield Row(f"interval {what}", "", percent(_held(held, 0.0)), "")
