"""JSON text to rows: a list of objects, or one object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson

from prefect_experiments.datasets.json_text import BadJson, first_value, load_json
from prefect_experiments.datasets.kept_rows import sliced
from prefect_experiments.datasets.raw import SLICE, Slices, first_few, slices_of_mappings
from prefect_experiments.datasets.text_file import TextFile
from prefect_experiments.errors import InvalidDataset

# What a list of rows stands under, in the files of other tools.
_ROWS = ("examples", "data")
_SHOWN = 10
_LONGEST_VALUE = 50_000_000  # characters: so far a value that goes over several lines is followed, to say so
_AS_RECORDS = "write a list with one object a row (with pandas, df.to_json(path, orient='records'))"
_ONE_A_LINE = "This suffix means one object a line"


def json_slices(text: str, origin: str) -> Slices:
    """The rows of a JSON text: a list of objects, or an object with such a list under ``examples`` or ``data``.

    Raises:
        InvalidDataset: it is not that.
    """
    try:
        value = load_json(text)
    except BadJson as error:
        hint = "; one object a line is a .jsonl" if error.is_more else ""
        raise InvalidDataset(f"{origin}: {error.place}: {error}{hint}") from None
    if isinstance(value, dict):
        value = _listed(value, origin)
    if not isinstance(value, list):
        raise InvalidDataset(f"{origin}: expected a list of objects, got {_kind(value)}")
    for number, row in enumerate(value, 1):
        if not isinstance(row, dict):
            raise InvalidDataset(
                f"{origin}: row {number} is {_kind(row)}, not an object. Write each row as one, with a name for every "
                'column: {"input": ...}'
            )
    if not value:
        raise InvalidDataset(f"{origin}: no rows; the list is empty")
    names = dict.fromkeys(name for row in value for name in row)
    return slices_of_mappings(lambda: sliced(enumerate(value, 1), SLICE), names, origin)


def _listed(value: Mapping[str, Any], origin: str) -> Any:
    """The list of rows in an object; most of what else it could be is named as such."""
    if "runnable" in value and "entries" in value:
        raise InvalidDataset(
            f"{origin}: this is a dataset of pixie's, which brings a task and evaluators, and not a table. Give its "
            "path as the dataset of an experiment (run_experiment(dataset=...), prefect-experiments run FILE), or as "
            "the file of a new one (client.datasets.create_dataset(file=...))"
        )
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list) and "examples" not in value:
        raise InvalidDataset(f"{origin}: this is what pandas writes with orient='split'; {_AS_RECORDS}")
    is_row = "input" in value or "inputs" in value
    found = [name for name in _ROWS if isinstance(value.get(name), list) and not is_row]
    if len(found) > 1:
        raise InvalidDataset(
            f"{origin}: both 'examples' and 'data' hold a list. Leave out the one that is not the rows"
        )
    if found and _is_list_of_rows(value[found[0]]):
        return value[found[0]]
    fields = ", ".join(first_few(map(repr, value), _SHOWN)) or "none"
    lists = [repr(name) for name, part in value.items() if isinstance(part, list) and part and _is_list_of_rows(part)]
    if lists and not is_row:
        advice = f"If the rows are the list under {' or '.join(first_few(lists, _SHOWN))}, write it alone into a file"
    else:
        advice = f"If this object is the only row, put [ and ] around it. If its fields are columns: {_AS_RECORDS}"
    raise InvalidDataset(
        f"{origin}: an object with the fields {fields}; expected a list of objects, or an object with such a list "
        f"under 'examples' or 'data'. {advice}"
    )


def _is_list_of_rows(value: list[Any]) -> bool:
    return not value or any(isinstance(row, dict) for row in value)


def jsonl_slices(file: TextFile) -> Slices:
    """The rows of a text with one JSON object a line.

    Raises:
        InvalidDataset: a line is not that.
    """
    names: dict[str, None] = {}
    last = blank = 0
    for number, line in _lines(file):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            row = _row(file, number, line)
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
        blank += number - last - 1
        last = number
    if not last:
        raise InvalidDataset(f"{file.origin}: no rows; every line is blank")

    def read() -> Iterator[list[tuple[int, dict[str, Any]]]]:
        return sliced(((number, _row(file, number, line)) for number, line in _lines(file)), SLICE)

    return slices_of_mappings(read, names, file.origin, blank)


def _lines(file: TextFile) -> Iterator[tuple[int, str]]:
    """The lines with something in them, and their numbers."""
    # Not splitlines(), which also cuts at line separators that JSON allows inside a text.
    with file.open("\n") as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                yield number, line.removesuffix("\n")


def _row(file: TextFile, number: int, line: str) -> dict[str, Any]:
    try:
        row = load_json(line)
    except BadJson as error:
        raise _bad_line(file, number, line, error) from None
    if not isinstance(row, dict):
        raise InvalidDataset(
            f"{file.origin}: line {number} is {_kind(row)}, not an object. {_ONE_A_LINE}; "
            "a file that is one JSON list is a .json"
        )
    return row


def _bad_line(file: TextFile, number: int, line: str, error: BadJson) -> InvalidDataset:
    error.line = number
    if error.is_more and isinstance((first_value(line, 0) or (None,))[0], dict | list):
        return InvalidDataset(f"{file.origin}: {_more(line, number, error.column)}. {_ONE_A_LINE}")
    with file.open("\n") as lines:
        for _ in islice(lines, number - 1):
            pass
        text = lines.read(_LONGEST_VALUE)
    found = first_value(text, 0)
    end = number + text.count("\n", 0, found[1]) if found else number
    if found and end > number and isinstance(found[0], dict | list):
        advice = (
            "A file that is one JSON list is a .json"
            if isinstance(found[0], list)
            else "Write each object on one line, for example with: jq -c ."
        )
        return InvalidDataset(f"{file.origin}: lines {number} to {end} are {_kind(found[0])}. {_ONE_A_LINE}. {advice}")
    return InvalidDataset(f"{file.origin}: {error.place}: {error}")


def _more(line: str, number: int, column: int) -> str:
    if line[column - 1] in "{[":
        return f"there are two objects or more on line {number}: the second begins at column {column}"
    return f"line {number} goes on after its object, at column {column}, with {line[column - 1]!r}"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
