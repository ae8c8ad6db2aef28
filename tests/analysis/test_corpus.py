"""Experiment evaluators: functions over the whole table of runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison import corpus as resampling
from prefect_experiments.analysis.comparison.corpus import EXCHANGED, compare_corpus_metric
from prefect_experiments.analysis.comparison.paired import paired_test
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import MetricComparison
from prefect_experiments.errors import InvalidEvaluator

from .tables import columns, judged, table, with_errors


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples, for what holds of any number of them."""
    monkeypatch.setattr(resampling, "N_RESAMPLES", 200)


def classified(accuracy: float, seed: int, n: int = 120) -> ResultTable:
    truth = np.arange(n) % 3 == 0
    right = np.random.default_rng(seed).random(n) < accuracy
    return result_table(columns(exact=right.astype(float)) | {"expected": list(truth), "output": list(truth == right)})


def f1(runs: pd.DataFrame) -> float:
    """As scikit-learn's, in a hundredth of the time."""
    truth, found = runs["expected"].to_numpy(dtype=bool), runs["output"].to_numpy(dtype=bool)
    return float(2 * (truth & found).sum() / (truth.sum() + found.sum()))


def corpus(
    baseline: ResultTable, candidate: ResultTable, function: Callable[..., Any], **options: Any
) -> MetricComparison:
    return compare_results(baseline, candidate, experiment_evaluators={"f1": function}, **options).metrics["f1"]


@pytest.mark.usefixtures("few")
def test_the_figures_are_the_functions_own() -> None:
    left, right = classified(0.95, 1), classified(0.7, 2)
    found = corpus(left, right, f1)
    for side, mean in ((left, found.baseline_mean), (right, found.candidate_mean)):
        assert mean == pytest.approx(f1_score(side.frame["expected"].tolist(), side.frame["output"].tolist()))
    assert found.test == EXCHANGED
    assert found.difference is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.difference < found.ci_high < 0
    assert found.verdict == "regressed"
    assert (found.n_pairs, found.wins, found.losses) == (120, 0, 0)


@pytest.mark.thorough
def test_a_mean_is_bootstrapped_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.random(80), rng.random(80)
    frames = [pd.DataFrame({"example_id": [f"q{i:02d}" for i in range(80)], "x": x}) for x in (left, right)]
    ids = frames[0]["example_id"].tolist()
    found = compare_corpus_metric("mean", lambda runs: runs["x"].mean(), *frames, ids)
    theirs = stats.bootstrap(
        (left, right), lambda x, y, axis: (y - x).mean(axis=axis), paired=True, vectorized=True,
        method="percentile", n_resamples=9999, rng=1,
    )  # fmt: skip
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.012)
    assert found.sd_difference == pytest.approx((right - left).std(ddof=1), rel=0.1)
    assert found.p_value == pytest.approx(stats.ttest_rel(left, right).pvalue, abs=0.05)


@pytest.mark.usefixtures("few")
def test_both_sides_get_the_same_examples_and_only_those_that_both_ran() -> None:
    seen: list[list[str]] = []

    def keep(runs: pd.DataFrame) -> float:
        seen.append(sorted(runs["example_id"]))
        return float(runs["eval.x.score"].sum())

    ids = [f"e{number:02d}" for number in range(30)]
    left = result_table(columns([*ids, "left"], x=[1] * 31))
    right = result_table(columns(["right", *reversed(ids)], x=[1] * 31))
    assert corpus(left, right, keep).difference == 0.0
    assert seen[:2] == [ids] * 2
    assert seen[2::2] == seen[3::2]
    assert {name[:3] for names in seen for name in names} == {*ids}
    assert all(len(names) == len(set(names)) == 30 for names in seen)  # drawn twice, an example has two ids
    assert any("e00~2" in names for names in seen)


@pytest.mark.thorough
def test_p_values_are_those_of_exchanged_examples() -> None:
    """Of a mean that is the sign-flip test's; exactly so for five examples, of which there are 32 exchanges."""
    left, right = np.array([0.3, 0.9, 0.5, 0.6, 0.1]), np.array([0.5, 1.0, 0.9, 0.8, 0.2])
    frames = [pd.DataFrame({"example_id": list("abcde"), "x": x}) for x in (left, right)]
    found = compare_corpus_metric("mean", lambda runs: runs["x"].mean(), *frames, list("abcde"))
    exact = paired_test(left, right)
    assert exact.p_higher == 1 / 32
    assert (found.p_higher, found.p_value) == pytest.approx((exact.p_higher, exact.p_value), abs=0.02)
    assert found.p_lower == 1.0
    assert found.smallest_p == 1 / 32


