"""What is drawn with a fixed seed is the same in every version: no verdict changes because the package is another."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from prefect_experiments.analysis.comparison.corpus import EXCHANGED, compare_corpus_metric
from prefect_experiments.analysis.comparison.label_shift import EXACT, SAMPLED, shift_test
from prefect_experiments.analysis.comparison.sign_flip import SIGN_FLIP_SAMPLED, sign_flip_test


def test_the_signs_of_thousands_of_differences() -> None:
    differences = np.array([((7919 * k) % 10007) / 10007 - 0.49 for k in range(5000)])
    assert sign_flip_test(differences) == (SIGN_FLIP_SAMPLED, 0.00625, 0.99385)
    assert sign_flip_test(-differences) == (SIGN_FLIP_SAMPLED, 0.99385, 0.00625)


def test_the_sides_of_hundreds_of_labels() -> None:
    rng = np.random.default_rng(7)
    before, after = ([Counter([label]) for label in rng.choice(list("abcdef"), 80)] for _ in range(2))
    found = shift_test(before, after)
    assert (found.test, found.p_value) == (SAMPLED, 0.736)
    assert shift_test(after, before) == found


@pytest.mark.thorough
def test_the_sides_and_resamples_of_a_function_of_all_runs() -> None:
    ids = [f"q{k:02}" for k in range(30)]
    left, right = (
        pd.DataFrame({"example_id": ids, "x": [factor * ((k * step) % 31) / 31 for k in range(1, 31)]})
        for step, factor in ((7, 1.0), (11, 0.9))
    )
    found = compare_corpus_metric("square", lambda runs: float(runs["x"].mean() ** 2), left, right, ids)
    assert found.to_dict() == pytest.approx(
        {
            "n_pairs": 30,
            "baseline_mean": 0.25,
            "candidate_mean": 0.2025,
            "difference": -0.0475,
            "ci_low": -0.18400468291580865,
            "ci_high": 0.09304437276084923,
            "p_value": 496 / 1001,
            "p_higher": 758 / 1001,
            "p_lower": 244 / 1001,
            "smallest_p": 1 / 1001,
            "higher": 0,
            "lower": 0,
            "ties": 0,
            "sd_difference": 0.36825144935063464,
            "effect_size": None,
            "test": EXCHANGED,
        }
    )


@pytest.mark.parametrize(("n", "test"), [(16, EXACT), (17, SAMPLED)])
def test_up_to_a_hundred_thousand_exchanges_are_all_looked_at(n: int, test: str) -> None:
    """Each example moves in a way of its own, so that there are 2^n."""
    before = [Counter({f"l{place}": 1, "x": place + 1}) for place in range(n)]
    after = [Counter({"y": 1, "x": 1}) for _ in range(n)]
    assert shift_test(before, after).test == test
