"""DataFrames to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect_experiments.datasets.raw import Raw
from prefect_experiments.datasets.scalars import python_scalar
from prefect_experiments.errors import InvalidDataset

if TYPE_CHECKING:
    import pandas as pd


def frame_rows(df: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a DataFrame as plain dicts, columns in their order; the index is left out.

    Missing values (``None``, ``pd.NA``, ``NaT``, NaN among objects or texts) become ``None``.
    NaN and Infinity in a column of floats stay as they are: whether they are missing values or
    faults is for the caller to say, and `to_examples` refuses them by row and column.

    Args:
        df: one row an example. Column names become texts.

    Raises:
        InvalidDataset: two columns have one name.
    """
    columns = frame_columns(df)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def frame_raw(df: pd.DataFrame) -> Raw:
    """The columns of a DataFrame, and the levels of its index that have a name, as its CSV file would have them."""
    names = [str(name) for name in df.columns]
    columns = [_values(df.iloc[:, place]) for place in range(len(names))]
    # Where a column says the same as the index, as in tables of spans, it is taken.
    levels = [(str(name), place) for place, name in enumerate(df.index.names) if name is not None]
    levels = [(name, place) for name, place in levels if name not in names]
    for name, place in reversed(levels):
        names.insert(0, name)
        columns.insert(0, _values(df.index.get_level_values(place).to_series()))
    return Raw("DataFrame", names, columns, range(1, len(df) + 1))


def frame_columns(df: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns of a DataFrame, with the values of `frame_rows`.

    Raises:
        InvalidDataset: two columns have one name.
    """
    names = [str(name) for name in df.columns]
    doubles = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubles:
        raise InvalidDataset(
            f"DataFrame: several columns are named {', '.join(map(repr, doubles))}. Rename or drop all but one"
        )
    return {name: _values(df.iloc[:, place]) for place, name in enumerate(names)}


def _values(series: pd.Series[Any]) -> list[Any]:
    import numpy as np

    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy().tolist()
    missing = series.isna().to_numpy(dtype=bool).tolist()
    values = series.astype(object).to_numpy().tolist()
    return [None if gone else python_scalar(value) for value, gone in zip(values, missing, strict=True)]
