"""30 nights over one baseline: how often an unchanged application alarms, and how soon a drop is found.

python tests/benchmarks/nightly.py              # 500 months of each; some minutes each row
python tests/benchmarks/nightly.py 20           # so many
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from prefect_experiments.analysis.comparison.exchange import exchange_test
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.gate.alarm_rule import FOR_DRIFT, MONTHLY
from prefect_experiments.analysis.nights.chart import REFERENCE, drift_limit, night_score

Floats = np.ndarray
Random = np.random.Generator
NIGHTS, FIRST = 30, 5
AT_MOST = 0.05


class Setting(NamedTuple):
    """What is simulated.

    Attributes:
        baseline: ``fixed``, ``best`` of five runs, ``moving`` to each higher mean, or ``latest``.
        scores: ``01``, of which half are always alike; ``repeated``, the mean of three of examples of all difficulties;
            ``continuous``.
        n_metrics: how many.
        errors: the share of the scores that are missing.
        drop: by so much the application gets worse,
        at: on this night, from 0; ``None`` for never.
        before: each night at 5 % beside one run, as it was without a month's limit.
        pooled: of how many runs the baseline is.
    """

    baseline: str = "fixed"
    scores: str = "01"
    n_metrics: int = 1
    errors: float = 0.0
    drop: float = 0.05
    at: int | None = None
    before: bool = False
    pooled: int = 5


def runs(rng: Random, given: Setting, n: int = 200) -> Floats:
    """The scores of five runs before the month and of its nights: one row a run, one column an example."""
    every, n_reps = FIRST + NIGHTS, 3 if given.scores == "repeated" else 1
    if given.scores == "continuous":
        scores = np.clip(rng.beta(8, 1, n) + rng.normal(0, 0.1, (n_reps, every, n)), 0, 1)
    else:
        alike = np.where(rng.random(n) < 0.5, 1.0 * (rng.random(n) < 0.8), 0.8)
        rates = np.tile(rng.beta(4, 1, n) if n_reps == 3 else alike, (every, 1))
        if given.at is not None:
            rates[FIRST + given.at :] *= 1 - given.drop / 0.8
        scores = 1.0 * (rng.random((n_reps, every, n)) < rates)
    mean = scores.mean(axis=0)
    mean[rng.random(mean.shape) < given.errors] = np.nan
    return mean


def first_alarm(rng: Random, given: Setting) -> int | None:
    """The first night of a month that alarms, from 0."""
    scores = [runs(rng, given) for _ in range(given.n_metrics)]
    level = (AT_MOST if given.before else 1 - Gate(alarms=MONTHLY).for_tests(0.95)) / given.n_metrics
    limit = drift_limit(FOR_DRIFT * AT_MOST / given.n_metrics, NIGHTS)
    made = [int(np.argmax(np.nanmean(scores[0][:FIRST], axis=1))) if given.baseline == "best" else 0]
    sums = np.zeros(given.n_metrics)
    for night in range(NIGHTS):
        new = FIRST + night
        pool = made[:1] if given.before else made[: given.pooled]
        if min(exchange_test(one[pool].T, one[new]).p_lower for one in scores) <= level:
            return night
        if not given.before and made[1:]:
            worse = [night_score(one[made[1:]].T, one[new]) for one in scores]
            sums = np.maximum(0.0, sums + worse - REFERENCE)
            if (sums > limit).any():
                return night
        made.append(new)
        higher = np.nanmean(scores[0][new]) > np.nanmean(scores[0][made[0]])
        if given.baseline == "latest" or (given.baseline == "moving" and higher):
            made, sums = [new], np.zeros(given.n_metrics)
    return None


def alarms(given: Setting, months: int, seed: int = 18) -> list[int]:
    """The first alarms of so many months, the earliest first; `NIGHTS` of a month without one."""
    rng = np.random.default_rng(seed)
    found = (first_alarm(rng, given) for _ in range(months))
    return sorted(NIGHTS if one is None else one for one in found)


def main() -> None:
    """Print a line for each setting."""
    months = int(sys.argv[1]) if sys.argv[1:] else 500
    settings = [
        Setting(baseline=baseline, scores=scores, n_metrics=n_metrics, before=before)
        for baseline in ("fixed", "latest", "best", "moving")
        for scores, n_metrics in (("01", 1), ("01", 3), ("continuous", 1))
        for before in (True, False)
    ]
    settings += [Setting(scores="repeated", n_metrics=3, errors=0.05), Setting(errors=0.05)]
    settings += [Setting(at=4), Setting(at=4, scores="repeated"), Setting(at=0), Setting(at=4, n_metrics=3)]
    for given in settings:
        found = alarms(given, months)
        share = sum(one < NIGHTS for one in found) / months
        error = (share * (1 - share) / months) ** 0.5
        half, most = found[months // 2], found[int(0.9 * months)]
        print(f"{100 * share:5.1f} % +- {100 * error:.1f}, median {half}, 90 % {most}: {given}", flush=True)


if __name__ == "__main__":
    main()
