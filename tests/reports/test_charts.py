"""Where axes have their ticks, and where the bars of a histogram begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.reports.charts import Mark, Tick, axis_around, histogram, interval_plot, labelled


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


def test_where_only_the_ends_have_labels_of_their_own_these_are_there() -> None:
    assert [tick.x for tick in labelled(0, 1, 4, lambda value: f"{value:.0f}")] == [0, 1]


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


def test_intervals_stand_on_an_axis_that_cuts_what_lies_beyond() -> None:
    plot = interval_plot([("baseline", 0.5, 0.25, 0.75), ("candidate", 2.0, None, -1.0)], (0.0, 1.0), label, zero=True)
    assert plot.marks == [
        Mark("baseline", x=150.0, low=83.0, high=217.0, y=10.0),
        Mark("candidate", x=284.0, low=None, high=16.0, y=24.0),
    ]
    texts = ["0", "0.25", "0.5", "0.75", "1"]
    assert plot.ticks == [Tick(x, text) for x, text in zip((16.0, 83.0, 150.0, 217.0, 284.0), texts, strict=True)]
    assert (plot.zero, plot.width) == (16.0, 300.0)
    assert interval_plot([], (0.0, 1.0), label).zero is None


@pytest.mark.parametrize(
    ("values", "axis", "with_zero"),
    [
        ([], (-0.06, 1.06), (-0.5, 0.5)),
        ([2.0], (1.9, 2.1), (-0.12, 2.12)),
        ([-2.0], (-2.1, -1.9), (-2.12, 0.12)),
        ([0.0], (-0.5, 0.5), (-0.5, 0.5)),
        ([None, float("inf"), 1.0, 3.0], (0.88, 3.12), (-0.18, 3.18)),
        ([1e308, -1e308], (-1.12e300, 1.12e300), (-1.12e300, 1.12e300)),
    ],
)
def test_an_axis_holds_all_with_some_room_and_is_never_of_no_length(
    values: list[float | None], axis: tuple[float, float], with_zero: tuple[float, float]
) -> None:
    assert axis_around(values) == pytest.approx(axis)
    assert axis_around(values, with_zero=True) == pytest.approx(with_zero)


def test_scores_from_0_to_1_are_drawn_at_their_tenths_as_shares_of_each_side() -> None:
    found = histogram([("baseline", "old", [0, 0.1, 0.1, 1.0]), ("candidate", "new", [0.5, 0.54])], label)
    assert found is not None
    assert [(bar.role, bar.x, bar.y, bar.width, bar.height, bar.title) for bar in found.bars] == [
        ("baseline", 4.7, 112.5, 18.9, 37.5, "0: 1 of 4 (25%) of old"),
        ("baseline", 52.0, 75.0, 18.9, 75.0, "0.1: 2 of 4 (50%) of old"),
        ("baseline", 477.5, 112.5, 18.9, 37.5, "1: 1 of 4 (25%) of old"),
        ("candidate", 260.0, 0.0, 18.9, 150.0, "0.5 to 0.54: 2 of 2 (100%) of new"),
    ]
    places = {"0": 23.6, "0.2": 118.2, "0.4": 212.7, "0.6": 307.3, "0.8": 401.8, "1": 496.4}
    assert {tick.label: tick.x for tick in found.ticks} == places
    assert (found.top, found.highest, found.width, found.height) == ("100%", 1.0, 520.0, 150.0)
    assert found.description == "old: most at 0.1 (2 of 4 (50%)); new: most at 0.5 to 0.54 (2 of 2 (100%))"


def test_few_values_have_a_bar_each_on_an_axis_that_others_may_share() -> None:
    found = histogram([("candidate", "runs", [3, 3, 5])], label)
    assert found is not None
    assert [(bar.x, bar.y, bar.width, bar.height, bar.title) for bar in found.bars] == [
        (106.0, 0.0, 48.0, 150.0, "3: 2 of 3 (66.7%) of runs"),
        (366.0, 75.0, 48.0, 75.0, "5: 1 of 3 (33.3%) of runs"),
    ]
    assert found.ticks == [Tick(130.0, "3"), Tick(390.0, "5")]
    assert (found.top, found.description) == ("66.7%", "runs: most at 3 (2 of 3 (66.7%))")
    lower = found.up_to(1.0)
    assert [(bar.y, bar.height) for bar in lower.bars] == [(50.0, 100.0), (100.0, 50.0)]
    assert (lower.top, lower.highest) == ("100%", 1.0)
    assert histogram([("candidate", "runs", [])], label) is None
    assert histogram([], label) is None


@pytest.mark.parametrize("values", [[0, 1.1], [0, 2], [-0.1, 1], [-1, 0]])
def test_values_that_leave_0_to_1_at_either_end_have_a_bar_each(values: list[float]) -> None:
    found = histogram([("candidate", "runs", values)], label)
    assert found is not None
    assert [tick.label for tick in found.ticks] == [label(value) for value in values]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([float(n) for n in range(2, 14)], ["2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"]),
        ([*range(100, 130)], [f"{n} to {n + 1}" for n in range(100, 130, 2)]),
        ([*range(100, 124)], [f"{n}" for n in range(100, 124)]),
        ([n / 2 for n in range(-24, 24)], [f"{n} to {n + 1}" for n in range(-12, 11)][:0]),
    ],
    ids=["few", "two in each", "one in each", "halves"],
)
def test_of_many_values_a_bar_is_a_range(values: list[float], names: list[str]) -> None:
    found = histogram([("candidate", "runs", values)], label)
    assert found is not None
    titles = [bar.title.partition(": ")[0] for bar in found.bars]
    if names:
        assert titles == names
    else:
        assert (len(titles), titles[0].partition(" to ")[0], titles[-1].partition(" to ")[2]) == (24, "-12", "11.5")


def test_what_lies_far_beyond_is_in_the_last_bar() -> None:
    values = [n + 0.5 for n in range(48)] + [1000.0]
    found = histogram([("candidate", "runs", values)], label, longest=48.0)
    assert found is not None
    assert [bar.title.partition(" of 49")[0] for bar in found.bars] == [
        *(f"{n} to {n + 2}: 2" for n in range(0, 46, 2)), "46 and more: 3"
    ]  # fmt: skip
    assert [tick.label for tick in found.ticks] == ["0", "10", "20", "30", "40"]
    whole = histogram([("candidate", "runs", values[:-1])], label, longest=48.0)
    assert whole is not None
    assert "and more" not in whole.bars[-1].title
