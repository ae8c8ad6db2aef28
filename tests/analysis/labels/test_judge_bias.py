"""What a judge goes by besides: how long an output is, and which answer came first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prefect_experiments import meta_evaluation
from prefect_experiments.analysis.labels.judge_bias import length_bias, position_bias


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


def test_a_judge_of_pairs_who_is_fair_and_one_of_which_nothing_is_known() -> None:
    fair = position_bias(["A", "B", "tie"], ["A", "B", "A"], ["A", "A", "B"], [1, 2, 3])
    assert not isinstance(fair, str)
    assert (fair.n, fair.p_value) == (2, 1.0)
    assert str(fair).startswith("no clear position bias: the first answer preferred in 1 of 2 runs, by people in 1")
    always = position_bias(["A", "B"], ["A", "B"], ["A", "A"], [1, 2])
    assert always == (
        "position bias is not seen: it takes runs in which either of two answers came first, and labels that name the "
        "answer preferred; the answers that came first are A"
    )