@pytest.mark.thorough
def test_no_p_value_is_less_than_the_smallest_that_could_have_come_out() -> None:
    ids = [f"q{number}" for number in range(30)]
    frames = [pd.DataFrame({"example_id": ids, "x": np.full(30, x)}) for x in (0.0, 1.0)]
    found = compare_corpus_metric("mean", lambda runs: runs["x"].mean(), *frames, ids)
    assert found.p_higher == found.smallest_p


@pytest.mark.slow
def test_false_alarms_do_not_depend_on_the_function() -> None:
    """The mean of the ten worst of ten, 100 simulations; a bootstrap's p-value raises 11 %."""
    rng = np.random.default_rng(2)
    ids = [f"q{number}" for number in range(10)]

    def worst_ten(runs: pd.DataFrame) -> float:
        return float(np.sort(runs["x"].to_numpy())[:10].mean())

    alarms = 0
    for _ in range(100):
        frames = [pd.DataFrame({"example_id": ids, "x": rng.beta(4, 2, 10)}) for _ in range(2)]
        alarms += compare_corpus_metric("worst_ten", worst_ten, *frames, ids).p_value <= 0.05
    assert alarms <= stats.binom.ppf(0.999, 100, 0.05)


@pytest.mark.thorough
@pytest.mark.usefixtures("few")
def test_below_thirty_examples_there_is_no_interval() -> None:
    few, enough = (corpus(classified(0.9, 1, n), classified(0.8, 2, n), f1) for n in (29, 30))
    assert (few.ci_low, few.ci_high) == (None, None)
    assert few.p_value is not None
    assert enough.ci_low is not None
    assert enough.ci_high is not None
    assert -1 <= enough.ci_low < enough.ci_high <= 1
    same = corpus(classified(0.9, 1, 200), classified(0.9, 1, 200), f1)
    assert (same.ci_low, same.ci_high) == pytest.approx(
        (-0.0169, 0.0169), abs=1e-3
    )  # that none differs is no certainty


@pytest.mark.usefixtures("few")
def test_repetitions_are_drawn_together() -> None:
    sizes = set()

    def keep(runs: pd.DataFrame) -> float:
        sizes.add(tuple(runs.groupby("example_id").size()))
        return 0.0

    given = {"example_id": list("aabb"), "repetition_number": [1, 2, 1, 2], "eval.x.score": [1, 0, 1, 0]}
    corpus(result_table(given), result_table(given), keep)
    assert sizes == {(2, 2)}


@pytest.mark.thorough
@pytest.mark.usefixtures("few")
def test_the_order_of_rows_does_not_matter_and_sides_mirror() -> None:
    left, right = classified(0.9, 3), classified(0.8, 4)
    shuffled = [result_table(side.frame.sample(frac=1, random_state=n)) for n, side in enumerate((left, right))]
    there, again, back = corpus(left, right, f1), corpus(*shuffled, f1), corpus(right, left, f1)
    assert again == there
    assert (back.difference, back.p_value) == (-(there.difference or 0), there.p_value)
    assert (back.ci_low, back.ci_high) == pytest.approx((-(there.ci_high or 0), -(there.ci_low or 0)))


@pytest.mark.usefixtures("few")
def test_failed_runs_are_there_for_the_function_to_see() -> None:
    left = classified(0.9, 5)
    right = result_table(with_errors({name: left.frame[name].tolist() for name in left.frame}, *range(40)))
    share = corpus(left, right, lambda runs: (runs["status"] == "ok").mean())
    assert share.difference == pytest.approx(-40 / 120)
    assert share.verdict == "regressed"


@pytest.mark.usefixtures("few")
def test_a_function_that_cannot_be_used_is_named() -> None:
    left, right = classified(0.9, 6), classified(0.9, 7)

    def broken(runs: pd.DataFrame) -> float:
        raise KeyError("secret")

    def seldom(runs: pd.DataFrame) -> float:
        if runs["example_id"].str.contains("~").any():
            raise ValueError("doubles")
        return 1.0

    def partial(runs: pd.DataFrame) -> float:
        if len(set(runs["side"])) > 1:
            raise ValueError("mixed")
        return 1.0

    with pytest.raises(InvalidEvaluator, match=r"experiment evaluator 'f1' raised KeyError\.") as caught:
        corpus(left, right, broken)
    assert "secret" not in str(caught.value)  # what it says may come from the data
    with pytest.raises(InvalidEvaluator, match="'f1' raised ValueError on a resample of the examples"):
        corpus(left, right, seldom)
    sides = [
        result_table({**side.frame.to_dict(orient="list"), "side": [name] * 120})
        for name, side in zip("ab", (left, right), strict=True)
    ]
    with pytest.raises(InvalidEvaluator, match="'f1' raised ValueError on examples of which some changed sides"):
        corpus(*sides, partial)
    for value, shown in (
        (None, "a value of type NoneType"),
        ("good", "a value of type str"),
        (float("nan"), "nan"),
        (-float("inf"), "-inf"),
        (10**400, "1" + "0" * 39),
        (1j, "a value of type complex"),
    ):
        with pytest.raises(InvalidEvaluator) as caught:
            corpus(left, right, lambda runs, value=value: value)
        assert str(caught.value) == f"experiment evaluator 'f1' must return a finite number, got {shown}"


