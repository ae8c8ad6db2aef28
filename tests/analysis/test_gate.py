"""The gate: its rules one by one, that it fails closed, and its YAML and JSON form."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import yaml
from pydantic import Field
from scipy import stats

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.paired import mid_p_value
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.gate.case import Case
from prefect_experiments.analysis.gate.rule import Rule
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import MetricCheck
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.options import described
from prefect_experiments.reports.phrases import verdict_sentence

from .tables import checks, columns, judged, pairs, table, with_errors

CORRECTNESS = {"correctness": Metric()}


def failing(rows: int, *, of: int = 100, absent: int = 0, score: float = 1.0) -> tuple[ResultTable, ResultTable]:
    """Both sides alike, but that the candidate's task failed on the first `rows`, and its last are not there."""
    given = columns(correctness=[score if n % 5 else 0.0 for n in range(of)])
    candidate = {name: cells[: of - absent] for name, cells in given.items()}
    return result_table(given), result_table(with_errors(candidate, *range(rows)))


# One metric --------------------------------------------------------------------------------------


def test_significantly_worse_fails_and_says_with_what_figures() -> None:
    """McNemar's one-sided mid-p test of 8 and 21 discordant pairs: 0.0121 less half of dbinom(21, 29) is 0.0081."""
    verdict = judged(*pairs(300, 8, 21, 71), Gate(metrics=CORRECTNESS))
    assert (verdict.status, verdict.exit_code) == ("failed", 1)
    (reason,) = verdict.reasons
    assert reason == (
        "correctness 0.77, -3 points [-6, -1] against 0.802 on 400 pairs; 8 improved, 21 regressed: "
        "significantly worse (adjusted p = 0.0081, one-sided)"
    )


@pytest.mark.thorough
def test_79_against_80_of_100_never_fails() -> None:
    """Whatever pairs agree: from 1 discordant pair to 41."""
    for gate in (Gate(), Gate(metrics=CORRECTNESS), Gate(metrics={"correctness": Metric(max_regression=0.02)})):
        for gained in range(21):
            verdict = judged(*pairs(79 - gained, gained, gained + 1, 20 - gained), gate)
            assert verdict.status != "failed", verdict.reasons


def test_what_passes_says_why() -> None:
    verdict = judged(*pairs(79, 0, 1, 20), Gate(metrics=CORRECTNESS))
    assert (verdict.status, verdict.exit_code) == ("passed", 0)
    assert verdict.reasons[0].endswith(
        "0 improved, 1 regressed: not significantly worse (adjusted p = 0.25, one-sided); "
        f"a drop of {numbers.score(verdict.checks[0].smallest_drop)} would have been found 4 times of 5"
    )
    assert set(checks(verdict)) == {"correctness", "error rate", "coverage"}


def test_with_an_allowed_regression_it_is_a_non_inferiority_test() -> None:
    def status(margin: float, *fourfold: int) -> tuple[str, int | None]:
        verdict = judged(*pairs(*fourfold), Gate(metrics={"correctness": Metric(max_regression=margin)}))
        return verdict.status, verdict.checks[0].examples_needed

    assert status(0.021, 700, 40, 42, 218)[0] == "passed"  # Tango's interval of -0.002 begins at -0.0201
    assert status(0.02, 700, 40, 42, 218)[0] == "inconclusive"
    assert status(0.02, 300, 8, 21, 71)[0] == "failed"
    assert status(0.07, 300, 8, 21, 71)[0] == "passed"  # significantly worse, and within what is allowed
    unclear, needed = status(0.02, 80, 0, 0, 20)
    assert unclear == "inconclusive"  # nothing differs, on too few pairs: Tango's interval reaches -0.037
    assert needed == 189
    assert status(0.02, 189 - 20, 0, 0, 20)[0] == "passed"
    assert status(0.02, 188 - 20, 0, 0, 20)[0] == "inconclusive"


@pytest.mark.thorough
def test_the_examples_needed_are_enough_four_times_of_five() -> None:
    """What is inconclusive is decided with that many pairs: 60 simulations of the same process."""
    rng = np.random.default_rng(2)

    def drawn(n: int) -> tuple[ResultTable, ResultTable]:
        left = rng.uniform(0.4, 0.6, n)
        return table(x=left), table(x=left + rng.normal(-0.005, 0.1, n))

    gate = Gate(metrics={"x": Metric(max_regression=0.03)})
    left = np.linspace(0.4, 0.6, 100)
    noise = stats.norm.ppf((np.arange(100) + 0.5) / 100, -0.005, 0.1)
    verdict = judged(table(x=left), table(x=left + rng.permutation(noise)), gate)
    needed = verdict.checks[0].examples_needed
    assert verdict.status == "inconclusive"
    assert needed is not None
    assert f"about {needed:,} pairs are needed to tell" in verdict.reasons[0]
    passed = sum(judged(*drawn(needed), gate).status == "passed" for _ in range(60))
    assert passed >= 40


def test_inconclusive_lets_through_only_where_it_is_told_to() -> None:
    for on_inconclusive, exit_code in (("fail", 1), ("pass", 0)):
        gate = Gate(metrics={"correctness": Metric(max_regression=0.02)}, on_inconclusive=on_inconclusive)
        verdict = judged(*pairs(80, 0, 0, 20), gate)
        assert (verdict.status, verdict.exit_code) == ("inconclusive", exit_code)
        said = "The data cannot tell whether the candidate meets the gate: correctness. "
        assert verdict_sentence(verdict) == said + ("It does not pass." if exit_code else "It passes.")


def test_the_minimum_is_compared_with_the_mean_of_all_that_the_candidate_ran() -> None:
    def status(bound: float, direction: Any = "maximize") -> str:
        baseline, candidate = table(list("abcd"), x=[1, 1, 1, 1]), table(list("abcde"), x=[1, 1, 1, 1, 0])
        gate = Gate(metrics={"x": Metric(min=bound, direction=direction)}, bounds="point")
        return checks(judged(baseline, candidate, Gate.of(gate, metrics=gate.metrics)))["x"]

    assert [status(0.8), status(0.81)] == ["passed", "failed"]
    assert [status(0.8, "minimize"), status(0.79, "minimize")] == ["passed", "failed"]
    thirds = table(x=[0.1] * 6)  # 0.1 + 0.1 + 0.1 is not 0.3
    assert judged(thirds, thirds, Gate(metrics={"x": Metric(min=0.1)}, bounds="point")).status == "passed"


