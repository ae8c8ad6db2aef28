"""Which column of a row is what: input, expected output, metadata, id and splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from prefect_experiments.datasets.json_text import BadJson, load_json
from prefect_experiments.datasets.raw import first_few, header, unknown_column
from prefect_experiments.datasets.scalars import is_blank
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example

KeyColumns = str | Sequence[str] | None

_ID_COLUMNS = ("id", "example_id")
_SPLIT_COLUMNS = ("splits", "split")
_SPAN_ID_COLUMN = "context.span_id"  # as Phoenix and AX name it in their tables of spans
_INPUT_SPELLINGS = ("input", "inputs")
# What tools call the expected output; of two in one table nobody can tell which of them is the truth.
_OUTPUT_SPELLINGS = (
    "output",
    "outputs",
    "expected",
    "expected_output",
    "expected_outputs",
    "reference",
    "reference_output",
    "reference_outputs",
    "ground_truth",
    "ideal",
    "target",
    "expectation",
    "expectations",
)


class UnclearColumns(InvalidDataset):
    """Nobody has said which of the columns are which."""


class Parts(NamedTuple):
    """A row taken apart; nothing in it is checked to be JSON yet.

    Attributes:
        id: ``None`` or empty where the row brings none.
        splits: ``None``, one split or a list of them, as the row has it.
    """

    input: Any
    output: Any
    metadata: Mapping[str, Any]
    id: Any
    splits: Any
    span_id: Any = None


class Roles:
    """What each column is, as far as the caller has said; the rest goes by the usual names.

    Raises:
        InvalidDataset: the key columns do not go together.
    """

    def __init__(
        self,
        input_keys: KeyColumns,
        output_keys: KeyColumns,
        metadata_keys: KeyColumns,
        split_key: Any,
        id_key: Any,
        span_id_key: Any = None,
    ) -> None:
        self.input_keys = _names(input_keys)
        self.output_keys = _names(output_keys)
        self.metadata_keys = _names(metadata_keys)
        self.split_key = None if split_key is None else header(split_key)
        self.id_key = None if id_key is None else header(id_key)
        self.span_id_key = None if span_id_key is None else header(span_id_key)
        named = {*self.input_keys, *self.output_keys, *self.metadata_keys}
        self._input_column: str | None = None
        self._output_column: str | None = None
        self._id_columns = tuple(column for column in _ID_COLUMNS if column not in named)
        self._check()

    def _check(self) -> None:
        if not self.input_keys and (self.output_keys or self.metadata_keys):
            given = "output_keys" if self.output_keys else "metadata_keys"
            raise InvalidDataset(
                f"{given} is given without input_keys. Give input_keys=[...] as well, or leave all of them out "
                "when the rows have columns named 'input' and 'output'"
            )
        if both := [key for key in self.input_keys if key in self.output_keys]:
            raise InvalidDataset(
                f"column {both[0]!r} is in both input_keys and output_keys: the task would see its expected output. "
                "Leave it in one of them"
            )

    def look_up(self, columns: Iterable[str]) -> None:
        """Find the input and the expected output among a table's columns, where the caller has not said.

        Raises:
            InvalidDataset: a column that the caller names is not there, there is no input, or two columns could be
                one of them.
        """
        columns = list(columns)
        for argument in ("input_keys", "output_keys", "metadata_keys", "split_key", "id_key", "span_id_key"):
            for key in _names(getattr(self, argument)):
                if key not in columns:
                    raise InvalidDataset(f"{argument}: {unknown_column(key, columns)}")
        if self.input_keys:
            return
        self._input_column = _one_of(_INPUT_SPELLINGS, columns, "the input")
        if self._input_column is None:
            raise UnclearColumns(
                "which columns are the input? Give input_keys=[...], output_keys=[...]; "
                f"columns: {', '.join(first_few(columns)) or 'none'}"
            )
        not_free = {self.id_key, self.split_key, self.span_id_key}
        self._output_column = _one_of(
            _OUTPUT_SPELLINGS, [column for column in columns if column not in not_free], "the expected output"
        )

    def take_apart(self, row: Example | dict[str, Any]) -> Parts:
        """The parts of one row.

        Raises:
            InvalidDataset: the row has not the columns; the text does not say which row it is.
        """
        if isinstance(row, Example):
            return self._of_example(row)
        return self._by_keys(row) if self.input_keys else self._by_usual_names(row)

    def _of_example(self, example: Example) -> Parts:
        if self.input_keys or self.split_key is not None or self.id_key is not None:
            raise InvalidDataset(
                "this is an Example already; input_keys, output_keys, metadata_keys, split_key and id_key are for "
                "rows with columns. Leave them out"
            )
        metadata = _metadata(example.metadata)
        return Parts(example.input, example.output, metadata, example.id, example.splits, example.span_id)

    def _by_keys(self, row: dict[str, Any]) -> Parts:
        return Parts(
            input=_pick_all(row, self.input_keys, "input_keys"),
            output=_pick_all(row, self.output_keys, "output_keys") if self.output_keys else None,
            metadata=_pick_all(row, self.metadata_keys, "metadata_keys"),
            id=self._id(row)[1],
            splits=None if self.split_key is None else _pick(row, self.split_key, "split_key"),
            span_id=self._span_id(row)[1],
        )

    def _by_usual_names(self, row: dict[str, Any]) -> Parts:
        input_column, output_column = self._input_column or "input", self._output_column
        value = _pick(row, input_column)
        id_column, id_value = self._id(row)
        split_column, splits = self._splits(row)
        span_column, span_id = self._span_id(row)
        metadata = _metadata(row.get("metadata"))
        taken = {input_column, output_column, "metadata", id_column, split_column, span_column}
        rest = {column: value for column, value in row.items() if column not in taken}
        if metadata and (clash := [column for column in rest if column in metadata]):
            raise InvalidDataset(
                f"column {clash[0]!r} would go into metadata, which has a field of that name already. "
                "Rename one of them"
            )
        output = None if output_column is None else row.get(output_column)
        return Parts(value, output, {**metadata, **rest} if metadata else rest, id_value, splits, span_id)

    def _id(self, row: dict[str, Any]) -> tuple[str | None, Any]:
        """The id's column and value; a column that was not asked for may be missing or empty."""
        if self.id_key is not None:
            value = _pick(row, self.id_key, "id_key")
            if is_blank(value):
                raise InvalidDataset(
                    f"column {self.id_key!r}, the id_key, is empty here. Every row needs an id of its own"
                )
            return self.id_key, value
        column = _first_of(self._id_columns, row)
        return column, None if column is None else row[column]

    def _splits(self, row: dict[str, Any]) -> tuple[str | None, Any]:
        if self.split_key is not None:
            return self.split_key, _pick(row, self.split_key, "split_key")
        column = _first_of(_SPLIT_COLUMNS, row)
        return column, None if column is None else row[column]

    def _span_id(self, row: dict[str, Any]) -> tuple[str | None, Any]:
        """The column and the id of the span that the row was made from."""
        if self.span_id_key is not None:
            return self.span_id_key, _pick(row, self.span_id_key, "span_id_key")
        return (_SPAN_ID_COLUMN, row[_SPAN_ID_COLUMN]) if _SPAN_ID_COLUMN in row else (None, None)


