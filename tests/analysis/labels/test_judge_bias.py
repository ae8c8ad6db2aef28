"""What a judge goes by besides: how long an output is, and which answer came first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from prefect_experiments import meta_evaluation
from prefect_experiments.analysis.labels.judge_bias import PositionBias, length_bias, length_of, position_bias


def rows(n: int = 120, per_doubling: float = 0.0, seed: int = 0) -> dict[str, list[Any]]:
    """A judge of 0/1 answers, of which the good ones are longer; people's scores beside."""
    rng = np.random.default_rng(seed)
    people = 1.0 * (rng.random(n) < 0.6)
    lengths = np.round(2 ** (4 + 2 * people + rng.uniform(0, 3, n))).astype(int) - 1
    judge = 0.3 + 0.4 * people + per_doubling * np.log2(1 + lengths) + rng.normal(0, 0.1, n)
    return {
        "example_id": [f"q{place}" for place in range(n)],
        "output": ["x" * int(length) for length in lengths],
        "eval.judge.score": judge.tolist(),
        "annotation.human.score": people.tolist(),
    }


def test_a_judge_that_likes_long_answers_is_told_and_by_how_much() -> None:
    found = meta_evaluation(rows(per_doubling=0.05), evaluator="judge", human="human")
    assert found.length is not None
    assert found.length.ci_low < 0.05 < found.length.ci_high
    assert found.length.p_value < 0.001
    assert "length bias: +0.0" in str(found)
    assert "for an output twice as long that people score the same" in str(found)
    assert found.position is None
    assert "position bias is not seen: first= would name the field with which answer came first" in str(found)


def test_good_answers_may_be_longer_without_a_bias() -> None:
    found = [meta_evaluation(rows(seed=seed), evaluator="judge", human="human").length for seed in range(40)]
    assert sum(one is not None and one.p_value < 0.05 for one in found) <= 6
    assert any("no clear length bias" in str(one) for one in found)


def test_the_slope_and_its_error_are_those_of_least_squares_and_the_jackknife() -> None:
    """Beside numpy's least squares, with and without each example."""
    rng = np.random.default_rng(4)
    examples = np.repeat(np.arange(25), 2)
    people, lengths = rng.integers(1, 6, 50), rng.integers(0, 900, 50)
    judge = people + rng.normal(0, 1, 50)
    found = length_bias(judge.tolist(), people.tolist(), lengths.tolist(), examples.tolist())
    assert not isinstance(found, str)
    x = np.column_stack([np.ones(50), np.log2(1 + lengths), people])

    def slope(kept: np.ndarray) -> float:
        return float(np.linalg.lstsq(x[kept], judge[kept], rcond=None)[0][1])

    whole = slope(np.full(50, fill_value=True))
    without = np.array([slope(examples != one) for one in range(25)])
    stderr = np.sqrt(24 / 25 * ((without - whole) ** 2).sum())
    assert found.per_doubling == pytest.approx(whole)
    assert (found.ci_high - found.ci_low) / 2 == pytest.approx(2.0639 * stderr, rel=1e-4)  # t, 24 degrees of freedom
    assert (found.n, found.n_examples) == (50, 25)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(whole) / stderr, 24))
    narrow = length_bias(judge.tolist(), people.tolist(), lengths.tolist(), examples.tolist(), confidence=0.5)
    assert not isinstance(narrow, str)
    assert (narrow.ci_low, narrow.ci_high) == pytest.approx(
        (whole - 0.68485 * stderr, whole + 0.68485 * stderr), rel=1e-4
    )


def of_examples(n: int, *, unknown: int = 0) -> dict[str, list[Any]]:
    """What `length_bias` takes; the lengths of the first ones are not known."""
    return {
        "judged": [place % 3 / 2 for place in range(n)],
        "truth": [place % 2 for place in range(n)],
        "lengths": [None if place < unknown else place * 7 % 23 for place in range(n)],
        "examples": list(range(n)),
    }


def test_twenty_examples_with_an_output_are_enough() -> None:
    assert length_bias(**of_examples(19)) == "length bias is not seen: 19 examples with an output, and it takes 20"
    assert length_bias(**of_examples(22, unknown=3)) == length_bias(**of_examples(19))
    assert str(length_bias(**of_examples(20))) == (
        "no clear length bias: -0.04 [-0.30, +0.22] for an output twice as long that people score the same, p 0.77"
    )
    found = length_bias(**of_examples(20))
    assert not isinstance(found, str)
    assert str(replace(found, p_value=0.05)).startswith("no clear length bias: ")
    assert str(replace(found, p_value=0.0499)).startswith("length bias: ")
    given = of_examples(24, unknown=4)
    known = {name: values[4:] for name, values in given.items()}
    assert length_bias(**given) == length_bias(**known)