def test_less_is_better_where_the_gate_says_so() -> None:
    left, right = table(edits=[2.0, 3, 4, 2] * 10), table(edits=[3.0, 3, 5, 3] * 10)
    down = Gate(metrics={"edits": Metric(direction="minimize")})
    assert (judged(left, right, down).status, judged(right, left, down).status) == ("failed", "passed")
    assert judged(left, right).status == "passed"
    within = Gate(metrics={"edits": Metric(direction="minimize", max_regression=1.0)})
    assert judged(left, right, within).status == "passed"
    assert judged(right, left, within).status == "passed"
    reason = judged(left, right, down).reasons[0]
    assert reason.startswith("edits (less is better) 3.5, +0.8 [")


def test_the_correction_runs_over_the_gates_metrics_only() -> None:
    left, right = pairs(300, 8, 21, 71)  # p = 0.0081
    # Each may be worse or not: 4 of 4 pairs that got better and 4 that got worse, so p = 0.5.
    ones = np.repeat([1.0, 0.0], 200)
    before = {f"m{n}": ones for n in range(5)}
    after = {f"m{n}": np.roll(ones, 4) for n in range(5)}

    def more(before: dict[str, Any], after: dict[str, Any]) -> list[ResultTable]:
        return [
            table(correctness=side.scores["correctness"].tolist(), **others)
            for side, others in ((left, before), (right, after))
        ]

    assert judged(*more(before, after)).status == "failed"  # 6 * 0.0081 = 0.049
    before["n"], after["n"] = ones, np.roll(ones, 4)
    assert judged(*more(before, after)).status == "passed"  # 7 * 0.0081 = 0.057
    assert judged(*more(before, after), Gate(metrics=CORRECTNESS)).status == "failed"
    # What could not have failed whatever came out takes no part.
    assert judged(*more(before, before)).status == "failed"


def test_a_gate_asks_only_whether_it_is_worse() -> None:
    """6 against 16: two-sided p = 0.0525 (R), one-sided 0.0262, mid-p 0.0173."""
    comparison = compare_results(*pairs(59, 6, 16, 80), gate=Gate())
    assert comparison.verdict is not None
    assert comparison.verdict.status == "failed"
    assert "(adjusted p = 0.017, one-sided)" in comparison.verdict.reasons[0]
    assert comparison.metrics["correctness"].verdict == "unchanged"
    assert judged(*pairs(59, 6, 16, 80), Gate(confidence=0.99)).status == "passed"


def test_the_mid_p_test_is_half_of_what_was_seen_and_all_beyond_it() -> None:
    for worse in range(12):
        for better in range(12):
            n = worse + better
            chances = [math.comb(n, k) / 2**n for k in range(n + 1)]
            expected = sum(chances[worse + 1 :]) + chances[worse] / 2 if n else 1.0
            assert mid_p_value(worse, better) == pytest.approx(expected, abs=1e-12)


# Fails closed ------------------------------------------------------------------------------------

LEFT = table(correctness=[1, 1, 0, 1] * 10)
CLOSED: list[tuple[str, Any, Any, Gate, str]] = [
    ("not on the candidate", LEFT, table(other=[1] * 40), Gate(metrics=CORRECTNESS), "results does not have it"),
    ("not on the baseline", table(other=[1] * 40), LEFT, Gate(metrics=CORRECTNESS), "does not have it"),
    ("not on either", LEFT, LEFT, Gate(metrics={"corectness": None}), "unknown metric 'corectness'; did you mean"),
    ("no scores", LEFT, table(correctness=[None] * 40), Gate(metrics=CORRECTNESS), "no score of it in 40 runs"),
    ("no scores, no rules", LEFT, table(correctness=[None] * 40), Gate(), "no score of it in 40 runs"),
    ("no scores anywhere", *[table(correctness=[None] * 40)] * 2, Gate(), "no metric that both sides have scores of"),
    ("no metric at all", *[result_table({"example_id": [1, 2]})] * 2, Gate(), "results has no metric"),
    ("no shared metric", LEFT, table(other=[1] * 40), Gate(), "results has correctness, results has other"),
    ("no shared example", LEFT, table(list("abcd"), correctness=[1] * 4), Gate(), "'q00000', 'q00001'.* and 'a', 'b'"),
    (
        "labels only",
        LEFT,
        result_table({"example_id": [f"q{i:05d}" for i in range(40)], "eval.correctness.label": ["good"] * 40}),
        Gate(),
        "results has labels of it and no scores",
    ),
    (
        "evaluator always fails",
        LEFT,
        result_table(with_errors(columns(correctness=[None] * 40), *range(40), column="eval.correctness.error")),
        Gate(),
        r"no score of it in 40 runs \(40 errors\)",
    ),
    (
        "evaluator fails on one side",
        LEFT,
        result_table({"example_id": [f"q{i:05d}" for i in range(40)], "eval.correctness.error": ["Boom"] * 40}),
        Gate(),
        r"no score of it in 40 runs \(40 errors\)",
    ),
    (
        "scored on other examples",
        table(correctness=[1, None] * 20),
        table(correctness=[None, 1] * 20),
        Gate(metrics=CORRECTNESS),
        "no example has a score of it on both sides",
    ),
]


@pytest.mark.parametrize(
    ("baseline", "candidate", "gate", "message"), [row[1:] for row in CLOSED], ids=[row[0] for row in CLOSED]
)
@pytest.mark.parametrize("rule", [{}, {"max_regression": 0.5}, {"min": 0.0}])
def test_what_cannot_be_judged_fails(
    baseline: ResultTable, candidate: ResultTable, gate: Gate, message: str, rule: dict[str, Any]
) -> None:
    gate = Gate.of(gate, metrics={name: Metric(**rule) for name in gate.metrics}, on_inconclusive="pass")
    verdict = judged(baseline, candidate, gate)
    assert (verdict.status, verdict.exit_code) == ("failed", 1)
    assert any(re.search(message, reason) for reason in verdict.reasons), verdict.reasons


GATES = [
    Gate(),
    Gate(metrics=CORRECTNESS),
    Gate(metrics=CORRECTNESS, max_error_rate=0.95, min_coverage=0.0),
    Gate(metrics={"correctness": Metric(max_regression=1.0)}, min_coverage=0.0, on_inconclusive="pass"),
    Gate(metrics={"correctness": Metric(min=0.0)}, max_error_rate=1.0, min_coverage=0.05, on_inconclusive="pass"),
]


