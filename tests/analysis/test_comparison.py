"""Comparing results tables: pairing, tests, what changed, operations, several candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.paired import MCNEMAR, examples_to_exclude
from prefect_experiments.analysis.comparison.sign_flip import SIGN_FLIP_ROUNDED
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import Comparison, Failures
from prefect_experiments.errors import InvalidSetting
from support.work import calls_of

from .tables import columns, one, pairs, table, with_errors


def test_published_figures_come_out_of_the_tables() -> None:
    """Cavo et al. 2012 again, see test_paired: exact p = 0.052479, Tango's interval -0.1240 to -0.0054."""
    comparison = compare_results(*pairs(59, 6, 16, 80))
    metric = comparison.metrics["correctness"]
    assert metric.test == MCNEMAR
    assert (metric.n_pairs, metric.wins, metric.losses, metric.ties) == (161, 6, 16, 139)
    assert metric.p_value == metric.p_value_adjusted == pytest.approx(0.052479, abs=5e-7)
    assert (metric.ci_low, metric.ci_high) == pytest.approx((-0.1240, -0.0054), abs=5e-5)
    assert (metric.baseline_mean, metric.candidate_mean) == pytest.approx((75 / 161, 65 / 161))
    assert metric.verdict == "unchanged"
    assert metric.examples_needed is not None
    assert metric.examples_needed > 161
    differences = np.repeat([1, -1, 0], [6, 16, 139])
    assert metric.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert comparison.n_pairs == 161
    assert comparison.to_dict()["metrics"]["correctness"]["n_pairs"] == 161


def test_pairs_are_the_examples_that_both_ran() -> None:
    comparison = compare_results(
        table(["a", "b", "c", "d"], x=[1, 0, None, 1]), table(["e", "d", "c", "b"], x=[1, 1, 1, 1])
    )
    metric = comparison.metrics["x"]
    assert (comparison.n_pairs, comparison.only_in_baseline, comparison.only_in_candidate) == (3, ("a",), ("e",))
    assert (metric.n_pairs, metric.wins, metric.ties) == (2, 1, 1)  # c has no score on one side
    assert metric.n_baseline_scored == 3  # a, b, d: the candidate's coverage is 2 of 3
    assert comparison.candidate.metrics["x"].mean == 1.0


def test_an_experiment_is_not_asked_for_examples_that_it_should_not_run() -> None:
    baseline = table(list("abcd"), x=[1, 1, 1, 1])
    candidate = replace(table(list("ab"), x=[1, 1]), expected_ids=frozenset("abc"))
    metric = compare_results(baseline, candidate).metrics["x"]
    assert (metric.n_pairs, metric.n_baseline_scored) == (2, 3)
    assert compare_results(baseline, candidate).failures == Failures(candidate_absent=1)


def test_repetitions_count_as_one_example() -> None:
    left = {"example_id": list("aaabbb"), "repetition_number": [1, 2, 3] * 2, "eval.x.score": [1, 1, 0, 1, 1, 1]}
    right = {"example_id": list("ab"), "eval.x.score": [0.5, 1]}
    metric = one(result_table(left), result_table(right))
    assert (metric.n_pairs, metric.wins, metric.losses, metric.ties) == (2, 0, 1, 1)
    assert metric.difference == pytest.approx((0.5 - 2 / 3) / 2)
    assert metric.test != MCNEMAR


def test_less_can_be_better() -> None:
    baseline, candidate = table(distance=[3.0, 2, 5, 4] * 10), table(distance=[2.0, 2, 5, 3] * 10)
    up = one(baseline, candidate)
    down = one(baseline, candidate, directions={"distance": "minimize"})
    assert (up.verdict, up.wins, up.losses) == ("regressed", 0, 20)
    assert (down.verdict, down.wins, down.losses) == ("improved", 20, 0)
    assert (down.difference, down.p_value) == (up.difference, up.p_value)
    gated = one(baseline, candidate, gate=Gate(metrics={"distance": Metric(direction="minimize")}))
    assert gated.verdict == "improved"


