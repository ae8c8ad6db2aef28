"""Rows to examples: every value is checked to be JSON, every example has an id of its own."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from prefect_experiments import keys
from prefect_experiments.datasets.columns import KeyColumns, Parts, Roles
from prefect_experiments.datasets.ids import identifier, span_identifier, split_name
from prefect_experiments.datasets.tables import Table, is_tabular, numbered_table, read_table
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.jsonable import NotJson, dumps_strict
from prefect_experiments.models import Example

_SHOWN = 5


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
    existing_ids: Collection[str] = (),
) -> tuple[Example, ...]:
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
        Examples whose values are what JSON makes of them. A row that brings no id gets one made
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
    records: Iterable[tuple[int, Any]] = () if table is None else zip(table.numbers, table.records(), strict=True)
    drafts, numbers = [], []
    for number, row in heapq.merge(examples, records, key=itemgetter(0)) if examples else records:
        try:
            drafts.append(_draft(roles.take_apart(row), exact=isinstance(row, Example)))
            numbers.append(number)
        except InvalidDataset as error:
            raise InvalidDataset(f"{origin}: row {number}, {error}") from None
    if not drafts:
        raise InvalidDataset(f"{origin}: no rows. A dataset needs at least one example")
    return _with_ids(drafts, numbers, origin, existing_ids)


def _sorted_out(
    source: Any, types: Mapping[str, str] | None, origin: str
) -> tuple[list[tuple[int, Example]], Table | None]:
    """The examples in a source with their numbers, and the rest of it as a table, if there is any."""
    no_list = isinstance(source, str | Path | bytes | Mapping | Example) or not isinstance(source, Iterable)
    if no_list or is_tabular(source):
        return [], read_table(source, types=types, name=origin)
    rows = list(source)
    examples = [(number, row) for number, row in enumerate(rows, 1) if isinstance(row, Example)]
    if len(examples) == len(rows):
        if types:
            raise InvalidDataset(f"{origin}: types= are for rows with columns; these are examples with values already")
        return examples, None
    if not examples:
        return [], read_table(rows, types=types, name=origin)
    rest = [(number, row) for number, row in enumerate(rows, 1) if not isinstance(row, Example)]
    return examples, numbered_table(rest, types=types, name=origin)


class _Draft(NamedTuple):
    """An example with JSON values; the id is ``None`` where the row brings none."""

    id: str | None
    input: Any
    output: Any
    metadata: dict[str, Any]
    splits: tuple[str, ...]
    span_id: str | None

    def order(self) -> tuple[Any, ...]:
        """What tells it from others of one content."""
        typed = keys.canonical_json([self.input, self.output, self.metadata])
        return keys.metadata_order(self.metadata), sorted(self.splits), self.span_id or "", typed


def _draft(parts: Parts, *, exact: bool) -> _Draft:
    value, output, metadata, example_id, splits, span_id = parts
    return _Draft(
        identifier(example_id, exact=exact),
        _json(value, "input"),
        None if output is None else _json(output, "output"),
        _json(metadata, "metadata") if metadata else {},
        () if splits is None else _splits(splits),
        None if span_id is None else span_identifier(span_id),
    )


def _json(value: Any, part: str) -> Any:
    """What JSON makes of a value."""
    if type(value) is str and value.isascii():
        return value
    try:
        return orjson.loads(dumps_strict(value))
    except NotJson as error:
        raise InvalidDataset(_fault(value, part, str(error))) from None


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


def _with_ids(
    drafts: Sequence[_Draft], numbers: Sequence[int], origin: str, existing_ids: Collection[str]
) -> tuple[Example, ...]:
    existing = frozenset(existing_ids)
    ids = [draft.id for draft in drafts]
    _check_given(ids, numbers, existing, origin)
    taken = {draft.id for draft in drafts if draft.id is not None} | existing
    alike: dict[str, list[int]] = {}
    for place, draft in enumerate(drafts):
        if draft.id is None:
            alike.setdefault(keys.example_id(draft.input, draft.output), []).append(place)
    for base, places in alike.items():
        number = 0
        if len(places) > 1:  # so that it is no matter in which order they stand
            places.sort(key=lambda place: drafts[place].order())
        for place in places:
            ids[place], number = _free(base, number + 1, taken)
    return tuple(
        Example(
            id=example_id or "",
            input=draft.input,
            output=draft.output,
            metadata=draft.metadata,
            splits=draft.splits,
            span_id=draft.span_id,
        )
        for example_id, draft in zip(ids, drafts, strict=True)
    )


def _free(base: str, number: int, taken: Collection[str]) -> tuple[str, int]:
    """The first of `base`, `base`-2, `base`-3, ... from a number on that is not taken."""
    while (candidate := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return candidate, number


def _check_given(ids: Sequence[str | None], numbers: Sequence[int], existing: frozenset[str], origin: str) -> None:
    first_rows: dict[str, int] = {}
    doubles, known = [], []
    for number, example_id in zip(numbers, ids, strict=True):
        if example_id is None:
            continue
        first = first_rows.setdefault(example_id, number)
        if first != number:
            doubles.append(f"{_short(example_id)} (rows {first} and {number})")
        elif example_id in existing:
            known.append(f"{_short(example_id)} (row {number})")
    if doubles:
        raise InvalidDataset(
            f"{origin}: ids that stand twice: {_first_few(doubles)}. Make them unique, name another id_key or, "
            "where the column is no id of the rows, take it into metadata_keys or rename it"
        )
    if known:
        raise InvalidDataset(
            f"{origin}: ids that the dataset has already: {_first_few(known)}. "
            "Leave these rows out, or give them new ids"
        )


def _first_few(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