@pytest.mark.parametrize("people", [[1.0] * 20, [1.0, 0.0] * 10])
def test_where_the_length_says_it_all_there_is_no_doubt(people: list[float]) -> None:
    """A quarter more for each doubling, whether people tell the outputs apart or not; or the same for each length."""
    lengths = [2 ** (place % 5) - 1 for place in range(20)]
    found = length_bias([0.25 * (place % 5) for place in range(20)], people, lengths, range(20))
    assert not isinstance(found, str)
    assert (found.per_doubling, found.ci_low, found.ci_high) == pytest.approx((0.25, 0.25, 0.25))
    assert (found.p_value, found.n) == (0.0, 20)
    none = length_bias([0.5] * 20, people, lengths, range(20))
    assert not isinstance(none, str)
    assert (none.per_doubling, none.p_value) == (pytest.approx(0.0), 1.0)


def test_an_output_is_as_long_as_its_text_or_its_json() -> None:
    assert [length_of(one) for one in ("", "four", None, {"a": [1, 2]}, 12.5, False)] == [0, 4, None, 11, 4, 5]


def test_where_it_cannot_be_seen_that_is_said() -> None:
    few = meta_evaluation(rows(12), evaluator="judge", human="human")
    assert "length bias is not seen: 12 examples with an output, and it takes 20" in few.unseen
    alike = rows() | {"output": ["same"] * 120}
    same = "length bias is not seen: all outputs are as long, or their length says the same as people's score"
    assert same in meta_evaluation(alike, evaluator="judge", human="human").unseen
    labels: dict[str, list[Any]] = {"example_id": list(range(30)), "output": ["x" * one for one in range(30)]}
    labels |= {"eval.judge.label": ["a", "b", "c"] * 10, "annotation.human.label": ["a", "b", "c"] * 10}
    said = meta_evaluation(labels, evaluator="judge", human="human").unseen
    assert "length bias is not seen: it takes scores, or labels of which positive= says which is good" in said
    assert meta_evaluation(labels, evaluator="judge", human="human", positive="a").length is not None
    as_task = {"example_id": labels["example_id"], "output": [{"label": "a"}, {"label": "b"}] * 15}
    as_task["expected"] = [{"label": "a", "text": "x" * one} for one in range(30)]
    judged = {"evaluator": "output.label", "human": "expected.label", "positive": "a"}
    unseen = meta_evaluation(as_task, **judged).unseen
    assert "length bias is not seen: judged_output= would name the field with what was judged" in unseen
    assert meta_evaluation(as_task, **judged, judged_output="expected.text").length is not None


def test_a_judge_of_pairs_that_prefers_the_first_is_told() -> None:
    rng = np.random.default_rng(2)
    n = 100
    first = ["A", "B"] * n
    people = np.repeat(rng.choice(["A", "B"], n), 2)
    judge = np.where(rng.random(2 * n) < 0.3, first, people)
    pairs: dict[str, list[Any]] = {
        "example_id": np.repeat(np.arange(n), 2).tolist(),
        "repetition_number": [1, 2] * n,
        "eval.judge.label": judge.tolist(),
        "eval.judge.metadata.first": first,
        "annotation.human.label": people.tolist(),
        "output": ["x"] * 2 * n,
    }
    found = meta_evaluation(pairs, evaluator="judge", human="human").position
    assert found is not None
    assert (found.n, found.n_swapped, found.n_human_first) == (200, 100, 100)
    assert found.n_first == sum(one == other for one, other in zip(judge, first, strict=True))
    assert found.n_only_people == 0
    assert found.p_value < 0.001
    agree = judge.reshape(n, 2)
    assert found.n_consistent == int((agree[:, 0] == agree[:, 1]).sum())
    assert str(found).startswith("position bias: the first answer preferred in ")
    assert f"same answer in both orders on {found.n_consistent} of 100 examples" in str(found)


