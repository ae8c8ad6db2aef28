"""What has to be alike for two sides to be compared, and what is said and done where it is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.said import differences_said, said_of_unknown
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import EvaluatorChange
from prefect_experiments.keys import example_id

from .tables import checks, judged


def side(n: int = 40, *, wrong: int = 0, **columns: list[Any]) -> ResultTable:
    """``n`` examples with inputs and expected outputs; the first `wrong` score 0."""
    given: dict[str, Any] = {
        "example_id": [f"q{i:03d}" for i in range(n)],
        "input": [f"question {i}" for i in range(n)],
        "expected": [f"answer {i}" for i in range(n)],
        "eval.right.score": [0.0] * wrong + [1.0] * (n - wrong),
    }
    return result_table({**given, **columns}, "a side")


def edited(n: int, of: int = 40, what: str = "answer") -> list[str]:
    return [f"{'other' if i < n else what} {i}" for i in range(of)]


def made_by(table: ResultTable, state: str, *, model: str | None = None) -> ResultTable:
    """As the store has it: each evaluation with the fingerprint of what gave it."""
    metadata = f'{{"model":"{model}"}}' if model else None
    runs = tuple(
        dataclasses.replace(
            run,
            evaluations={
                name: one._replace(fingerprint=state, metadata_json=metadata) for name, one in run.evaluations.items()
            },
        )
        for run in table.results.runs
    )
    return result_table(dataclasses.replace(table.results, runs=runs), table.label)


# Examples ----------------------------------------------------------------------------------------


def test_edited_answers_are_no_regression() -> None:
    """20 of 40 answers edited under equal outputs were "regressed, 20 worse", without a word."""
    comparison = compare_results(side(), side(wrong=20, expected=edited(20)), gate=Gate())
    assert comparison.differences.expected == tuple(f"q{i:03d}" for i in range(20))
    assert comparison.n_pairs == comparison.metrics["right"].n_pairs == 20
    assert comparison.metrics["right"].verdict == "unchanged"
    assert not comparison.regressed
    assert comparison.verdict is not None
    assert comparison.verdict.status == "inconclusive"
    (reason,) = comparison.verdict.reasons
    assert reason == (
        "20 of 40 shared examples have another expected output (q000, q001, q002, q003, q004 and 15 more) and are left "
        "out; to compare these, too, score the baseline's kept outputs again with the present evaluators and answers; "
        "at least 90 % of them must be left"
    )


def test_loosened_answers_hide_no_regression() -> None:
    worse = side(wrong=20, expected=edited(3))
    assert judged(side(), worse).status == "failed"  # 17 of 37 are worse whatever the three say


def test_few_edited_answers_are_named_in_a_verdict_that_passes() -> None:
    verdict = judged(side(), side(wrong=1, expected=edited(1)))
    assert verdict.status == "passed"
    assert any("1 of 40 shared examples have another expected output (q000)" in reason for reason in verdict.reasons)


def test_another_input_is_another_question() -> None:
    comparison = compare_results(side(), side(wrong=4, input=edited(4, what="question"), expected=edited(4)))
    assert comparison.differences.inputs == ("q000", "q001", "q002", "q003")
    assert comparison.differences.expected == ()
    assert comparison.n_pairs == 36
    assert differences_said(comparison)[0] == (
        "4 of 40 shared examples have another input (q000, q001, q002, q003) and are left out; run the baseline again "
        "on the present ones to compare these, too"
    )


def test_every_example_changed() -> None:
    verdict = judged(side(), side(wrong=40, expected=edited(40)))
    assert verdict.status == "inconclusive"
    assert "right cannot be compared: every example that both sides ran has changed" in verdict.reasons


def test_what_is_the_same_in_another_sort_of_file_is_the_same() -> None:
    before = side(3, expected=[{"total": 4}, 4, True])
    after = side(3, expected=['{"total": 4}', "4", "True"])
    assert compare_results(before, after).differences.left_out == 0


def test_an_edited_answer_is_seen_where_ids_are_made_of_the_content() -> None:
    answers = (edited(0, 10), edited(2, 10))
    sides = [
        side(10, example_id=[example_id(f"question {i}", a) for i, a in enumerate(found)], expected=found)
        for found in answers
    ]
    comparison = compare_results(*sides)
    assert (comparison.n_pairs, len(comparison.differences.expected)) == (8, 2)


def test_what_a_table_does_not_say_is_unknown_and_no_difference() -> None:
    bare = result_table({"example_id": ["a", "b"], "eval.right.score": [1, 0]})
    comparison = compare_results(bare, side(2, example_id=["a", "b"]))
    found = comparison.differences
    assert found.unknown == ("inputs", "expected outputs")
    assert found.unknown_evaluators == ("right",)
    assert not found.evaluators
    assert not found.left_out
    assert said_of_unknown(comparison) == (
        "not known, and taken to be alike: inputs, expected outputs, the evaluators of right; a table of results, a "
        "backend, or an experiment that was logged does not tell them"
    )


def test_what_both_tables_say_is_compared_though_something_else_is_unknown() -> None:
    before, after = (
        result_table({"example_id": ["a", "b"], "input": ["q", asked], "eval.right.score": [1, 0]})
        for asked in ("r", "another")
    )
    found = compare_results(before, after).differences
    assert (found.inputs, found.unknown) == (("b",), ("expected outputs",))


def test_another_dataset_is_named() -> None:
    sides = [dataclasses.replace(side(wrong=w), dataset_name=name) for w, name in ((0, "orders"), (1, "refunds"))]
    verdict = judged(*sides)
    assert verdict.status == "passed"
    assert any("ran on dataset 'orders' and a side on 'refunds'; their examples are" in r for r in verdict.reasons)


# Evaluators --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, 20])
def test_a_changed_evaluator_makes_its_metric_inconclusive(wrong: int) -> None:
    before = dataclasses.replace(made_by(side(), "v1"), experiment_id="exp-1")
    comparison = compare_results(before, made_by(side(wrong=wrong), "v2"), gate=Gate())
    assert comparison.metrics["right"].verdict == "not comparable"
    assert not comparison.regressed
    assert comparison.verdict is not None
    assert comparison.verdict.status == "inconclusive"
    assert comparison.verdict.reasons == (
        "right: cannot be compared: its evaluator is not the same on both sides (other code, options or model), on 40 "
        "of 40 examples; score the baseline's kept outputs again with the present evaluators: "
        "`prefect-experiments evaluate exp-1 --evaluator ...`",
    )


def test_the_candidates_own_minimum_is_judged_all_the_same() -> None:
    gate = Gate(metrics={"right": Metric(min=0.9)})
    assert judged(made_by(side(), "v1"), made_by(side(wrong=20), "v2"), gate).status == "failed"
    assert judged(made_by(side(), "v1"), made_by(side(), "v2"), gate).status == "inconclusive"


def test_another_model_of_the_judge_is_named_where_nothing_else_is_known() -> None:
    sides = [made_by(side(), "", model=model) for model in ("gpt-4o-mini", "gpt-4o")]
    verdict = judged(*sides)
    assert verdict.status == "inconclusive"
    assert "its judge's model is gpt-4o, and was gpt-4o-mini for the baseline, on 40 of 40" in verdict.reasons[0]


def test_the_same_evaluator_is_compared() -> None:
    found = compare_results(made_by(side(), "v1"), made_by(side(wrong=20), "v1"), gate=Gate())
    assert found.metrics["right"].verdict == "regressed"
    assert checks(found)["right"] == "failed"
    assert not found.differences.unknown_evaluators


def made_one_by_one(
    states: list[str], *, models: list[str | None] | None = None, kept: int | None = None
) -> ResultTable:
    """As `made_by`, each example by an evaluator of its own; the last ones were not run."""
    table = side(len(states))
    runs = tuple(
        dataclasses.replace(
            run,
            evaluations={
                name: one._replace(fingerprint=state, metadata_json=f'{{"model":"{model}"}}' if model else None)
                for name, one in run.evaluations.items()
            },
        )
        for run, state, model in zip(table.results.runs, states, models or [None] * len(states), strict=True)
    )
    return result_table(dataclasses.replace(table.results, runs=runs[:kept]), table.label)


@pytest.mark.parametrize(
    ("before", "after", "change", "unknown"),
    [
        (["a"] * 4, ["a", "a", "b", "b"], EvaluatorChange(n_examples=2, n_known=4), ()),
        (["a", "a", "", ""], ["b", "a", "a", "a"], EvaluatorChange(n_examples=1, n_known=2), ()),
        # The same versions, to other examples: of an evaluator that is chosen by the example nothing has changed.
        (["a", "b", "a", "b"], ["b", "a", "b", "a"], None, ()),
        (["a", "", "", ""], ["a"] * 4, None, ("right",)),
        ([""] * 4, [""] * 4, None, ("right",)),
        (["a"] * 4, ["a"] * 4, None, ()),
    ],
)
def test_of_how_many_examples_the_evaluator_is_another(
    before: list[str], after: list[str], change: EvaluatorChange | None, unknown: tuple[str, ...]
) -> None:
    found = compare_results(made_one_by_one(before), made_one_by_one(after)).differences
    assert found.evaluators == ({} if change is None else {"right": change})
    assert found.unknown_evaluators == unknown


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (["m", "m", None, None], ["n", "m", "n", None], EvaluatorChange(n_examples=1, n_known=2, models=("m", "m, n"))),
        (["m", "n", "n", "n"], ["n", "m", "n", "n"], None),
        (["m", None, None, None], [None, "n", "n", "n"], None),
    ],
)
def test_models_count_where_both_sides_tell_theirs(
    before: list[str | None], after: list[str | None], change: EvaluatorChange | None
) -> None:
    sides = [made_one_by_one([""] * 4, models=models) for models in (before, after)]
    found = compare_results(*sides).differences
    assert found.evaluators == ({} if change is None else {"right": change})
    assert found.unknown_evaluators == (() if change else ("right",))


def test_another_evaluator_on_examples_that_one_side_alone_ran_changes_nothing() -> None:
    before, after = made_one_by_one(["a", "a", "b"]), made_one_by_one(["a", "a", "a"], kept=2)
    assert compare_results(before, after).differences.evaluators == {}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ('{"a": 1}', {"a": 1}, True),
        ({"a": 1}, '{"a": 2}', False),
        ("no JSON {", {"a": 1}, False),
        ("1.0", 1, True),
        ("4", "5", False),
        (None, "", True),
        ([1, 2], [1, 2.5], False),
    ],
)
def test_a_cell_is_the_same_as_the_text_that_a_file_has_for_it(one: Any, other: Any, is_same: bool) -> None:
    found = compare_results(side(2, input=[one, "q"]), side(2, input=[other, "q"])).differences
    assert found.inputs == (() if is_same else ("q000",))
    turned = compare_results(side(2, expected=[other, "q"]), side(2, expected=[one, "q"])).differences
    assert turned.expected == (() if is_same else ("q000",))


def test_of_two_rows_with_one_input_nobody_knows_which_was_edited() -> None:
    """Ids made of the content: an input that stands twice on either side is left alone."""

    def rows(*given: tuple[str, str]) -> ResultTable:
        ids = [example_id(asked, answer) for asked, answer in given]
        return side(
            len(given), example_id=ids, input=[asked for asked, _ in given], expected=[answer for _, answer in given]
        )

    before = rows(("q1", "a"), ("q2", "a"), ("q2", "b"), ("q3", "a"), ("q4", "a"), ("q5", "a"))
    after = rows(("q1", "x"), ("q2", "x"), ("q3", "x"), ("q3", "y"), ("q5", "a"), ("q6", "a"))
    found = compare_results(before, after).differences
    assert found.expected == (example_id("q1", "a"),)
    own = side(2, example_id=["1", "2"], expected=["a", "b"]), side(2, example_id=["3", "4"], expected=["x", "y"])
    assert compare_results(*own).differences.expected == ()  # ids of somebody's own say that these are other examples


def test_evaluators_are_named_in_the_order_in_which_shared_examples_have_them() -> None:
    scores: dict[str, list[Any]] = {"eval.z.score": [1, None, 1], "eval.a.score": [None, 1, 1]}
    before = result_table({"example_id": ["alone", "s1", "s2"], **scores})
    after = result_table({"example_id": ["s1", "s2"], "eval.z.score": [1, 1], "eval.a.score": [1, 1]})
    assert compare_results(before, after).differences.unknown_evaluators == ("a", "z")
    assert compare_results(before, before).differences.unknown_evaluators == ("z", "a")
