"""What counts as a label, in which order labels are, and what is no label, no scale and no confidence."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

from prefect_experiments.analysis.labels.agreement import agreement
from prefect_experiments.analysis.labels.contingency import (
    MOST_LABELS,
    check_confidence,
    even_scale,
    label_of,
    labels_in_order,
)
from prefect_experiments.errors import InvalidInput, InvalidSetting


class Tone(enum.Enum):
    """An application's own labels."""

    POLITE = "polite"
    LEVEL = 2


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (Tone.POLITE, "polite"),
        (Tone.LEVEL, "2"),
        (2.0, "2"),
        (2.5, "2.5"),
        (np.float64(3), "3"),
        (True, "True"),
        (None, None),
        (float("nan"), None),
        (" A ", " A "),
    ],
)
def test_what_a_value_is_as_a_label(value: Any, label: str | None) -> None:
    assert label_of(value, "x") == label


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            dict.fromkeys("abcdef"),
            "x holds values of type dict, which are no labels; name the field in them, such as x.a. They have: a, b, "
            "c, d, e",
        ),
        ({}, "x holds values of type dict, which are no labels"),
        (["a"], "x holds values of type list, which are no labels"),
        (("a",), "x holds values of type tuple, which are no labels"),
        ({"a"}, "x holds values of type set, which are no labels"),
        (np.array([1, 2]), "x holds values of type ndarray, which are no labels"),
    ],
)
def test_what_is_no_label(value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        label_of(value, "x")
    assert str(caught.value) == said


def test_labels_that_nobody_has_put_in_order_are_numbers_by_size_then_texts() -> None:
    assert labels_in_order({"b", "10", "9", "-1", "nan", "1.5", "a", "inf"}, None) == [
        "-1", "1.5", "9", "10", "a", "b", "inf", "nan",
    ]  # fmt: skip
    most = [str(place) for place in range(MOST_LABELS)]
    assert labels_in_order(reversed(most), None) == most
    with pytest.raises(InvalidInput, match=r"^1,001 different labels \(at most 500\)"):
        labels_in_order(map(str, range(1001)), None)
    with pytest.raises(InvalidInput, match=r"^501 different labels \(at most 500\)"):
        labels_in_order([*most, "x"], None)


def test_a_scale_has_all_whole_numbers_between() -> None:
    assert even_scale(["-1", "2"]) == ["-1", "0", "1", "2"]
    assert even_scale([]) == []
    assert len(even_scale(["0", "100"])) == 101
    with pytest.raises(InvalidSetting, match=r"^weighted kappa: labels from 0 to 101 are no scale; give labels="):
        even_scale(["0", "50", "101"])
    with pytest.raises(InvalidSetting) as caught:
        even_scale([f"l{place:02}" for place in range(21)])
    assert str(caught.value).endswith("They are " + ", ".join(f"l{place:02}" for place in range(20)))


@pytest.mark.parametrize("confidence", [0, 1, -0.1, 1.1, True, "0.95", None])
def test_a_confidence_that_is_none(confidence: Any) -> None:
    with pytest.raises(InvalidSetting) as caught:
        check_confidence(confidence)
    assert str(caught.value) == f"confidence must be above 0 and below 1, such as 0.95; got {confidence!r}"
    assert [check_confidence(one) for one in (0.001, 0.999)] == [0.001, 0.999]


@pytest.mark.parametrize(
    ("n", "said"), [(20, "did you mean"), (21, "unknown positive label 'l00x': it is none of the 21 labels")]
)
def test_of_at_most_twenty_labels_the_nearest_is_named(n: int, said: str) -> None:
    names = [f"l{place:02}" for place in range(n)]
    with pytest.raises(InvalidInput) as caught:
        agreement(names, names, positive="l00x")
    assert said in str(caught.value)