def test_holm_runs_over_all_metrics_of_all_candidates() -> None:
    baseline, worse = pairs(59, 6, 20, 80)
    same = baseline
    alone = one(baseline, worse)
    first, second = compare_results(baseline, [worse, same])
    assert alone.p_value_adjusted == alone.p_value
    assert first.metrics["correctness"].p_value_adjusted == pytest.approx(2 * (alone.p_value or 0))
    assert (alone.verdict, first.metrics["correctness"].verdict) == ("regressed", "regressed")
    assert second.metrics["correctness"].p_value_adjusted == 1.0


def test_a_metric_that_one_side_lacks_is_there_without_data() -> None:
    comparison = compare_results(table(x=[1, 0], y=[1, 1]), table(x=[1, 1], z=[0, 0]))
    assert {name: metric.verdict for name, metric in comparison.metrics.items()} == {
        "x": "unchanged", "y": "no data", "z": "no data",
    }  # fmt: skip
    assert comparison.metrics["y"].p_value is None


def test_operations_are_compared_on_ok_runs_and_stay_out_of_the_correction() -> None:
    rng = np.random.default_rng(3)
    latency = rng.lognormal(6, 0.5, 60)
    left = columns(x=[1] * 60) | {"latency_ms": latency, "total_cost": [0.001] * 60, "token_count": [None] * 60}
    right = columns(x=[1] * 60) | {"latency_ms": latency * 1.2, "total_cost": [0.001] * 60, "token_count": [5] * 60}
    right["latency_ms"][0] = 1e9  # a run that failed after a long wait
    comparison = compare_results(result_table(left), result_table(with_errors(right, 0)))
    found = comparison.operations["latency_ms"]
    assert (found.n_pairs, found.direction, found.verdict, found.p_value_adjusted) == (
        59,
        "minimize",
        "regressed",
        None,
    )
    assert (found.wins, found.losses, found.test) == (0, 59, SIGN_FLIP_ROUNDED)
    assert found.difference == pytest.approx(0.2 * latency[1:].mean())
    assert comparison.operations["total_cost"].verdict == "unchanged"
    assert "token_count" not in comparison.operations
    assert comparison.metrics["x"].p_value_adjusted == comparison.metrics["x"].p_value


def test_what_changed_comes_worst_first_with_what_to_show() -> None:
    left = columns(list("abcdef"), score=[1, 1, 0.5, 0, 1, 1], stars=[5, 1, 3, 3, 3, 3]) | {
        "input": [{"n": n} for n in range(6)],
        "expected": list("ABCDEF"),
        "output": [f"before {c}" for c in "abcdef"],
    }
    right = columns(list("fedcba"), score=[1, None, 1, 0.5, 0, 0.9], stars=[3, None, 3, 1, 1, 5]) | {
        "output": [f"after {c}" for c in "fedcba"]
    }
    comparison = compare_results(result_table(with_errors(left, 5)), result_table(with_errors(right, 1)))
    shown = [(c.example_id, c.metric, round(c.difference, 2)) for c in comparison.regressed]
    assert shown == [("e", "task error", -1.0), ("b", "score", -1.0), ("c", "stars", -2.0), ("a", "score", -0.1)]
    error, worst = comparison.regressed[:2]
    assert (error.candidate_error, error.baseline_error, error.baseline_output) == ("Boom", None, "before e")
    assert (worst.input, worst.expected, worst.baseline_output, worst.candidate_output) == (
        {"n": 1}, "B", "before b", "after b",
    )  # fmt: skip
    assert (worst.baseline_score, worst.candidate_score) == (1.0, 0.0)
    assert [(c.example_id, c.metric, c.difference) for c in comparison.improved] == [
        ("f", "task error", 1.0), ("d", "score", 1.0),
    ]  # fmt: skip
    assert comparison.failures == Failures(candidate_only=1, baseline_only=1)


def test_of_repetitions_the_runs_that_differ_are_shown() -> None:
    left = {
        "example_id": ["a"] * 3,
        "repetition_number": [1, 2, 3],
        "eval.x.score": [1, 1, 0],
        "output": ["p", "q", "r"],
    }
    right = left | {"eval.x.score": [1, 0, 0], "output": ["s", "t", "u"]}
    (change,) = compare_results(result_table(left), result_table(right)).regressed
    assert (change.baseline_output, change.candidate_output) == ("p", "t")
    (change,) = compare_results(result_table(right), result_table(left)).improved
    assert (change.baseline_output, change.candidate_output) == ("t", "p")