@pytest.mark.parametrize("gate", GATES)
def test_91_errors_of_100_never_pass(gate: Gate) -> None:
    baseline, candidate = failing(91)
    assert judged(baseline, candidate, gate).status == "failed"
    assert judged(candidate, candidate, gate).status == "failed"  # nor where the baseline failed on them as well
    assert gate.judge_alone(candidate).status == "failed"
    given = columns(correctness=[1.0] * 100)
    judge_failed = result_table(with_errors(given, *range(91), column="eval.correctness.error"))
    assert judged(result_table(given), judge_failed, gate).status == "failed"
    assert judged(judge_failed, judge_failed, gate).status == "failed"
    perfect = table(correctness=[0.0] * 9 + [1.0] * 91)
    nine_right = result_table(with_errors(columns(correctness=[1.0] * 100), *range(9, 100)))
    assert judged(perfect, nine_right, gate).status == "failed"  # better on all that is left


@pytest.mark.parametrize("gate", GATES[:4])
def test_one_error_of_a_thousand_does_not_fail(gate: Gate) -> None:
    assert judged(*failing(1, of=1000), gate).status == "passed"
    assert judged(*failing(0, of=1000, absent=1), gate).status == "passed"


def test_errors_that_the_baseline_did_not_have_fail_when_they_are_no_accident() -> None:
    assert checks(judged(*failing(5)))["error rate"] == "passed"  # 5 against 0: p = 0.0625
    verdict = judged(*failing(9))
    assert verdict.status == "failed"
    assert verdict.reasons[-1].startswith("9 of 100 runs failed, 0 of 100 in the baseline; 9 examples failed or are")
    baseline, candidate = failing(9)
    assert judged(candidate, baseline).status == "passed"  # errors that were mended
    better = columns(correctness=[1.0] * 100)  # better where it ran, and failing more often
    assert judged(baseline, result_table(with_errors(better, *range(9)))).status == "failed"


def test_errors_and_regressions_that_are_each_too_few_fail_together() -> None:
    """3 regressions (p = 0.0625) and 5 errors (p = 0.0625) are 8 losses: p = 0.0078."""
    left = columns(correctness=[1.0] * 100)
    right = columns(correctness=[0.0] * 3 + [1.0] * 97)
    assert judged(result_table(left), result_table(right)).status == "passed"
    assert judged(result_table(left), result_table(with_errors(left, *range(3, 8)))).status == "passed"
    verdict = judged(result_table(left), result_table(with_errors(right, *range(3, 8))))
    assert verdict.status == "failed"
    assert "with missing scores counted as the worst (5 of the candidate's) -8 points" in verdict.reasons[0]
    assert "significantly worse (adjusted p = 0.0078)" in verdict.reasons[0]


def test_errors_do_not_slip_through_a_non_inferiority_test() -> None:
    gate = Gate(metrics={"correctness": Metric(max_regression=0.02)})
    baseline, candidate = failing(0, of=1000)
    assert judged(baseline, candidate, gate).status == "passed"
    assert judged(*failing(5, of=1000), gate).status == "passed"  # counted as the worst -0.004, down to -0.011
    verdict = judged(*failing(18, of=1000), Gate.of(gate, max_error_rate=0.05))
    assert checks(verdict)["correctness"] == "failed"


def test_scores_missing_without_an_error_count_unless_a_coverage_is_allowed() -> None:
    left = table(correctness=[1.0] * 100)
    gaps = table(correctness=[None] * 8 + [1.0] * 92)
    rows = table([f"q{i:05d}" for i in range(92)], correctness=[1.0] * 92)
    for candidate in (gaps, rows):
        assert judged(left, candidate).status == "failed"  # 8 against 0
        assert judged(left, candidate, Gate(min_coverage=0.9)).status == "passed"
        assert checks(judged(left, candidate, Gate(min_coverage=0.95)))["coverage"] == "inconclusive"  # p = 0.13
        assert checks(judged(left, candidate, Gate(min_coverage=0.99)))["coverage"] == "failed"
    assert checks(judged(left, rows, Gate(min_coverage=0.95)))["correctness"] == "passed"
    few = table(correctness=[None] * 3 + [1.0] * 97)
    assert judged(left, few).status == "passed"


def test_low_coverage_fails() -> None:
    half = table([f"q{i:05d}" for i in range(50)], correctness=[1.0] * 50)
    verdict = judged(table(correctness=[1.0] * 100), half)
    (reason,) = [check.reason for check in verdict.checks if check.name == "coverage"]
    assert reason == (
        "too little to judge by: correctness has a score on 50 of 100 examples that the baseline scored, and 90 % is "
        "needed to tell"
    )
    # An experiment that was to run on these only is complete.
    asked = replace(half, expected_ids=frozenset(half.example_ids))
    assert judged(table(correctness=[1.0] * 100), asked).status == "passed"
    # One that was interrupted is not, though every run that it made is fine.
    interrupted = replace(half, expected_ids=frozenset(half.example_ids), n_expected=100)
    verdict = judged(half, interrupted)
    assert checks(verdict) == {"correctness": "passed", "error rate": "passed", "coverage": "failed"}
    assert "50 of 100 runs were made" in verdict.reasons[0]
    assert checks(Gate().judge_alone(interrupted))["coverage"] == "failed"


def test_metrics_that_only_the_baseline_has_are_named() -> None:
    left = table(correctness=[1.0] * 20, tone=[1.0] * 20)
    assert (
        "not judged, because the candidate does not have it: tone"
        in judged(left, table(correctness=[1.0] * 20)).reasons
    )


# The other rules ---------------------------------------------------------------------------------


def operated(latency: list[float | None], cost: list[float | None]) -> ResultTable:
    n = len(latency)
    return result_table(columns(correctness=[1.0] * n) | {"latency_ms": latency, "total_cost": cost})


