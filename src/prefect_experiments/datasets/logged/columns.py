"""Which column of logged results is what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect_experiments.datasets.tables import Table
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.models import AnnotatorKind, EvaluationResultFieldNames, ExperimentTaskFieldNames

_UNDERSTOOD = (
    "repetition_number",
    "status",
    "error",
    "latency_ms",
    "start_time",
    "end_time",
    "token_count",
    "total_cost",
    "trace_id",
)
# A table with these columns is one of ours: the rest of them is what the dataset knows, and the run's former id.
_EXPORTED = {"id", "example_id", "repetition_number", "input", "expected", "output", "status", "error"}
_OF_THE_DATASET = ("id", "input", "expected")
# Likewise one of AX's; `latency` alone could be seconds.
_AX_MARKS = {"execution_status", "result.trace.id"}
AX_TIMESTAMP = "result.trace.timestamp"  # in milliseconds
_AX_SPELLINGS = {
    "execution_status": "status",
    "exceptions": "error",
    "latency": "latency_ms",
    AX_TIMESTAMP: "start_time",
    "result.trace.id": "trace_id",
}
_PARTS = ("score", "label", "explanation", "error")
_LONGEST_NAME = 255


@dataclass(slots=True)
class VerdictColumns:
    """The columns of an evaluator's verdicts, or of a person's.

    Attributes:
        parts: column by ``score``, ``label``, ``explanation``, ``error``, ``trace_id``.
        metadata: column by key.
    """

    kind: AnnotatorKind = "CODE"
    parts: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what.

    Attributes:
        known: column by role: ``status``, ``latency_ms``, ...
        metadata: column by key of the run's metadata.
        metadata_object: the column of whole objects of metadata.
    """

    example_id: str
    output: str
    known: Mapping[str, str]
    evaluators: Mapping[str, VerdictColumns]
    people: Mapping[str, VerdictColumns]
    metadata: Mapping[str, str]
    metadata_object: str | None


def choose_columns(
    table: Table,
    task_fields: ExperimentTaskFieldNames | None = None,
    evaluator_columns: Mapping[str, EvaluationResultFieldNames] | None = None,
) -> Columns:
    """What each column is: first what the caller names, then what goes by a usual name; the rest is metadata.

    Raises:
        InvalidDataset: a column that is named is not there.
        InvalidSetting: what names them is of another sort.
    """
    fields = ExperimentTaskFieldNames() if task_fields is None else task_fields
    if not isinstance(fields, ExperimentTaskFieldNames):
        raise InvalidSetting(f"task_fields must be ExperimentTaskFieldNames, got {type(fields).__qualname__}")
    advice = "" if task_fields else "Name it with task_fields=ExperimentTaskFieldNames(example_id=..., output=...)"
    example_id = table.require(fields.example_id, "the id of the example", advice)
    output = table.require(fields.output, "the output", advice)
    evaluators, people = _named_verdicts(table, evaluator_columns or {})
    taken = {example_id, output}
    for columns in [*evaluators.values(), *people.values()]:
        taken.update(columns.parts.values(), columns.metadata.values())
    taken |= _implied(table.columns, taken)
    known = _known(table.columns, taken)
    taken.update(known.values())
    _add_own_shape(evaluators, "eval.", table.columns, taken, _PARTS)
    _add_own_shape(people, "annotation.", table.columns, taken, ("score", "label", "text"))
    rest = [column for column in table.columns if column not in taken]
    is_object = "metadata" in rest
    return Columns(
        example_id=example_id,
        output=output,
        known=known,
        evaluators=evaluators,
        people=people,
        metadata=_metadata_keys([column for column in rest if column != "metadata"], table),
        metadata_object="metadata" if is_object else None,
    )


def _implied(columns: Mapping[str, Any], taken: set[str]) -> set[str]:
    """The columns of an exported table that say nothing of the run that is not known from elsewhere."""
    if not columns.keys() >= _EXPORTED:
        return set()
    return {column for column in _OF_THE_DATASET if column not in taken}


