"""Files of rows: ``.csv``, ``.tsv``, ``.json``, ``.jsonl`` (``.ndjson``), ``.parquet`` and ``.xlsx``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect_experiments.datasets.arrow import parquet_slices
from prefect_experiments.datasets.csv_text import csv_slices
from prefect_experiments.datasets.json_rows import json_slices, jsonl_slices
from prefect_experiments.datasets.raw import Slices, slices_of
from prefect_experiments.datasets.sheets import read_xlsx
from prefect_experiments.datasets.text_file import TextFile, whole_text
from prefect_experiments.errors import InvalidDataset, from_here, nearest_file, unknown_value

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx")


def slices_of_file(path: str | Path) -> Slices:
    """The rows of a file, in its order, by its suffix.

    - ``.csv``, ``.tsv``: UTF-8 with a header; every cell is text. See `csv_slices` for the separator.
    - ``.json``: a list of objects, or an object with such a list under ``examples`` or ``data``.
    - ``.jsonl``, ``.ndjson``: one object a line.
    - ``.parquet``: every column but an index without a name that pandas may have written.
    - ``.xlsx``: the first sheet, see `read_xlsx`.

    A .json and an .xlsx file are read into memory as a whole.

    Args:
        path: the file, taken from the current directory.

    Raises:
        InvalidDataset: no such file, an unknown suffix, or content that is not what the suffix
            says, with the line where that can be told.
    """
    path = Path(path)
    check_file(path)
    readers: dict[str, Callable[[Path], Slices]] = {
        ".csv": lambda path: csv_slices(TextFile(path)),
        ".tsv": lambda path: csv_slices(TextFile(path), "\t"),
        ".json": lambda path: json_slices(whole_text(path), str(path)),
        ".jsonl": lambda path: jsonl_slices(TextFile(path)),
        ".ndjson": lambda path: jsonl_slices(TextFile(path)),
        ".parquet": parquet_slices,
        ".xlsx": lambda path: slices_of(read_xlsx(path)),
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        problem = unknown_value("file suffix", path.suffix, list(SUFFIXES))
        raise InvalidDataset(f"{path}: {problem}. Unpack it, convert it, or rename it to what it holds")
    return readers[suffix](path)


def read_text(path: Path) -> str:
    """The whole text of a file.

    Raises:
        InvalidDataset: there is no such file, it is empty, or it is not UTF-8.
    """
    check_file(path)
    return whole_text(path)


def is_path(source: str) -> bool:
    """Whether a text means a file: it has a known suffix, or there is a file of that name."""
    path = Path(source)
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        return path.is_file()
    except OSError:  # a text too long for a file's name
        return False


def is_directory(source: str | Path) -> bool:
    """Whether a text, which might be a name as well, leads to a directory."""
    try:
        return Path(source).is_dir()
    except (OSError, ValueError):  # a text too long for a file's name, or with a NUL
        return False


def check_file(path: Path) -> None:
    """Refuse a path at which there is nothing to read.

    Raises:
        InvalidDataset: it is a directory, an empty file, or nothing.
    """
    here = from_here()
    try:
        if path.is_dir():
            known = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
            such = f", such as {known[0]}" if known else ""
            raise InvalidDataset(f"{path} is a directory; give one of its files{such} {here}")
        if not path.exists():
            raise InvalidDataset(f"there is no file {path}{nearest_file(path)} {here}")
        if path.is_file() and path.stat().st_size == 0:
            raise InvalidDataset(f"{path} is empty {here}")
    except OSError as error:
        raise InvalidDataset(f"{path} cannot be read: {error.strerror or error} {here}") from None
