"""Excel's workbooks to rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_experiments.datasets.raw import Raw
from prefect_experiments.datasets.scalars import is_blank
from prefect_experiments.errors import InvalidDataset

_NEEDED = "reading .xlsx needs openpyxl: pip install 'prefect-experiments[xlsx]', or save the sheet as .csv"


def read_xlsx(path: Path) -> Raw:
    """The rows of a workbook's first sheet; its first row with something in it is the header.

    A formula is the value that Excel kept for it, a date a datetime.

    Raises:
        InvalidDataset: openpyxl is not installed, it is no workbook, or a formula has no value.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError:
        raise InvalidDataset(f"{path}: {_NEEDED}") from None

    def cells(attribute: str, *, kept_values: bool) -> tuple[list[str], list[list[Any]]]:
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=kept_values)
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # what a file says of its size need not be true
        found = [[getattr(cell, attribute, None) for cell in row] for row in sheet.iter_rows()]
        workbook.close()
        return [sheet.title, *(name for name in workbook.sheetnames if name != sheet.title)], found

    try:
        (title, *others), every = cells("value", kept_values=True)
        if any(cell is None for row in every for cell in row):
            _check_formulas(path, every, cells("data_type", kept_values=False)[1])
    except InvalidDataset:
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl lets out whatever zip and XML have
        raise InvalidDataset(f"{path} is not an .xlsx workbook that can be read ({type(error).__name__})") from None
    rows = _trimmed(every)
    if not rows:
        raise InvalidDataset(f"{path}: no rows; the first sheet, {title!r}, is blank")
    header, *rows = rows
    if not rows:
        raise InvalidDataset(f"{path}: no rows; there is only a header in the first sheet, {title!r}")
    names = ["" if is_blank(name) else str(name) for name in header]
    columns = [[row[place] for row in rows] for place in range(len(names))]
    listed = ", ".join(map(repr, others))
    notes = [f"the sheets {listed} (only the first one, {title!r}, is read)"] if others else []
    return Raw(str(path), names, columns, range(1, len(rows) + 1), notes=notes)


def _trimmed(rows: list[list[Any]]) -> list[list[Any]]:
    """The rows from the first with something in it on, without cells at the ends that only have a format."""
    filled = [place for place, row in enumerate(rows) if any(cell is not None for cell in row)]
    named = [place for place in filled if not all(map(is_blank, rows[place]))]
    if not named:
        return []
    rows = rows[named[0] : filled[-1] + 1]
    width = max(place for row in rows for place, cell in enumerate(row, 1) if cell is not None)
    return [(row + [None] * width)[:width] for row in rows]


def _check_formulas(path: Path, values: list[list[Any]], kinds: list[list[Any]]) -> None:
    """Refuse a formula that no spreadsheet program has worked out yet: an empty cell would be a guess."""
    for number, (row, row_kinds) in enumerate(zip(values, kinds, strict=False), 1):
        for place, (value, kind) in enumerate(zip(row, row_kinds, strict=False), 1):
            if value is None and kind == "f":
                raise InvalidDataset(
                    f"{path}: row {number} of the sheet, column {place} is a formula without a value. Open the file "
                    "in Excel or LibreOffice and save it there, or save the sheet as .csv"
                )
