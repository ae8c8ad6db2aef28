"""Columns of a results table as plain values. Each function names the row and the value it cannot use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from prefect_experiments.datasets.scalars import is_blank, python_scalar
from prefect_experiments.errors import InvalidDataset

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_SHOWN = 40


def identifiers(column: pd.Series[Any], where: str) -> list[str]:
    """Each cell as the text of an id: whole numbers without a fraction, as CSV readers may have made them.

    Raises:
        InvalidDataset: a cell is empty.
    """
    ids = []
    for row, cell in enumerate(column.tolist(), 1):
        value = python_scalar(cell)
        if is_blank(value):
            raise InvalidDataset(f"{where}, row {row} is empty; every run needs the id of its example")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        ids.append(value if isinstance(value, str) else str(value))
    return ids


def finite_numbers(column: pd.Series[Any], where: str) -> npt.NDArray[np.float64]:
    """The cells as numbers, NaN where they are missing or blank. Bools are 1 and 0, numbers may be text.

    Raises:
        InvalidDataset: a cell is no number, or is infinite.
    """
    import numpy as np

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        numbers = column.to_numpy(dtype=np.float64)
    else:
        numbers = np.array([_number(cell) for cell in column.tolist()], dtype=np.float64)
        for row in np.flatnonzero(np.isnan(numbers)).tolist():
            if not _is_missing_number(cell := column.iloc[row]):
                raise InvalidDataset(
                    f"{where}, row {row + 1}: {_shown(cell)} is not a number. Leave out what is missing"
                )
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise InvalidDataset(
            f"{where}, row {infinite[0] + 1}: the number is infinite ({numbers[infinite[0]]}). "
            "It must be finite; leave empty what is missing"
        )
    return numbers


def whole_numbers(column: pd.Series[Any], where: str, *, least: int) -> list[int]:
    """The cells as whole numbers.

    Raises:
        InvalidDataset: a cell is empty, is not a whole number, or is below `least`.
    """
    numbers = finite_numbers(column, where)
    for row, number in enumerate(numbers.tolist(), 1):
        if not number.is_integer() or number < least:
            shown = "empty" if math.isnan(number) else f"{number:g}"
            raise InvalidDataset(f"{where}, row {row} must be a whole number of at least {least}, got {shown}")
    return [int(number) for number in numbers]


def texts(column: pd.Series[Any]) -> list[str]:
    """The cells as text, without white space around; ``""`` where they are missing."""
    return ["" if is_blank(cell) else str(cell).strip() for cell in column.tolist()]


def _number(cell: Any) -> float:
    """The number a cell holds, NaN for anything else."""
    if cell is None or (isinstance(cell, str) and "_" in cell):
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_missing_number(cell: Any) -> bool:
    return is_blank(cell) or (isinstance(cell, str) and cell.strip().lower() == "nan")


def _shown(cell: Any) -> str:
    text = repr(python_scalar(cell))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
