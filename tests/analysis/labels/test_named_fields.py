"""Which fields the names of an evaluator and of an annotation stand for, and which runs have failed."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.analysis.labels.agreement import meta_evaluation
from prefect_experiments.errors import InvalidInput

LABELS, SCORES, NOTHING = ["a", "b", "a"], [0.1, 0.9, 0.4], [None, None, None]


def rows(**columns: list[Any]) -> dict[str, list[Any]]:
    """Columns by name, with two underscores for each point."""
    return {"example_id": ["e1", "e2", "e3"], **{name.replace("__", "."): values for name, values in columns.items()}}


@pytest.mark.parametrize(
    ("evaluator", "human", "fields"),
    [
        # Labels first, where both have them.
        ({"label": LABELS, "score": SCORES}, {"label": LABELS, "score": SCORES}, ("label", "label")),
        ({"label": LABELS, "score": SCORES}, {"score": SCORES}, ("score", "score")),
        ({"score": SCORES}, {"label": LABELS, "score": SCORES}, ("score", "score")),
        # A column with nothing in it is not what a name stands for.
        ({"label": NOTHING, "score": SCORES}, {"label": LABELS, "score": SCORES}, ("score", "score")),
        ({"label": LABELS, "score": SCORES}, {"label": LABELS, "score": NOTHING}, ("label", "label")),
        ({"label": ["a", None, None], "score": SCORES}, {"label": LABELS, "score": SCORES}, ("label", "label")),
    ],
)
def test_names_stand_for_what_both_sides_have(
    evaluator: dict[str, list[Any]], human: dict[str, list[Any]], fields: tuple[str, str]
) -> None:
    given = rows(
        **{f"eval__judge__{part}": values for part, values in evaluator.items()},
        **{f"annotation__human__{part}": values for part, values in human.items()},
    )
    found = meta_evaluation(given, evaluator="judge", human="human")
    assert (found.evaluator, found.human) == (f"eval.judge.{fields[0]}", f"annotation.human.{fields[1]}")


def test_that_there_is_nothing_in_the_columns_is_said() -> None:
    given = rows(eval__judge__label=NOTHING, eval__judge__score=NOTHING, annotation__human__label=LABELS)
    with pytest.raises(InvalidInput) as caught:
        meta_evaluation(given, evaluator="judge", human="human")
    assert str(caught.value) == (
        "no run has a value of both eval.judge.label and annotation.human.label: of 3 runs, 0 have no human value, 0 "
        "failed, and 3 have none of the evaluator"
    )


@pytest.mark.parametrize(
    ("human", "stands_for"),
    [
        ([0.2, 0.8, 0.3], "score"),
        ([None, 0.8, 0.3], "score"),
        (["a", "a", "b"], "label"),
        ([True, False, True], "label"),
    ],
)
def test_a_name_stands_for_what_the_others_field_holds(human: list[Any], stands_for: str) -> None:
    given = rows(eval__judge__label=LABELS, eval__judge__score=SCORES, metadata__human=human)
    found = meta_evaluation(given, evaluator="judge", human="metadata.human")
    assert (found.evaluator, found.human) == (f"eval.judge.{stands_for}", "metadata.human")
    turned = rows(annotation__judge__label=LABELS, annotation__judge__score=SCORES, metadata__human=human)
    assert meta_evaluation(turned, evaluator="metadata.human", human="judge").human == f"annotation.judge.{stands_for}"


def test_a_column_of_that_very_name_comes_first() -> None:
    given = rows(judge=LABELS, eval__judge__label=["b", "b", "b"], human=LABELS, annotation__human__label=["b"] * 3)
    found = meta_evaluation(given, evaluator="judge", human="human")
    assert (found.evaluator, found.human, found.labels and found.labels.n_agree) == ("judge", "human", 3)


def test_a_run_counts_as_failed_where_its_task_or_this_evaluator_did() -> None:
    given = rows(
        eval__judge__label=["a", None, "a"],
        eval__judge__error=[None, "TimeoutError", None],
        eval__other__error=["Boom", None, None],
        annotation__human__label=["a", "b", "b"],
        error=[None, None, "ValueError"],
        status=["ok", "ok", "error"],
    )
    found = meta_evaluation(given, evaluator="judge", human="human")
    assert (found.n_rows, found.n, found.n_errors, found.n_missing_evaluator, found.n_missing_human) == (3, 1, 2, 0, 0)


@pytest.mark.parametrize(
    ("columns", "evaluator", "unseen"),
    [
        (
            {"output": ["x"] * 3},
            "eval.judge.score",
            "length bias is not seen: 3 examples with an output, and it takes 20",
        ),
        ({}, "eval.judge.score", "length bias is not seen: judged_output= would name the field with what was judged"),
        (
            {"output": SCORES},
            "output",
            "length bias is not seen: judged_output= would name the field with what was judged",
        ),
    ],
)
def test_the_output_is_what_was_judged_where_there_is_one_and_it_is_not_the_judgement(
    columns: dict[str, list[Any]], evaluator: str, unseen: str
) -> None:
    given = rows(eval__judge__score=SCORES, annotation__human__score=SCORES, **columns)
    assert meta_evaluation(given, evaluator=evaluator, human="human").unseen == (
        unseen,
        "position bias is not seen: first= would name the field with which answer came first",
    )


def test_which_answer_came_first_is_looked_for_beside_the_evaluator() -> None:
    first = {"eval__judge__metadata__first": ["a", "b", "a"]}
    given = rows(eval__judge__label=LABELS, annotation__human__label=["a", "b", "b"], **first)
    found = meta_evaluation(given, evaluator="judge", human="human").position
    assert found is not None
    assert (found.n, found.n_first, found.n_human_first) == (3, 3, 2)
    other = {**given, "metadata.shown": ["b", "a", "b"]}
    found = meta_evaluation(other, evaluator="judge", human="human", first="metadata.shown").position
    assert found is not None
    assert (found.n, found.n_first, found.n_human_first) == (3, 0, 1)
