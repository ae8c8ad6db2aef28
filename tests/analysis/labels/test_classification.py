"""Classification metrics agree with scikit-learn and published values, and hide nothing."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn import metrics

from prefect_experiments.analysis.labels.classification import classification_report
from prefect_experiments.errors import InvalidInput, InvalidSetting
from tests.analysis.labels.tables import FAILED, from_confusion, table

WORDS = ["ham", "spam", "other", "never"]
labels = st.sampled_from(WORDS[:3])


@pytest.mark.filterwarnings(
    "ignore:A single label was found",
    "ignore:y_pred contains classes not in y_true",
    "ignore:`y1`, `y2` and `labels` have only one label",
)
@settings(deadline=None)
@given(
    st.lists(st.tuples(labels, labels), min_size=1, max_size=40),
    st.none() | st.permutations(WORDS),
    st.sampled_from([None, "linear", "quadratic"]),
)
@example([("ham", "spam")], WORDS, None)
@example([("ham", "ham")], WORDS, "quadratic")
def test_agrees_with_scikit_learn(pairs: list[tuple[str, str]], order: list[str] | None, weights: Any) -> None:
    """Where something is 0/0 too: in one label, in all of them, or where no label that is left has a weight."""
    truth, output = [one for one, _ in pairs], [two for _, two in pairs]
    weights = weights if order else None  # of labels in no order there is no weighted kappa
    report = classification_report(table(truth, output), truth="expected", labels=order, kappa_weights=weights)
    known = list(report.labels)
    assert known == (order or sorted({*truth, *output}))
    assert report.accuracy == pytest.approx(metrics.accuracy_score(truth, output))
    assert np.array_equal(report.confusion, metrics.confusion_matrix(truth, output, labels=known))
    for average in (None, "macro", "weighted"):
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            truth, output, labels=known, average=average, zero_division=np.nan
        )
        mine = report.classes if average is None else [getattr(report, average)]
        for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
            figures = [math.nan if getattr(one, name) is None else getattr(one, name) for one in mine]
            assert figures == pytest.approx(np.atleast_1d(expected).tolist(), nan_ok=True)
        if average is None:
            assert [one.support for one in mine] == list(support)
            assert [one.predicted for one in mine] == [output.count(label) for label in known]
    kappa = metrics.cohen_kappa_score(truth, output, labels=known, weights=weights)
    assert (math.nan if report.kappa is None else report.kappa) == pytest.approx(kappa, abs=1e-12, nan_ok=True)
    assert report.accuracy_ci_low <= report.accuracy <= report.accuracy_ci_high  # type: ignore[operator]
    json.dumps(report.to_dict(), allow_nan=False)
    assert str(report)


def test_the_example_of_the_scikit_learn_manual() -> None:
    """https://scikit-learn.org/stable/modules/model_evaluation.html#multiclass-and-multilabel-classification"""
    report = classification_report(table([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1]), truth="expected", positive=0)
    assert (report.macro.precision, report.macro.recall) == (pytest.approx(2 / 9), pytest.approx(1 / 3))
    assert report.macro.f1 == pytest.approx(0.26666, abs=1e-4)
    assert report.binary is not None
    assert (report.binary.precision, report.binary.recall, report.binary.f1) == pytest.approx((2 / 3, 1, 0.8))


@pytest.mark.parametrize(
    ("confusion", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),  # https://en.wikipedia.org/wiki/Cohen's_kappa#Simple_example
        # Fleiss, Levin and Paik 2003, "Statistical Methods for Rates and Proportions", table 18.1: 0.68
        ([[75, 1, 4], [5, 4, 1], [0, 0, 10]], 0.676),
    ],
)
def test_published_kappas(confusion: list[list[int]], kappa: float) -> None:
    truth, output = from_confusion(confusion, ["a", "b", "c"][: len(confusion)])
    report = classification_report(table(truth, output), truth="expected")
    assert report.kappa == pytest.approx(kappa, abs=5e-4)
    assert report.kappa_ci_low < kappa < report.kappa_ci_high  # type: ignore[operator]


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 5.
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_published_intervals(right: int, n: int, low: float, high: float) -> None:
    output = ["yes"] * right + ["no"] * (n - right)
    report = classification_report(table(["yes"] * n, output), truth="expected")
    assert (report.accuracy_ci_low, report.accuracy_ci_high) == pytest.approx((low, high), abs=5e-5)
    assert report.interval_method == "Clopper-Pearson"


