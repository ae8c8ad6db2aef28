"""30 nights over one baseline: how often an unchanged application alarms, and how soon a drop is found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from operating_characteristics import Row, percent

from prefect_experiments.analysis.comparison.exchange import exchange_test
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.gate.alarm_rule import FOR_DRIFT, MONTHLY
from prefect_experiments.analysis.nights.chart import ABOVE, CLEAR, REFERENCE, drift_limit, night_score

TITLE = "Many nights"

Floats = np.ndarray
Random = np.random.Generator
NIGHTS, FIRST = 30, 5
AT_MOST = 0.05


class Setting(NamedTuple):
    """What is simulated.

    Attributes:
        baseline: ``fixed``, ``best`` of five runs, ``moving`` to each higher mean, ``latest``, or ``promoted``: moving
            to a run where the one before it was significantly better, as the nightly flow does it.
        scores: ``01``, of which half are always alike; ``repeated``, the mean of three of examples of all difficulties;
            ``continuous``.
        n_metrics: how many.
        errors: the share of the scores that are missing.
        drop: by so much the application gets worse, or better where it is below 0,
        at: on this night, from 0; ``None`` for never.
        mended: on this night it is as good as before.
        before: each night at 5 % beside one run, as it was without a month's limit.
        pooled: of how many runs the baseline is.
    """

    baseline: str = "fixed"
    scores: str = "01"
    n_metrics: int = 1
    errors: float = 0.0
    drop: float = 0.05
    at: int | None = None
    mended: int = NIGHTS
    before: bool = False
    pooled: int = 5


BASELINES = {
    "fixed": "a fixed baseline",
    "best": "the best of five runs as baseline",
    "moving": "a tag that moves to each higher mean",
    "latest": "the run before",
    "promoted": "a tag that is promoted as `regression` does it",
}
KINDS: dict[str, dict[str, Any]] = {
    "0/1": {},
    "0/1, three metrics": {"n_metrics": 3},
    "0/1, 5 % errors": {"errors": 0.05},
    "three repetitions, three metrics, 5 % errors": {"scores": "repeated", "n_metrics": 3, "errors": 0.05},
    "continuous": {"scores": "continuous"},
}
DROPS = {
    "0.05 worse from night 5 on, 0/1": Setting(at=4),
    "0.05 worse from night 5 on, 0/1, three metrics": Setting(at=4, n_metrics=3),
    "0.05 worse from night 5 on, three repetitions": Setting(at=4, scores="repeated"),
    "0.05 worse from the first night on, 0/1": Setting(at=0),
    "0.05 worse from the first night on, three repetitions": Setting(at=0, scores="repeated"),
    "0.05 worse from night 5 on, promoted as `regression` does it, 0/1": Setting("promoted", at=4),
}

PROMOTED = {
    "unchanged, promoted, 0/1": Setting("promoted"),
    "unchanged, promoted, 0/1, three metrics": Setting("promoted", n_metrics=3),
    "0.05 better from night 5 on, promoted, 0/1": Setting("promoted", at=4, drop=-0.05),
    "0.1 better from night 5 on, promoted, 0/1": Setting("promoted", at=4, drop=-0.1),
}
LASTING = {
    "0.05 worse from night 5 on, 0/1": Setting(at=4),
    "0.1 worse from night 5 on, 0/1": Setting(at=4, drop=0.1),
}
MENDED_ON = 12
MENDED = {
    "0.05 worse from night 5 on, mended on night 13": Setting(at=4, mended=MENDED_ON),
    "0.1 worse from night 5 on, mended on night 13": Setting(at=4, drop=0.1, mended=MENDED_ON),
}


def runs(rng: Random, given: Setting, n: int = 200) -> Floats:
    """The scores of five runs before the month and of its nights: one row a run, one column an example."""
    every, n_reps = FIRST + NIGHTS, 3 if given.scores == "repeated" else 1
    if given.scores == "continuous":
        scores = np.clip(rng.beta(8, 1, n) + rng.normal(0, 0.1, (n_reps, every, n)), 0, 1)
    else:
        alike = np.where(rng.random(n) < 0.5, 1.0 * (rng.random(n) < 0.8), 0.8)
        rates = np.tile(rng.beta(4, 1, n) if n_reps == 3 else alike, (every, 1))
        if given.at is not None:
            rates[FIRST + given.at : FIRST + given.mended] *= 1 - given.drop / 0.8
        scores = 1.0 * (rng.random((n_reps, every, n)) < rates)
    mean = scores.mean(axis=0)
    mean[rng.random(mean.shape) < given.errors] = np.nan
    return mean


class Month(NamedTuple):
    """Which nights of a month alarm, and how often the tag has moved."""

    red: list[bool]
    moves: int


def month(rng: Random, given: Setting) -> Month:
    """A month."""
    scores = [runs(rng, given) for _ in range(given.n_metrics)]
    level = (AT_MOST if given.before else 1 - Gate(alarms=MONTHLY).for_tests(0.95)) / given.n_metrics
    proposing = AT_MOST / given.n_metrics / (1 if given.before else NIGHTS)
    limit = drift_limit(FOR_DRIFT * AT_MOST / given.n_metrics, NIGHTS)
    made = [int(np.argmax(np.nanmean(scores[0][:FIRST], axis=1))) if given.baseline == "best" else 0]
    sums = np.zeros(given.n_metrics)
    better = list[int]()  # by which metrics the night before was
    red, n_moves = list[bool](), 0
    for night in range(NIGHTS):
        new = FIRST + night
        pool = made[:1] if given.before else made[: given.pooled]
        found = [exchange_test(one[pool].T, one[new]) for one in scores]
        fails = min(one.p_lower for one in found) <= level
        if not given.before and made[1:]:
            worse = np.array([night_score(one[made[1:]].T, one[new]) for one in scores])
            sums = np.minimum(np.maximum(0.0, sums + np.minimum(worse, CLEAR) - REFERENCE), limit + ABOVE)
            fails = fails or bool((sums > limit).any())
        red.append(fails)
        if fails:  # nobody compares with it
            better = []
            continue
        made.append(new)
        higher = np.nanmean(scores[0][new]) > np.nanmean(scores[0][made[0]])
        above = [np.nanmean(one[new]) >= np.nanmean(one[pool]) for one in scores]
        regressed = min(2 * one.p_lower for one in found) <= AT_MOST / given.n_metrics
        confirmed = bool(better) and all(above[place] for place in better) and not regressed
        moves = {"latest": True, "moving": higher, "promoted": confirmed}.get(given.baseline, False)
        better = [] if moves else [place for place, one in enumerate(found) if one.p_higher <= proposing]
        if moves:
            made, sums, n_moves = [new], np.zeros(given.n_metrics), n_moves + 1
    return Month(red, n_moves)


def months_of(given: Setting, months: int, seed: int = 18) -> list[Month]:
    """So many months."""
    rng = np.random.default_rng(seed)
    return [month(rng, given) for _ in range(months)]


def alarms(given: Setting, months: int, seed: int = 18) -> list[int]:
    """The first alarms of so many months, the earliest first; `NIGHTS` of a month without one."""
    return sorted(red.index(True) if True in red else NIGHTS for red, _ in months_of(given, months, seed))


def rows(n_sim: int, seed: int) -> Iterator[Row]:
    """A quarter as many months as simulations, for each kind of baseline and of scores; then drops."""
    months = n_sim // 4
    for baseline, kind in itertools.product(BASELINES, KINDS):
        given = Setting(baseline, **KINDS[kind])
        before, now = (
            percent(sum(one < NIGHTS for one in alarms(asked, months, seed)) / months)
            for asked in (given._replace(before=True), given)
        )
        yield Row(f"unchanged, {BASELINES[baseline]}, {kind}: months with an alarm", before, now, "<= 5 %")
    for what, given in DROPS.items():
        before, now = (nights(alarms(asked, months, seed)) for asked in (given._replace(before=True), given))
        yield Row(f"{what}: found after", before, now, "")
    whole_months: list[tuple[dict[str, Setting], str, Callable[[list[Month]], str]]] = [
        (PROMOTED, "the tag moves in a month", moved),
        (LASTING, "of the nights after the first alarm, red", stays),
        (MENDED, "red nights after that", over),
    ]
    for settings, told, counted in whole_months:
        for what, given in settings.items():
            before, now = (counted(months_of(asked, months, seed)) for asked in (given._replace(before=True), given))
            yield Row(f"{what}: {told}", before, now, "")


def nights(found: list[int]) -> str:
    """How soon alarms came, in words; the earliest are first."""
    share = sum(one < NIGHTS for one in found) / len(found)
    half = found[len(found) // 2]
    return f"{percent(share)} in the month" + (f", half of them by night {half + 1}" if half < NIGHTS else "")


def stays(found: list[Month]) -> str:
    """How many of the nights after a month's first alarm alarm as well."""
    after = [one for red, _ in found if True in red for one in red[red.index(True) + 1 :]]
    return percent(sum(after) / max(1, len(after)))


def moved(found: list[Month]) -> str:
    """How often the tag has moved."""
    moves = [one.moves for one in found]
    return f"{sum(moves) / len(moves):.2f} times; in {percent(sum(n > 0 for n in moves) / len(moves))} of months at all"


def over(found: list[Month]) -> str:
    """How many nights in a row still alarm from the night on on which it is mended."""
    lasting = sorted(next((n for n, one in enumerate(red[MENDED_ON:]) if not one), NIGHTS) for red, _ in found)
    return (
        f"{sum(lasting) / len(lasting):.1f} on average, at most {lasting[int(0.95 * len(lasting))]} in 95 % of months"
    )