def test_what_a_judge_of_pairs_prefers_is_counted_run_by_run() -> None:
    """Of ten runs one is a tie by the judge, one by people, and of one it is not known which came first."""
    found = position_bias(
        ["A", "B", "B", "B", "tie", "A", "A", "B", "A", "A"],
        ["A", "A", "B", "tie", "A", "B", "B", "A", "A", "B"],
        ["A", "A", "B", "A", "A", "A", "B", "B", None, "A"],
        [1, 1, 2, 3, 4, 5, 5, 6, 7, 6],
    )
    assert found == PositionBias(
        n=7,
        n_first=5,
        rate=5 / 7,
        n_human_first=4,
        n_only_judge=3,
        n_only_people=2,
        p_value=1.0,
        n_swapped=2,
        n_consistent=1,
    )
    assert str(found) == (
        "no clear position bias: the first answer preferred in 5 of 7 runs, by people in 4, p 1; same answer in both "
        "orders on 1 of 2 examples"
    )
    at_least, below = (replace(found, p_value=p, n_swapped=0) for p in (0.05, 0.0499))
    assert str(at_least) == (
        "no clear position bias: the first answer preferred in 5 of 7 runs, by people in 4, p 0.05"
    )
    assert str(below).startswith("position bias: ")


@pytest.mark.parametrize(
    ("judged", "people", "first", "answers"),
    [
        (["A", "B"], ["A", "B"], ["A", "A"], "A"),
        (["A", "B"], ["A", "B"], [None, None], "not known"),
        (["tie", "A"], ["A", "tie"], ["A", "B"], "A, B"),
        (list("ABC"), list("ABC"), list("CBA"), "A, B, C"),
        (list("ABCDEF"), list("ABCDEF"), list("FEDCBA"), "A, B, C, D, E"),
    ],
)
def test_where_there_are_not_two_answers_that_is_said(
    judged: list[str], people: list[str], first: list[Any], answers: str
) -> None:
    assert position_bias(judged, people, first, range(len(first))) == (
        "position bias is not seen: it takes runs in which either of two answers came first, and labels that name the "
        f"answer preferred; the answers that came first are {answers}"
    )


def test_which_answer_came_first_may_stand_in_any_field_and_in_any_case() -> None:
    pairs: dict[str, list[Any]] = {
        "example_id": list(range(6)),
        "eval.judge.label": ["a", "B", "a", "b", "A", None],
        "annotation.human.label": ["A", "b", "B", "b", "A", "A"],
        "metadata.shown": ["A", "A", "A", "B", "B", "B"],
        "output": ["x"] * 6,
    }
    found = meta_evaluation(pairs, evaluator="judge", human="human", first="metadata.shown", ignore_case=True)
    assert found.position is not None
    assert (found.position.n, found.position.n_first, found.position.n_human_first) == (5, 3, 2)
    assert (found.position.n_only_judge, found.position.n_only_people) == (1, 0)
    assert found.unseen == (
        "length bias is not seen: it takes scores, or labels of which positive= says which is good",
    )
    cased = meta_evaluation(pairs, evaluator="judge", human="human", first="metadata.shown").position
    assert cased is not None
    assert (cased.n, cased.n_only_judge) == (1, 0)


@pytest.mark.parametrize("ignore_case", [False, True])
def test_of_labels_the_positive_one_is_a_score_of_1(ignore_case: bool) -> None:
    given = rows(40)
    scores = {
        **given,
        "eval.judge.score": [1.0 * (place % 3 > 0) for place in range(40)],
        "annotation.human.score": [1.0 * (place % 4 > 0) for place in range(40)],
    }
    expected = meta_evaluation(scores, evaluator="judge", human="human").length
    words = {0.0: "bad", 1.0: "GOOD" if ignore_case else "good"}
    labels = {name.replace("score", "label"): values for name, values in scores.items()}
    for name in ("eval.judge.label", "annotation.human.label"):
        labels[name] = [words[one] for one in labels[name]]
    found = meta_evaluation(labels, evaluator="judge", human="human", positive="good", ignore_case=ignore_case)
    assert expected is not None
    assert found.length == expected
    # Scores that a threshold makes labels of are scores.
    assert meta_evaluation(scores, evaluator="judge", human="human", threshold=0.5).length == expected


def test_what_is_judged_may_be_another_field_than_the_output() -> None:
    given = rows(40)
    given["metadata.answer"] = [text * 2 for text in given["output"]]
    other = {**given, "output": given["metadata.answer"]}
    found = meta_evaluation(given, evaluator="judge", human="human", judged_output="metadata.answer").length
    assert found is not None
    assert found == meta_evaluation(other, evaluator="judge", human="human").length
    assert found != meta_evaluation(given, evaluator="judge", human="human").length


def test_a_judge_of_pairs_who_is_fair() -> None:
    fair = position_bias(["A", "B", "tie"], ["A", "B", "A"], ["A", "A", "B"], [1, 2, 3])
    assert not isinstance(fair, str)
    assert (fair.n, fair.p_value) == (2, 1.0)
    assert str(fair).startswith("no clear position bias: the first answer preferred in 1 of 2 runs, by people in 1")
