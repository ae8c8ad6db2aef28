"""What is said of sides that are not alike, of a pool and of a corrected judge: whole sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.said import (
    differences_said,
    label_comparisons,
    rescoring,
    runs_of_pool,
    said_of_correction,
    said_of_evaluator,
    said_of_labels,
    said_of_pool,
    said_of_unknown,
)
from prefect_experiments.analysis.corrected import Corrected
from prefect_experiments.analysis.nights.records import Pooled
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison, Differences, EvaluatorChange, MetricComparison

from .tables import table

AGAIN = "score the baseline's kept outputs again with the present evaluators"


def comparison(n_pairs: int = 40, experiment_id: str = "", **differences: Any) -> Comparison:
    """One whose sides are called ``before`` and ``after``."""
    ids = [f"q{n}" for n in range(n_pairs)]
    sides = [
        replace(table(ids, label, right=[1] * n_pairs), experiment_id=experiment_id) for label in ("before", "after")
    ]
    return replace(compare_results(*sides), differences=Differences(**differences))


@pytest.mark.parametrize(
    ("n", "named"),
    [
        (1, "q0"),
        (5, "q0, q1, q2, q3, q4"),
        (6, "q0, q1, q2, q3, q4 and 1 more"),
        (1200, "q0, q1, q2, q3, q4 and 1,195 more"),
    ],
)
def test_examples_that_have_changed_are_counted_among_the_shared_ones(n: int, named: str) -> None:
    ids = tuple(f"q{place}" for place in range(n))
    assert differences_said(comparison(inputs=ids)) == [
        f"{n:,} of {n + 40:,} shared examples have another input ({named}) and are left out; run the baseline again on "
        "the present ones to compare these, too"
    ]
    assert differences_said(comparison(expected=ids, experiment_id="exp-1", inputs=("x",)))[1:] == [
        f"{n:,} of {n + 41:,} shared examples have another expected output ({named}) and are left out; to compare "
        f"these, too, {AGAIN} and answers: `prefect-experiments evaluate exp-1 --evaluator ... --dataset-version "
        "latest`"
    ]


def test_all_that_differs_is_said_in_order() -> None:
    change = EvaluatorChange(n_examples=1000, n_known=1200, models=("a", "b, c"))
    found = comparison(
        datasets=("orders", "refunds"),
        expected=("q1",),
        evaluators={"judge": change, "code": EvaluatorChange(n_examples=1, n_known=2)},
        unknown=("inputs",),
        unknown_evaluators=("e1", "e2", "e3", "e4", "e5", "e6"),
    )
    assert differences_said(found) == [
        "before ran on dataset 'orders' and after on 'refunds'; their examples are matched by id",
        "1 of 41 shared examples have another expected output (q1) and are left out; to compare these, too, run the "
        "baseline's task on 'refunds'",
        "judge cannot be compared: its judge's model is b, c, and was a for the baseline, on 1,000 of 1,200 examples; "
        + AGAIN,
        "code cannot be compared: its evaluator is not the same on both sides (other code, options or model), on 1 of "
        f"2 examples; {AGAIN}",
        "not known, and taken to be alike: inputs, the evaluators of e1, e2, e3, e4, e5 and 1 more; a table of "
        "results, a backend, or an experiment that was logged does not tell them",
    ]
    assert (said_of_unknown(comparison()), differences_said(comparison())) == ("", [])
    assert said_of_evaluator(change, comparison(experiment_id="e")).endswith(
        f"; {AGAIN}: `prefect-experiments evaluate e --evaluator ...`"
    )
    assert rescoring(comparison(), "--more") == ""


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (Pooled(asked=3), "own alone, of 3 that are asked for; there are no more yet"),
        (Pooled(asked=2, runs=("n1",)), "the mean of 2 runs (own, n1)"),
        (Pooled(asked=3, runs=("n1",)), "the mean of 2 runs (own, n1), of 3 that are asked for; there are no more yet"),
        (
            Pooled(asked=9, runs=("n1",), left_out={"failed by their gate": 1200, "that are not complete": 1}),
            "the mean of 2 runs (own, n1), of 9 that are asked for; left out: 1,200 failed by their gate, 1 that are "
            "not complete",
        ),
        (Pooled(asked=2, runs=("n1",), left_out={"failed by their gate": 1}), "the mean of 2 runs (own, n1)"),
        (Pooled(asked=5, runs=("n1", "n2", "n3", "n4")), "the mean of 5 runs (own, n1, n2, n3, n4)"),
        (
            Pooled(asked=6, runs=("n1", "n2", "n3", "n4", "n5")),
            "the mean of 6 runs (own, n1, n2, n3, n4 and 1 more)",
        ),
    ],
)
def test_what_a_baseline_is_pooled_of(pool: Pooled, said: str) -> None:
    assert runs_of_pool(pool, "own") == said
    whole = said_of_pool(replace(comparison(), pooled=pool))
    assert whole.startswith(f"the baseline is {said.replace('own', 'before')}")
    beside = (
        "; improved and regressed count the examples above, or below, the median of these runs, and what is listed of "
        "examples, errors, labels, latency and cost is beside before alone"
    )
    assert whole.endswith(beside) is bool(pool.runs)
    assert said_of_pool(comparison()) == ""


def by_judge(**found: Any) -> MetricComparison:
    """A metric whose difference is corrected."""
    usual: dict[str, Any] = {
        "human": "people",
        "n": 2000,
        "n_baseline": 1200,
        "n_candidate": 1,
        "n_both": 1,
        "method": "two means",
        "by_judge": -0.2,
        "difference": -0.1,
        "ci_low": -0.15,
        "ci_high": -0.05,
        "labels_to_halve_by_side": (1500, 1500),
    }
    return MetricComparison(
        name="right",
        direction="maximize",
        n_pairs=2000,
        baseline_mean=0.8,
        candidate_mean=0.6,
        corrected=Corrected(**{**usual, **found}),
    )


HALVES = "; about 1,500 more scores of people on either side would halve that interval"


@pytest.mark.parametrize(
    ("found", "labels", "after"),
    [
        ({}, "1,200 examples of the baseline and 1 of the candidate", HALVES),
        ({"n_baseline": 1, "n_candidate": 1200}, "1 example of the baseline and 1,200 of the candidate", HALVES),
        ({"method": "paired"}, "1 example judged on both sides", HALVES),
        ({"method": "paired", "n_both": 1200}, "1,200 examples judged on both sides", HALVES),
        (
            {"method": "paired", "n_unread": 1},
            "1 example judged on both sides; 1 label of it without a score: positive would say which count as 1",
            HALVES,
        ),
        (
            {"labels_to_halve_by_side": (1500, 0)},
            "1,200 examples of the baseline and 1 of the candidate",
            "; about 1,500 more scores of people on the baseline and 0 on the candidate would halve that interval",
        ),
        (
            {"labels_to_halve_by_side": None},
            "1,200 examples of the baseline and 1 of the candidate",
            "; to halve that interval takes more examples, and not labels alone",
        ),
        (
            {"p_chosen": 0.01},
            "1,200 examples of the baseline and 1 of the candidate",
            f", which it does not look like: the judge scores these unlike the others (p 0.010){HALVES}",
        ),
        ({"p_chosen": 0.0101}, "1,200 examples of the baseline and 1 of the candidate", HALVES),
    ],
)
def test_a_corrected_difference(found: dict[str, Any], labels: str, after: str) -> None:
    assert said_of_correction(by_judge(**found)) == (
        f"by the judge -20 points, corrected by people ({labels}) -10 points [-15, -5], if chance chose what people "
        f"judged{after}"
    )


@pytest.mark.parametrize(("widest", "said"), [(1.0, "-10 points [-15, -5]"), (1.001, "-0.10 [-0.15, -0.05]")])
def test_a_difference_is_in_points_where_no_two_scores_are_more_than_1_apart(widest: float, said: str) -> None:
    assert f") {said}, if chance chose" in said_of_correction(by_judge(widest=widest))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (
            {},
            "which has scores of 1,200 examples of the baseline and 1 of the candidate: at least 10 on either side are "
            "needed, on runs drawn at random (`prefect-experiments annotate`)",
        ),
        (
            {"others": ("peopel",), "n_unread": 2},
            "which has scores of 1,200 examples of the baseline and 1 of the candidate (unknown annotation 'people'; "
            "did you mean 'peopel'? Known: peopel; 2 labels of it without a score: positive would say which count as "
            "1): at least 10 on either side are needed, on runs drawn at random (`prefect-experiments annotate`)",
        ),
        (
            {"method": "not by people", "kinds": ("CODE", "LLM")},
            "whose scores are not people's: an evaluator of the kind CODE and LLM gave them; name an annotation "
            "(`prefect-experiments annotate`), or an evaluator of the kind HUMAN",
        ),
        (
            {"method": "unknown labels", "unread": ("a", "b", "c", "d", "e", "f"), "n_unread": 9},
            "whose labels 'a', 'b', 'c', 'd', 'e' and 1 more positive does not name, so nobody knows which of them "
            "count as 1; add the good ones (positive takes a list, and minds upper and lower case)",
        ),
    ],
)
def test_why_a_judge_cannot_be_corrected(found: dict[str, Any], why: str) -> None:
    metric = by_judge(**{"method": "too few labels", "difference": None, **found})
    assert said_of_correction(metric) == f"the judge cannot be corrected by people, {why}"
    assert said_of_correction(replace(metric, corrected=None)) == ""


def labelled(*labels: str | None, **scores: list[float]) -> ResultTable:
    ids = [f"q{n}" for n in range(len(labels))]
    more = {f"eval.{name}.score": values for name, values in scores.items()}
    return result_table({"example_id": ids, "eval.tone.label": list(labels), **more})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["a"], ["b"], ["a 1 → 0, b 0 → 1 on 1 pair"]),
        (["a", "a"], ["b", "a"], ["a 2 → 1, b 0 → 1 on 2 pairs"]),
        (["a"] * 1200, ["a"] * 1200, ["a 1,200 → 1,200 on 1,200 pairs"]),
        (["a", None, "b"], [None, None, "b"], ["b 1 → 1, a 1 → 0, (no label) 0 → 1 on 2 pairs"]),
        (["True", "False"], ["True", None], []),
        (["True", "False"], ["True", "maybe"], ["True 1 → 1, False 1 → 0, maybe 0 → 1 on 2 pairs"]),
    ],
)
def test_labels_are_counted_where_they_say_more_than_a_score(
    before: list[str | None], after: list[str | None], said: list[str]
) -> None:
    found = compare_results(labelled(*before), labelled(*after))
    assert [said_of_labels(one) for one in label_comparisons(found)] == said


def test_of_labels_without_a_pair_nothing_is_said() -> None:
    nobody = result_table({"example_id": ["other"], "eval.tone.label": ["a"]})
    found = compare_results(labelled("a", "b"), nobody)
    assert (found.labels["tone"].n_pairs, found.labels["tone"].verdict) == (0, "no data")
    assert label_comparisons(found) == []