def test_missing_scores_counted_as_the_worst() -> None:
    baseline = result_table(with_errors(columns(list("abcde"), x=[1, 1, 1, None, 0.5]), 3))
    candidate = result_table(with_errors(columns(list("abcd"), x=[1, None, None, 1]), 1))
    metric = compare_results(baseline, candidate).metrics["x"]
    errors, missing = metric.errors_as_worst, metric.missing_as_worst
    assert errors is not None
    assert missing is not None
    # a 0, b -1 (failed), d +1 (the baseline failed); c has no score and no error, e no run.
    assert (errors.n_pairs, errors.n_candidate, errors.n_baseline, errors.difference) == (3, 1, 1, 0.0)
    assert (missing.n_pairs, missing.n_candidate, missing.n_baseline) == (5, 3, 1)
    assert missing.difference == pytest.approx((0 - 1 - 1 + 1 - 0.5) / 5)


def test_what_is_the_worst_depends_on_the_scores_and_the_direction() -> None:
    def filled(direction: Any, *scores: float) -> float:
        baseline = table(x=[*scores, scores[0]])
        candidate = result_table(with_errors(columns(x=[*scores, scores[0]]), len(scores)))
        case = one(baseline, candidate, directions={"x": direction}).errors_as_worst
        assert case is not None
        return case.difference * (len(scores) + 1) + scores[0]

    assert filled("maximize", 1.0, 0.5) == pytest.approx(0.0)
    assert filled("minimize", 0.0, 0.5) == pytest.approx(1.0)
    assert filled("maximize", 5.0, 2.0) == pytest.approx(2.0)
    assert filled("minimize", 5.0, 20.0) == pytest.approx(20.0)
    assert filled("maximize", 5.0) == pytest.approx(4.0)  # all alike: one further
    assert filled("minimize", 5.0) == pytest.approx(6.0)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"confidence": 95}, "above 0.5 and below 1.*got 95"),
    ({"confidence": 0.9, "gate": Gate()}, "0.9 does not go with the gate's confidence of 0.95"),
    ({"directions": {"correctnes": "minimize"}}, "unknown metric 'correctnes'; did you mean 'correctness'"),
    ({"directions": {"correctness": "minimise"}}, "unknown direction 'minimise'; did you mean 'minimize'"),
    (
        {"directions": {"correctness": "minimize"}, "gate": Gate(metrics={"correctness": Metric()})},
        "say 'minimize' of metric 'correctness', and the gate says 'maximize'",
    ),
    ({"experiment_evaluators": {"correctness": len}}, "'correctness' is an evaluator and an experiment evaluator"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_contradictions_and_unknown_names_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        compare_results(*pairs(1, 1, 1, 1), **options)


def test_only_results_tables_are_compared() -> None:
    with pytest.raises(InvalidSetting, match=r"what result_table\(\) makes, not a value of type str"):
        compare_results(table(x=[1]), ["latest"])  # type: ignore[list-item]
    with pytest.raises(InvalidSetting, match="there is no candidate to compare"):
        compare_results(table(x=[1]), [])


# What must not matter ----------------------------------------------------------------------------

score = st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.5, 0.75, 3.0]))
runs = st.lists(st.tuples(score, score, st.booleans(), st.booleans()), min_size=1, max_size=25)


def sides(rows: list[tuple[Any, ...]], order: list[int], ids: list[str]) -> list[Any]:
    tables = []
    for side in (0, 1):
        given = columns([ids[i] for i in order], x=[rows[i][side] for i in order])
        given["output"] = [f"{side} {ids[i]}" for i in order]
        tables.append(
            result_table(with_errors(given, *(n for n, i in enumerate(order) if rows[i][2 + side] and i % 3 == 0)))
        )
    return tables


@settings(deadline=None)
@given(runs, st.randoms(use_true_random=False))
def test_reordered_rows_change_nothing(rows: list[tuple[Any, ...]], random: Any) -> None:
    order = list(range(len(rows)))
    ids = [f"q{i}" for i in order]
    random.shuffle(order)
    first = compare_results(*sides(rows, sorted(order), ids))
    second = compare_results(*sides(rows, order, ids))
    assert first.metrics == second.metrics
    assert first.failures == second.failures

    def key(c: Any) -> tuple[str, str]:
        return c.example_id, c.metric

    assert sorted(first.regressed, key=key) == sorted(second.regressed, key=key)


