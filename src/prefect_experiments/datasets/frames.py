"""DataFrames to columns and rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prefect_experiments.datasets.raw import SLICE, Raw, Slices, header, one_name_each
from prefect_experiments.datasets.scalars import python_scalar

if TYPE_CHECKING:
    import pandas as pd

_ORIGIN = "DataFrame"


def frame_slices(df: pd.DataFrame) -> Slices:
    """The columns of a DataFrame, after the levels of its index that have a name, as its CSV file would have them.

    Missing values (``None``, ``pd.NA``, ``NaT``, NaN among objects or texts) become ``None``.
    NaN and Infinity in a column of floats stay as they are: whether they are missing values or
    faults is for the caller to say, and `to_examples` refuses them by row and column.
    """

    def read() -> Iterator[Raw]:
        for start in range(0, len(df), SLICE):
            names, columns = _columns(df.iloc[start : start + SLICE])
            yield Raw(_ORIGIN, names, columns, range(start + 1, min(start + SLICE, len(df)) + 1))

    return Slices(_ORIGIN, _columns(df.iloc[:0])[0], read)


def _columns(df: pd.DataFrame) -> tuple[list[str], list[list[Any]]]:
    """The names and the cells."""
    names = [header(name) for name in df.columns]
    columns = [_values(df.iloc[:, place]) for place in range(len(names))]
    # Where a column has the name of the index, as in tables of spans, it is taken.
    levels = [(header(name), place) for place, name in enumerate(df.index.names) if name is not None]
    levels = [(name, place) for name, place in levels if name not in names]
    index = [_values(df.index.get_level_values(place).to_series()) for _, place in levels]
    return [*(name for name, _ in levels), *names], [*index, *columns]


def frame_rows(df: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a DataFrame as plain dicts, with the values of `frame_slices`; the index is left out.

    Raises:
        InvalidDataset: two columns have one name.
    """
    names = [str(name) for name in df.columns]
    one_name_each(names, _ORIGIN)
    columns = [_values(df.iloc[:, place]) for place in range(len(names))]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _values(series: pd.Series[Any]) -> list[Any]:
    import numpy as np

    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy().tolist()
    missing = series.isna().to_numpy(dtype=bool).tolist()
    values = series.astype(object).to_numpy().tolist()
    return [None if gone else python_scalar(value) for value, gone in zip(values, missing, strict=True)]
