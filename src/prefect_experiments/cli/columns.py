"""What the options say of a file's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from prefect_experiments.errors import InvalidSetting

CellTypes = Annotated[
    list[str] | None,
    Parameter(
        name="--type",
        help="COLUMN=TYPE, what the cells of a file's column are: text, number, bool or json; of a CSV file, text by "
        "default. Can be given several times.",
    ),
]
"""``--type COLUMN=TYPE``, once for each column."""


def types_of(given: Sequence[str] | None) -> dict[str, str] | None:
    """The types that ``--type`` gives, as ``types=`` takes them.

    Raises:
        InvalidSetting: one that is no COLUMN=TYPE, or two for one column.
    """
    types: dict[str, str] = {}
    for text in given or ():
        column, _, kind = text.rpartition("=")  # a column's name may hold an equals sign
        if not column or not kind:
            raise InvalidSetting(f"--type takes COLUMN=TYPE, such as price=number, got {text!r}")
        if column in types:
            raise InvalidSetting(f"--type is given twice for column {column!r}")
        types[column] = kind
    return types or None
