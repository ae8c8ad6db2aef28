"""Reading a results table by field: ``expected.label``, ``metadata.topic``, ``eval.judge.score``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from prefect_experiments.datasets.frames import frame_rows
from prefect_experiments.datasets.paths import ABSENT, descend
from prefect_experiments.datasets.scalars import is_missing
from prefect_experiments.errors import InvalidInput, unknown_value

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.ran import RanExperiment
    from prefect_experiments.pages import ExperimentRunList

Row = Mapping[str, Any]
Value = TypeVar("Value")
_DEEPEST_SHOWN = 3
_MOST_LOOKED_AT = 200


def rows_of(results: pd.DataFrame | RanExperiment | ExperimentRunList) -> list[Row]:
    """The rows of a results table, one an experiment run, with plain Python values.

    Args:
        results: a DataFrame shaped like ``RanExperiment.to_dataframe()``; a `RanExperiment`, whose
            rows get ``metadata`` and the annotations as well; or what ``list_runs()`` gave.

    Raises:
        InvalidInput: not a table, one without rows, or one with two columns of one name.
    """
    for method in ("to_dataframe", "to_df"):
        if hasattr(results, method):
            frame = getattr(results, method)()
            break
    else:
        frame = results
    if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
        raise InvalidInput(f"results must be a DataFrame or a RanExperiment, got {type(results).__qualname__}")
    rows: list[Row] = [*frame_rows(frame)]
    if not rows:
        raise InvalidInput("the results table has no rows; has the experiment run?")
    return _completed(rows, results)


def _completed(rows: list[Row], results: Any) -> list[Row]:
    """The rows with their examples' metadata and the annotations, which ``to_dataframe()`` leaves out."""
    from prefect_experiments.analysis.ran import RanExperiment

    if not isinstance(results, RanExperiment):
        return rows
    notes: dict[Any, dict[str, Any]] = {}
    for note in results.annotations:
        parts = {"score": note.score, "label": note.label, "text": note.text}
        found = {f"annotation.{note.name}.{part}": value for part, value in parts.items()}
        notes.setdefault(note.run_id, {}).update(found)
    columns = dict.fromkeys(name for found in notes.values() for name in found)
    metadata = {example_id: dict(example.metadata) for example_id, example in results.examples.items()}
    return [{**columns, **notes.get(row["id"], {}), "metadata": metadata.get(row["example_id"]), **row} for row in rows]


def values_of(rows: Sequence[Row], field: str, what: str) -> list[Any]:
    """The values of a field, ``None`` where a row has none.

    Args:
        rows: from `rows_of`.
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


def failed(rows: Sequence[Row]) -> list[bool]:
    """For each run whether its task failed."""
    return [row.get("status") == "error" or not is_missing(row.get("error")) for row in rows]


def example_ids(rows: Sequence[Row]) -> list[Hashable]:
    """For each run its example; where the table does not say, each row is an example of its own."""
    if "example_id" not in rows[0]:
        return list(range(len(rows)))
    # A row without an id is an example of its own as well.
    return [
        cast("Hashable", row["example_id"]) if not is_missing(row["example_id"]) else ("row", place)
        for place, row in enumerate(rows)
    ]


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
