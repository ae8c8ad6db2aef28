"""What a gate says of what it has found: the sentence of each case, with its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.errors import InvalidSetting

from .tables import columns, judged, pairs, table

SCORED = table(correctness=[1, 1, 0, 1] * 10)
PERFECT = table(correctness=[1.0] * 100)
HALF = replace(table(correctness=[1.0] * 50), n_expected=100)
OTHERS = table(list("abcd"), correctness=[1] * 4)
WITHIN_2_POINTS = Gate(metrics={"correctness": Metric(max_regression=0.02)})


def toned(*waiting: str | None) -> ResultTable:
    """60 examples with a label, but those last ones of which somebody is still to say it."""
    n = 60 - len(waiting)
    return result_table(
        {
            "example_id": [f"q{i}" for i in range(60)],
            "eval.tone.label": ["polite"] * n + [None] * len(waiting),
            "eval.tone.metadata.pending": [None] * n + list(waiting),
        }
    )


def timed(known: int, unknown: int = 0) -> ResultTable:
    scores = columns(correctness=[1.0] * (known + unknown))
    return result_table(scores | {"latency_ms": [100.0] * known + [None] * unknown})


LABELLED = result_table(
    {
        "example_id": [f"q{i:05d}" for i in range(40)],
        "eval.tone.label": ["good"] * 40,
        "eval.other.score": [1] * 40,
    }
)


@pytest.mark.parametrize(
    ("baseline", "candidate", "gate", "said"),
    [
        (
            SCORED,
            OTHERS,
            Gate(),
            "results and results share no example; their example ids are such as 'q00000', 'q00001', 'q00002' and 'a', "
            "'b', 'c'",
        ),
        (
            SCORED,
            LABELLED,
            Gate(),
            "there is no metric that both sides have scores of: results has correctness, results has other (and labels "
            "without scores of tone)",
        ),
        (SCORED, SCORED, WITHIN_2_POINTS, ": not shown to be within the allowed regression of 0.02; about 189 pairs"),
        (
            *pairs(300, 8, 21, 71),
            WITHIN_2_POINTS,
            "(adjusted p = 0.0081, one-sided) and not shown to be within the allowed regression of 0.02",
        ),
        (
            timed(50),
            timed(50),
            Gate(max_p95_latency=1000),
            "the p95 latency of 100 ms [100 ms, ?] is not shown to keep the allowed 1,000 ms, nor to be above it; it "
            "takes 72 examples",
        ),
        (
            timed(5, 15),
            timed(5, 15),
            Gate(max_p95_latency=1000, bounds="point"),
            "the p95 latency of 100 ms over the 5 of 20 ok runs of which it is known, too few for a bound",
        ),
        (
            HALF,
            PERFECT,
            Gate(),
            "the baseline is not complete (50 of 100 runs were made); finish it with resume, or name another",
        ),
        (
            table(correctness=[1.0] * 50),
            HALF,
            Gate(),
            "too little to judge by: 50 of 100 runs were made; at least 90 % is needed",
        ),
        (
            PERFECT,
            table(correctness=[None] * 8 + [1.0] * 92),
            Gate(min_coverage=0.95),
            "92 of 100 examples that the baseline scored, and 95 % is needed: fewer may be chance (adjusted p = 0.13)",
        ),
        (toned(), toned(), Gate(), "tone polite 60 → 60 on 60 pairs: none moved, no shift of labels shown"),
        (
            toned(),
            toned("is it kind?"),
            Gate(),
            "tone cannot be judged yet: 1 evaluation of results is pending: fill them in where the table of results "
            "comes from",
        ),
    ],
)
def test_what_is_found(baseline: ResultTable, candidate: ResultTable, gate: Gate, said: str) -> None:
    reasons = [check.reason for check in judged(baseline, candidate, gate).checks]
    assert any(said in reason for reason in reasons), reasons


def test_without_a_metric_there_are_no_scores_to_ask_for() -> None:
    nothing = result_table({"example_id": [1, 2]})
    (coverage,) = [check.reason for check in judged(nothing, nothing).checks if check.name == "coverage"]
    assert coverage == "scores on examples that the baseline scored: none asked for"


def test_an_experiment_evaluator_needs_examples_that_both_sides_ran() -> None:
    verdict = judged(
        SCORED, OTHERS, Gate(metrics={"f1": Metric()}), experiment_evaluators={"f1": lambda runs: len(runs)}
    )
    assert "f1 cannot be judged: the sides share no example" in verdict.reasons


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["minimize", "maximize"], "say both maximize and minimize; say which in the gate's direction"),
        (["up", "up"], "x: its evaluations say up; say which in the gate's direction"),
    ],
)
def test_a_direction_that_evaluations_leave_open(given: list[str], said: str) -> None:
    scored = result_table(columns(x=[1.0] * 40) | {"eval.x.metadata.direction": given * 20})
    verdict = Gate(metrics={"x": Metric(min=0.5)}).judge_alone(scored)
    assert verdict.status == "failed"
    assert said in verdict.reasons[0]


@pytest.mark.parametrize(
    ("made_with", "said"),
    [
        ({}, "the comparison was made without a pass_threshold, and the gate has 0.5; give the gate to"),
        ({"gate": Gate(pass_threshold=0.6)}, "the comparison was made with a pass_threshold of 0.6, and the gate has"),
    ],
)
def test_a_comparison_of_another_threshold(made_with: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Gate(pass_threshold=0.5).judge(compare_results(SCORED, SCORED, **made_with))
    assert said in str(refused.value)


def test_a_metric_by_itself_that_is_no_mapping() -> None:
    with pytest.raises(InvalidSetting, match=r"a metric of the gate must be a mapping such as \{min: 0\.8\}, got 3"):
        Metric.parse(3)
