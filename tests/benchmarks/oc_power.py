"""What `plan` says beforehand beside what the gate then does: how likely a drop fails, and an unchanged one passes.

python tests/benchmarks/oc_power.py 200     # its rows, with how long each takes
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from operating_characteristics import Row, percent

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.experiment_plan import plan_of
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table

TITLE = "What `plan` says, and what the gate then does (200 simulations)"

Floats = np.ndarray
Random = np.random.Generator
# Plans are all but alike, and take longer than a comparison.
PLANS = 40
# The number of simulations is divided by this, as they take long.
SHARE = 10


class Application(NamedTuple):
    """Examples of all difficulties, each of which every run answers anew.

    Attributes:
        worth: for each metric, the examples' expected scores.
        two_valued: whether a run scores 0 or 1, else it lies about the expected score by 0.1.
        n_groups: the topics that the examples are of, in turn; 0 for none.
    """

    worth: tuple[Floats, ...]
    two_valued: bool
    n_groups: int = 0

    def run(self, rng: Random, repetitions: int, drop: float = 0.0) -> ResultTable:
        """Results of a run; the first metric's mean is worse by a drop, and the others' are the same."""
        n = len(self.worth[0])
        columns: dict[str, list[Any]] = {
            "example_id": [f"q{i}" for i in range(n) for _ in range(repetitions)],
            "repetition_number": [r + 1 for _ in range(n) for r in range(repetitions)],
        }
        if self.n_groups:
            columns["metadata.topic"] = [f"t{i % self.n_groups}" for i in range(n) for _ in range(repetitions)]
        for number, worth in enumerate(self.worth):
            lost = 0.0 if number else drop
            columns[f"eval.m{number}.score"] = self._scores(rng, np.repeat(worth, repetitions), lost, n).tolist()
        return result_table(columns)

    def _scores(self, rng: Random, worth: Floats, drop: float, n: int) -> Floats:
        if not self.two_valued:
            return np.clip(worth - drop + rng.normal(0, 0.1, len(worth)), 0, 1)
        stands = np.repeat(rng.random(n) >= drop / RATE, len(worth) // n)
        return 1.0 * stands * (rng.random(len(worth)) < worth)


RATE = 0.8  # the mean of scores of 0 and 1


def application(rng: Random, n: int, n_metrics: int, *, two_valued: bool, n_groups: int = 0) -> Application:
    """An application on new examples."""
    worth = tuple(rng.beta(4, 1, n) if two_valued else 0.4 + 0.3 * rng.random(n) for _ in range(n_metrics))
    return Application(worth, two_valued, n_groups)


class Simulation(NamedTuple):
    """A gate on an application, beforehand and afterwards.

    Attributes:
        drop: of the first metric; 0 for an unchanged application, of which it is asked whether it passes.
        n_groups: of the examples, which the gate judges as well (`slices`).
        noise: how `plan` is told of it where there are no repetitions: by a second run, or in words.
    """

    n: int
    drop: float
    two_valued: bool = True
    repetitions: int = 1
    n_metrics: int = 1
    margin: float | None = None
    noise: str = "a second run"
    n_groups: int = 0

    @property
    def gate(self) -> Mapping[str, Any]:
        metrics = {f"m{i}": {"max_regression": self.margin} for i in range(self.n_metrics)}
        return {"metrics": metrics, "slices": ["metadata.topic"] if self.n_groups else None}

    @property
    def said(self) -> str:
        kind = "0/1" if self.two_valued else "continuous"
        runs = f"{self.repetitions} repetitions" if self.repetitions > 1 else f"one run and {self.noise}"
        margin = "" if self.margin is None else f", margin {self.margin:g}"
        metrics = "one metric" if self.n_metrics == 1 else f"{self.n_metrics} metrics"
        metrics += f" on {self.n_groups} groups" if self.n_groups else ""
        what = f"a drop of {self.drop:g} fails" if self.drop else "unchanged passes"
        return f"{kind}, {runs}, {metrics}{margin}, n = {self.n}: {what}"


SIMULATIONS = [
    Simulation(n=200, drop=0.1),
    Simulation(n=200, drop=0.1, noise="the agreement"),
    Simulation(n=200, drop=0.12, n_metrics=3),
    Simulation(n=200, drop=0.13, n_groups=20),
    Simulation(n=200, drop=0.12, n_groups=4),
    Simulation(n=200, drop=0.08, repetitions=3),
    Simulation(n=200, drop=0.09, repetitions=3, n_metrics=3),
    Simulation(n=400, drop=0.0, margin=0.06),
    Simulation(n=400, drop=0.0, repetitions=3, margin=0.04),
    Simulation(n=200, drop=0.0, repetitions=3, margin=0.06, n_metrics=3),
    Simulation(n=400, drop=0.12, margin=0.06),
    Simulation(n=200, drop=0.025, two_valued=False),
    Simulation(n=200, drop=0.03, two_valued=False, n_metrics=3),
    Simulation(n=200, drop=0.015, two_valued=False, repetitions=3),
    Simulation(n=200, drop=0.0, two_valued=False, margin=0.03),
    Simulation(n=200, drop=0.0, two_valued=False, repetitions=3, margin=0.02),
    Simulation(n=200, drop=0.05, two_valued=False, margin=0.03, n_metrics=3),
]


class Outcome(NamedTuple):
    """Shares from 0 to 1: what was planned, and what came."""

    planned: float
    seen: float
    told: float | None
    planned_drop: float | None


def outcome(one: Simulation, n_sim: int, seed: int) -> Outcome:
    """Both, over new applications, baselines and candidates."""
    rng = np.random.default_rng([seed, zlib.crc32(one.said.encode())])
    gate, wanted = Gate.parse(one.gate), "failed" if one.drop else "passed"
    planned, seen, told, drops = [], 0, [], []
    for number in range(n_sim):
        made = application(rng, one.n, one.n_metrics, two_valued=one.two_valued, n_groups=one.n_groups)
        baseline = made.run(rng, one.repetitions)
        if number < PLANS:
            again = made.run(rng, one.repetitions)
            metric = plan_of(baseline, gate, drop=one.drop or None, **_noise(one, baseline, again)).metrics["m0"]
            planned.append(metric.power_to_find if one.drop else metric.power_to_pass)
            drops.append(metric.smallest_drop)
            check = _check(baseline, again, gate)
            told += [] if check is None else [check]
        verdict = compare_results(baseline, made.run(rng, one.repetitions, one.drop), gate=gate).verdict
        assert verdict is not None
        seen += next(check for check in verdict.checks if check.name == "m0").status == wanted
    return Outcome(float(np.mean(planned)), seen / n_sim, float(np.mean(told)), float(np.mean(drops)))


def _noise(one: Simulation, baseline: ResultTable, again: ResultTable) -> dict[str, Any]:
    if one.repetitions > 1:
        return {}
    if one.noise == "a second run":
        return {"beside": again}
    return {"agreement": float((baseline.scores["m0"] == again.scores["m0"]).mean())}


def _check(baseline: ResultTable, again: ResultTable, gate: Gate) -> float | None:
    """The smallest drop that a verdict on an unchanged application tells."""
    verdict = compare_results(baseline, again, gate=gate).verdict
    assert verdict is not None
    return next(check for check in verdict.checks if check.name == "m0").smallest_drop


def rows(n_sim: int, seed: int) -> list[Row]:
    """All of them, each with draws of its own."""
    return list(_rows(max(1, n_sim // SHARE), seed))


def _rows(n_sim: int, seed: int) -> Iterator[Row]:
    for one in SIMULATIONS:
        found = outcome(one, n_sim, seed)
        apart = f"{100 * abs(found.planned - found.seen):.1f} points"
        what = f"{one.said}: planned {percent(found.planned)}, seen {percent(found.seen)}"
        yield Row(
            f"{what}; smallest drop planned {found.planned_drop:.3f}, told {found.told:.3f}", "", apart, "<= 5 points"
        )


if __name__ == "__main__":
    started = time.perf_counter()
    for row in _rows(int(sys.argv[1]), 13):
        print(f"{time.perf_counter() - started:6.1f} s | " + " | ".join(row), flush=True)
