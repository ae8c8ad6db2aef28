"""The test of a shift of labels beside its definition: repetitions, rare labels, labels that go together."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from prefect_experiments.analysis.comparison.label_shift import EXACT, pairs_to_shift, shift_test, smallest_p

Counts = Sequence[Mapping[str, int]]


def by_definition(before: Counts, after: Counts) -> float:
    """D' V^- D over all exchanges of the sides, of each example's shares of the labels."""
    names = sorted({name for example in (*before, *after) for name in example})

    def shares(example: Mapping[str, int]) -> np.ndarray:
        return np.array([example.get(name, 0) / sum(example.values()) for name in names])

    moves = np.array([shares(two) - shares(one) for one, two in zip(before, after, strict=True)])
    inverse = np.linalg.pinv(moves.T @ moves)
    signs = np.array(list(itertools.product((1, -1), repeat=len(moves))))
    totals = signs @ moves
    statistics = ((totals @ inverse) * totals).sum(axis=1)
    return float((statistics >= statistics[0] * (1 - 1e-9)).mean())


@pytest.mark.parametrize("seed", range(12))
def test_of_several_runs_each_counts_as_its_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = ([Counter(rng.choice(list("abc"), rng.integers(1, 5)).tolist()) for _ in range(7)] for _ in "lr")
    found = shift_test(before, after)
    assert found.test == EXACT
    assert found.p_value == pytest.approx(by_definition(before, after))


def test_moves_and_their_reverse_are_counted_together() -> None:
    """Nine from a to b and two back, three from c to a and one back: beside the definition, over 2^15 exchanges."""
    moves = ["ab"] * 9 + ["ba"] * 2 + ["ca"] * 3 + ["ac"]
    before, after = ([Counter([move[side]]) for move in moves] for side in (0, 1))
    expected = pytest.approx(by_definition(before, after))
    assert shift_test(before, after).p_value == expected
    assert shift_test(after[::-1], before[::-1]).p_value == expected


@pytest.mark.parametrize(("n_labels", "moves"), [(30, True), (31, False)])
def test_of_more_than_thirty_labels_the_rarest_count_as_one(n_labels: int, moves: bool) -> None:
    common = [f"l{place:02}" for place in range(n_labels - 2)] * 9
    before = [Counter([label]) for label in (*common, *["rare"] * 4)]
    after = [Counter([label]) for label in (*common, *["seldom"] * 4)]
    found = shift_test(before, after)
    assert (found.test, found.p_value) == (EXACT, pytest.approx(2 / 2**4 if moves else 1.0))
    # One that is among the common ones is told from them.
    assert shift_test(before, [*after[:-4], *[Counter(["l00"])] * 4]).p_value == pytest.approx(2 / 2**4)


def test_of_labels_as_rare_as_each_other_the_first_by_alphabet_are_kept() -> None:
    names = [f"l{place:02}" for place in range(31)]
    base = [Counter([name]) for name in names] * 2

    def p_value(one: str, other: str) -> float:
        moved = [Counter([one])] * 6, [Counter([other])] * 6
        more = [Counter([name]) for name in names if name not in (one, other)] * 3  # all of them as often
        return shift_test([*base, *moved[0], *more], [*base, *moved[1], *more]).p_value

    assert [p_value("l00", "l28"), p_value("l28", "l29")] == pytest.approx([2 / 2**6] * 2)
    assert p_value("l29", "l30") == 1.0


def test_nothing_that_moves_is_no_shift() -> None:
    same = [Counter({"a": 1}), Counter({"b": 2, "a": 2})]
    for sides in ((same, same), (same, [Counter({"a": 3}), Counter({"a": 1, "b": 1})]), ([], [])):
        found = shift_test(*sides)
        assert (found.p_value, found.test) == (1.0, EXACT)
    assert [smallest_p(n) for n in (0, 1, 2, 6)] == [1.0, 1.0, 0.5, 1 / 32]
    assert [pairs_to_shift(alpha) for alpha in (1.0, 0.5, 0.25, 0.051, 0.05, 1 / 32, 0.01)] == [1, 2, 3, 6, 6, 6, 8]