def test_error_rate_latency_and_cost() -> None:
    baseline, candidate = failing(3)
    assert checks(judged(baseline, candidate, Gate(max_error_rate=0.03)))["error rate"] == "passed"
    verdict = judged(baseline, candidate, Gate(max_error_rate=0.02))  # scipy: binomtest(3, 100, 0.02, "greater"): 0.32
    assert verdict.status == "inconclusive"
    reason = "3 of 100 runs failed, 0 of 100 in the baseline: more than the allowed 2 %, which may be chance"
    assert verdict.reasons == (
        f"{reason} (adjusted p = 0.65)",
    )  # the metric with these as the worst score is asked, too
    verdict = judged(baseline, candidate, Gate(max_error_rate=0.001))
    assert verdict.reasons[0].endswith("more than the allowed 0.1 % (adjusted p < 0.001)")
    side = operated([100.0] * 90 + [900.0] * 10, [0.01] * 100)
    gate = Gate(max_p95_latency=900, max_cost=1.0, bounds="point")
    assert judged(side, side, gate).status == "passed"
    verdict = judged(side, side, Gate.of(gate, max_p95_latency=899, max_cost=0.99))
    assert verdict.reasons == (
        "the p95 latency of 900 ms is above the allowed 899 ms",
        "the cost of $1.00 is above the allowed $0.99",
    )


def test_a_small_cost_is_written_out_and_one_sum_is_no_interval() -> None:
    side = operated([100.0] * 60, [0.000027] * 60)
    assert judged(side, side, Gate(max_cost=0.00003)).reasons == ("the cost of $0.00162 is above the allowed $0.00003",)


def test_equal_measurements_lend_no_scale_of_one() -> None:
    """A cost of less than a cent that is the same in every pair was uncertain by six cents."""
    side = operated([100.0] * 60, [0.000027] * 60)
    cost = compare_results(side, side).operations["total_cost"]
    assert cost.ci_low == pytest.approx(-0.0554 * 0.000027, rel=0.01)
    assert cost.ci_high == pytest.approx(0.0554 * 0.000027, rel=0.01)


def test_a_bound_on_what_is_not_known_fails() -> None:
    plain = table(correctness=[1.0] * 20)
    verdict = judged(plain, plain, Gate(max_p95_latency=10, max_cost=1))
    assert verdict.reasons == (
        "the p95 latency is not known, and at most 10 ms is allowed",
        "the cost is not known, and at most $1.00 is allowed",
    )
    partly = operated([1.0] * 5 + [None] * 15, [0.001] * 5 + [None] * 15)
    assert judged(partly, partly, Gate(max_p95_latency=10, max_cost=1)).status == "failed"


@pytest.mark.parametrize("known", [20, 18, 17, 1])
def test_a_bound_needs_to_be_known_of_nine_tenths_of_the_ok_runs(known: int) -> None:
    side = operated([1.0] * known + [None] * (20 - known), [0.01] * known + [None] * (20 - known))
    found = checks(judged(side, side, Gate(max_p95_latency=10, max_cost=1, bounds="point")))
    status = "passed" if known >= 18 else "failed"
    assert (found["p95 latency"], found["cost"]) == (status, status)


def test_what_lies_at_a_bound_keeps_it_and_the_least_bound_is_none_at_all() -> None:
    side = operated([0.0] * 100, [0.0] * 100)
    gate = Gate(max_p95_latency=0, max_cost=0, bounds="point")
    assert judged(side, side, gate).status == "passed"
    dear = operated([1.0] * 100, [0.25] * 100)
    found = [
        checks(judged(dear, dear, Gate(max_p95_latency=latency, max_cost=cost, bounds="point")))
        for latency, cost in ((1.0, 25.0), (0.999, 24.999))
    ]
    assert [(each["p95 latency"], each["cost"]) for each in found] == [("passed", "passed"), ("failed", "failed")]
    for name in ("max_p95_latency", "max_cost"):
        with pytest.raises(InvalidSetting, match=f"Gate.{name} must be at least 0"):
            Gate.of(gate, **{name: -0.001})


def test_a_first_run_has_no_baseline_and_says_so() -> None:
    gate = Gate(metrics={"correctness": Metric(min=0.8, max_regression=0.01)}, max_error_rate=0.1)
    good = gate.judge_alone(table(correctness=[1.0] * 90 + [0.0] * 10))
    assert (good.status, good.exit_code) == ("passed", 0)
    assert good.reasons[-1].startswith("there was no baseline to compare with")
    assert gate.judge_alone(table(correctness=[1.0] * 9 + [0.0])).status == "inconclusive"
    bad = gate.judge_alone(table(correctness=[1.0] * 70 + [0.0] * 30))
    assert bad.status == "failed"
    assert bad.reasons[0] == "correctness: the mean of 0.70 [0.60, 0.788] is below the minimum of 0.80"
    assert bad.reasons[-1].startswith("there was no baseline")
    assert checks(gate.judge_alone(failing(20)[1]))["error rate"] == "failed"
    assert checks(gate.judge_alone(failing(11)[1]))["error rate"] == "inconclusive"
    assert gate.judge_alone(table(other=[1.0] * 10)).status == "failed"
    assert Gate().judge_alone(table(correctness=[1.0] * 10)).status == "passed"
    assert Gate().judge_alone(result_table({"example_id": [1]})).status == "failed"
    assert checks(Gate().judge_alone(table(correctness=[1.0] * 8 + [None] * 2)))["coverage"] == "inconclusive"
    assert checks(Gate().judge_alone(table(correctness=[1.0] * 80 + [None] * 20)))["coverage"] == "failed"


def test_a_first_run_that_nothing_can_be_worse_than_does_not_pass() -> None:
    """Most often the evaluator does not read what the task gives; as a baseline it would let everything pass."""
    nothing, partly = table(right=[0.0] * 200, other=[1.0] * 200), table(right=[0.0] * 199 + [0.1])
    for gate in (Gate(), Gate(metrics={"right": Metric(), "other": Metric()}), Gate(metrics={"right": Metric(min=0)})):
        verdict = gate.judge_alone(nothing)
        assert (verdict.status, verdict.exit_code) == ("inconclusive", 1)
        (said,) = [reason for reason in verdict.reasons if "right is 0.00 on all of 200 examples" in reason]
        assert "does its evaluator read the output as it is?" in said
        assert verdict.reasons[-1].startswith("there was no baseline")
    assert Gate().judge_alone(partly).status == "passed"
    assert Gate(metrics={"other": Metric()}).judge_alone(nothing).status == "passed"  # it is not judged
    assert Gate(metrics={"right": Metric(direction="minimize")}).judge_alone(nothing).status == "passed"
    neutral = columns(right=[0.0] * 20) | {"eval.right.metadata.direction": ["neutral"] * 20}
    assert Gate().judge_alone(result_table(neutral)).status == "passed"
    assert Gate(metrics={"right": Metric(min=0.5)}).judge_alone(nothing).status == "failed"