@pytest.mark.thorough
@settings(deadline=None)
@given(runs)
def test_other_ids_change_nothing(rows: list[tuple[Any, ...]]) -> None:
    order = list(range(len(rows)))
    first = compare_results(*sides(rows, order, [f"q{i}" for i in order]))
    second = compare_results(*sides(rows, order, [f"{97 * (i + 1) % 101} é" for i in order]))
    assert first.metrics == second.metrics
    assert [c.difference for c in first.regressed] == [c.difference for c in second.regressed]


@pytest.mark.thorough
@settings(deadline=None)
@given(runs)
def test_exchanged_sides_give_the_mirrored_comparison(rows: list[tuple[Any, ...]]) -> None:
    order = list(range(len(rows)))
    left, right = sides(rows, order, [f"q{i}" for i in order])
    there, back = compare_results(left, right), compare_results(right, left)
    mine, theirs = there.metrics["x"], back.metrics["x"]
    assert (mine.wins, mine.losses, mine.ties, mine.n_pairs) == (
        theirs.losses,
        theirs.wins,
        theirs.ties,
        theirs.n_pairs,
    )
    for one_way, other_way in (
        (mine.difference, theirs.difference), (mine.ci_low, theirs.ci_high), (mine.ci_high, theirs.ci_low)
    ):  # fmt: skip
        assert (one_way is None) == (other_way is None)
        assert one_way is None or other_way is None or one_way == pytest.approx(-other_way, abs=1e-9)
    assert mine.p_value is None or mine.p_value == pytest.approx(theirs.p_value)
    assert [(c.example_id, -c.difference) for c in there.regressed] == [
        (c.example_id, c.difference) for c in back.improved
    ]
    assert (there.failures.candidate_only, there.failures.baseline_only) == (
        back.failures.baseline_only, back.failures.candidate_only,
    )  # fmt: skip


def test_a_permutation_test_of_many_metrics_agrees_with_scipy() -> None:
    rng = np.random.default_rng(11)
    left, right = rng.beta(5, 2, 300), rng.beta(5, 2.2, 300)
    theirs = stats.permutation_test(
        (left, right), lambda x, y, axis: (y - x).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=9999, rng=5, batch=500,
    )  # fmt: skip
    assert one(table(x=left), table(x=right)).p_value == pytest.approx(theirs.pvalue, abs=0.02)


@pytest.mark.thorough
def test_resamples_of_five_thousand_examples_and_five_metrics_are_no_loop_of_pythons() -> None:
    rng = np.random.default_rng(5)

    def side() -> Any:
        given = columns(**{f"m{i}": rng.random(5000) if i > 2 else rng.integers(0, 2, 5000) for i in range(5)})
        extra = {
            "latency_ms": rng.lognormal(6, 1, 5000),
            "token_count": rng.integers(1, 999, 5000),
            "total_cost": rng.random(5000),
        }
        return given | extra | {"input": ["q"] * 5000, "output": ["a"] * 5000}

    left, right = result_table(side()), result_table(side())
    compared: list[Comparison] = []
    calls = calls_of(lambda: compared.append(compare_results(left, right, gate=Gate())))
    [comparison] = compared
    assert len(comparison.metrics) == 5
    assert len(comparison.operations) == 3
    assert calls < 400 * 5000  # a loop over ten thousand resamples is thousands for each example


def test_a_comparison_is_the_same_every_time() -> None:
    rng = np.random.default_rng(8)
    left, right = table(x=rng.random(200)), table(x=rng.random(200))
    found: list[Comparison] = [compare_results(left, right) for _ in range(2)]
    assert found[0] == found[1]


@pytest.mark.parametrize("size", [1e200, 1e308, 1e-150])
def test_scores_of_any_size_are_compared_and_written_in_few_words(size: float) -> None:
    rng = np.random.default_rng(1)
    left, right = rng.random(30) * size, rng.random(30) * size
    comparison = compare_results(table(x=left), table(x=right), gate=Gate(metrics={"x": {"max_regression": size / 2}}))
    metric = comparison.metrics["x"]
    assert metric.difference == pytest.approx((right / size - left / size).mean() * size)
    assert metric.p_value == pytest.approx(one(table(x=left / size), table(x=right / size)).p_value, abs=1e-9)
    assert comparison.verdict is not None
    assert all(len(reason) < 300 for reason in comparison.verdict.reasons)
    assert len(comparison.regressed) + len(comparison.improved) == 30


