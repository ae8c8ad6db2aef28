"""Reading a results table by field: ``expected.label``, ``metadata.topic``, ``eval.judge.score``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.datasets.paths import ABSENT, descend
from prefect_experiments.datasets.scalars import is_missing
from prefect_experiments.errors import InvalidInput, unknown_value
from prefect_experiments.results import ResultRun, Results, read_results, refuse_doubles, result_rows

Row = Mapping[str, Any]
Value = TypeVar("Value")
_DEEPEST_SHOWN = 3
_MOST_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class ResultFields:
    """The rows of a results table by field, one an experiment run.

    Attributes:
        rows: all with the same columns; of a `RanExperiment` also the examples' ``metadata``.
        runs: as they were read.
    """

    rows: Sequence[Row]
    runs: Sequence[ResultRun]

    @property
    def failed(self) -> list[bool]:
        """For each run whether its task failed."""
        return [run.error is not None for run in self.runs]

    @property
    def example_ids(self) -> list[Hashable]:
        """For each run its example; where the table does not say, each row is an example of its own."""
        return [run.example_id or ("row", run.row) for run in self.runs]


def fields_of(results: Any) -> ResultFields:
    """The rows of a results table.

    Args:
        results: a `RanExperiment`, or a table of results such as its ``to_dataframe()``; see
            `prefect_experiments.results.read_results`.

    Raises:
        InvalidInput: not a table, one without rows, or one with a cell that cannot be used.
    """
    if isinstance(results, RanExperiment):
        found = results.results
        metadata = {example_id: dict(example.metadata) for example_id, example in results.examples.items()}
        rows = [{"metadata": metadata.get(row["example_id"]), **row} for row in result_rows(found)]
    else:
        found = results if isinstance(results, Results) else read_results(results, needs=())
        if "repetition_number" in found.columns:  # else the rows of an example are its repetitions
            refuse_doubles(found)
        rows = result_rows(found)
    if not rows:
        raise InvalidInput("the results table has no rows; has the experiment run?")
    return ResultFields(rows, found.runs)


def values_of(rows: Sequence[Row], field: str, what: str) -> list[Any]:
    """The values of a field, ``None`` where a row has none.

    Args:
        rows: from `fields_of`.
        field: a column's name, or one followed by keys: ``expected.label`` is the key ``label`` of
            the objects in the column ``expected``. The longest column's name counts.
        what: what the field is for, for the error.

    Raises:
        InvalidInput: no column of that name, or none of the column's objects has that key.
    """
    column = column_of(rows, field)
    if column is None:
        raise InvalidInput(unknown_value(f"{what} field", field, known_fields(rows)))
    keys = field[len(column) + 1 :]
    values = [descend(row[column], keys) for row in rows]
    if all(value is ABSENT for value in values) and not all(is_missing(row[column]) for row in rows):
        raise InvalidInput(unknown_value(f"{what} field", field, known_fields(rows)))
    return [None if value is ABSENT or is_missing(value) else value for value in values]


def column_of(rows: Sequence[Row], field: str) -> str | None:
    """The column that a field is in, ``None`` where there is none."""
    fitting = [name for name in rows[0] if field == name or field.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def known_fields(rows: Sequence[Row]) -> list[str]:
    """The columns, and the keys of the objects in them."""
    found: dict[str, None] = {}
    for row in rows[:_MOST_LOOKED_AT]:
        for name, value in row.items():
            found.update(dict.fromkeys(_names(name, value, 1)))
    return list(found)


def _names(name: str, value: Any, depth: int) -> Iterable[str]:
    yield name
    if isinstance(value, Mapping) and depth < _DEEPEST_SHOWN:
        for key, child in value.items():
            yield from _names(f"{name}.{key}", child, depth + 1)


@dataclass(frozen=True, slots=True)
class Selection:
    """The runs that can be compared, and why the others cannot.

    Attributes:
        used: places of the runs with both values.
        n_missing_reference: runs without the value to compare with.
        n_errors: of the others, those that failed.
        n_missing_other: of the others, those without the value compared.
    """

    n_rows: int
    used: tuple[int, ...]
    n_errors: int
    n_missing_reference: int
    n_missing_other: int

    def of(self, values: Sequence[Value | None]) -> list[Value]:
        """The values of the runs that can be compared."""
        return [cast("Value", values[place]) for place in self.used]


def select(reference: Sequence[Any], other: Sequence[Any], bad: Sequence[bool]) -> Selection:
    """Sort runs by what they have: each counts in exactly one place."""
    used, n_errors, n_missing_reference = [], 0, 0
    for place, (one, two, is_bad) in enumerate(zip(reference, other, bad, strict=True)):
        if one is None:
            n_missing_reference += 1
        elif is_bad:
            n_errors += 1
        elif two is not None:
            used.append(place)
    missing = len(reference) - len(used) - n_errors - n_missing_reference
    return Selection(len(reference), tuple(used), n_errors, n_missing_reference, missing)
