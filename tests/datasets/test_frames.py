import datetime
import math

import numpy as np
import pandas as pd
import pytest

from prefect_experiments.datasets import frame_rows, to_examples
from prefect_experiments.errors import InvalidDataset
from support.work import assert_in_proportion


def test_columns_keep_their_order_and_values_become_pythons_own():
    df = pd.DataFrame({"z": [1, 2], "a": [0.5, 1.5], "b": [True, False], "t": ["x", "y"]}, index=[7, 9])
    rows = frame_rows(df)
    assert rows == [{"z": 1, "a": 0.5, "b": True, "t": "x"}, {"z": 2, "a": 1.5, "b": False, "t": "y"}]
    assert list(rows[0]) == ["z", "a", "b", "t"]
    assert [type(value) for value in rows[0].values()] == [int, float, bool, str]


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["a", None]),
        pd.Series(["a", np.nan], dtype=object),
        pd.Series(["a", pd.NA], dtype="string"),
        pd.Series(["a", None], dtype="category"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.5, None], dtype="Float64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([pd.Timestamp("2024-01-01"), pd.NaT]),
        pd.Series([pd.Timedelta("1h"), pd.NaT]),
        pd.Series([{"a": 1}, None]),
        pd.Series(["a", pd.NaT], dtype=object),
    ],
)
def test_missing_values_become_none(series):
    first, second = frame_rows(pd.DataFrame({"v": series}))
    assert first["v"] is not None
    assert second["v"] is None


def test_nan_and_infinity_in_a_float_column_are_left_for_the_caller():
    rows = frame_rows(pd.DataFrame({"k": "x", "v": [1.5, np.nan, np.inf]}))
    assert math.isnan(rows[1]["v"])
    assert math.isinf(rows[2]["v"])
    with pytest.raises(
        InvalidDataset,
        match=r"row 2, input\['v'\]: nan .*Use None \(null\) for what is missing; in a DataFrame, df.fillna.*astype",
    ):
        to_examples(rows, input_keys=["k", "v"])


def test_the_advice_for_nan_works():
    df = pd.DataFrame({"k": "x", "v": [1.5, np.nan]}).astype({"v": "Float64"})
    assert [example.input["v"] for example in to_examples(df, input_keys=["k", "v"])] == [1.5, None]


def test_numpy_scalars_among_objects_and_nested_values():
    df = pd.DataFrame({"v": pd.Series([np.int64(1), np.float32(0.5), [1, 2], {"k": None}], dtype=object)})
    values = [row["v"] for row in frame_rows(df)]
    assert values == [1, 0.5, [1, 2], {"k": None}]
    assert type(values[0]) is int
    assert type(values[1]) is float


def test_times_can_be_examples():
    df = pd.DataFrame({"when": pd.to_datetime(["2024-01-01T10:00:00Z"]), "day": [datetime.date(2024, 1, 1)]})
    (example,) = to_examples(frame_rows(df), input_keys=["when", "day"])
    assert example.input == {"when": "2024-01-01T10:00:00+00:00", "day": "2024-01-01"}


def test_column_names_become_texts_and_must_differ():
    assert frame_rows(pd.DataFrame([[1, 2]])) == [{"0": 1, "1": 2}]
    with pytest.raises(InvalidDataset, match="'a'"):
        frame_rows(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(InvalidDataset, match="'1'"):
        frame_rows(pd.DataFrame([[1, 2]], columns=["1", 1]))


@pytest.mark.parametrize("df", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame(index=[1, 2])])
def test_nothing_in_it(df):
    assert frame_rows(df) == []


def test_the_frame_is_not_changed():
    df = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None]})
    before = df.copy(deep=True)
    frame_rows(df)
    pd.testing.assert_frame_equal(df, before)


def test_many_rows_are_work_in_proportion():
    assert_in_proportion(lambda n: frame_rows(pd.DataFrame({"q": ["x"] * n, "n": range(n), "f": [0.5] * n})), 1000)
