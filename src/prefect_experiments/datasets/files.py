"""Files of rows: ``.csv``, ``.json``, ``.jsonl`` (``.ndjson``) and ``.parquet``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from prefect_experiments.datasets.csv_text import parse_csv
from prefect_experiments.errors import InvalidDataset, unknown_value

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")

_NOT_FINITE = re.compile(r"NaN|-?Infinity")
_LONG_INTEGER = re.compile(r"[\s:,\[]-?[0-9]{19,}[\s,\]}]")
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a file, in its order, by its suffix.

    - ``.csv``: comma-separated UTF-8 with a header; a column of canonical numbers or bools is
      converted, see `prefect_experiments.datasets.csv_text.parse_csv`.
    - ``.json``: a list of objects, or an object with such a list under ``examples``.
    - ``.jsonl``, ``.ndjson``: one object a line; blank lines are skipped.
    - ``.parquet``: every column but the index that pandas may have written.

    Args:
        path: the file, taken from the current directory.

    Raises:
        InvalidDataset: no such file, an unknown suffix, or content that is not what the suffix
            says, with the line where that can be told.
    """
    path = Path(path)
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    readers: dict[str, Callable[[str, str], list[dict[str, Any]]]] = {
        ".csv": parse_csv,
        ".json": _parse_json,
        ".jsonl": _parse_jsonl,
        ".ndjson": _parse_jsonl,
    }
    if suffix not in readers:
        raise InvalidDataset(f"{path}: {unknown_value('file suffix', path.suffix, list(SUFFIXES))}")
    return readers[suffix](_read_text(path), str(path))


def is_path(source: str) -> bool:
    """Whether a text means a file: it has a known suffix, or there is a file of that name."""
    path = Path(source)
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        return path.is_file()
    except OSError:  # a text too long for a file's name
        return False


def _check_file(path: Path) -> None:
    here = f"(current directory: {Path.cwd()})"
    try:
        if path.is_dir():
            raise InvalidDataset(f"{path} is a directory; give one of its files {here}")
        if not path.exists():
            raise InvalidDataset(f"there is no file {path} {here}")
        if path.is_file() and path.stat().st_size == 0:
            raise InvalidDataset(f"{path} is empty {here}")
    except OSError as error:
        raise InvalidDataset(f"{path} cannot be read: {error.strerror or error} {here}") from None


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidDataset(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        known = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
        raise InvalidDataset(
            f"{path} is not UTF-8: byte {error.start} cannot be read. Convert it, for example: "
            f"iconv -f {known} -t UTF-8 {path.name} > utf8{path.suffix}"
        ) from None


def _parse_json(text: str, origin: str) -> list[dict[str, Any]]:
    value = _loads(text, origin)
    if isinstance(value, dict):
        if "runnable" in value and "entries" in value:
            raise InvalidDataset(f"{origin}: pixie files are not supported yet")
        if "examples" not in value:
            raise InvalidDataset(
                f"{origin}: an object with the fields {', '.join(map(repr, value)) or 'none'}; "
                "expected a list of objects, or an object with such a list under 'examples'"
            )
        value = value["examples"]
    if not isinstance(value, list):
        raise InvalidDataset(f"{origin}: expected a list of objects, got {_json_kind(value)}")
    for number, row in enumerate(value, 1):
        if not isinstance(row, dict):
            raise InvalidDataset(f"{origin}: row {number} is {_json_kind(row)}, not an object")
    if not value:
        raise InvalidDataset(f"{origin}: no rows; the list is empty")
    return value


def _parse_jsonl(text: str, origin: str) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines(), which also cuts at line separators that JSON allows inside a text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = _loads(line, origin, first_line=number)
        if not isinstance(row, dict):
            raise InvalidDataset(
                f"{origin}: line {number} is {_json_kind(row)}, not an object. "
                "This suffix means one object a line; a file that is one JSON list is a .json"
            )
        rows.append(row)
    if not rows:
        raise InvalidDataset(f"{origin}: no rows; every line is blank")
    return rows


def _loads(text: str, origin: str, first_line: int = 1) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        literal = _NOT_FINITE.match(text, max(error.pos - 1, 0)) or _NOT_FINITE.match(text, error.pos)
        if literal:
            raise InvalidDataset(f"{origin}: line {line}: {literal[0]} is not JSON. Write null instead") from None
        hint = "; one object a line is a .jsonl" if "after document" in error.msg and first_line == 1 else ""
        raise InvalidDataset(f"{origin}: line {line}, column {error.colno}: not JSON: {error.msg}{hint}") from None
    if _LONG_INTEGER.search(text):
        _refuse_long_integers(text, origin)
    return value


def _refuse_long_integers(text: str, origin: str) -> None:
    """Orjson reads an integer beyond 64 bits as a float and so loses digits without a word."""

    def check(digits: str) -> int:
        if not -(2**63) <= int(digits) < 2**64:
            raise InvalidDataset(
                f"{origin}: an integer of {len(digits.lstrip('-'))} digits is beyond 64 bits. Write it as text"
            )
        return 0

    json.loads(text, parse_int=check)


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table(), which adds columns when a folder on the way is called "name=value".
        with pq.ParquetFile(path) as file:
            table = file.read()
        names = [name for name in table.column_names if not _PANDAS_INDEX.fullmatch(name)]
        doubles = sorted({name for name in names if names.count(name) > 1})
        rows = [] if doubles else table.select(names).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidDataset(f"{path} is not a Parquet file that can be read ({type(error).__name__})") from None
    if doubles:
        raise InvalidDataset(f"{path}: several columns are named {', '.join(map(repr, doubles))}")
    if not rows:
        raise InvalidDataset(f"{path}: no rows")
    return list(rows)


def _json_kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
