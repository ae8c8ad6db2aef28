"""Rows to examples: every value is checked to be JSON, every example has an id of its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from prefect_experiments import keys
from prefect_experiments.datasets.columns import KeyColumns, Parts, Roles
from prefect_experiments.datasets.ids import identifier, span_identifier, split_name
from prefect_experiments.datasets.kept_rows import HELD, ExampleRow, LongList, sliced
from prefect_experiments.datasets.spool import Double, Numbered, Spool
from prefect_experiments.datasets.tables import SlicedTable, is_tabular, numbered_table, sliced_table
from prefect_experiments.display import some
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.jsonable import NotJson, dumps_strict
from prefect_experiments.models import Example
from prefect_experiments.texts import shortened

_SHOWN = 5
_NUMBER = itemgetter(0)


def to_examples(
    rows: Any,
    *,
    input_keys: KeyColumns = None,
    output_keys: KeyColumns = None,
    metadata_keys: KeyColumns = None,
    split_key: str | None = None,
    id_key: str | None = None,
    span_id_key: str | None = None,
    types: Mapping[str, str] | None = None,
    origin: str = "examples",
    existing_ids: Iterable[str] = (),
) -> Sequence[Example]:
    """The examples that rows make, in the order of the rows.

    With `input_keys`, input, output and metadata are objects of the columns named; columns that
    are named nowhere are left out. Without, a row needs an ``input`` (any JSON value; also called
    ``inputs``) and may have one of ``output``, ``expected``, ``reference``, ``ground_truth``,
    ``ideal``, ``target`` and their kin, ``metadata`` (an object, or its JSON text), ``id`` and
    ``splits`` or ``split``; its other columns go into metadata under their own names.

    Args:
        rows: whatever `read_table` takes, examples, or a list of examples and mappings of column to value.
        input_keys: a column or several.
        output_keys: a column or several; only with `input_keys`.
        metadata_keys: a column or several; only with `input_keys`.
        split_key: the column of the splits: a text, a list of texts (or its JSON text), or
            nothing.
        id_key: the column of the ids, where every row must have one. Without it, the column
            ``id`` or else ``example_id`` is used, unless it is one of the key columns, and a row
            whose id is empty counts as bringing none.
        span_id_key: the column of the ids of the spans that the rows were made from; default,
            ``context.span_id`` where there is one.
        types: by column, what its cells are; see `read_table`.
        origin: what the rows are, for messages, where they do not say it themselves as a file does.
        existing_ids: ids that are in use already.

    Returns:
        Examples whose values are what JSON makes of them: a tuple or, of more than 10,000, a list that is read from a
        temporary file. A row that brings no id gets one made
        of its input and expected output; more rows with the same ones get ``-2``, ``-3``, ... in an
        order that their metadata makes, not their place.

    Raises:
        InvalidDataset: no rows, a missing column, two columns that could be the expected output, a
            value that is not JSON, or an id that is empty, double, in use, or kept by no store. Rows
            count from 1; their content is not shown.
    """
    examples, table = _sorted_out(rows, types, origin)
    origin = origin if table is None else table.origin
    try:
        roles = Roles(input_keys, output_keys, metadata_keys, split_key, id_key, span_id_key)
        if table is not None:
            roles.look_up(table.columns)
    except InvalidDataset as error:
        raise type(error)(f"{origin}: {error}") from None
    records: Iterable[tuple[int, Any]] = () if table is None else table.records()
    rows = records if examples is None else examples if table is None else heapq.merge(examples, records, key=_NUMBER)
    spool = Spool()
    for part in sliced(rows):
        spool.add([_drafted(number, row, roles, origin) for number, row in part])
    if not len(spool):
        raise InvalidDataset(f"{origin}: no rows. A dataset needs at least one example")
    spool.reserve(existing_ids)
    spool.settle()
    _check_given(spool, origin)
    spool.tell_apart()
    return spool if len(spool) > HELD else tuple(spool)


def _sorted_out(
    source: Any, types: Mapping[str, str] | None, origin: str
) -> tuple[Iterable[tuple[int, Example]] | None, SlicedTable | None]:
    """The examples in a source with their numbers, and the rest of it as a table, if there is any."""
    no_list = isinstance(source, str | Path | bytes | Mapping | Example) or not isinstance(source, Iterable)
    if no_list or is_tabular(source):
        return None, sliced_table(source, types=types, name=origin)
    rows = source if isinstance(source, LongList | list | tuple) else list(source)
    count = len(rows) if isinstance(rows, LongList) else sum(isinstance(row, Example) for row in rows)
    if count == len(rows):
        if types:
            raise InvalidDataset(f"{origin}: types= are for rows with columns; these are examples with values already")
        return enumerate(rows, 1), None
    if not count:
        return None, sliced_table(rows, types=types, name=origin)
    examples = [(number, row) for number, row in enumerate(rows, 1) if isinstance(row, Example)]
    rest = [(number, row) for number, row in enumerate(rows, 1) if not isinstance(row, Example)]
    return examples, numbered_table(rest, types=types, name=origin)


def _drafted(number: int, row: Any, roles: Roles, origin: str) -> Numbered:
    try:
        return _draft(number, roles.take_apart(row), exact=isinstance(row, Example))
    except InvalidDataset as error:
        raise InvalidDataset(f"{origin}: row {number}, {error}") from None


def _draft(number: int, parts: Parts, *, exact: bool) -> Numbered:
    """A row as it is kept; where it brings no id, with one that others may have too, see `Spool.tell_apart`."""
    value, output, metadata, example_id, splits, span_id = parts
    given = identifier(example_id, exact=exact)
    value_text = _json(value, "input")
    output_text = None if output is None else _json(output, "output")
    if output_text == "null":
        output_text = None
    row = ExampleRow(
        given or keys.example_id(orjson.loads(value_text), orjson.loads(output_text or "null")),
        value_text,
        output_text,
        _json(metadata, "metadata") if metadata else "{}",
        "[]" if splits is None else orjson.dumps(_splits(splits)).decode(),
        None if span_id is None else span_identifier(span_id),
    )
    return Numbered(row, number, given is None)


def _json(value: Any, part: str) -> str:
    """The text of what JSON makes of a value."""
    try:
        text = dumps_strict(value)
    except NotJson as error:
        raise InvalidDataset(_fault(value, part, str(error))) from None
    # Numbers of other libraries may be written in a way of their own.
    return text if type(value) is str else orjson.dumps(orjson.loads(text)).decode()


def _fault(value: Any, part: str, fault: str) -> str:
    """Which field is not JSON, and what to do about it."""
    place = part
    for key, child in value.items() if isinstance(value, Mapping) else ():
        try:
            dumps_strict(child)
        except NotJson as error:
            place, fault = f"{part}[{key!r}]", str(error)
            break
    if fault.startswith(("nan", "inf", "-inf")):
        advice = "Use None (null) for what is missing; in a DataFrame, df.fillna(...) or df.astype('Float64')"
    else:
        advice = "Convert it to text, a number, a list or an object first"
    return f"{place}: {fault}. {advice}"


def _splits(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _json_list(value) if value.startswith("[") else (value,)
    elif hasattr(value, "tolist"):  # a numpy array, as Parquet files and DataFrames have lists
        value = value.tolist()
    elif isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if not isinstance(value, list | tuple):
        value = (value,)
    return tuple(dict.fromkeys(name for name in map(split_name, value) if name))


def _json_list(text: str) -> Any:
    """The splits of a CSV cell, where a list can only stand as its JSON text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return (text,)


def _check_given(spool: Spool, origin: str) -> None:
    """Refuse ids that stand twice or are in use."""
    if doubles := _first_few(spool.doubles(), lambda double: f" (rows {double.first} and {double.number})"):
        raise InvalidDataset(
            f"{origin}: ids that stand twice: {doubles}. Make them unique, name another id_key or, "
            "where the column is no id of the rows, take it into metadata_keys or rename it"
        )
    if known := _first_few(spool.taken(), lambda double: f" (row {double.number})"):
        raise InvalidDataset(
            f"{origin}: ids that the dataset has already: {known}. Leave these rows out, or give them new ids"
        )


def _first_few(found: Iterable[Double], said: Callable[[Double], str]) -> str:
    return some(found, _SHOWN, lambda double: f"{shortened(double.example_id, 60)!r}{said(double)}")
