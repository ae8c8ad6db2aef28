"""How numbers are written: scores, differences in points, times, money."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.numbers import Unit
from prefect_experiments.analysis.results import result_table
from prefect_experiments.reports.figures import outline_of
from prefect_experiments.reports.report_model import table_side


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.84, "0.84"),
        (0.8437, "0.844"),
        (0.5, "0.50"),
        (0, "0.00"),
        (1, "1.00"),
        (0.9996, ">0.999"),
        (0.0004, "<0.001"),
        (7.85e-17, "0.00"),  # what adding and taking away leaves in a float's last digits
        (1 - 1.1e-16, "1.00"),
        (-7.85e-17, "0.00"),
        (1.5, "1.5"),
        (16.789, "16.79"),
        (-0.25, "-0.25"),
        (1234.5, "1,234"),
        (5e20, "5e+20"),
        (None, "-"),
        (math.nan, "-"),
    ],
)
def test_scores(value: float | None, text: str) -> None:
    assert numbers.score(value) == text


@pytest.mark.parametrize(
    ("written", "below", "at"),
    [  # either side of each bound at which numbers are written another way
        (numbers.score, (0.000499, "<0.001"), (0.0005, "0.001")),
        (numbers.score, (0.99949, "0.999"), (0.9995, ">0.999")),
        (numbers.score, (-0.0011, "-0.0011"), (0.0, "0.00")),
        (numbers.score, (1.0, "1.00"), (1.001, "1.001")),
        (numbers.plain, (0.00009999, "0.0001"), (0.0001, "0.0001")),
        (numbers.plain, (0.00001234, "1.23e-05"), (0.0001234, "0.0001234")),
        (numbers.plain, (999.46, "999.5"), (1000.46, "1,000")),
        (numbers.plain, (999_999_999_999, "999,999,999,999"), (1e12, "1e+12")),
        (numbers.plain, (-999_999_999_999, "-999,999,999,999"), (-1e12, "-1e+12")),
        (numbers.percent, (0.00099, "<0.1%"), (0.001, "0.1%")),
        (numbers.percent, (0.999, "99.9%"), (0.9991, ">99.9%")),
        (numbers.duration, (999.4, "999 ms"), (999.5, "1.00 s")),
        (numbers.duration, (-999.4, "-999 ms"), (-999.5, "-1.00 s")),
        (numbers.duration, (-0.4, "0 ms"), (0.4, "0 ms")),
        (numbers.duration, (9994, "9.99 s"), (9995, "10.0 s")),
        (numbers.duration, (59_949, "59.9 s"), (59_950, "1 min 0 s")),
        (numbers.money, (0.9994, "$0.999"), (1, "$1.00")),
        (numbers.money, (-0.5, "-$0.50"), (-1, "-$1.00")),
        (numbers.p_value, (0.00099, "<0.001"), (0.001, "0.001")),
    ],
)
def test_numbers_at_the_bounds(
    written: Callable[[float], str], below: tuple[float, str], at: tuple[float, str]
) -> None:
    assert (written(below[0]), written(at[0])) == (below[1], at[1])


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (999_999_999_999, "plain", "+999,999,999,999"),
        (1e12, "plain", "+1e+12"),
        (-1e12, "plain", "-1e+12"),
        (-1e12, "usd", "-$1e+12"),
        (1e12, "usd", "+$1e+12"),
        (9999, "ms", "+9,999 ms"),
        (10_000, "ms", "+10 s"),
        (-10_000, "ms", "-10 s"),
        (-0.01, "points", "-1 point"),
        (0.001, "points", "+0.1 points"),
    ],
)
def test_a_difference_without_an_interval(number: float, unit: Unit, text: str) -> None:
    assert numbers.difference(number, None, None, unit) == (text, "")


@pytest.mark.parametrize(
    ("difference", "low", "high", "unit", "text", "interval"),
    [
        (-0.03, -0.06, -0.01, "points", "-3 points", "[-6, -1]"),
        (0.01, -0.02, 0.04, "points", "+1 point", "[-2, 4]"),
        (-0.008, -0.019, 0.003, "points", "-0.8 points", "[-1.9, 0.3]"),
        (-0.03, -0.06, -0.0004, "points", "-3.00 points", "[-6.00, -0.04]"),  # an end that is not zero
        (0, 0, 0, "points", "0 points", "[0, 0]"),
        (0.0, -0.03, 0.03, "points", "0 points", "[-3, 3]"),
        (-1e-17, -0.03, 0.03, "points", "0 points", "[-3, 3]"),
        (-10.37, -11.4, -9.3, "plain", "-10.4", "[-11.4, -9.3]"),
        (-120.4, -132.0, -109.0, "ms", "-120 ms", "[-132, -109]"),
        (12_345.0, 11_000.0, 14_000.0, "ms", "+12.3 s", "[11.0, 14.0]"),
        (-0.0012, -0.002, -0.0004, "usd", "-$0.0012", "[-0.0020, -0.0004]"),
        (0.0, -0.0000015, 0.0000015, "usd", "$0", "[-0.0000015, 0.0000015]"),
        (0.0000055, 0.0000045, 0.0000065, "usd", "+$0.0000055", "[0.0000045, 0.0000065]"),
        (0, -0.0000003, 0.0000003, "usd", "$0", "[-0.0000003, 0.0000003]"),
        (0.0, -0.0000002, 0.0000002, "usd", "$0", "[-0.0000002, 0.0000002]"),
        (0.02, None, None, "points", "+2 points", ""),
        (0.025, None, None, "points", "+2.5 points", ""),
        (2.5, None, None, "plain", "+2.5", ""),
        (None, None, None, "points", "-", ""),
    ],
)
def test_differences(
    difference: float | None, low: float | None, high: float | None, unit: Unit, text: str, interval: str
) -> None:
    assert numbers.difference(difference, low, high, unit) == (text, interval)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (834.4, "834 ms"), (999.7, "1.00 s"), (1240, "1.24 s"), (59_940, "59.9 s"), (123_000, "2 min 3 s")],
)
def test_durations(ms: float, text: str) -> None:
    assert numbers.duration(ms) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0, "$0"), (12.345, "$12.35"), (0.1591, "$0.159"),
     (0.5, "$0.50"), (0.000883, "$0.000883"), (-0.00005, "-$0.00005")],
)  # fmt: skip
def test_money(usd: float, text: str) -> None:
    assert numbers.money(usd) == text


def test_a_part_never_comes_without_its_whole() -> None:
    assert numbers.share(3, 200) == "3 of 200 (1.5%)"
    assert numbers.share(0, 200) == "0 of 200"
    assert numbers.share(0, 0) == "0 of 0"
    assert numbers.percent(0.9999) == ">99.9%"
    assert numbers.percent(1) == "100%"
    assert [numbers.p_value(p) for p in (0.0312, 0.00001, None)] == ["0.031", "<0.001", "-"]


finite = st.floats(-1e6, 1e6)


@given(finite, finite, finite, st.sampled_from(["points", "plain", "ms", "usd"]))
def test_a_difference_is_never_zero_unless_it_is(a: float, b: float, c: float, unit: Unit) -> None:
    low, middle, high = sorted((a, b, c))
    text, interval = numbers.difference(middle, low, high, unit)
    assert "-0 " not in f"{text} "
    for shown, value in zip([text.split()[0], *interval.strip("[]").split(", ")], (middle, low, high), strict=True):
        digits = float(shown.replace("$", "").replace(",", ""))
        assert math.copysign(1, digits) == 1 or digits < 0  # no negative zero
        if abs(value) > 1e-3:
            assert (digits > 0) == (value > 0)


@given(st.floats(0, 1))
def test_a_score_is_perfect_or_nothing_only_if_it_is(value: float) -> None:
    """But for a float's last digits."""
    assert (numbers.score(value) == "1.00") == (1 - value < 1e-12)
    assert (numbers.score(value) == "0.00") == (value < 1e-12)