def test_weighted_kappa_goes_by_places_on_the_scale() -> None:
    truth, output = [1, 2, 5, 4, 2, 1], [1, 4, 5, 5, 2, 2]
    report = classification_report(table(truth, output), truth="expected", kappa_weights="quadratic")
    # Fleiss and Cohen 1973: with quadratic weights it is the concordance of the numbers themselves.
    one, two = np.array(truth), np.array(output)
    concordance = 2 * np.cov(one, two, ddof=0)[0, 1] / (one.var() + two.var() + (one.mean() - two.mean()) ** 2)
    assert report.kappa == pytest.approx(concordance)
    assert report.labels == ("1", "2", "4", "5")  # 3 occurs nowhere, but 2 and 4 are two steps apart
    words = {1: "bad", 2: "poor", 4: "good", 5: "best"}
    in_words = table([words[n] for n in truth], [words[n] for n in output])
    with pytest.raises(
        InvalidSetting, match=r"weighted kappa needs the labels in order: give labels=, lowest first. They are "
    ):
        classification_report(in_words, truth="expected", kappa_weights="linear")
    with pytest.raises(
        InvalidSetting, match="weighted kappa: labels from 1 to 2000 are no scale; give labels=, lowest"
    ):
        classification_report(table([1, 2000], [1, 1]), truth="expected", kappa_weights="linear")
    order = ["bad", "poor", "fair", "good", "best"]
    named = classification_report(in_words, truth="expected", kappa_weights="quadratic", labels=order)
    assert named.kappa == pytest.approx(concordance)
    assert named.labels == tuple(order)
    linear = classification_report(in_words, truth="expected", kappa_weights="linear", labels=order)
    assert linear.kappa == pytest.approx(metrics.cohen_kappa_score(truth, output, labels=range(1, 6), weights="linear"))
    assert linear.kappa_ci_low < linear.kappa < linear.kappa_ci_high  # type: ignore[operator]


def test_the_interval_is_over_examples() -> None:
    random = np.random.default_rng(3)
    right = random.random(150) < 0.7
    repeated = np.repeat(np.where(right, "yes", "no"), 4)
    ids = np.repeat(np.arange(150), 4)
    report = classification_report(table(["yes"] * 600, repeated, example_id=ids), truth="expected")
    assert (report.n, report.n_examples, report.interval_method) == (600, 150, "t over examples")
    # Four copies of a run tell no more than one of them.
    once = classification_report(table(["yes"] * 150, repeated[::4]), truth="expected")
    assert (report.accuracy_ci_low, report.accuracy_ci_high) == (once.accuracy_ci_low, once.accuracy_ci_high)


