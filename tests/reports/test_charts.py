"""Where axes have their ticks, and where the bars of a histogram begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.reports.charts import histogram, labelled


def label(value: float) -> str:
    return f"{value:.12g}"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, ["0", "0.25", "0.5", "0.75", "1"]),
        (-16, 2, ["-15", "-10", "-5", "0"]),
        (0.61, 0.93, ["0.7", "0.8", "0.9"]),
        (300, 2100, ["500", "1000", "1500", "2000"]),
    ],
)
def test_an_axis_has_some_round_numbers(low: float, high: float, ticks: list[str]) -> None:
    assert [tick.label for tick in labelled(low, high, 4, label)] == ticks


@given(st.floats(-1000, 1000), st.floats(0.01, 1000), st.integers(3, 8))
def test_ticks_are_within_the_axis_and_about_as_many_as_asked(low: float, length: float, about: int) -> None:
    ticks = labelled(low, low + length, about, label)
    assert 1 <= len(ticks) <= about + 1
    assert all(low - 1e-6 <= tick.x <= low + length + 1e-6 for tick in ticks)


@pytest.mark.parametrize(("lowest", "first"), [(200.5, "0"), (600.5, "700")])
def test_bars_begin_at_nothing_where_the_lowest_value_is_not_far_from_it(lowest: float, first: str) -> None:
    values = [lowest + place * (1000 - lowest) / 99 for place in range(100)]
    found = histogram([("candidate", "new", values)], label)
    assert found is not None
    assert found.ticks[0].label == first