def _known(columns: Mapping[str, Any], taken: set[str]) -> dict[str, str]:
    known = {role: role for role in _UNDERSTOOD if role in columns and role not in taken}
    free = [column for column in _AX_SPELLINGS if column in columns and column not in taken]
    if _AX_MARKS.isdisjoint(free):
        return known
    for column in free:
        # Where both are there, as `client.experiments.run` has them, they say the same.
        role = _AX_SPELLINGS[column]
        known[column if role in known else role] = column
    return known


def _named_verdicts(
    table: Table, given: Mapping[str, EvaluationResultFieldNames]
) -> tuple[dict[str, VerdictColumns], dict[str, VerdictColumns]]:
    """The columns that the caller names, of evaluators and of people."""
    evaluators: dict[str, VerdictColumns] = {}
    people: dict[str, VerdictColumns] = {}
    if not isinstance(given, Mapping):
        raise InvalidSetting(
            "evaluator_columns must map the name of an evaluator to EvaluationResultFieldNames, "
            f"got {type(given).__qualname__}"
        )
    for name, names in given.items():
        what = f"evaluator_columns[{name!r}]"
        if not isinstance(name, str) or not name or len(name) > _LONGEST_NAME:
            raise InvalidSetting(f"{what:.300}: an evaluator's name must be text of 1 to {_LONGEST_NAME} characters")
        if not isinstance(names, EvaluationResultFieldNames):
            raise InvalidSetting(f"{what} must be EvaluationResultFieldNames, got {type(names).__qualname__}")
        parts = {"score": names.score, "label": names.label, "explanation": names.explanation}
        columns = VerdictColumns(names.annotator_kind)
        for part, column in parts.items():
            if column is not None:
                columns.parts[part] = table.require(column, f"{what}.{part}")
        for key, column in _metadata_columns(names.metadata).items():
            columns.metadata[key] = table.require(column, f"{what}.metadata")
        (people if names.annotator_kind == "HUMAN" else evaluators)[name] = columns
    return evaluators, people


def _metadata_columns(given: Mapping[str, str | None] | Sequence[str] | str | None) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {key: column or key for key, column in given.items()}
    return {column: column for column in ([given] if isinstance(given, str) else given)}


def _add_own_shape(
    found: dict[str, VerdictColumns],
    prefix: str,
    columns: Iterable[str],
    taken: set[str],
    parts: Sequence[str],
) -> None:
    """Add columns shaped like our own exports, ``eval.NAME.score``, for what the caller has not named."""
    free = [column for column in columns if column.startswith(prefix) and column not in taken]
    for column in free:
        name, _, part = column[len(prefix) :].rpartition(".")
        if part in parts and 0 < len(name) <= _LONGEST_NAME:
            own = found.setdefault(name, VerdictColumns())
            if part not in own.parts:
                own.parts[part] = column
                taken.add(column)
    # The longest names first: a name may hold a dot, and so begin another one's column.
    for name in sorted(found, key=len, reverse=True):
        for column in free:
            rest = column.removeprefix(f"{prefix}{name}.")
            if column in taken or rest == column:
                continue
            key = rest.removeprefix("metadata.")
            if key != rest and key and key not in found[name].metadata:
                found[name].metadata[key] = column
            elif rest == "trace.id":
                found[name].parts["trace_id"] = column
            elif rest != "trace.timestamp":  # when it was given is taken to be when the run ended
                continue
            taken.add(column)


def _metadata_keys(columns: Sequence[str], table: Table) -> dict[str, str]:
    """The column of each key; ``metadata.model``, as our exports have it, is the key ``model``."""
    keys: dict[str, str] = {}
    for column in columns:
        key = column.removeprefix("metadata.") or column
        if key in keys:
            raise InvalidDataset(
                f"{table.origin}: columns {keys[key]!r} and {column!r} would both be the metadata {key!r}. "
                "Rename one of them"
            )
        keys[key] = column
    return keys