@pytest.mark.slow
def test_a_gate_judges_it_like_any_metric() -> None:
    left, right = classified(0.95, 1), classified(0.7, 2)
    evaluators = {"f1": f1}
    gate = Gate(metrics={"f1": Metric(min=0.9)}, bounds="point")
    assert judged(left, right, gate, experiment_evaluators=evaluators).status == "failed"
    assert judged(left, left, gate, experiment_evaluators=evaluators).status == "passed"
    assert gate.judge_alone(right, evaluators).status == "failed"
    assert gate.judge_alone(left, evaluators).status == "passed"
    assert "unknown metric 'f1'" in gate.judge_alone(left).reasons[0]
    (reason,) = Gate(metrics={"f1": Metric(min=0.9)}).judge_alone(left, evaluators).reasons[:1]
    assert "has no interval to judge the minimum of 0.90 by; bounds: point compares it as it is" in reason


def test_one_example_gives_no_interval() -> None:
    given = result_table(columns(x=[1.0]))
    found = corpus(given, given, lambda runs: 1.0)
    assert (found.p_value, found.ci_low, found.sd_difference) == (1.0, None, None)


@pytest.mark.thorough
def test_no_p_value_is_0() -> None:
    """However clear it is: of 1,000 exchanges, what was seen is one more (Phipson and Smyth 2010)."""
    left, right = table(x=[1.0] * 40), table(x=[0.0] * 40)
    metric = compare_results(left, right, experiment_evaluators={"corpus": lambda runs: runs["eval.x.score"].mean()})
    assert metric.metrics["corpus"].p_value == pytest.approx(1 / 1001)


@pytest.mark.usefixtures("few")
def test_an_example_that_is_drawn_again_has_its_own_rows_under_numbered_ids() -> None:
    ids = [f"e{place:02}" for place in range(30) for _ in range(1 + place % 2)]
    number = [1 + (name == before) for name, before in zip(ids, ["", *ids], strict=False)]
    given = {"example_id": ids, "repetition_number": number, "eval.x.score": [float(n) for n in range(len(ids))]}
    own: dict[str, list[float]] = {}
    for name, score in zip(ids, given["eval.x.score"], strict=True):
        own.setdefault(name, []).append(score)  # type: ignore[arg-type]
    copies: set[int] = set()

    def check(runs: pd.DataFrame) -> float:
        found: dict[str, list[float]] = {}
        for name, score in zip(runs["example_id"].tolist(), runs["eval.x.score"].tolist(), strict=True):
            found.setdefault(name, []).append(score)
        for name, scores in found.items():
            first, _, copy = name.partition("~")
            assert scores == own[first]
            copies.add(int(copy or 1))
            assert copy in ("", "2") or f"{first}~{int(copy) - 1}" in found
            assert not copy or first in found
        assert list(runs.index) == list(range(len(runs)))
        return 0.5

    table = result_table(given)
    found = corpus(table, table, check)
    assert {1, 2, 3, 4} <= copies
    assert (found.p_value, found.p_higher, found.p_lower, found.difference) == (1.0, 1.0, 1.0, 0.0)
    assert found.ci_low == -found.ci_high < 0  # type: ignore[operator]


@pytest.mark.usefixtures("few")
@pytest.mark.thorough
def test_a_corpus_metrics_interval_does_not_reach_beyond_what_two_scores_can_differ() -> None:
    left, right = table(x=[0.0] * 30), table(x=[1.0] * 30)
    up, down = (corpus(*sides, lambda runs: runs["eval.x.score"].mean()) for sides in ((left, right), (right, left)))
    assert (up.ci_high, down.ci_low) == (1.0, -1.0)
    assert up.ci_low == pytest.approx(-down.ci_high)  # type: ignore[operator]
    assert 0.8 < up.ci_low < 1  # type: ignore[operator]