@pytest.mark.thorough
def test_the_bootstrap_of_kappa_agrees_with_scipy() -> None:
    truth, output = from_confusion([[20, 5], [10, 15]], ["a", "b"])
    report = classification_report(table(truth, output), truth="expected")
    expected = bootstrap(
        (np.array(truth), np.array(output)),
        metrics.cohen_kappa_score,
        paired=True,
        vectorized=False,
        n_resamples=1500,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert (report.kappa_ci_low, report.kappa_ci_high) == pytest.approx((expected.low, expected.high), abs=0.04)


def test_all_right_in_every_repetition_is_not_certainty() -> None:
    report = classification_report(
        table(["a", "a", "b", "b"], ["a", "a", "b", "b"], example_id=[1, 1, 2, 2]), truth="expected"
    )
    assert (report.accuracy, report.interval_method) == (1.0, "t over examples")
    assert report.accuracy_ci_low == pytest.approx(0.158, abs=1e-3)  # of 2 of 2, not of 4 of 4
    assert (report.kappa, report.kappa_ci_low) == (1.0, None)


def test_every_run_counts_in_one_place() -> None:
    truth = ["a", "a", "b", None, "b", "b", "a"]
    output = ["a", FAILED, "b", "a", None, "a", "a"]
    report = classification_report(table(truth, output), truth="expected", positive="b")
    assert (report.n_rows, report.n, report.n_errors) == (7, 4, 1)
    assert (report.n_missing_truth, report.n_missing_prediction, report.n_missing) == (1, 1, 2)
    assert (report.n_correct, report.accuracy, report.accuracy_with_errors_as_wrong) == (3, 0.75, 0.6)
    text = str(report)
    assert "4 of 7 runs compared, 1 failed, 1 without a truth, 1 without a prediction" in text
    assert "(3 of 4); 0.60 (3 of 5) with failed runs as wrong" in text


def test_what_is_undefined_is_none_and_said() -> None:
    report = classification_report(table(["a", "a", "b"], ["a", "c", "a"]), truth="expected")
    figures = {one.label: (one.precision, one.recall, one.f1) for one in report.classes}
    assert figures == {"a": (0.5, 0.5, 0.5), "b": (None, 0.0, 0.0), "c": (0.0, None, 0.0)}
    assert report.notes == (
        "precision is undefined for 'b': never predicted",
        "recall is undefined for 'c': never the truth",
        "macro and weighted averages leave undefined figures out",
    )
    only_one = classification_report(table(["a", "a"], ["a", "a"]), truth="expected")
    assert (only_one.kappa, only_one.accuracy) == (None, 1.0)
    assert "kappa is undefined" in str(only_one)


def test_where_every_run_failed() -> None:
    report = classification_report(table(["a", "b"], [FAILED, FAILED]), truth="expected", prediction="output.label")
    assert (report.n, report.accuracy, report.accuracy_with_errors_as_wrong, report.kappa) == (0, None, 0.0, None)
    assert "nothing could be compared" in str(report)
    json.dumps(report.to_dict(), allow_nan=False)


def test_fields_are_found_by_path() -> None:
    frame = pd.DataFrame(
        {
            "expected": [{"label": "a", "deep": {"er": "x"}, "dotted.key": 1}, {"label": "b"}, {"label": "a"}],
            "metadata": [{"label": "a"}, {"label": "b"}, {"label": "b"}],
            "eval.judge.v2.label": ["a", "b", "b"],
            "output": [{"label": "a"}, {"label": "b"}, {}],
        }
    )
    assert classification_report(frame, truth="expected.label", prediction="eval.judge.v2.label").n_correct == 2
    assert classification_report(frame, truth="metadata.label", prediction="eval.judge.v2.label").n_correct == 3
    report = classification_report(frame, truth="metadata.label", prediction="output.label")
    assert (report.n_correct, report.n_missing_prediction) == (2, 1)
    assert classification_report(frame, truth="expected.deep.er", prediction="output.label").n == 1
    assert classification_report(frame, truth="expected.dotted.key", prediction="output.label").n == 1


@pytest.mark.parametrize(
    ("truth", "output", "options", "right"),
    [
        ([True, False], ["True", "False"], {}, 2),
        ([True, False], ["true", "false"], {}, 0),
        ([True, False], ["true", "false"], {"ignore_case": True}, 2),
        ([1, 2], [1.0, 2.0], {}, 2),
        ([np.int64(1), np.bool_(True)], ["1", "True"], {}, 2),
        ([0.5, 2], ["0.5", "2"], {}, 2),
        (["a", "b"], ["a\n", " b"], {}, 0),
        (["a", "b"], ["a\n", " b"], {"strip": True}, 2),
        (["a", ""], ["a", ""], {}, 2),
    ],
)
def test_labels_as_texts(truth: list[Any], output: list[Any], options: dict[str, bool], right: int) -> None:
    report = classification_report(table(truth, output), truth="expected", **options)
    assert (report.n, report.n_correct) == (2, right)


def test_the_positive_class_is_a_label_like_the_others() -> None:
    report = classification_report(table([True, False, True], [True, True, False]), truth="expected", positive=True)
    assert (report.positive, report.binary and report.binary.precision) == ("True", 0.5)
    shout = classification_report(table(["A", "b"], ["a", "b"]), truth="expected", positive="A", ignore_case=True)
    assert (shout.positive, shout.binary and shout.binary.recall) == ("a", 1.0)
    assert classification_report(table(["a"], ["a"]), truth="expected").binary is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truth": "expectd"}, "unknown truth field 'expectd'; did you mean 'expected'"),
        ({"truth": "expected.lable"}, "did you mean 'expected.label'"),
        (
            {"truth": "expected"},
            "which are no labels; name the field in them, such as expected.label. They have: label",
        ),
        ({"truth": "expected.label", "prediction": "output.x"}, "unknown prediction field 'output.x'"),
        ({"truth": "expected.label", "positive": "Spam"}, "unknown positive class 'Spam'; did you mean 'spam'"),
        (
            {"truth": "expected.label", "labels": ["spam"]},
            "labels= must name every label that occurs; unknown label 'ham'",
        ),
        ({"truth": "expected.label", "labels": ["spam", "ham", "ham"]}, "names one twice"),
        ({"truth": "expected.label", "kappa_weights": "cubic"}, "unknown kappa weights 'cubic'"),
        ({"truth": "expected.label", "confidence": 95}, "confidence must be above 0 and below 1"),
        ({"truth": "nothing"}, "no row has a value in the truth field 'nothing'"),
    ],
)
def test_bad_input_is_told(options: dict[str, Any], message: str) -> None:
    frame = table([{"label": "spam"}, {"label": "ham"}], ["spam", "ham"], nothing=[None, float("nan")])
    with pytest.raises((InvalidInput, InvalidSetting), match=message):
        classification_report(frame, **options)


def test_what_is_no_classification_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no rows"):
        classification_report(table([], []), truth="expected")
    with pytest.raises(InvalidInput, match="got a value of type int"):
        classification_report(7, truth="expected")
    with pytest.raises(InvalidInput, match=r"600 different labels \(at most 500\): these are free texts or numbers"):
        classification_report(table(range(600), range(600)), truth="expected")
    with pytest.raises(InvalidInput, match="several columns are named"):
        classification_report(pd.DataFrame([[1, 2]], columns=["expected", "expected"]), truth="expected")