def test_the_gate_judges_a_comparison_that_fits_it() -> None:
    comparison = compare_results(*pairs(300, 8, 21, 71))
    assert Gate().judge(comparison).status == "failed"
    with pytest.raises(InvalidSetting, match=r"made with confidence 0\.95, and the gate has 0\.9"):
        Gate(confidence=0.9).judge(comparison)
    with pytest.raises(InvalidSetting, match="'correctness' as something to maximize, and the gate says minimize"):
        Gate(metrics={"correctness": Metric(direction="minimize")}).judge(comparison)


# A rule is one class ------------------------------------------------------------------------------


class MinRuns(Rule):
    """A rule that the package does not have."""

    called: ClassVar[str] = "runs"

    min_runs: Annotated[int, Field(ge=1)] = 10
    """The fewest runs
    that are enough."""

    def check(self, case: Case) -> Iterator[MetricCheck]:
        n = case.candidate.n_runs
        status: Any = "passed" if n >= self.min_runs else "failed"
        yield MetricCheck(name=self.called, status=status, reason=f"{n} of at least {self.min_runs} runs")


class GateWithRuns(MinRuns, Gate):
    """A gate with one rule more."""


def test_a_rule_is_one_class_with_its_field_its_check_and_its_sentence() -> None:
    gate = GateWithRuns.parse("metrics: {correctness: {min: 0.5}}\nmin_runs: 20")
    assert gate == GateWithRuns(metrics={"correctness": Metric(min=0.5)}, min_runs=20)
    assert list(gate.to_dict()) == [*Gate().to_dict(), "min_runs"]
    assert described(type(gate)) == {**described(Gate), "min_runs": "The fewest runs that are enough."}
    few, enough = table(correctness=[1.0] * 19), table(correctness=[1.0] * 20)
    assert judged(few, few, gate).reasons == ("19 of at least 20 runs",)
    assert checks(judged(enough, enough, gate)) == {**checks(judged(enough, enough, Gate())), "runs": "passed"}
    assert checks(gate.judge_alone(few))["runs"] == "failed"
    assert gate.judge_alone(few).reasons[-1].endswith(" and runs were checked")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"min_run": 3}, "the gate: unknown key 'min_run'; did you mean 'min_runs'"),
        ({"min_runs": 0}, "GateWithRuns.min_runs must be a whole number of at least 1, got 0"),
        ({"min_runs": 2.5}, r"GateWithRuns.min_runs must be a whole number of at least 1, got 2\.5"),
        ({"min_runs": True}, "GateWithRuns.min_runs must be a whole number of at least 1, got True"),
        ({"min_runs": None}, "GateWithRuns.min_runs must be a whole number of at least 1"),
        ({"max_cost": 10**400}, "GateWithRuns.max_cost must be a finite number, got 1000"),
    ],
)
def test_what_a_rule_may_hold_is_what_its_field_says(value: Any, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        GateWithRuns.parse(value)


def test_the_documents_say_of_each_rule_what_its_class_says() -> None:
    document = (Path(__file__).parents[2] / "docs/comparing.md").read_text()
    rules = {**described(Metric), **described(Gate)}
    assert all(rules.values())
    table_of_rules = "\n".join(f"| `{name}` | {text} |" for name, text in rules.items())
    assert f"|---|---|\n{table_of_rules}\n\n" in document, f"docs/comparing.md should have\n{table_of_rules}"


# YAML and JSON -----------------------------------------------------------------------------------

FULL = Gate(
    metrics={
        "correctness": Metric(min=0.8, max_regression=0.02), "edits": Metric(direction="minimize"), "tone": Metric(),
    },
    max_error_rate=0.05, min_coverage=0.95, max_p95_latency=2000, max_cost=5, confidence=0.9, on_inconclusive="pass",
)  # fmt: skip
TEXT = """
metrics:
  correctness: {min: 0.8, max_regression: 0.02}
  edits:
    direction: minimize
  tone:
max_error_rate: 0.05
min_coverage: 0.95
max_p95_latency: 2000  # milliseconds
max_cost: 5
confidence: 0.9
on_inconclusive: pass
"""


def test_a_gate_comes_from_text_files_and_mappings(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(TEXT)
    (tmp_path / "gate.json").write_text(json.dumps(FULL.to_dict()))
    for source in (
        FULL, TEXT, yaml.safe_load(TEXT), json.dumps(FULL.to_dict(), indent="\t"), FULL.to_dict(),
        tmp_path / "gate.yaml", str(tmp_path / "gate.yaml"), tmp_path / "gate.json", yaml.safe_dump(FULL.to_dict()),
    ):  # fmt: skip
        assert Gate.parse(source) == FULL
    assert Gate(metrics={"x": {"min": 0.5}}) == Gate(metrics={"x": Metric(min=0.5)})
    assert Gate.parse("{}") == Gate()


BAD: list[tuple[Any, str]] = [
    ({"metric": {}}, "the gate: unknown key 'metric'; did you mean 'metrics'"),
    ({"max_errors": 1}, "unknown key 'max_errors'; did you mean 'max_error_rate'"),
    ({"metrics": {"x": {"mim": 1}}}, "metric 'x' of the gate: unknown key 'mim'; did you mean 'min'"),
    ({"metrics": {"x": 0.8}}, "metric 'x' of the gate must be a mapping such as {min: 0.8}, got 0.8"),
    ({"metrics": ["x"]}, r"Gate.metrics must be a mapping of name to Metric, got \['x'\]"),
    ({"metrics": {1: {}}}, "a metric's name must be a text, got 1"),
    ({"metrics": {"x": {"min": "0.8"}}}, "Metric.min must be a finite number, got '0.8'"),
    ({"metrics": {"x": {"min": float("nan")}}}, "Metric.min must be a finite number, got nan"),
    ({"metrics": {"x": {"min": True}}}, "Metric.min must be a finite number, got True"),
    ({"metrics": {"x": {"max_regression": "high"}}}, "a finite number, or a share of the baseline's such as 5%; got"),
    ({"operations": 3}, "Gate.operations must be a mapping such as {latency_ms: ...}, got 3"),
    ({"operations": {"latency_ms": 3}}, "operation 'latency_ms' of the gate must be a mapping such as {max_regression"),
    ({"metrics": {"x": {"max_regression": -0.1}}}, "Metric.max_regression must be at least 0, got -0.1"),
    ({"metrics": {"x": {"direction": "up"}}}, "unknown Metric.direction 'up'"),
    ({"max_error_rate": 5}, "Gate.max_error_rate must be from 0 to 1, got 5"),
    ({"min_coverage": -1}, "Gate.min_coverage must be from 0 to 1"),
    ({"max_p95_latency": -1}, "Gate.max_p95_latency must be at least 0"),
    ({"max_cost": "5 USD"}, "Gate.max_cost must be a finite number, got '5 USD'"),
    ({"confidence": 95}, "Gate.confidence must be above 0.5 and below 1, such as 0.95; got 95"),
    ({"confidence": None}, "Gate.confidence must be a finite number, got None"),
    ({"on_inconclusive": "warn"}, "unknown Gate.on_inconclusive 'warn'.*Known: fail, pass"),
    ("metrics: [", "the gate is not YAML: line 1, column"),
    ('{"metrics": }', "the gate is not JSON: line 1, column 13"),
    ("strict", r"the gate must be a mapping such as {metrics: {correctness: .* or the path of a .*got 'strict'"),
    (None, "must be a mapping.*got None"),
    ("nowhere.yaml", "the gate nowhere.yaml cannot be read: No such file"),
    (Path("gate.toml"), "the gate gate.toml: unknown file suffix '.toml'"),
    ("!!python/object/apply:os.system ['true']", "the gate is not YAML"),
    ("!!python/name:os.system", "the gate is not YAML"),
    # A key that stands twice: of the two bounds one would be lost.
    ("metrics: {x: {min: 0.8}}\nmetrics: {}", "is not YAML: line 2, column 1: the key 'metrics' stands twice .*line 1"),
    ("metrics:\n  x: {min: 0.8}\n  y:\n  'x': {min: 0}", "line 4, column 3: the key 'x' stands twice .*line 2"),
    ("metrics:\n  x:\n    min: 0.8\n    min: 0.0", "line 4, column 5: the key 'min' stands twice"),
    ("a: &a {min: 0.8, min: 0}\nmetrics: {x: *a}", "the key 'min' stands twice"),
    ("metrics: {x: {<<: {min: 1}, <<: {min: 0}}}", "the key '<<' stands twice"),
    ('{"metrics": {}, "metrics": {"x": {"min": 0.8}}}', "the gate has the key 'metrics' twice; leave one of them out"),
    ('{"metrics": {"x": {"min": 0.8, "m\\u0069n": 0}}}', "the gate has the key 'min' twice in metrics.x"),
    # What YAML 1.1 takes for something else than it says.
    ("on_inconclusive: yes", "unknown Gate.on_inconclusive 'yes'"),
    ("metrics: {x: {direction: off}}", "unknown Metric.direction 'off'"),
    ("max_p95_latency: 1_000", "Gate.max_p95_latency must be a finite number, got '1_000'"),
    ("max_p95_latency: 1:30", "got '1:30'"),
    ("max_cost: 010", "got '010'"),
    ("max_cost: 0x10", "got '0x10'"),
    ("metrics: {x: {min: .inf}}", "Metric.min must be a finite number, got '.inf'"),
    ("metrics: {x: {min: 2024-01-01}}", "got '2024-01-01'"),
    ("metrics: {x: {min: !!int '010'}}", "'010' is not written as int"),
    ('{"max_cost": NaN}', "the gate is not JSON: it has no number NaN"),
    ('{"max_cost": 1e999}', "Gate.max_cost must be a finite number, got inf"),
    ("a: &a [0,0,0,0,0,0,0,0]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c]\n"
     "e: &e [*d,*d,*d,*d,*d,*d]\nmetrics: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]", "unknown key 'a'"),
]  # fmt: skip


def test_a_gate_in_yaml_says_what_it_says(tmp_path: Path) -> None:
    """Names that YAML 1.1 makes truth values and dates of, numbers as people write them, and merge keys."""
    metrics = Gate(
        metrics={
            "on": Metric(min=0.8, max_regression=0.01),
            "2024-01-01": Metric(min=0.5, max_regression=0.01),
            "no": Metric(min=0.8, max_regression=0.01, direction="minimize"),
        }
    )
    text = """
        metrics:
          on: &defaults {min: 0.80, max_regression: 1e-2}
          2024-01-01: {<<: *defaults, min: .5}
          no: {<<: [{direction: minimize}, *defaults]}
    """
    (tmp_path / "gate.yaml").write_text("\ufeff" + textwrap.dedent(text))
    assert Gate.parse(tmp_path / "gate.yaml") == metrics


@pytest.mark.parametrize(("value", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_a_gate_that_cannot_be_used_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        Gate.parse(value)


# What the data cannot tell -----------------------------------------------------------------------


@pytest.mark.parametrize(("n", "metrics", "status"), [
    (1, 1, "inconclusive"), (3, 1, "inconclusive"), (4, 1, "failed"), (5, 5, "inconclusive"), (6, 5, "failed"),
    (7, 20, "inconclusive"), (8, 20, "failed"),
])  # fmt: skip
def test_too_little_data_never_passes(n: int, metrics: int, status: str) -> None:
    """From 1 to 0 on every example; and where nothing differs so few pairs do not pass either."""
    names = [f"m{number}" for number in range(metrics)]
    left, right = (table(**{name: [score] * n for name in names}) for score in (1.0, 0.0))
    assert judged(left, right).status == status
    alike = judged(left, left)
    assert alike.status == ("passed" if status == "failed" else "inconclusive")
    if status == "inconclusive":
        among = f" among {metrics} tests" if metrics > 1 else ""
        needed = alike.checks[0].examples_needed
        assert needed is not None
        pairs_there = "1 pair" if n == 1 else f"{n} pairs"
        assert (
            f"{pairs_there} cannot show any regression{among}, however large: at least {needed} pairs can"
            in (alike.reasons[0])
        )
        enough = [table(**{name: [score] * needed for name in names}) for score in (1.0, 0.0)]
        assert judged(enough[0], enough[0]).status == "passed"
        assert judged(*enough).status == "failed"


@pytest.mark.parametrize("margin", [0.02, 0.03, "2.5%", 0.2])
def test_identical_outputs_pass_any_margin(margin: Any) -> None:
    rng = np.random.default_rng(5)
    for scores in (np.ones(200), (rng.random(200) < 0.8).astype(float), rng.random(200).round(2), np.zeros(200)):
        side = table(x=scores)
        if margin != "2.5%" or scores.mean() > 0.9:
            assert judged(side, side, Gate(metrics={"x": Metric(max_regression=margin)})).status == "passed"


def test_a_share_of_the_baselines_mean_is_a_margin() -> None:
    left, right = table(words=[200.0, 220, 180, 200] * 20), table(words=[206.0, 226, 186, 206] * 20)

    def check(margin: Any) -> MetricCheck:
        rules = {"words": Metric(max_regression=margin, direction="minimize")}
        return judged(left, right, Gate(metrics=rules)).checks[0]

    assert [check(margin).status for margin in ("10%", "2%", 20.0, 4.0)] == ["passed", "failed", "passed", "failed"]
    assert "within the allowed regression of 10% (20)" in check("10%").reason


@pytest.mark.parametrize("margin", [5, 1.01, "101%"])
def test_a_margin_that_no_difference_can_reach_is_refused(margin: Any) -> None:
    side = table(x=[0.5, 1.0, 0.0] * 10)
    gate = Gate(metrics={"x": Metric(max_regression=margin)})
    with pytest.raises(
        InvalidSetting, match=r"no candidate can be worse by more than .* Write 5 points as 0\.05, or 5%"
    ):
        judged(side, side, gate)
    stars = table(x=[5.0, 1.0, 3.0] * 10)
    if margin == 1.01:
        assert judged(stars, stars, gate).status == "passed"
    elif margin == "101%":
        with pytest.raises(InvalidSetting, match="no candidate can be worse by more than 101%"):
            judged(stars, stars, gate)


def test_a_minimum_is_judged_by_the_whole_interval() -> None:
    def check(right: int, n: int, **options: Any) -> MetricCheck:
        gate = Gate(metrics={"x": Metric(min=0.85)}, **options)
        return gate.judge_alone(table(x=[1.0] * right + [0.0] * (n - right))).checks[0]

    assert check(87, 100).status == "inconclusive"
    assert check(87, 100).reason == (
        "x: the mean of 0.87 [0.788, 0.929] is not shown to keep the minimum of 0.85, nor to be below it; "
        "about 2,251 examples are needed to tell"
    )
    assert [check(870, 1000).status, check(900, 1000).status, check(70, 100).status] == [
        "inconclusive", "passed", "failed",
    ]  # fmt: skip
    assert [check(n, 100, bounds="point").status for n in (84, 85)] == ["failed", "passed"]


def test_a_mean_at_the_bound_itself_is_never_shown_to_keep_it() -> None:
    def check(**rule: Any) -> MetricCheck:
        return Gate(metrics={"x": Metric(min=1.0, **rule)}).judge_alone(table(x=[1.0] * 500)).checks[0]

    assert (check().status, check().examples_needed) == ("inconclusive", None)
    assert check().reason.endswith("however many examples, and bounds: point takes it as it is")
    assert check(bounds="point").status == "passed"


def test_latency_and_cost_are_judged_by_the_whole_interval() -> None:
    rng = np.random.default_rng(3)

    def check(n: int, **rules: Any) -> MetricCheck:
        latency, cost = rng.exponential(500, n), rng.gamma(4, 0.0025, n)
        side = operated(latency.tolist(), cost.tolist())
        return Gate(**rules).judge_alone(side).checks[-2]

    assert check(10, max_p95_latency=1e6).status == "inconclusive"  # nobody knows the slowest twentieth of ten
    assert check(71, max_p95_latency=1e6).status == "inconclusive"
    assert check(72, max_p95_latency=1e6).status == "passed"
    assert check(400, max_p95_latency=1000).status == "failed"  # 500 ln 20 is 1,498
    assert check(400, max_p95_latency=1498).status == "inconclusive"
    assert re.match(
        r"the p95 latency of 1,\d+ ms \[1,\d+ ms, 1,\d+ ms\] keeps", check(400, max_p95_latency=2500).reason
    )
    statuses = [check(200, max_cost=bound).status for bound in (2.5, 2.0, 1.5)]
    assert statuses == ["passed", "inconclusive", "failed"]


def test_latency_and_cost_are_compared_with_the_baselines() -> None:
    rng = np.random.default_rng(4)
    latency = rng.exponential(500, 200) + 100
    before = operated(latency.tolist(), [0.01] * 200)

    def check(factor: float, **rules: Any) -> MetricCheck:
        after = operated((factor * latency + rng.normal(0, 20, 200)).tolist(), [0.01 * factor] * 200)
        return judged(before, after, Gate(operations={"latency_ms": rules})).checks[-1]

    assert check(1.0, max_regression="10%").status == "passed"
    assert check(1.5, max_regression="10%").status == "failed"
    assert check(1.1, max_regression="10%").status in ("failed", "inconclusive")
    assert [check(factor).status for factor in (1.0, 1.2)] == ["passed", "failed"]
    plain = table(correctness=[1.0] * 20)
    unknown = judged(plain, plain, Gate(operations={"total_cost": {"max_regression": "10%"}}))
    assert unknown.reasons == ("total_cost cannot be judged: it is not known on both sides",)
    with pytest.raises(InvalidSetting, match=r"Gate\.operations: unknown figure 'latency'; did you mean 'latency_ms'"):
        Gate(operations={"latency": {}})


def test_errors_on_both_sides_are_no_alarm_and_more_of_them_are() -> None:
    """8 % of the judge's calls fail on either side: below a coverage of 0.9 on many a night."""
    given = columns(correctness=[1.0] * 100)
    left = result_table(with_errors(given, *range(12), column="eval.correctness.error"))
    right = result_table(with_errors(given, *range(50, 62), column="eval.correctness.error"))
    assert judged(left, right).status == "passed"
    verdict = judged(result_table(given), right)
    assert verdict.status == "failed"
    assert any("correctness has no score on 12 examples that the baseline scored" in one for one in verdict.reasons)


def test_a_coverage_of_exactly_what_is_asked_is_enough() -> None:
    side = table(correctness=[1.0] * 56 + [None] * 44)
    whole = table(correctness=[1.0] * 100)
    assert (
        checks(judged(whole, side, Gate(min_coverage=0.56)))["coverage"] == "passed"
    )  # 0.56 * 100 is 56.00000000000001
    assert checks(Gate(min_coverage=0.56).judge_alone(side))["coverage"] == "passed"


# What strangers found ----------------------------------------------------------------------------


def test_too_few_pairs_to_fail_keep_their_p_value() -> None:
    """3 worse and none better of 20: mid-p 0.0625, which no family of tests can make significant."""
    verdict = judged(table(m=[1.0] * 20), table(m=[0.0] * 3 + [1.0] * 17))
    assert "not significantly worse (adjusted p = 0.06, one-sided); a drop of " in verdict.reasons[0]


def test_a_candidate_that_lacks_more_scores_than_its_baseline_does_not_pass() -> None:
    """34 of 40, all of the baseline's: chance would hardly do it, and 0.9 is not reached."""
    verdict = judged(table(m=[1.0] * 40), table(m=[1.0] * 34))
    assert verdict.status == "inconclusive"
    assert (
        "m has a score on 34 of 40 examples that the baseline scored, and 90 % is needed to tell" in verdict.reasons[0]
    )


def test_figures_of_operations_have_their_units() -> None:
    left, right = (
        table(m=[1.0] * 100).frame.assign(total_cost=cost, latency_ms=[200.0 + n for n in range(100)])
        for cost in (0.002, 0.004)
    )
    gate = Gate(operations={"total_cost": {"max_regression": "500%"}, "latency_ms": {"max_regression": "10%"}})
    _, _, _, cost, latency = judged(result_table(left), result_table(right), gate).reasons
    assert "$0.004, +$0.00200 [" in cost
    assert "the allowed regression of 500% ($0.01)" in cost
    assert "250 ms, 0 ms [" in latency
    assert "the allowed regression of 10% (25 ms)" in latency


def test_a_figure_is_never_said_to_be_below_itself() -> None:
    gate = Gate(metrics={"m": Metric(min=0.948, bounds="point")})
    reason = judged(table(m=[0.9475] * 50), table(m=[0.9475] * 50), gate).reasons[0]
    assert reason.endswith("the mean of 0.948 (0.9475) is below the minimum of 0.948")


def test_yaml_may_begin_with_a_brace() -> None:
    assert Gate.parse('{metrics: {tone: {positive: "# c"}}}').rules["tone"].positive == "# c"
    assert Gate.parse('{\n\t"metrics": {"m": {"min": 1}}}').rules["m"].min == 1


def test_of_a_first_run_a_metric_without_a_minimum_says_so() -> None:
    verdict = Gate(metrics=CORRECTNESS).judge_alone(table(correctness=[1.0] * 90 + [0.0] * 10))
    assert "correctness: the mean is 0.90, and no minimum is set" in verdict.reasons


def test_labels_that_are_good_need_an_evaluator_that_gives_labels() -> None:
    verdict = judged(*pairs(79, 0, 1, 20), Gate(metrics={"correctness": Metric(positive="polite")}))
    assert verdict.status == "failed"
    assert "positive names the label 'polite', and its evaluator gives no labels" in verdict.reasons[0]


# At the bound itself -----------------------------------------------------------------------------


def test_a_better_candidate_that_lacks_a_score_does_not_fail() -> None:
    baseline = table(correctness=[0] * 30 + [1] * 10)
    candidate = result_table(with_errors(columns(correctness=[1] * 40), 39))
    verdict = judged(baseline, candidate, Gate(metrics=CORRECTNESS))
    assert verdict.status == "passed", verdict.reasons
    assert "with missing scores counted as the worst" in verdict.reasons[0]


def test_a_candidate_that_is_better_by_being_lower_and_lacks_a_score_does_not_fail_either() -> None:
    baseline = table(x=[1] * 30 + [0] * 10)
    candidate = result_table(with_errors(columns(x=[0] * 40), 39))
    verdict = judged(baseline, candidate, Gate(metrics={"x": Metric(direction="minimize")}))
    assert verdict.status == "passed", verdict.reasons
    assert "with missing scores counted as the worst" in verdict.reasons[0]


def test_a_mean_that_floats_make_smaller_keeps_its_bound() -> None:
    """The mean of 0.7, 0.8 and 0.9 is 0.7999999999999999."""
    side = table(x=[0.7, 0.8, 0.9] * 8)
    assert side.side().metrics["x"].mean == 0.7999999999999999
    assert judged(side, side, Gate(metrics={"x": Metric(min=0.8)}, bounds="point")).status == "passed"
    assert judged(side, side, Gate(metrics={"x": Metric(min=0.80001)}, bounds="point")).status == "failed"


def test_the_interval_of_a_cost_is_students_where_it_has_no_skew() -> None:
    """5 * (3 ± 2.776 * 1.5811 / sqrt(5)) = 15 ± 9.8: R's ``t.test(1:5)`` gives 1.036757 to 4.963243 for the mean."""
    side = operated([100.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])
    verdict = judged(side, side, Gate(max_cost=20))
    assert any("the cost of $15.00 [$5.18, $24.82] is not shown to keep" in reason for reason in verdict.reasons)


def test_everything_is_covered_where_all_of_it_is_there() -> None:
    verdict = judged(*pairs(79, 0, 1, 20), Gate(metrics=CORRECTNESS, min_coverage=1.0))
    assert verdict.status == "passed", verdict.reasons


@pytest.mark.parametrize(("scores", "direction", "bound"), [([1] * 20, "minimize", 1.0), ([0] * 20, "maximize", 0.0)])
def test_an_interval_that_ends_at_the_bound_keeps_it(scores: list[int], direction: Any, bound: float) -> None:
    same = table(x=scores)
    verdict = judged(same, same, Gate(metrics={"x": Metric(min=bound, direction=direction)}))
    assert verdict.status == "passed", verdict.reasons


def test_more_than_half_of_all_runs_may_not_fail_where_nobody_says_how_many_may() -> None:
    both = result_table(with_errors(columns(correctness=[1] * 100), *range(51)))
    assert checks(judged(both, both, Gate(metrics=CORRECTNESS)))["error rate"] == "failed"
    half = result_table(with_errors(columns(correctness=[1] * 100), *range(50)))
    assert checks(judged(half, half, Gate(metrics=CORRECTNESS)))["error rate"] == "passed"
