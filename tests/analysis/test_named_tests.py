"""The names of the statistical tests, as reports and tables show them."""

from __future__ import annotations

import numpy as np
import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.exchange import exchange_test
from prefect_experiments.analysis.results import ResultTable, result_table

from .tables import one, table

RANDOM = np.random.default_rng(1)
STEPS = table(x=[0.5, 0.25, 0.75] * 4), table(x=[0.25, 0.25, 1.0] * 4)
UNEVEN = table(x=RANDOM.random(20)), table(x=RANDOM.random(20))
MANY = table(x=RANDOM.random(5000)), table(x=RANDOM.random(5000))


@pytest.mark.parametrize(
    ("sides", "name"),
    [
        (STEPS, "sign-flip permutation, exact"),
        (UNEVEN, "sign-flip permutation, of rounded differences"),
        (MANY, "sign-flip permutation, 9,999 resamples"),
    ],
)
def test_a_test_of_scores(sides: tuple[ResultTable, ResultTable], name: str) -> None:
    assert one(*sides).test == name


def test_a_test_of_a_figure_of_the_whole_table() -> None:
    found = compare_results(*STEPS, experiment_evaluators={"n": lambda runs: len(runs)})
    assert found.metrics["n"].test == "paired permutation over examples, 1,000 resamples"


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (["a", "b"], "Stuart-Maxwell, exact by permutation"),
        ([f"l{n}" for n in range(20)], "Stuart-Maxwell, 9,999 permutations"),
    ],
)
def test_a_test_of_labels(labels: list[str], name: str) -> None:
    def labelled(chosen: np.ndarray) -> ResultTable:
        given = [labels[number] for number in chosen]
        return result_table({"example_id": [f"q{n}" for n in range(80)], "eval.tone.label": given})

    sides = (labelled(np.random.default_rng(seed).integers(0, len(labels), 80)) for seed in (1, 2))
    assert compare_results(*sides).labels["tone"].test == name


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        (RANDOM.integers(0, 2, (8, 4)) / 1.0, "exchange of runs, exact"),
        (RANDOM.random((8, 4)), "exchange of runs, saddlepoint"),
    ],
)
def test_a_test_beside_several_earlier_runs(scores: np.ndarray, name: str) -> None:
    assert exchange_test(scores[:, 1:], scores[:, 0]).test == name
