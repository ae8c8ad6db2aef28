"""Whole gates: how often they fail equal sides, find what is worse, and pass what nobody can tell.

python tests/benchmarks/oc_gate.py 200     # its rows, with how long each takes; a state's own src is on PYTHONPATH
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from draws import Floats, Pair, Random, five_points, skewed, two_valued
from operating_characteristics import Row, percent

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.errors import InvalidSetting

TITLE = "Whole gates"

Columns = dict[str, list[Any]]
# A baseline and a candidate; or a candidate alone.
Draw = Callable[[Random], tuple[Columns, ...]]
COST = 0.01  # an example's, on average
SIGMA = 0.5  # of latencies' logarithm
P95 = float(np.exp(1.6448536 * SIGMA))


# What there is to draw: the columns of a table of results ------------------------------------------


def columns(metrics: Mapping[str, Floats], failed: Floats | None = None, **unscored: Floats) -> Columns:
    """One run an example; where the task failed, or the evaluator did, there is no score."""
    n = len(next(iter(metrics.values())))
    failed = np.zeros(n, bool) if failed is None else failed
    found: Columns = {"example_id": [f"q{i:04d}" for i in range(n)]}
    found["error"] = ["Boom" if bad else None for bad in failed]
    for name, scores in metrics.items():
        lacking = unscored.get(name, np.zeros(n, bool))
        rows = list(zip(scores.tolist(), failed.tolist(), lacking.tolist(), strict=True))
        found[f"eval.{name}.score"] = [None if task or judge else score for score, task, judge in rows]
        found[f"eval.{name}.error"] = ["Boom" if judge and not task else None for _, task, judge in rows]
    return found


def both(pairs: list[Pair], **more: Floats) -> tuple[Columns, Columns]:
    """Two sides of metrics m0, m1 and so on."""
    left, right = ({f"m{i}": pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    return columns(left), columns(right)


def variants(n: int, *after: float) -> Draw:
    """Metrics of 0 and 1 that were 0.8 before; both versions treat half of the examples alike but for the drop."""
    return lambda rng: both([two_valued(rng, n, 0.8, share, 0.5) for share in after])


def of_kind(draw: Callable[[Random, int], Pair], n: int) -> Draw:
    return lambda rng: both([draw(rng, n)])


def with_errors(n: int, n_metrics: int, task: float, judge: float) -> Draw:
    """Equal sides, whose tasks and judges fail at random."""

    def side(rng: Random, scores: dict[str, Floats]) -> Columns:
        lacking = {name: rng.random(n) < judge for name in scores}
        return columns(scores, rng.random(n) < task, **lacking)

    def draw(rng: Random) -> tuple[Columns, Columns]:
        pairs = [two_valued(rng, n, 0.8, 0.8, 0.5) for _ in range(n_metrics)]
        left, right = ({f"m{i}": pair[which] for i, pair in enumerate(pairs)} for which in (0, 1))
        return side(rng, left), side(rng, right)

    return draw


def three_repetitions(rng: Random) -> tuple[Columns, Columns]:
    """Three runs of each of 100 examples, which are of all difficulties."""
    rate = np.repeat(rng.beta(4, 1, 100), 3)
    sides = both([(1.0 * (rng.random(300) < rate), 1.0 * (rng.random(300) < rate))])
    for side in sides:
        side["example_id"] = [f"q{i // 3:04d}" for i in range(300)]
        side["repetition_number"] = [i % 3 + 1 for i in range(300)]
    return sides


def latencies(n: int, n_sides: int = 2) -> Draw:
    """Equal sides with skewed latencies, the same examples slow on both."""

    def draw(rng: Random) -> tuple[Columns, ...]:
        slow = rng.normal(0, SIGMA / np.sqrt(2), n)
        sides = both([two_valued(rng, n, 0.8, 0.8, 0.5)])[:n_sides]
        for side in sides:
            side["latency_ms"] = (1000 * np.exp(slow + rng.normal(0, SIGMA / np.sqrt(2), n))).tolist()
        return sides

    return draw


def costs(rng: Random) -> tuple[Columns, ...]:
    """100 examples of skewed costs."""
    side = both([two_valued(rng, 100, 0.8, 0.8, 0.5)])[0]
    side["total_cost"] = (COST * rng.gamma(0.5, 2.0, 100)).tolist()
    return (side,)


def alone(n: int, true: float) -> Draw:
    return lambda rng: (columns({"m0": 1.0 * (rng.random(n) < true)}),)


def identical(scores: Callable[[Random, int], Floats], n: int) -> Draw:
    """Both sides the same, in outputs and scores."""

    def draw(rng: Random) -> tuple[Columns, Columns]:
        values = scores(rng, n)
        sides = both([(values, values)])
        for side in sides:
            side["output"] = [f"answer {i}" for i in range(n)]
        return sides

    return draw


def all_lost(n: int, n_metrics: int) -> tuple[Columns, Columns]:
    """From 1.0 to 0.0 on every example and every metric."""
    return both([(np.ones(n), np.zeros(n))] * n_metrics)


# What is asked of it ----------------------------------------------------------------------------


class Simulation(NamedTuple):
    """One draw, and one row for each verdict whose share is told.

    Attributes:
        what: is simulated.
        draw: one comparison.
        gate: the rules.
        told: verdicts, and the bar that each one's share has to keep.
        share: the number of simulations is divided by this, where they take long.
    """

    what: str
    draw: Draw
    gate: Mapping[str, Any] = {}
    told: Mapping[str, str] = {"failed": "<= 5 %"}
    share: int = 2


def rule(**rules: Any) -> dict[str, Any]:
    return {"metrics": {"m0": rules}}


def p95(bound: float) -> dict[str, Any]:
    return {"max_p95_latency": 1000 * bound}


NOT_PASSED, FOUND = {"passed": "<= 5 %"}, {"failed": ">= 80 %"}
SIMULATIONS = [
    Simulation("equal sides, one metric, n = 100", variants(100, 0.8), share=1),
    Simulation("equal sides, three metrics, n = 100", variants(100, 0.8, 0.8, 0.8)),
    Simulation("equal sides, five metrics, n = 100", variants(100, *[0.8] * 5)),
    Simulation("equal sides, one metric, 5 % judge errors, n = 100", with_errors(100, 1, 0, 0.05)),
    Simulation("equal sides, one metric, 8 % judge errors, n = 100", with_errors(100, 1, 0, 0.08)),
    Simulation(
        "equal sides, three metrics, 5 % task and 5 % judge errors, n = 400", with_errors(400, 3, 0.05, 0.05), share=4
    ),
    Simulation("equal sides, three repetitions, n = 100", three_repetitions),
    Simulation("equal sides, skewed scores, n = 100", of_kind(skewed, 100)),
    Simulation("equal sides, five points, mostly tied, n = 100", of_kind(five_points, 100)),
    Simulation(
        "equal sides, one metric and `operations: {latency_ms: }`, n = 100", latencies(100),
        {"operations": {"latency_ms": None}},
    ),
    Simulation("true mean 0.87, `min: 0.85`, n = 100", alone(100, 0.87), rule(min=0.85)),
    Simulation("true mean 0.80, `min: 0.85`, n = 100", alone(100, 0.80), rule(min=0.85), NOT_PASSED),
    Simulation("true p95 as allowed, n = 100", latencies(100, 1), p95(P95)),
    Simulation("true p95 25 % over what is allowed, n = 10", latencies(10, 1), p95(P95 / 1.25), NOT_PASSED),
    Simulation("true p95 25 % over what is allowed, n = 100", latencies(100, 1), p95(P95 / 1.25), NOT_PASSED),
    Simulation(
        "expected cost as much as `max_cost`, n = 100", costs, {"max_cost": 100 * COST},
        {"failed": "<= 5 %", "passed": "<= 5 %"},
    ),
    Simulation("0.8 to 0.7, one metric, n = 100", variants(100, 0.7), told={"failed": ">= 60 %"}, share=1),
    Simulation("0.8 to 0.7 on one metric of three, n = 400", variants(400, 0.7, 0.8, 0.8), told=FOUND, share=4),
    Simulation("0.8 to 0.7 on three metrics, n = 400", variants(400, 0.7, 0.7, 0.7), told=FOUND, share=4),
    Simulation(
        "equal sides, `max_regression: 5%`, n = 400", variants(400, 0.8), rule(max_regression="5%"),
        {"failed": "<= 5 %", "passed": "", "inconclusive": ""}, 4,
    ),
    Simulation(
        "equal sides, `max_regression: 0.05`, n = 400", variants(400, 0.8), rule(max_regression=0.05),
        {"failed": "<= 5 %", "passed": "", "inconclusive": ""}, 4,
    ),
    Simulation(
        "0.80 to 0.75, `max_regression: 0.05`, n = 400", variants(400, 0.75), rule(max_regression=0.05), NOT_PASSED, 4
    ),
]  # fmt: skip
SAME: list[tuple[str, Draw, float]] = [
    ("0/1", identical(lambda rng, n: 1.0 * (rng.random(n) < rng.choice([0.0, 0.5, 0.8, 1.0])), 200), 0.02),
    ("skewed", identical(lambda rng, n: rng.beta(8, 1, n), 200), 0.02),
    ("1 to 5", identical(lambda rng, n: five_points(rng, n)[0], 200), 0.08),
]


# The rows ----------------------------------------------------------------------------------------


def status(sides: tuple[Columns, ...], gate: Mapping[str, Any]) -> str:
    """The verdict; `refused` where there is no such rule."""
    tables: list[ResultTable] = [result_table(side) for side in sides]
    try:
        rules = Gate.parse(gate)
    except InvalidSetting:
        return "refused"
    if len(tables) == 1:
        return rules.judge_alone(tables[0]).status
    verdict = compare_results(tables[0], tables[1], gate=rules).verdict
    assert verdict is not None
    return verdict.status


def rows(n_sim: int, seed: int) -> list[Row]:
    """All of them, each with draws of its own; scores of 0 and 1 are half alike."""
    return list(_rows(n_sim, seed))


def _rows(n_sim: int, seed: int) -> Iterator[Row]:
    for one in SIMULATIONS:
        n = max(1, n_sim // one.share)
        found = statuses(one.what, one.draw, one.gate, n, seed)
        for verdict, bar in one.told.items():
            now = "-" if "refused" in found else percent(found.count(verdict) / n)
            yield _row(f"{one.what}: {verdict}", now, bar, "" if one.share == 1 else f" ({n:,} simulations)")
    yield from _identical(max(1, n_sim // 40), seed)
    yield from _lost()


def _row(what: str, now: str, bar: str, note: str = "") -> Row:
    return Row(what + note, BEFORE.get(what, ""), now, bar)


def _identical(n: int, seed: int) -> Iterator[Row]:
    """Identical sides: whether margins pass, and what little there is to tell of a few."""
    for kind, draw, margin in SAME:
        what = f"identical outputs, {kind}, n = 200, `max_regression: {margin:g}`: passed"
        found = statuses(what, draw, rule(max_regression=margin), n, seed)
        yield _row(what, percent(found.count("passed") / n), ">= 100 %", f" ({n} simulations)")
    for n_examples in (3, 5, 10):
        for gate, called in (({}, "no margin"), (rule(max_regression=0.02), "`max_regression: 0.02`")):
            what = f"{n_examples} identical examples, {called}"
            yield _row(what, *statuses(what, identical(lambda _, n: np.ones(n), n_examples), gate, 1, seed), "")


def _lost() -> Iterator[Row]:
    """What a candidate that has lost everything gets."""
    for n_metrics in (1, 5, 20):
        found = [status(all_lost(n, n_metrics), {}) for n in range(1, 9)]
        what = f"1.0 to 0.0 on each of 1 to 8 examples, {n_metrics} metric{'s' * (n_metrics > 1)}: passed"
        yield _row(what, percent(found.count("passed") / len(found)), "<= 0 %")


def statuses(what: str, draw: Draw, gate: Mapping[str, Any], n: int, seed: int) -> list[str]:
    rng = np.random.default_rng([seed, zlib.crc32(what.encode())])
    return [status(draw(rng), gate) for _ in range(n)]


# Commit 029da7a, by this script with 800 for the number of simulations.
BEFORE = {
    "equal sides, one metric, n = 100: failed": "1.2 %",
    "equal sides, three metrics, n = 100: failed": "3.2 %",
    "equal sides, five metrics, n = 100: failed": "2.8 %",
    "equal sides, one metric, 5 % judge errors, n = 100: failed": "4.2 %",
    "equal sides, one metric, 8 % judge errors, n = 100: failed": "19.0 %",
    "equal sides, three metrics, 5 % task and 5 % judge errors, n = 400: failed": "68.5 %",
    "equal sides, three repetitions, n = 100: failed": "3.5 %",
    "equal sides, skewed scores, n = 100: failed": "1.8 %",
    "equal sides, five points, mostly tied, n = 100: failed": "1.2 %",
    "true mean 0.87, `min: 0.85`, n = 100: failed": "24.5 %",
    "true mean 0.80, `min: 0.85`, n = 100: passed": "12.0 %",
    "true p95 as allowed, n = 100: failed": "40.0 %",
    "true p95 25 % over what is allowed, n = 10: passed": "38.8 %",
    "true p95 25 % over what is allowed, n = 100: passed": "2.5 %",
    "expected cost as much as `max_cost`, n = 100: failed": "46.0 %",
    "expected cost as much as `max_cost`, n = 100: passed": "54.0 %",
    "0.8 to 0.7, one metric, n = 100: failed": "46.9 %",
    "0.8 to 0.7 on one metric of three, n = 400: failed": "96.5 %",
    "0.8 to 0.7 on three metrics, n = 400: failed": "100.0 %",
    "equal sides, `max_regression: 0.05`, n = 400: failed": "2.0 %",
    "equal sides, `max_regression: 0.05`, n = 400: passed": "70.0 %",
    "equal sides, `max_regression: 0.05`, n = 400: inconclusive": "28.0 %",
    "0.80 to 0.75, `max_regression: 0.05`, n = 400: passed": "1.5 %",
    "identical outputs, 0/1, n = 200, `max_regression: 0.02`: passed": "100.0 %",
    "identical outputs, skewed, n = 200, `max_regression: 0.02`: passed": "100.0 %",
    "identical outputs, 1 to 5, n = 200, `max_regression: 0.08`: passed": "100.0 %",
    "3 identical examples, no margin": "passed",
    "3 identical examples, `max_regression: 0.02`": "inconclusive",
    "5 identical examples, no margin": "passed",
    "5 identical examples, `max_regression: 0.02`": "inconclusive",
    "10 identical examples, no margin": "passed",
    "10 identical examples, `max_regression: 0.02`": "inconclusive",
    "1.0 to 0.0 on each of 1 to 8 examples, 1 metric: passed": "62.5 %",
    "1.0 to 0.0 on each of 1 to 8 examples, 5 metrics: passed": "75.0 %",
    "1.0 to 0.0 on each of 1 to 8 examples, 20 metrics: passed": "100.0 %",
}


if __name__ == "__main__":
    started = time.perf_counter()
    for row in _rows(int(sys.argv[1]), 13):
        print(f"{time.perf_counter() - started:6.1f} s | " + " | ".join(row), flush=True)