def _names(keys: KeyColumns) -> tuple[str, ...]:
    if keys is None:
        return ()
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        return (header(keys),)
    return tuple(dict.fromkeys(header(key) for key in keys))


def _first_of(columns: tuple[str, ...], row: dict[str, Any]) -> str | None:
    for column in columns:
        if column in row:
            return column
    return None


def _text_keys(row: Mapping[Any, Any]) -> dict[str, Any]:
    # A plain dict also for defaultdict and its kin, which would make up a missing column.
    columns = {str(key): value for key, value in row.items()}
    if len(columns) != len(row):
        raise InvalidDataset("two columns have the same name once their names are text. Rename one of them")
    return columns


def _pick(row: dict[str, Any], key: str, argument: str | None = None) -> Any:
    try:
        return row[key]
    except KeyError:
        near = "".join(f"; did you mean {name!r}?" for name in get_close_matches(key, row, n=1))
        raise InvalidDataset(
            f"{f'{argument}: ' if argument else ''}it has no {key!r}, which other rows have{near or '.'} Its columns: "
            f"{', '.join(first_few(row)) or 'none'}. Add it, as null where there is no value"
        ) from None


def _pick_all(row: dict[str, Any], keys: tuple[str, ...], argument: str) -> dict[str, Any]:
    return {key: _pick(row, key, argument) for key in keys}


def _one_of(spellings: Sequence[str], columns: Sequence[str], what: str) -> str | None:
    """The one column that has one of the usual names."""
    found = [column for column in spellings if column in columns]
    if len(found) > 1:
        raise UnclearColumns(
            f"columns {' and '.join(map(repr, found))} could each be {what}. Rename all but one of them (so that they "
            "become metadata) or drop them, or say what is what with input_keys=[...], output_keys=[...] and "
            "metadata_keys=[...]"
        )
    return found[0] if found else None


def _metadata(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return _text_keys(value)
    if is_blank(value):
        return {}
    if isinstance(value, str):  # a CSV file has objects as JSON text only
        try:
            decoded = load_json(value)
        except BadJson:
            decoded = None
        if isinstance(decoded, dict):
            return decoded
    raise InvalidDataset(f"metadata must be an object, or the JSON text of one; got {_kind(value)}")


def _kind(value: Any) -> str:
    return f"a value of type {type(value).__qualname__}"


def has_a_role(column: str) -> bool:
    """Whether a column of this name is not taken for metadata where nothing is said of it."""
    return column in (
        *_ID_COLUMNS,
        *_SPLIT_COLUMNS,
        _SPAN_ID_COLUMN,
        *_INPUT_SPELLINGS,
        *_OUTPUT_SPELLINGS,
        "metadata",
    )
