"""Figures of labels and scores as they are shown, whole, and the bounds at which something else is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prefect_experiments.analysis.labels.agreement import agreement, meta_evaluation
from prefect_experiments.analysis.labels.classification import classification_report
from prefect_experiments.analysis.labels.contingency import shown
from prefect_experiments.errors import InvalidInput, InvalidSetting
from tests.analysis.labels.tables import FAILED, from_confusion, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "undefined"),
        (0.0, "0.00"),
        (1.0, "1.00"),
        (-1.0, "-1.00"),
        (0.5, "0.50"),
        (0.994, "0.99"),
        (0.998, "0.998"),
        (0.9996, "0.9996"),
        (0.99996, "0.99996"),
        (0.999996, "0.999996"),
        (0.0000001, "0.000000"),
        (0.006, "0.01"),
        (0.004, "0.004"),
        (-0.004, "-0.004"),
        (0.00001, "0.00001"),
        (1.0049, "1.005"),
        (1.4, "1.40"),
        (1.998, "2.00"),
        (2.001, "2.00"),
        (99.994, "99.99"),
        (100.0, "100"),
        (100.4, "100"),
        (-123.6, "-124"),
    ],
)
def test_a_figure_has_so_many_decimals_that_it_does_not_look_like_none_or_all(value: float | None, text: str) -> None:
    assert shown(value) == text


def test_a_figure_has_an_interval_where_both_ends_are_known_and_a_sign_where_it_is_a_difference() -> None:
    assert shown(0.5, 0.4, 0.998) == "0.50 [0.40, 0.998]"
    assert (shown(0.5, None, 0.6), shown(0.5, 0.4)) == ("0.50", "0.50")
    assert shown(0.5, -0.004, 120, sign="+") == "+0.50 [-0.004, +120]"


# Agreement


def test_labels_of_which_one_is_positive() -> None:
    people, judged = from_confusion([[20, 5], [10, 15]], ["a", "b"])
    found = agreement(judged, people, positive="b")
    assert str(found).splitlines() == [
        "evaluator against human: 50 of 50 runs compared, 0 failed, 0 without a human value, 0 without an evaluator's",
        "labels: same in 0.70 [0.55, 0.82] (35 of 50), Cohen's kappa 0.40 [0.12, 0.63]",
        "  'b': says so where people do not in 5 of 25, misses it in 10 of 25; no clear lean, p 0.3",
        "  people \\ evaluator   a   b",
        "  a                   20   5",
        "  b                   10  15",
    ]
    assert found.labels is not None
    assert (found.labels.kappa_ci_low, found.labels.kappa_ci_high) == pytest.approx((0.12204395, 0.62809917))
    for more, p_value, lean in (
        (11, 0.0499, "leans towards it, p 0.05"),
        (10, 0.0499, "leans away from it, p 0.05"),
        (9, 0.0499, "leans away from it, p 0.05"),
        (11, 0.05, "no clear lean, p 0.05"),
        (11, None, "no clear lean, p 1"),
    ):
        line = str(replace(found.labels, false_positives=more, bias_p_value=p_value)).splitlines()[1]
        assert line.endswith(f"; {lean}")


def test_labels_in_order_with_repetitions() -> None:
    people, judged = from_confusion([[20, 5], [10, 15]], ["a", "b"])
    found = agreement(judged, people, positive="b", labels=["a", "b"], examples=[place // 2 for place in range(50)])
    assert str(found).splitlines()[1:3] == [
        "labels: same in 0.70 [0.50, 0.86] (35 of 50), Cohen's kappa 0.40 [-0.02, 0.75], quadratic-weighted 0.40",
        "  'b': says so where people do not in 5 of 25, misses it in 10 of 25; no clear lean, p 0.45",
    ]
    assert found.labels is not None
    # Of eight examples that differ, two by one run: all 2^8 signs are looked at.
    assert found.labels.bias_p_value == 0.453125
    assert (found.labels.kappa_ci_low, found.labels.kappa_ci_high) == pytest.approx((-0.02029155, 0.75275709))


@pytest.mark.parametrize(
    ("judged", "people", "examples"),
    [
        (["b", "b", "a", "b"], ["a", "a", "a", "b"], [1, 1, 2, 2]),  # one example differs
        (["a", "b", "a", "b"], ["b", "a", "a", "b"], [1, 1, 2, 2]),  # as often in either direction
        (["a", "b", "a", "b"], ["a", "b", "a", "b"], [1, 1, 2, 2]),
        (["a", "b", "a", "b"], ["a", "b", "a", "b"], [1, 2, 3, 4]),
    ],
)
def test_what_differs_on_one_example_or_none_leans_nowhere(
    judged: list[str], people: list[str], examples: list[int]
) -> None:
    found = agreement(judged, people, examples=examples, positive="b").labels
    assert found is not None
    assert found.bias_p_value == 1.0


def test_ratings_on_one_scale() -> None:
    people, judged = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 2, 3], [1, 2, 3, 4, 4, 2, 2, 3, 5, 5, 3, 1]
    found = agreement(judged, people)
    assert str(found).splitlines()[1:] == [
        "scores: Spearman 0.81, Kendall tau-b 0.70, mean absolute error 0.50, quadratic-weighted kappa 0.81 [0.07, "
        "0.94]",
        "  bias +0.00 [-1.14, +1.14] (evaluator 2.92, people 2.92), limits of agreement -1.67 to +1.67",
    ]
    assert found.scores is not None
    assert found.scores.limits_high == pytest.approx(1.6714936)
    assert (found.scores.weighted_kappa_ci_low, found.scores.weighted_kappa_ci_high) == pytest.approx(
        (0.074952023, 0.94372445)
    )


def test_a_single_run() -> None:
    assert str(agreement([0.5], [0.25])).splitlines()[1:] == [
        "scores: Spearman undefined, Kendall tau-b undefined, mean absolute error 0.25",
        "  bias +0.25 (evaluator 0.50, people 0.25)",
        "rank correlations are undefined: the evaluator's scores are all the same",
    ]
    alike = agreement(["a"], ["a"], positive="a")
    assert str(alike).splitlines()[1:] == [
        "labels: same in 1.00 [0.03, 1.00] (1 of 1), Cohen's kappa undefined",
        "  'a': says so where people do not in 0 of 0, misses it in 0 of 1; no clear lean, p 1",
        "  people \\ evaluator  a",
        "  a                   1",
        "kappa is undefined: only one label occurs, so chance alone gives full agreement",
        "the true negative rate is undefined: people gave no such label",
    ]


@pytest.mark.parametrize(
    ("judged", "people", "notes"),
    [
        ([1, 2, 3], [2, 2, 2], ["rank correlations are undefined: people's scores are all the same"]),
        ([0.2, 0.9], [0.0, 1.0], []),
        ([2, 9], [-1, 4], []),
        ([0.2, 1.001], [-0.001, 1.0], []),
        (
            [0.0, 1.0],
            [0.0, 1.25],
            [
                "the evaluator's scores go from 0 to 1, people's from 0 to 1.25: on different scales only the rank "
                "correlations mean something"
            ],
        ),
        (
            [-0.25, 1.0],
            [0.0, 1.0],
            [
                "the evaluator's scores go from -0.25 to 1, people's from 0 to 1: on different scales only the rank "
                "correlations mean something"
            ],
        ),
    ],
)
def test_what_is_to_be_read_with_care_is_noted(judged: list[float], people: list[float], notes: list[str]) -> None:
    assert list(agreement(judged, people).notes) == notes


@pytest.mark.parametrize(
    ("judged", "people", "is_scale"),
    [
        ([0, 20], [0, 20], True),
        ([0, 21], [0, 21], False),
        ([-10, 10], [-10, 9], True),
        ([1, 2], [1, 2.5], False),
        ([4, 4], [4, 4], False),
    ],
)
def test_whole_numbers_at_most_20_steps_apart_are_ratings(
    judged: list[float], people: list[float], is_scale: bool
) -> None:
    found = agreement(judged, people).scores
    assert found is not None
    assert (found.weighted_kappa is not None) is is_scale


# Classification


def test_a_classification() -> None:
    truth, output = ["a", "b", "a", "c", "b", "a", "c", "b"], ["a", "b", "b", "c", "b", FAILED, "a", "a"]
    found = classification_report(
        table(truth, output), truth="expected", labels=["a", "b", "c"], kappa_weights="linear", positive="a"
    )
    assert str(found).splitlines() == [
        "output against expected: 7 of 8 runs compared, 1 failed, 0 without a truth, 0 without a prediction",
        "accuracy 0.57 [0.18, 0.90] (4 of 7); 0.50 (4 of 8) with failed runs as wrong",
        "linear-weighted kappa 0.30 [-0.58, 1.00]",
        "            precision  recall    F1  support",
        "  a              0.33    0.50  0.40        2",
        "  b              0.67    0.67  0.67        3",
        "  c              1.00    0.50  0.67        2",
        "  macro          0.67    0.56  0.58        7",
        "  weighted       0.67    0.57  0.59        7",
        "  truth \\ prediction  a  b  c",
        "  a                   1  1  0",
        "  b                   1  2  0",
        "  c                   1  0  1",
    ]
    assert (found.kappa_ci_low, found.confidence, found.n_missing) == (pytest.approx(-0.58064516), 0.95, 0)
    assert found.binary is not None
    assert (found.binary.precision, found.binary.recall, found.binary.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))


def test_a_classification_of_nothing() -> None:
    found = classification_report(table(["a", "b"], [FAILED, FAILED]), truth="expected", positive="c")
    assert str(found).splitlines() == [
        "output against expected: 0 of 2 runs compared, 2 failed, 0 without a truth, 0 without a prediction",
        "accuracy undefined (0 of 0); 0.00 (0 of 2) with failed runs as wrong",
        "Cohen's kappa undefined",
        "            precision     recall         F1  support",
        "  macro     undefined  undefined  undefined        0",
        "  weighted  undefined  undefined  undefined        0",
        "  truth \\ prediction",
        "nothing could be compared: no run has both a truth and a prediction",
    ]


@pytest.mark.parametrize(
    ("n", "lines", "confusion"),
    [
        (12, 15, ["truth \\ prediction  l01  l02  l03  l04  l05  l06  l07  l08  l09  l10  l11  l12"]),
        (13, 16, ["confusion matrix of 13 labels: see .confusion"]),
        (20, 23, ["confusion matrix of 20 labels: see .confusion"]),
        (21, 24, ["... 1 more", "confusion matrix of 21 labels: see .confusion"]),
        (25, 24, ["... 5 more", "confusion matrix of 25 labels: see .confusion"]),
    ],
)
def test_of_many_classes_not_all_are_shown(n: int, lines: int, confusion: list[str]) -> None:
    names = [f"l{place:02}" for place in range(1, n + 1)]
    text = str(classification_report(table(names, names), truth="expected")).splitlines()
    assert [line.strip() for line in text if "truth \\" in line or "matrix of" in line or "more" in line] == confusion
    assert next(place for place, line in enumerate(text) if line.startswith("  weighted")) == lines + 2
    assert sum(line.split()[0] in names and line.split()[-1] == "1" and "1.00" in line for line in text) == min(n, 20)


def test_a_blank_label_can_be_seen() -> None:
    text = str(classification_report(table(["", " ", "a"], ["", "", "a"]), truth="expected")).splitlines()
    assert [line.split() for line in text[-5:-2]] == [
        ["''", "1", "0", "0"],
        ["'", "'", "1", "0", "0"],
        ["a", "0", "0", "1"],
    ]


# What does not go together, told by the names of the fields


def rows(judged: list[Any], people: list[Any]) -> dict[str, list[Any]]:
    return {"example_id": list(range(len(judged))), "output.a": judged, "metadata.b": people}


@pytest.mark.parametrize(
    ("judged", "people", "options", "said"),
    [
        ([0.5], ["x"], {}, "output.a has scores and metadata.b has labels; give threshold=, from which on a score "),
        (["x"], [0.5], {}, "metadata.b has scores and output.a has labels; give threshold=, from which on a score "),
        (["x"], ["y"], {"threshold": 1}, "threshold= is for scores, and both output.a and metadata.b have labels"),
        ([0.5], [0.5], {"threshold": True}, "threshold must be a number, got True"),
        ([0.5], [["x"]], {"threshold": 1}, "metadata.b holds values of type list, which are no labels"),
        ([["x"]], [0.5], {"threshold": 1}, "output.a holds values of type list, which are no labels"),
        ([["x"]], ["x"], {}, "output.a holds values of type list, which are no labels"),
        (["x"], [["x"]], {}, "metadata.b holds values of type list, which are no labels"),
        (
            ["x", None, "y"],
            [None, "x", None],
            {},
            "no run has a value of both output.a and metadata.b: of 3 runs, 2 have no human value, 0 failed, and 1 "
            "have none of the evaluator",
        ),
        ([2, 3], [2, 3], {"labels": [2, 3]}, "positive= and labels= are for labels; to make labels of scores, give"),
        (
            [0.5] * 21,
            [f"l{place:02}" for place in range(21)],
            {"threshold": 1},
            "give positive=, the label that a score from the threshold on stands for; there are "
            + ", ".join(f"l{place:02}" for place in range(20)),
        ),
        ([0.5] * 3, ["True", "False", "x"], {"threshold": 1}, "give positive=, the label that a score from the "),
    ],
)
def test_which_side_does_not_go_with_the_other(
    judged: list[Any], people: list[Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises((InvalidInput, InvalidSetting)) as caught:
        meta_evaluation(rows(judged, people), evaluator="output.a", human="metadata.b", **options)
    whole = str(caught.value)
    assert whole == said if not said.endswith((" ", "give")) else whole.startswith(said)


@pytest.mark.parametrize(
    ("judged", "people", "options", "labels"),
    [
        ([1, 2], ["YES", "no"], {"threshold": 2, "positive": "Yes", "ignore_case": True}, ("no", "yes")),
        ([1, 2], ["TRUE", "FALSE"], {"threshold": 2, "ignore_case": True}, ("false", "true")),
        ([1, 2], ["FALSE", "false"], {"threshold": 2, "ignore_case": True}, ("false", "true")),
        ([1.5, 2], [1, 2], {"threshold": 2}, ("below 2", "at least 2")),
    ],
)
def test_a_threshold_counts_itself_and_labels_may_be_in_any_case(
    judged: list[Any], people: list[Any], options: dict[str, Any], labels: tuple[str, str]
) -> None:
    found = agreement(judged, people, **options).labels
    assert found is not None
    assert (found.labels, found.positive) == (labels, labels[1])
    assert found.evaluator_counts == {labels[0]: 1, labels[1]: 1}
    assert found.human_counts[labels[1]] == sum(str(one).casefold() in ("yes", "true", "2") for one in people)


def test_the_usual_positive_label_is_one_of_two() -> None:
    assert agreement([True, False], [True, True]).labels.positive == "True"  # type: ignore[union-attr]
    assert agreement([True], [True]).labels.positive == "True"  # type: ignore[union-attr]
    assert agreement(["True", "b"], ["b", "c"]).labels.positive is None  # type: ignore[union-attr]
    assert agreement(["true", "False"], ["False", "False"]).labels.positive is None  # type: ignore[union-attr]
    folded = agreement(["true", "FALSE"], ["FALSE", "FALSE"], ignore_case=True).labels
    assert folded is not None
    assert folded.positive == "true"
    assert agreement([0, 1], [1, 1]).labels.positive == "1"  # type: ignore[union-attr]
    assert agreement([0, 0], [0, 0]).labels.positive is None  # type: ignore[union-attr]
