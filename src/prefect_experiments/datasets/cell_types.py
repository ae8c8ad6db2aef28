"""What the cells of a column are where the caller says so: text, numbers, truth values or JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from prefect_experiments.datasets.json_text import BadJson, load_json
from prefect_experiments.datasets.raw import header
from prefect_experiments.datasets.scalars import is_blank, is_missing, python_scalar
from prefect_experiments.errors import InvalidDataset, InvalidSetting, unknown_value
from prefect_experiments.texts import shortened

CellType = Literal["text", "number", "bool", "json"]
CELL_TYPES: tuple[CellType, ...] = get_args(CellType)
Types = Mapping[str, CellType]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_BOOLS = {"true": True, "false": False}
_SHOWN = 40


class _Misfit(ValueError):
    """A cell that its type cannot hold; the text says what to do."""


def check_types(types: Mapping[str, str] | None) -> dict[str, str]:
    """The types that the caller gives, by column.

    Raises:
        InvalidSetting: they are no mapping of columns to the names of types.
    """
    if types is None:
        return {}
    if not isinstance(types, Mapping):
        raise InvalidSetting(
            f"types must map columns to types, such as {{'price': 'number'}}, got {type(types).__qualname__}"
        )
    for column, kind in types.items():
        if kind not in CELL_TYPES:
            raise InvalidSetting(f"types[{column!r}]: {unknown_value('type', kind, list(CELL_TYPES))}")
    return {header(column): kind for column, kind in types.items()}


def typed(cells: Sequence[Any], kind: str, where: str, numbers: Sequence[int]) -> list[Any]:
    """The cells of a column as what the caller says they are.

    An empty cell is ``None``, but in a column of text it stays as it is. Cells that are no text keep
    their own type, which has to be the one that was asked for; numbers and truth values can be text.

    Raises:
        InvalidDataset: a cell that cannot be that; with its row and what it is.
    """
    read = _READERS[kind]
    found: list[Any] = []
    for number, cell in zip(numbers, cells, strict=True):
        if is_missing(cell) or (kind != "text" and is_blank(cell)):
            found.append(None)
            continue
        try:
            found.append(read(python_scalar(cell)))
        except _Misfit as misfit:
            raise InvalidDataset(f"{where}, row {number}: {_shown(cell)} is no {_WORDS[kind]}. {misfit}") from None
    return found


def _text(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int | float):
        return str(cell)
    raise _Misfit("Only numbers and truth values can be made text; leave the column out of types=")


def _number(cell: Any) -> int | float:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell
    text = cell.strip() if isinstance(cell, str) else ""
    if _INTEGER.fullmatch(text):
        if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
            raise _Misfit("It is beyond 64 bits and would lose digits; leave the column as text")
        return int(text)
    try:
        # Underscores and other scripts' digits are numbers to Python, and to nobody else.
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _Misfit("Write it as 1234.5, leave empty what is missing, or leave the column as text")
    return number


def _bool(cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    value = _BOOLS.get(cell.strip().lower()) if isinstance(cell, str) else None
    if value is None:
        raise _Misfit("Write true or false, in upper or lower case, or leave the column as text")
    return value


def _json(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return load_json(cell)
    except BadJson as error:
        raise _Misfit(f"{error}. Leave empty what is missing, or leave the column as text") from None


def _shown(cell: Any) -> str:
    return shortened(repr(cell), _SHOWN)


_READERS: dict[str, Callable[[Any], Any]] = {"text": _text, "number": _number, "bool": _bool, "json": _json}
_WORDS = {"text": "text", "number": "number", "bool": "truth value", "json": "JSON"}
