"""pass@k, pass^k and flips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from prefect_experiments.analysis import RanExperiment, RepetitionSummary, repetition_summary
from prefect_experiments.analysis.summary import summarize
from prefect_experiments.errors import InvalidInput
from prefect_experiments.store import EvaluatorRecord, Store
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict


def runs(outcomes: dict[str, list[float | str | None]], metric: str = "correct") -> pd.DataFrame:
    """One row a repetition: its score, ``None`` where its evaluator failed, "failed" where its task did."""
    rows = [
        {
            "example_id": example,
            "status": "error" if outcome == "failed" else "ok",
            f"eval.{metric}.score": None if outcome == "failed" else outcome,
        }
        for example, tries in outcomes.items()
        for outcome in tries
    ]
    return pd.DataFrame(rows)


def published_pass_at_k(n: int, c: int, k: int) -> float:
    """Chen et al. 2021, "Evaluating Large Language Models Trained on Code", figure 3, word for word."""
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


tries = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=12)


@given(st.lists(tries, min_size=1, max_size=8))
def test_agrees_with_the_published_estimators(outcomes: list[list[float]]) -> None:
    summary = repetition_summary(runs({f"e{n}": list(one) for n, one in enumerate(outcomes)}), metric="correct")
    assert summary.repetitions == max(map(len, outcomes))
    for rate in summary.rates:
        counts = [(len(one), int(sum(one))) for one in outcomes if len(one) >= rate.k]
        assert rate.n_examples == len(counts)
        assert rate.pass_at_k == pytest.approx(np.mean([published_pass_at_k(n, c, rate.k) for n, c in counts]))
        # k draws without replacement, all of them passes: the hypergeometric distribution.
        assert rate.pass_hat_k == pytest.approx(np.mean([hypergeom.pmf(rate.k, n, c, rate.k) for n, c in counts]))
        assert 0 <= rate.pass_hat_k <= rate.pass_at_k <= 1
    json.dumps(summary.to_dict(), allow_nan=False)


def test_an_example_by_hand() -> None:
    summary = repetition_summary(runs({"a": [1, 1, 1], "b": [1, 0, 0], "c": [0, 0, 0], "d": [1, 1]}), metric="correct")
    # k=2: a 1, b 1 - C(2,2)/C(3,2) = 2/3, c 0, d 1;  pass^2: 1, 0, 0, 1.
    two = summary.rate(2)
    assert (two.n_examples, two.pass_at_k, two.pass_hat_k) == (4, pytest.approx((1 + 2 / 3 + 0 + 1) / 4), 0.5)
    assert (summary.rate(3).n_examples, summary.n_examples) == (3, 4)
    assert (summary.n_flipped, summary.n_comparable, summary.flip_rate) == (1, 4, 0.25)
    assert str(summary) == "pass@3 0.67, pass^3 0.33 over 3 of 4 examples, 25 % flip"
    with pytest.raises(KeyError, match="k must be between 1 and 3, got 4"):
        summary.rate(4)


def test_a_failed_task_has_not_passed_and_a_failed_evaluator_is_unknown() -> None:
    summary = repetition_summary(runs({"a": [1, "failed"], "b": [1, None], "c": [None, None]}), metric="correct")
    assert summary.n_examples == 2  # of c nothing is known
    assert summary.rate(1).pass_at_k == pytest.approx((0.5 + 1) / 2)
    assert (summary.rate(2).n_examples, summary.rate(2).pass_hat_k) == (1, 0.0)
    assert (summary.n_flipped, summary.n_comparable, summary.n_task_errors) == (1, 1, 1)


def test_a_threshold_for_graded_scores() -> None:
    graded = runs({"a": [0.4, 0.9], "b": [0.7, 0.8]})
    with pytest.raises(InvalidInput, match="metric 'correct' has scores other than 0 and 1; give threshold="):
        repetition_summary(graded, metric="correct")
    summary = repetition_summary(graded, metric="correct", threshold=0.7)
    assert (summary.rate(2).pass_at_k, summary.rate(2).pass_hat_k, summary.threshold) == (1.0, 0.5, 0.7)


def test_what_cannot_be_known_is_none() -> None:
    summary = repetition_summary(runs({"a": [1], "b": [0]}), metric="correct")
    assert (summary.flip_rate, str(summary)) == (None, "")
    with pytest.raises(InvalidInput, match="unknown metric 'corect'; did you mean 'correct'"):
        repetition_summary(runs({"a": [1]}), metric="corect")
    with pytest.raises(InvalidInput, match="no rows"):
        repetition_summary(runs({"a": [1]}).iloc[:0], metric="correct")


EXACT = EvaluatorRecord("exact", "CODE", "a" * 64, None)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


def summary_of(store: Store, repetitions: int, rows: list[Any], verdicts: list[Any]) -> Any:
    experiment = new_experiment(store, 2, evaluators=[EXACT], repetitions=repetitions)
    record(store, experiment.experiment.id, rows, verdicts)
    return summarize(store, experiment).metrics["exact"]


def test_an_experiment_without_a_run_has_none(store: Store) -> None:
    with pytest.raises(InvalidInput, match="the results table has no rows; has the experiment run"):
        repetition_summary(RanExperiment(store, new_experiment(store, 2)), metric="exact")


def test_the_summary_of_an_experiment_has_them(store: Store) -> None:
    made = [run_row(0, 1), run_row(0, 2), run_row(1, 1), failed_row(1, 2)]
    metric = summary_of(store, 2, made, [verdict(0), verdict(0, repetition=2), verdict(1)])
    assert isinstance(metric.repetitions, RepetitionSummary)
    assert (metric.repetitions.rate(2).pass_at_k, metric.repetitions.rate(2).pass_hat_k) == (1.0, 0.5)
    assert (metric.repetitions.flip_rate, metric.repetitions.n_task_errors) == (0.5, 1)
    assert str(metric).endswith("; pass@2 1.00, pass^2 0.50, 50 % flip")
    assert metric.to_dict()["repetitions"]["rates"][1]["k"] == 2


@pytest.mark.parametrize(("repetitions", "score"), [(1, 1.0), (2, 0.5)])
def test_the_summary_has_none_without_repetitions_or_two_values(store: Store, repetitions: int, score: float) -> None:
    metric = summary_of(store, repetitions, [run_row(0), run_row(1)], [verdict(0, score=score), verdict(1)])
    assert metric.repetitions is None
    assert "pass@" not in str(metric)