def test_among_more_metrics_a_difference_takes_more_examples() -> None:
    left, right = pairs(60, 8, 15, 17)
    alone = one(left, right)
    scores = {name: side.scores["correctness"] for name, side in (("left", left), ("right", right))}
    five = [table(**{f"m{i}": scores[side] if i == 0 else np.ones(100) for i in range(5)}) for side in scores]
    among_five = compare_results(*five).metrics["m0"]
    assert alone.verdict == among_five.verdict == "unchanged"
    assert alone.examples_needed is not None
    assert among_five.examples_needed is not None
    assert among_five.examples_needed > 1.4 * alone.examples_needed


def test_more_examples_are_needed_than_there_are_however_clear_it_looks() -> None:
    """Five pairs cannot be significant (2 / 2^5), so no fewer than six are asked for."""
    metric = one(table(x=[0.1, 0.1, 0.1, 0.1, 0.1]), table(x=[0.9, 0.91, 0.9, 0.92, 0.9]))
    assert (metric.verdict, metric.n_pairs, metric.examples_needed) == ("unchanged", 5, 6)


def test_a_score_that_some_repetitions_lack_is_missing() -> None:
    whole = {
        "example_id": [f"q{n}" for n in range(30) for _ in range(3)],
        "repetition_number": [r for _ in range(30) for r in (1, 2, 3)],
        "eval.x.score": [1.0] * 90,
    }
    lacks = [None if n % 3 == 0 and n < 60 else 1.0 for n in range(90)]
    comparison = compare_results(result_table(whole), result_table({**whole, "eval.x.score": lacks}))
    unscored = comparison.metrics["x"].unscored
    assert (unscored.candidate_only, unscored.baseline_only) == (20, 0)


def test_the_order_of_repetitions_changes_no_digit() -> None:
    scores = [0.1, 0.2, 0.3, 0.7, 0.6, 0.1]
    given = {"example_id": list("aaabbb"), "repetition_number": [1, 2, 3] * 2, "eval.x.score": scores}
    turned = {name: values[::-1] for name, values in given.items()}
    left = table(list("ab"), x=[0.2, 0.5])
    found = [one(left, result_table(side)) for side in (given, turned)]
    assert found[0] == found[1]


def test_what_is_significant_alone_is_not_among_several() -> None:
    """McNemar's exact p of 2 and 10 discordant pairs is 0.039: below 0.05 alone, above it as one of two."""
    left, right = [1] * 10 + [0] * 2 + [1] * 28, [0] * 10 + [1] * 2 + [1] * 28
    assert one(table(x=left), table(x=right)).verdict == "regressed"
    both = compare_results(table(x=left, y=left), table(x=right, y=left)).metrics
    assert (both["x"].p_value or 0) < 0.05 < (both["x"].p_value_adjusted or 0)
    assert both["x"].verdict == "unchanged"


def test_no_fewer_examples_are_needed_than_there_are() -> None:
    """However little the interval would have to shrink: it does not keep clear with those that there are."""
    assert examples_to_exclude(1.0, 0.1, 0.05, 100) == 101
    assert examples_to_exclude(0.02, 0.0, 0.0201, 188) == 189


def test_a_task_that_fails_in_some_repetitions_has_got_worse_before_any_score() -> None:
    """Half of an example's runs failed, another's score fell from 1 to 0: what fails is looked at first."""
    rows = [{"example_id": name, "repetition_number": number, "output": "x", "eval.score.score": 1.0}
            for name in "abc" for number in (1, 2)]  # fmt: skip
    worse = [dict(row) for row in rows]
    worse[0] = {"example_id": "a", "repetition_number": 1, "error": "Boom"}
    worse[4:] = [{"example_id": "c", "repetition_number": number, "error": "Boom"} for number in (1, 2)]
    worse[2]["eval.score.score"] = worse[3]["eval.score.score"] = 0.0
    found = compare_results(result_table(rows), result_table(worse))
    assert found.failures == Failures(candidate_only=2)
    moved = [(one.example_id, one.metric) for one in found.regressed]
    assert moved == [("c", "task error"), ("a", "task error"), ("b", "score")]