def test_no_spread_is_no_spread() -> None:
    """The standard error of equal scores, which arithmetic leaves at 7.85e-17 or so."""
    assert [numbers.plain(value) for value in (7.85e-17, -7.85e-17, 1e-6)] == ["0", "0", "1e-06"]
    assert numbers.money(7.85e-17) == "$0"
    assert numbers.percent(7.85e-17) == "0%"


def test_means_have_three_decimals_from_0_to_1() -> None:
    given = (0.84, 0.845, 0.0, 1.0, 0.0001, 0.9999, 1.5, -0.25, 2.0, 12.34, None)
    assert [numbers.mean(one) for one in given] == [
        "0.840", "0.845", "0.000", "1.000", "<0.001", ">0.999", "1.5", "-0.25", "2", "12.34", "-",
    ]  # fmt: skip


def test_counts_units_and_changes() -> None:
    counts = [numbers.count(n, "entry", "entries") for n in (0, 1, 2)]
    assert counts == ["0 entries", "1 entry", "2 entries"]
    assert [numbers.count(n, "pair") for n in (1, 1000)] == ["1 pair", "1,000 pairs"]
    assert numbers.count(1000) == "1,000"
    assert [numbers.unit_of(*means) for means in ((0, 1), (0.5, 1.1), (-0.1, 0.5), (None, 0.5))] == [
        "points", "plain", "plain", "plain",
    ]  # fmt: skip
    names = ("latency_ms", "token_count", "total_cost")
    assert [numbers.unit_of(0.5, operation=name) for name in names] == ["ms", "plain", "usd"]
    assert numbers.change(-0.03, -0.06, -0.01, "points") == "-3 points [-6, -1]"
    assert numbers.change(2.5, None, None, "plain") == "+2.5"
    assert [numbers.value(0.5, unit) for unit in ("points", "plain", "ms", "usd")] == ["0.50", "0.5", "0 ms", "$0.50"]


def test_long_times_and_much_money() -> None:
    assert [numbers.duration(ms) for ms in (119_499, 119_500, 72_000_000, None, math.inf)] == [
        "1 min 59 s", "2 min 0 s", "1,200 min 0 s", "-", "-",
    ]  # fmt: skip
    assert [numbers.money(usd) for usd in (1234.5, -1234.5, 0.1, 0.0101, 1e-13, None, math.nan)] == [
        "$1,234.50", "-$1,234.50", "$0.10", "$0.0101", "$0", "-", "-",
    ]  # fmt: skip


def test_scores_of_which_any_is_not_between_0_and_1_are_written_as_plain_numbers() -> None:
    scores = {"share": (0.0, 1.0), "below": (0.5, -0.5), "above": (0.5, 1.5)}
    rows = [
        {"example_id": f"e{n}", "output": 1, **{f"eval.{name}.score": of[n] for name, of in scores.items()}}
        for n in range(2)
    ]
    assert outline_of([table_side(result_table(rows)).read]).beyond == {"below", "above"}
