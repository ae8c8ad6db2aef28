"""An evaluator beside people: agreement with SciPy, scikit-learn and published values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from prefect_experiments import AnnotateRecordInput, AnnotationInput, Client
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.labels.agreement import Agreement, agreement, meta_evaluation
from prefect_experiments.analysis.labels.agreement_figures import LabelAgreement, ScoreAgreement
from prefect_experiments.analysis.labels.classification import classification_report
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.store import EvaluatorRecord
from tests.analysis.labels.tables import from_confusion, table
from tests.store.samples import new_experiment, record, run_row, verdict


def labels_of(found: Agreement) -> LabelAgreement:
    assert found.labels is not None
    return found.labels


def scores_of(found: Agreement) -> ScoreAgreement:
    assert found.scores is not None
    return found.scores


# Labels


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_labels_agree_with_the_libraries(pairs: list[tuple[bool, bool]]) -> None:
    judged, people = [one for one, _ in pairs], [two for _, two in pairs]
    whole = agreement(judged, people, positive=True if any(judged + people) else None)
    found = labels_of(whole)
    assert found.rate == pytest.approx(metrics.accuracy_score(people, judged))
    assert (found.kappa is None) == (len(set(judged + people)) == 1)
    if found.kappa is not None:
        assert found.kappa == pytest.approx(metrics.cohen_kappa_score(people, judged))
    if found.positive is not None:
        more = sum(one and not two for one, two in pairs)
        fewer = sum(two and not one for one, two in pairs)
        assert (found.false_positives, found.false_negatives) == (more, fewer)
        exact = stats.binomtest(more, more + fewer).pvalue if more + fewer else 1.0
        assert found.bias_p_value == pytest.approx(exact)
        rates = {"positive": found.true_positive_rate, "negative": found.true_negative_rate}
        for side, rate in rates.items():
            undefined = f"the true {side} rate is undefined: people gave no such label"
            assert (undefined in whole.notes) == (rate is None)
        assert (found.true_positive_rate is None) == (not any(people))
        assert (found.true_negative_rate is None) == all(people)
    assert np.sum(found.confusion) == found.n == sum(found.human_counts.values())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
def test_changing_sides_transposes_the_confusion(pairs: list[tuple[str, str]]) -> None:
    one, other = zip(*pairs, strict=True)
    there, back = labels_of(agreement(one, other)), labels_of(agreement(other, one))
    assert np.array_equal(there.confusion, np.transpose(back.confusion))
    assert (there.rate, there.rate_ci_low) == (back.rate, back.rate_ci_low)
    assert there.kappa == pytest.approx(back.kappa)


def test_the_published_exact_mcnemar_test() -> None:
    """Agresti 1990, p. 350; ``exact2x2::mcnemar.exact(Performance)`` in R: p-value = 3.716e-05."""
    people, judged = from_confusion([[794, 86], [150, 570]], ["Approve", "Disapprove"])
    found = labels_of(agreement(judged, people, positive="Disapprove"))
    assert (found.false_positives, found.n_human_negative) == (86, 880)
    assert (found.false_negatives, found.n_human_positive) == (150, 720)
    assert found.bias_p_value == pytest.approx(3.716e-05, rel=1e-3)
    assert "leans away from it, p 3.7e-05" in str(found)
    assert found.true_positive_rate == pytest.approx(570 / 720)
    assert found.true_negative_rate == pytest.approx(794 / 880)


def test_a_published_kappa_and_its_interval() -> None:
    """Fleiss, Levin and Paik 2003, table 18.1: kappa 0.68, standard error 0.087 (eq. 18.15)."""
    people, judged = from_confusion([[75, 1, 4], [5, 4, 1], [0, 0, 10]], ["psychotic", "neurotic", "organic"])
    found = labels_of(agreement(judged, people))
    assert found.kappa == pytest.approx(0.676, abs=5e-4)
    assert found.kappa_ci_low == pytest.approx(0.676 - 1.96 * 0.087, abs=0.045)
    assert found.kappa_ci_high == pytest.approx(0.676 + 1.96 * 0.087, abs=0.045)
    assert found.positive is None
    assert found.bias_p_value is None


def test_repetitions_of_an_example_are_one_piece_of_evidence() -> None:
    people = ["no"] * 12 + ["yes"] * 12
    judged = ["yes"] * 6 + ["no"] * 6 + ["yes"] * 12
    once = labels_of(agreement(judged, people, positive="yes"))
    ids = [number for number in range(24) for _ in range(5)]
    found = agreement(
        [j for j in judged for _ in range(5)], [p for p in people for _ in range(5)], examples=ids, positive="yes"
    )
    many = labels_of(found)
    assert once.bias_p_value == pytest.approx(2 * 0.5**6)
    assert many.bias_p_value == pytest.approx(2 * 0.5**6, abs=0.005)  # not 2 * 0.5 ** 30
    assert (found.n, found.n_examples, many.interval_method) == (120, 24, "t over examples")
    assert (many.rate_ci_low, many.rate_ci_high) == pytest.approx((once.rate_ci_low, once.rate_ci_high))


@pytest.mark.parametrize("side", [0, 1])
def test_the_kappa_of_a_constant_side_has_no_interval(side: int) -> None:
    """Kappa is 0 then in every resample, however often the other side says so, too."""
    labels = [["good"] * 20, ["good"] * 14 + ["bad"] * 6]
    whole = agreement(labels[side], labels[1 - side])
    found = labels_of(whole)
    assert (found.kappa, found.kappa_ci_low, found.kappa_ci_high) == (0.0, None, None)
    assert any("kappa has no interval: one side gave a single label" in note for note in whole.notes)


def test_ordinal_labels() -> None:
    order = ["bad", "fair", "good"]
    judged, people = ["bad", "good", "fair", "good", "bad"], ["fair", "good", "good", "good", "bad"]
    found = labels_of(agreement(judged, people, labels=order))
    numbers = [[order.index(label) for label in side] for side in (people, judged)]
    assert found.labels == tuple(order)
    assert found.weighted_kappa == pytest.approx(metrics.cohen_kappa_score(*numbers, weights="quadratic"))
    assert labels_of(agreement(judged, people)).weighted_kappa is None


def test_what_labels_say() -> None:
    assert str(agreement(["a", "b", "a"] * 4, ["a", "b", "b"] * 4)).splitlines()[:2] == [
        "evaluator against human: 12 of 12 runs compared, 0 failed, 0 without a human value, 0 without an evaluator's",
        "labels: same in 0.67 [0.35, 0.90] (8 of 12), Cohen's kappa 0.40 [-0.17, 0.83]",
    ]


def test_many_labels_that_all_agree() -> None:
    names = [f"l{n:02d}" for n in range(21)]
    assert str(agreement(names, names)).splitlines()[-2:] == [
        "  confusion matrix of 21 labels: see .confusion",
        "kappa has no interval: all runs agree, so resampling them shows no spread",
    ]
    with pytest.raises(InvalidInput, match="unknown positive label 'x': it is none of the 21 labels"):
        agreement(names, names, positive="x")


# Scores


def with_more(differences: np.ndarray, widest: float) -> tuple[float, float]:
    """A t-interval with one and a half more differences at either end, within that range."""
    n, more = len(differences), np.append(differences, [-widest, widest])
    weights = np.append(np.ones(n), [1.5, 1.5])
    mean, total = np.average(more, weights=weights), n + 3
    error = np.sqrt((weights * (more - mean) ** 2).sum() / (total - 1) / total)
    low, high = stats.t.interval(0.95, n - 1, mean, error)
    return max(-widest, float(low)), min(widest, float(high))


def test_the_published_limits_of_agreement() -> None:
    """Bland and Altman 1986, Lancet i: 307-310: peak flow by two meters, mean -2.1 l/min, SD 38.8."""
    large = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = scores_of(agreement(large, mini))
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.limits_low == pytest.approx(-2.1 - 1.96 * 38.8, abs=0.2)
    assert found.limits_high == pytest.approx(-2.1 + 1.96 * 38.8, abs=0.2)
    expected = with_more(np.subtract(large, mini), 81)  # the largest difference: the meters have no known range
    assert (found.bias_ci_low, found.bias_ci_high) == pytest.approx(expected)
    assert found.weighted_kappa is None  # whole numbers, but no ratings


def test_the_published_rank_correlations() -> None:
    """Hollander and Wolfe 1973, p. 187; ``cor.test`` in R: tau = 0.4444444, rho = 0.6."""
    one = [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1]
    other = [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8]
    found = scores_of(agreement(one, other))
    assert (found.kendall_tau_b, found.spearman) == (pytest.approx(0.4444444), pytest.approx(0.6))


ratings = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=40)


@pytest.mark.thorough
@settings(deadline=None, max_examples=40)
@given(ratings)
def test_scores_agree_with_the_libraries(pairs: list[tuple[int, int]]) -> None:
    judged, people = [one for one, _ in pairs], [two for _, two in pairs]
    whole = agreement(judged, people)
    found = scores_of(whole)
    differences = np.array(judged) - np.array(people)
    assert found.mean_absolute_error == pytest.approx(metrics.mean_absolute_error(people, judged))
    assert found.bias == pytest.approx(differences.mean(), abs=1e-12)
    if len(set(judged)) > 1 and len(set(people)) > 1:
        assert found.spearman == pytest.approx(stats.spearmanr(judged, people).statistic)
        assert found.kendall_tau_b == pytest.approx(stats.kendalltau(judged, people).statistic)
        expected = metrics.cohen_kappa_score(people, judged, labels=[1, 2, 3, 4, 5], weights="quadratic")
        assert found.weighted_kappa == pytest.approx(expected)
    else:
        assert (found.spearman, found.kendall_tau_b) == (None, None)
        assert any("rank correlations are undefined" in note for note in whole.notes)
    every = judged + people
    widest = (max(every) - min(every) or max(every)) if max(every) > 1 else 1
    assert (found.bias_ci_low, found.bias_ci_high) == pytest.approx(with_more(differences, widest), abs=1e-9)
    json.dumps(whole.to_dict(), allow_nan=False)
    assert str(whole)


def test_what_scores_say() -> None:
    assert str(agreement([1, 2, 3, 4.5] * 4, [1, 2, 3, 4] * 4)).splitlines()[1:] == [
        "scores: Spearman 1.00, Kendall tau-b 1.00, mean absolute error 0.12",
        "  bias +0.12 [-0.60, +0.81] (evaluator 2.62, people 2.50), limits of agreement -0.31 to +0.56",
    ]


def test_different_scales_are_pointed_out() -> None:
    notes = agreement([0.2, 0.9, 0.4], [1, 5, 2]).notes
    assert any(
        "the evaluator's scores go from 0.2 to 0.9, people's from 1 to 5: on different scales" in note for note in notes
    )


# Scores made labels


def test_scores_of_0_and_1_are_labels_too() -> None:
    found = agreement([1.0, 0.0, 1.0, 1.0], [1, 0, 0, 1])
    assert labels_of(found).labels == ("0", "1")
    assert (labels_of(found).positive, labels_of(found).false_positives) == ("1", 1)
    assert scores_of(found).bias == 0.25


def test_a_threshold_makes_labels_of_scores() -> None:
    found = agreement([0.5, 0.4, 0.9, 0.1], [0.9, 0.7, 0.2, 0.1], threshold=0.5)
    labels = labels_of(found)
    assert labels.labels == ("below 0.5", "at least 0.5")
    assert (labels.n_agree, labels.false_positives, labels.false_negatives) == (2, 1, 1)
    assert found.scores is not None


@pytest.mark.parametrize(
    ("people", "positive", "labels"),
    [
        ([True, False, True], None, ("False", "True")),
        (["good", "bad", "good"], "good", ("bad", "good")),
        (["good", "bad", "so-so"], "good", ("not good", "good")),
        (["good", "good", "good"], "good", ("not good", "good")),
        ([False, False, False], None, ("False", "True")),
    ],
)
def test_a_threshold_beside_labels(people: list[Any], positive: Any, labels: tuple[str, str]) -> None:
    scores = [0.9, 0.2, 0.6]
    found = agreement(scores, people, threshold=0.5, positive=positive)
    assert (labels_of(found).labels, found.scores) == (labels, None)
    assert labels_of(found).evaluator_counts == {labels[0]: 1, labels[1]: 2}
    people_are_scored = agreement(people, scores, threshold=0.5, positive=positive)
    assert labels_of(people_are_scored).human_counts == {labels[0]: 1, labels[1]: 2}


@pytest.mark.parametrize(
    ("judged", "people", "options", "message"),
    [
        ([0.5, 0.6], ["good", "bad"], {}, "evaluator has scores and human has labels; give threshold="),
        (
            [0.5, 0.6],
            ["good", "bad"],
            {"threshold": 0.5},
            "give positive=, the label that a score from the threshold on stands for; there are bad, good",
        ),
        ([0.5], ["good"], {"threshold": 0.5, "positive": "godo"}, "unknown positive label 'godo'; did you mean 'good'"),
        (["good"], ["bad"], {"threshold": 0.5}, "threshold= is for scores, and both evaluator and human have labels"),
        ([0.5], [0.6], {"threshold": "high"}, "threshold must be a number, got 'high'"),
        ([0.5], [0.6], {"threshold": 0.5, "positive": "good"}, "both sides have scores"),
        ([0.5], [0.6], {"threshold": 0.5, "labels": ["bad", "good"]}, "labels= are for ordinal labels"),
        ([0.5], [0.6], {"positive": "good"}, "to make labels of scores, give threshold="),
        (
            [None, float("nan")],
            [1, None],
            {},
            "no run has a value of both evaluator and human: of 2 runs, 1 have no human",
        ),
        ([1], [1, 2], {}, "one value each: got 1 of the evaluator, 2 of people"),
        ([1], [1], {"confidence": 0}, "confidence must be"),
        ([{"label": "a"}], ["a"], {}, "evaluator holds values of type dict"),
        ([{"label": "a"}], [1], {"threshold": 0.5}, "evaluator holds values of type dict"),
        ([1], [{"label": "a"}], {"threshold": 0.5}, "human holds values of type dict"),
    ],
)
def test_bad_input_is_told(judged: list[Any], people: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidInput, InvalidSetting), match=message):
        agreement(judged, people, **options)


# From tables


def judged_table(**columns: Any) -> pd.DataFrame:
    frame = {
        "eval.judge.score": [0.9, 0.8, 0.1, None, 0.7],
        "eval.judge.label": ["good", "good", "bad", None, "good"],
        "eval.judge.error": [None, None, None, "TimeoutError", None],
        "annotation.review.label": ["good", "bad", "bad", "good", None],
        "annotation.review.score": [1.0, 0.0, 0.3, 1.0, None],
        "annotation.stars.score": [5, 2, 1, 5, None],
    }
    return table(
        [{"label": "good"}, {"label": "bad"}, {"label": "bad"}, {"label": "good"}, {}], range(5), **frame, **columns
    )


@pytest.mark.parametrize(
    ("evaluator", "human", "options", "fields"),
    [
        ("judge", "review", {}, ("eval.judge.label", "annotation.review.label")),
        ("judge", "review", {"threshold": 0.5}, ("eval.judge.score", "annotation.review.score")),
        ("judge", "stars", {}, ("eval.judge.score", "annotation.stars.score")),
        ("judge", "expected.label", {}, ("eval.judge.label", "expected.label")),
        ("judge", "annotation.stars.score", {}, ("eval.judge.score", "annotation.stars.score")),
        ("eval.judge.score", "review", {}, ("eval.judge.score", "annotation.review.score")),
        (
            "eval.judge.score",
            "expected.label",
            {"threshold": 0.5, "positive": "good"},
            ("eval.judge.score", "expected.label"),
        ),
    ],
)
def test_a_name_stands_for_what_the_other_side_has(
    evaluator: str, human: str, options: dict[str, Any], fields: tuple[str, str]
) -> None:
    found = meta_evaluation(judged_table(), evaluator=evaluator, human=human, **options)
    assert (found.evaluator, found.human) == fields
    assert (found.n_rows, found.n, found.n_errors, found.n_missing_human, found.n_missing_evaluator) == (5, 3, 1, 1, 0)
    assert str(found).startswith(f"{fields[0]} against {fields[1]}: 3 of 5 runs compared, 1 failed")


def test_an_annotation_is_named_with_or_without_what_its_columns_begin_with() -> None:
    table = judged_table()
    short, long = (meta_evaluation(table, evaluator="judge", human=f"{before}review") for before in ("", "annotation."))
    assert short == long
    first = table.head(1)
    assert meta_evaluation(first, evaluator="judge", human="annotation.review").n == 1


def test_that_nothing_is_annotated_is_said() -> None:
    table = judged_table()
    bare = table[[name for name in table if not name.startswith("annotation.")]]
    with pytest.raises(InvalidInput, match=r"unknown human field 'human'.*\. Nothing is annotated in these results: "):
        meta_evaluation(bare, evaluator="judge", human="human")


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="unknown evaluator field 'jugde'; did you mean 'judge'"):
        meta_evaluation(judged_table(), evaluator="jugde", human="review")
    with pytest.raises(InvalidInput, match="unknown human field 'reviw'; did you mean 'review'"):
        meta_evaluation(judged_table(), evaluator="judge", human="reviw")
    with pytest.raises(
        InvalidInput, match=r"'judge': that name is an evaluator's; .* human='eval\.judge\.label' or 'eval"
    ):
        meta_evaluation(judged_table(), evaluator="judge", human="judge")
    with pytest.raises(InvalidInput, match=r"an annotation's; .* evaluator='annotation\.review\.label'"):
        meta_evaluation(judged_table(), evaluator="review", human="review")
    with pytest.raises(InvalidInput, match=r"unknown human field 'expected\.lable'; did you mean"):
        meta_evaluation(judged_table(), evaluator="judge", human="expected.lable")


@pytest.fixture
def client(tmp_path: Path) -> Any:
    opened = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.store.close()


def test_annotations_and_metadata_of_an_experiment_in_the_store(client: Client) -> None:
    store = client.store
    experiment = new_experiment(store, 6, evaluators=[EvaluatorRecord("judge", "LLM", "a" * 64, None)])
    said = ["odd" if n % 2 or n == 4 else "even" for n in range(6)]
    verdicts = [verdict(n, "judge", label=label, score=None) for n, label in enumerate(said)]
    record(store, experiment.experiment.id, [run_row(n) for n in range(6)], verdicts)
    ran = RanExperiment(store, experiment)
    by_metadata = meta_evaluation(ran, evaluator="judge", human="metadata.topic", positive="odd")
    assert (by_metadata.n, labels_of(by_metadata).n_agree, labels_of(by_metadata).false_positives) == (6, 5, 1)
    assert classification_report(ran, truth="metadata.topic", prediction="eval.judge.label").n_correct == 5
    client.experiments.annotate_runs(
        experiment=experiment.experiment.id,
        annotations=[
            AnnotateRecordInput(record_id=run.id, values=[AnnotationInput(name="review", label="odd")])
            for run in ran.task_runs[:3]
        ],
    )
    listed = client.experiments.list_runs(experiment=experiment.experiment.id, all=True)
    for results in (ran, listed, listed.to_df()):
        found = meta_evaluation(results, evaluator="judge", human="review")
        assert (found.n, found.n_missing_human, labels_of(found).n_agree) == (3, 3, 1)
