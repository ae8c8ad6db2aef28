"""What a gate refuses, each with its whole message; and what is just no reason to."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.experiment_plan import plan_of
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.errors import InvalidSetting

from .tables import judged, table

SCORED = table(correctness=[1, 1, 0, 1] * 10)
KEYS = "Known: ids, split, splits, threshold, metrics, metadata.KEY"
REGRESSION = "metric 'x' of the gate: Metric.max_regression must be"
SHARE = f"{REGRESSION} a finite number, or a share of the baseline's such as 5%; got"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metrics": "x" * 200}, f"Gate.metrics must be a mapping of name to Metric, got '{'x' * 57}.…"),
        ({"metrics": {"": {}}}, "Gate.metrics: a metric's name must be a text, got ''"),
        (
            {"metrics": {"x": {"corrected_by": "eval.x.score"}}},
            "metric 'x' of the gate: Metric.corrected_by='eval.x.score' is a field; name what it is of: 'x'",
        ),
        (
            {"metrics": {"x": {"corrected_by": "x"}}},
            "metric 'x' of the gate: corrected_by='x' is the metric itself; name people's scores, such as an "
            "annotation's",
        ),
        ({"metrics": {"x": {"max_regression": True}}}, f"{SHARE} True"),
        ({"metrics": {"x": {"max_regression": "5"}}}, f"{SHARE} '5'"),
        ({"metrics": {"x": {"max_regression": 10**400}}}, f"{SHARE} 1{'0' * 99}"),
        ({"metrics": {"x": {"max_regression": -1}}}, f"{REGRESSION} at least 0, got -1"),
        ({"alarms": 3}, "Gate.alarms must be a mapping such as {per: month, at_most: 0.05}, got 3"),
        ({"alarms": {"at_most": 0.5}}, "Gate.alarms: AlarmLimit.at_most must be above 0 and below 0.5, got 0.5"),
        ({"alarms": {"at_most": 0}}, "Gate.alarms: AlarmLimit.at_most must be above 0 and below 0.5, got 0"),
        ({"slices": []}, "Gate.slices must be a field or a list of them; got []"),
        ({"slices": 3}, "Gate.slices must be a field or a list of them; got 3"),
        (
            {"slices": ["splits", "metadata."]},
            "Gate.slices must be splits or metadata.KEY, such as metadata.topic; got 'metadata.'",
        ),
        ({"required": ["a"]}, "Gate.required must be a mapping such as {split: golden}, got ['a']"),
        ({"required": {"idz": ["a"]}}, f"Gate.required: unknown key 'idz'; did you mean 'ids'? {KEYS}"),
        (
            {"required": {"metadata.": "x"}},
            f"Gate.required: unknown key 'metadata.'; did you mean 'metadata.KEY'? {KEYS}",
        ),
        (
            {"required": {"threshold": 0.5}},
            "Gate.required names no example: give ids, split or metadata.KEY; got {'threshold': 0.5}",
        ),
        (
            {"required": {"ids": "a", "threshold": True}},
            "Gate.required: threshold must be a finite number such as 0.8, got True",
        ),
        (
            {"required": {"ids": "a", "threshold": float("nan")}},
            "Gate.required: threshold must be a finite number such as 0.8, got nan",
        ),
        ({"required": {"ids": []}}, "Gate.required: ids must be a value or a list of them, got []"),
        ({"required": {"ids": ["a", ""]}}, "Gate.required: ids must be a value or a list of them, got ['a', '']"),
        (
            {"required": {"metadata.t": {"a": 1}}},
            "Gate.required: metadata.t must be a value or a list of them, got {'a': 1}",
        ),
    ],
)  # fmt: skip
def test_rules_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Gate.parse(given)
    assert str(refused.value) == f"the gate: {message}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"confidence": 0.9},
            "the comparison was made with confidence 0.95, and the gate has 0.9; give the gate to the comparison, or "
            "both the same confidence",
        ),
        (
            {"metrics": {"correctness": {"direction": "minimize"}}},
            "the comparison was made with 'correctness' as something to maximize, and the gate says minimize; give the "
            "gate to the comparison, or the same to directions=",
        ),
        (
            {"metrics": {"correctness": {"corrected_by": "human"}}},
            "the comparison was made without correcting 'correctness' by 'human', as the gate's corrected_by says; "
            "give the gate to the comparison",
        ),
        (
            {"min_pass_rate": 0.9},
            "the comparison was made without a pass_threshold, and the gate has 0.5; give the gate to the comparison",
        ),
        (
            {"slices": ["splits", "metadata.t"], "required": {"ids": ["a"]}},
            "the comparison was made without the gate's slices of splits, metadata.t; give the gate to the comparison",
        ),
        (
            {"required": {"ids": ["a"]}},
            "the comparison was made without the gate's required examples; give the gate to the comparison",
        ),
    ],
)
def test_a_comparison_that_was_not_made_for_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Gate.parse(given).judge(compare_results(SCORED, SCORED))
    assert str(refused.value) == message


def test_a_margin_without_a_baseline() -> None:
    gate = Gate.parse(
        {
            "metrics": {"a": {"max_regression": 0.1}, "b": {}, "c": {"max_regression": "5%"}},
            "operations": {"total_cost": {"max_regression": "5%"}, "latency_ms": {}},
        }
    )
    with pytest.raises(InvalidSetting) as refused:
        gate.refuse_without(None, first_run=False)
    assert str(refused.value) == (
        "the gate's max_regression of a, c, total_cost is measured from a baseline, and none is named: give one, such "
        "as baseline='tag:baseline' (--baseline tag:baseline); or, where there is none yet, say first_run=True "
        "(--first-run)"
    )
    gate.refuse_without(None, first_run=True)
    gate.refuse_without("tag:baseline", first_run=False)
    Gate.parse({"metrics": {"b": {}}}).refuse_without(None, first_run=False)


@pytest.mark.parametrize(
    ("scores", "direction", "margin", "said"),
    [
        ([0.5, 1.0, 0.0], "maximize", 1, ""),
        ([0.5, 1.0, 0.0], "minimize", 1, ""),
        ([0.5, 1.0, 0.0], "maximize", 1.01, "1.01: its scores lie from 0 to 1 (0.50 on average"),
        ([0.5, 1.0, 0.0], "minimize", 1.01, "1.01: its scores lie from 0 to 1 (0.50 on average"),
        ([0.5, 1.0, 0.0], "maximize", "100%", ""),
        ([0.5, 1.0, 0.0], "maximize", "101%", "101%: its scores lie from 0 to 1 (0.50 on average"),
        ([0.5, 1.0, 0.0], "minimize", "101%", ""),
        ([0.9, 1.0, 0.8], "minimize", "120%", "120%: its scores lie from 0 to 1 (0.90 on average"),
        ([-0.5, 1.0, 0.0], "maximize", 5, ""),
        ([2.0, 1.0, 0.0], "maximize", 2, ""),
        ([2.0, 1.0, 0.0], "maximize", 2.1, "2.1: its scores lie from 0 to 2 (1.00 on average"),
        ([2.0, 1.0, 0.0], "minimize", 2.1, ""),
    ],
)
def test_a_margin_that_nothing_can_exceed(scores: list[float], direction: str, margin: Any, said: str) -> None:
    side = table(x=scores * 10)
    gate = Gate.parse({"metrics": {"x": {"max_regression": margin, "direction": direction}}})
    if not said:
        assert judged(side, side, gate).status == "passed"
        return
    with pytest.raises(InvalidSetting) as refused:
        judged(side, side, gate)
    assert str(refused.value) == (
        f"metric 'x' of the gate: no candidate can be worse by more than {said} in results). Write 5 points as 0.05, "
        "or 5% for a share of the baseline's mean"
    )


def test_a_plan_of_what_is_not_there() -> None:
    with pytest.raises(InvalidSetting) as unknown:
        plan_of(SCORED, Gate.parse({"metrics": {"correctnes": {}}}))
    assert str(unknown.value) == (
        "the gate's metric 'correctnes' cannot be planned by results: unknown metric 'correctnes'; did you mean "
        "'correctness'? Known: correctness"
    )
    with pytest.raises(InvalidSetting) as beyond:
        plan_of(SCORED, Gate(), drop=1.01)
    assert str(beyond.value) == (
        "drop: no candidate can be worse by 1.01: the scores of 'correctness' lie from 0 to 1. Write 5 points as 0.05, "
        "or plan that metric apart"
    )
    assert plan_of(SCORED, Gate(), drop=1.0).n_examples == 40


def test_alarms_share_what_they_may_be() -> None:
    gates = [Gate.parse({"alarms": {"per": per, "at_most": 0.1}}) for per in ("comparison", "week", "month")]
    assert [gate.nights for gate in (Gate(), *gates)] == [None, None, 7, 30]
    assert [1 - gate.for_tests(0.95) for gate in (Gate(), *gates)] == pytest.approx([0.05, 0.1, 0.03 / 7, 0.001])
    assert Gate.parse({"alarms": {"at_most": 0.49}}).for_tests(0.95) == pytest.approx(0.51)
