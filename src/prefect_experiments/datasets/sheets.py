"""Excel's workbooks to rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_experiments.datasets.raw import Raw
from prefect_experiments.datasets.scalars import is_blank
from prefect_experiments.errors import InvalidDataset, needs_extra


def read_xlsx(path: Path) -> Raw:
    """The rows of a workbook's first sheet; its first row with something in it is the header.

    A formula is the value that Excel kept for it, a date a datetime.

    Raises:
        InvalidDataset: openpyxl is not installed, it is no workbook, or a formula has no value.
    """
    with needs_extra("xlsx", f"{path}: reading .xlsx", instead="save the sheet as .csv", error=InvalidDataset):
        import openpyxl  # type: ignore[import-untyped]

    def cells(*, kept_values: bool) -> tuple[list[str], list[list[Any]], list[list[Any]]]:
        """The sheets' names, and the values and the types of the first one's cells."""
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=kept_values)
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # what a file says of its size need not be true
        rows = [list(row) for row in sheet.iter_rows()]
        values, kinds = (
            [[getattr(cell, name, None) for cell in row] for row in rows] for name in ("value", "data_type")
        )
        workbook.close()
        return [sheet.title, *(name for name in workbook.sheetnames if name != sheet.title)], values, kinds

    try:
        (title, *others), every, kinds = cells(kept_values=True)
        _check_errors(path, every, kinds)
        if any(cell is None for row in every for cell in row):
            _check_formulas(path, every, cells(kept_values=False)[2])
            _check_merged(path)
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


def _check_merged(path: Path) -> None:
    """Refuse cells that were merged: all but the first of them are empty, and that is not what is meant."""
    import openpyxl

    merged = openpyxl.load_workbook(path).worksheets[0].merged_cells.ranges
    if merged:
        raise InvalidDataset(
            f"{path}: the cells {', '.join(sorted(map(str, merged))[:5])} of the first sheet are merged, so that "
            "only the first of them holds a value. Unmerge them and fill each; pandas: to_excel(merge_cells=False)"
        )


def _check_errors(path: Path, values: list[list[Any]], kinds: list[list[Any]]) -> None:
    """Refuse what a spreadsheet shows where it could not work a formula out."""
    for number, (row_kinds, row) in enumerate(zip(kinds, values, strict=False), 1):
        for place, (kind, value) in enumerate(zip(row_kinds, row, strict=False), 1):
            if kind == "e":
                raise InvalidDataset(
                    f"{path}: row {number} of the sheet, column {place} is the error {value}. Mend the formula, or "
                    "leave the cell empty"
                )
