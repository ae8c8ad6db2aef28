"""Whole summaries: every figure of a metric and of its repetitions, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prefect_experiments.analysis.repetitions import RepetitionSummary, summarize_repetitions
from prefect_experiments.analysis.summary import MetricSummary, metric_summary

from .tables import figures

SUMMARIES = [
    pytest.param(
        lambda: metric_summary(
            [(0, 1.0, None, False, False), (1, 0.0, "bad", False, False), (2, 1.0, "good", False, False)],
            5,
            1,
            None,
            None,
        ),
        "0.667 over 3 of 5; 1 task error, 1 missing; between 0.40 and 0.80 if the others had scored 0 or 1; "
        "labels bad 1, good 1",
        """
        n 3, n_expected 5, mean 0.66667, stderr 0.33333, lowest 0.4, highest 0.8, n_examples 3, score_range (0 1),
        labels {'bad': 1, 'good': 1}, n_task_errors 1, n_errors 0, n_no_score 0, n_pending 0, n_missing 1, ci_low
        0.094299, ci_high 0.9916
        """,
        id="missing",
    ),
    pytest.param(
        lambda: metric_summary(
            [(0, 0.5, None, False, False), (0, 1.0, None, False, False), (1, None, None, True, False)],
            4,
            1,
            None,
            "minimize",
        ),
        "0.75 (less is better) over 2 of 4; 1 task error, 1 evaluator error; between 0.375 and 0.875 if the others had "
        "scored 0 or 1",
        """
        n 2, n_expected 4, mean 0.75, lowest 0.375, highest 0.875, n_examples 1, score_range (0 1), n_task_errors 1,
        n_errors 1, n_no_score 0, n_pending 0, n_missing 0, direction minimize
        """,
        id="repetitions",
    ),
    pytest.param(
        lambda: metric_summary(
            [(0, None, "kind", False, False), (1, None, "kind", False, False), (2, None, None, False, False)], 3, 0
        ),
        "kind 2 over 2 of 3; 1 without a score",
        """
        n 0, n_expected 3, lowest 0, highest 1, n_examples 0, score_range (0 1), labels {'kind': 2}, n_task_errors 0,
        n_errors 0, n_no_score 3, n_pending 0, n_missing 0
        """,
        id="labels",
    ),
    pytest.param(
        lambda: metric_summary(
            [(0, None, None, False, True), (1, 3.0, None, False, False), (2, 5.0, None, False, False)], 3, 0
        ),
        "4 over 2 of 3; 1 pending",
        """
        n 2, n_expected 3, mean 4, stderr 1, n_examples 2, score_range (0 5), n_task_errors 0, n_errors 0, n_no_score
        0, n_pending 1, n_missing 0, ci_low 0, ci_high 5
        """,
        id="pending",
    ),
    pytest.param(
        lambda: metric_summary([], 3, 3),
        "no score over 3; 3 task errors",
        """
        n 0, n_expected 3, lowest 0, highest 1, n_examples 0, score_range (0 1), n_task_errors 3, n_errors 0,
        n_no_score 0, n_pending 0, n_missing 0
        """,
        id="failed",
    ),
    pytest.param(
        lambda: metric_summary([], 0, 0),
        "meant for none of the examples",
        """
        n 0, n_expected 0, n_examples 0, score_range (0 1), n_task_errors 0, n_errors 0, n_no_score 0, n_pending 0,
        n_missing 0
        """,
        id="meant for none",
    ),
    pytest.param(
        lambda: metric_summary(
            [(n % 2, float(n > 1), None, False, False) for n in range(4)],
            4,
            0,
            summarize_repetitions([(n % 2, float(n > 1)) for n in range(4)], [], 2),
        ),
        "0.50 over 4 of 4; pass@2 1.00, pass^2 0.00, 100 % flip",
        """
        n 4, n_expected 4, mean 0.5, stderr 0, lowest 0.5, highest 0.5, n_examples 2, score_range (0 1),
        n_task_errors 0, n_errors 0, n_no_score 0, n_pending 0, n_missing 0, repetitions {'repetitions': 2,
        'n_examples': 2, 'rates': [{'k': 1, 'n_examples': 2, 'pass_at_k': 0.5, 'pass_hat_k': 0.5}, {'k': 2,
        'n_examples': 2, 'pass_at_k': 1.0, 'pass_hat_k': 0.0}], 'n_flipped': 2, 'n_comparable': 2, 'flip_rate': 1.0,
        'n_task_errors': 0, 'threshold': 1.0}, ci_low 0, ci_high 1
        """,
        id="flips",
    ),
    pytest.param(
        lambda: metric_summary([(n, 1.0, "True", False, False) for n in range(4)], 4, 0),
        "1.00 over 4 of 4",
        """
        n 4, n_expected 4, mean 1, stderr 0, lowest 1, highest 1, n_examples 4, score_range (0 1), labels {'True':
        4}, n_task_errors 0, n_errors 0, n_no_score 0, n_pending 0, n_missing 0, ci_low 0.39764, ci_high 1
        """,
        id="truth values",
    ),
    pytest.param(
        lambda: metric_summary([(0, None, None, True, False), (1, 1.0, None, False, False)], 3, 0),
        "1.00 over 1 of 3; 1 evaluator error, 1 missing; between 0.333 and 1.00 if the others had scored 0 or 1",
        """
        n 1, n_expected 3, mean 1, lowest 0.33333, highest 1, n_examples 1, score_range (0 1), n_task_errors 0,
        n_errors 1, n_no_score 0, n_pending 0, n_missing 1, ci_low 0.025, ci_high 1
        """,
        id="one of each",
    ),
]


@pytest.mark.parametrize(("summary", "said", "text"), SUMMARIES)
def test_a_metrics_summary(summary: Callable[[], MetricSummary], said: str, text: str) -> None:
    assert str(summary()) == said
    assert figures(summary()) == " ".join(text.split())


REPETITIONS = [
    pytest.param(
        lambda: summarize_repetitions(
            [("a", 1.0), ("a", 0.0), ("a", 1.0), ("b", 1.0), ("b", 1.0), ("b", 1.0), ("c", 0.0)], ["c", "d"], 3
        ),
        "pass@3 1.00, pass^3 0.50 over 2 of 4 examples, 33 % flip",
        """
        repetitions 3, n_examples 4, rates ({'k': 1, 'n_examples': 4, 'pass_at_k': 0.41666666666666663, 'pass_hat_k':
        0.41666666666666663} {'k': 2, 'n_examples': 3, 'pass_at_k': 0.6666666666666666, 'pass_hat_k':
        0.4444444444444444} {'k': 3, 'n_examples': 2, 'pass_at_k': 1.0, 'pass_hat_k': 0.5}), n_flipped 1,
        n_comparable 3, flip_rate 0.33333, n_task_errors 2, threshold 1
        """,
        id="some failed",
    ),
    pytest.param(
        lambda: summarize_repetitions([("a", 0.7), ("a", 0.8), ("b", 0.9), ("b", 0.8)], [], 2, threshold=0.8),
        "pass@2 1.00, pass^2 0.50, 50 % flip",
        """
        repetitions 2, n_examples 2, rates ({'k': 1, 'n_examples': 2, 'pass_at_k': 0.75, 'pass_hat_k': 0.75} {'k': 2,
        'n_examples': 2, 'pass_at_k': 1.0, 'pass_hat_k': 0.5}), n_flipped 1, n_comparable 2, flip_rate 0.5,
        n_task_errors 0, threshold 0.8
        """,
        id="a threshold",
    ),
    pytest.param(
        lambda: summarize_repetitions([("a", 1.0)], [], 2),
        "",
        """
        repetitions 2, n_examples 1, rates ({'k': 1, 'n_examples': 1, 'pass_at_k': 1.0, 'pass_hat_k': 1.0} {'k': 2,
        'n_examples': 0, 'pass_at_k': None, 'pass_hat_k': None}), n_flipped 0, n_comparable 0, n_task_errors 0,
        threshold 1
        """,
        id="one known",
    ),
]


@pytest.mark.parametrize(("summary", "said", "text"), REPETITIONS)
def test_repetitions(summary: Callable[[], RepetitionSummary], said: str, text: str) -> None:
    assert str(summary()) == said
    assert figures(summary()) == " ".join(text.split())
