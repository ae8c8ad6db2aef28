"""The columns of a results table: what each is for, how it is spelled, how its cells are read.

The one place where that is decided, for whoever reads such a table: `compare`, `log`, reports and label metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prefect_experiments.datasets.tables import Table
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.models import AnnotatorKind, EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.results import coerce
from prefect_experiments.results.table import ANNOTATION_PARTS, EVALUATION_PARTS, USED_PARTS


@dataclass(frozen=True, slots=True)
class Role:
    """What a column is for.

    Attributes:
        read: gives what a cell says, or raises `coerce.Unfit`.
        blank: what a text without a visible character is: ``nothing``; ``text``; or ``either``: nothing in a table
            that can hold text only, such as a CSV file, where a missing cell is written so.
        needed: what to say where a cell is missing; empty where it may be.
    """

    read: Callable[[Any], Any]
    blank: Literal["nothing", "text", "either"] = "nothing"
    needed: str = ""


EXAMPLE_ID = Role(coerce.example_id, needed=" is empty; every row needs the id of its example")
VALUE = Role(coerce.json_value, blank="text")  # an output, an input
EXPECTED = Role(coerce.json_value, blank="either")
METADATA_VALUE = Role(coerce.json_value, blank="either")
METADATA = Role(coerce.json_object)
OTHER_TRACE_ID = Role(coerce.other_trace_id)

# By their names in our own tables.
RUN_ROLES: Mapping[str, Role] = {
    "repetition_number": Role(coerce.repetition, needed=" is empty; repetitions count from 1"),
    "status": Role(coerce.status),
    "error": Role(coerce.error),
    "latency_ms": Role(coerce.milliseconds),
    "start_time": Role(coerce.moment),
    "end_time": Role(coerce.moment),
    "token_count": Role(coerce.count),
    "total_cost": Role(coerce.dollars),
    "trace_id": Role(coerce.trace_id),
}
EVALUATION_ROLES: Mapping[str, Role] = {
    "score": Role(coerce.score),
    "label": Role(coerce.text, blank="either"),
    "explanation": Role(coerce.long_text, blank="either"),
    "error": Role(coerce.error),
    "trace_id": Role(coerce.trace_id),
    "token_count": Role(coerce.count),
    "total_cost": Role(coerce.dollars),
}

# A table with these columns is one of ours: the rest of them is what the dataset knows, and the run's former id.
_EXPORTED = {"id", "example_id", "repetition_number", "input", "expected", "output", "status", "error"}
_OF_THE_DATASET = ("id", "input", "expected")
# Likewise one of AX's; `latency` alone could be seconds.
_AX_MARKS = {"execution_status", "result.trace.id"}
AX_TIMESTAMP = "result.trace.timestamp"
_AX_SPELLINGS = {
    "execution_status": "status",
    "exceptions": "error",
    "latency": "latency_ms",
    AX_TIMESTAMP: "start_time",
    "result.trace.id": "trace_id",
}
_AX_ROLES: Mapping[str, Role] = {AX_TIMESTAMP: Role(coerce.moment_in_milliseconds)}
_LONGEST_NAME = 255


@dataclass(slots=True)
class EvaluationColumns:
    """The columns of an evaluator's evaluations, or of a person's annotations.

    Attributes:
        parts: column by part, such as ``score``; see `EVALUATION_ROLES`.
        metadata: column by key.
    """

    kind: AnnotatorKind = "CODE"
    parts: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what.

    Attributes:
        example_id, output: ``None`` where the table has none, and need not have.
        shown: the columns of the example's input and expected output, which are no results.
        known: column by role: ``status``, ``latency_ms``, ...
        metadata: column by key of the run's metadata.
        metadata_object: the column of whole objects of metadata.
    """

    example_id: str | None
    output: str | None
    shown: Mapping[str, str]
    known: Mapping[str, str]
    evaluators: Mapping[str, EvaluationColumns]
    people: Mapping[str, EvaluationColumns]
    metadata: Mapping[str, str]
    metadata_object: str | None

    def role(self, name: str) -> Role:
        """How the cells of a known column are read."""
        return _AX_ROLES.get(self.known[name]) or RUN_ROLES[name]


def choose_columns(
    table: Table,
    task_fields: ExperimentTaskFieldNames | None = None,
    evaluator_columns: Mapping[str, EvaluationResultFieldNames] | None = None,
    *,
    needs: Collection[str] = ("example_id", "output"),
    alone: bool = False,
) -> Columns:
    """What each column is: first what the caller names, then what goes by a usual name; the rest is metadata.

    Args:
        table: the results.
        task_fields: the columns of the example's id and of the output.
        evaluator_columns: by evaluator, the columns of its evaluations.
        needs: which of ``example_id`` and ``output`` must be there although the caller has not named them.
        alone: whether ``id`` will do for the example's id.

    Raises:
        InvalidDataset: a column that is named, or needed, is not there.
        InvalidSetting: what names them is of another sort.
    """
    fields = ExperimentTaskFieldNames() if task_fields is None else task_fields
    if not isinstance(fields, ExperimentTaskFieldNames):
        raise InvalidSetting(f"task_fields must be ExperimentTaskFieldNames, got {type(fields).__qualname__}")
    if fields.example_id is None and "example_id" in needs:
        raise InvalidSetting(
            "task_fields.example_id must name the column of the example's id: the results have a dataset"
        )
    advice = "" if task_fields or "output" not in needs else _ADVICE

    def named(what: str, column: str | None, words: str, advice: str = advice) -> str | None:
        usual = column in (None, what)  # as it is called where nobody says
        if column is not None and (what in needs or not usual):
            return table.require(column, words, advice)
        return what if what in table.columns else None

    example_id = named("example_id", fields.example_id, "the id of the example", advice or _WITHOUT_IDS)
    if example_id is None and alone and "id" in table.columns:
        example_id = "id"
    output = named("output", fields.output, "the output")
    evaluators, people = _named_evaluations(table, evaluator_columns or {})
    taken = {column for column in (example_id, output) if column is not None}
    for columns in [*evaluators.values(), *people.values()]:
        taken.update(columns.parts.values(), columns.metadata.values())
    shown = {name: name for name in _OF_THE_DATASET if name != "id" and name in table.columns and name not in taken}
    taken |= _implied(table.columns, taken)
    known = _known(table.columns, taken)
    _add_own_shape(evaluators, "eval.", table.columns, taken, (*EVALUATION_PARTS, *USED_PARTS))
    _add_own_shape(people, "annotation.", table.columns, taken, ANNOTATION_PARTS)
    rest = [column for column in table.columns if column not in taken]
    is_object = "metadata" in rest
    return Columns(
        example_id=example_id,
        output=output,
        shown=shown,
        known=known,
        evaluators=evaluators,
        people=people,
        metadata=_metadata_keys([column for column in rest if column != "metadata"], table),
        metadata_object="metadata" if is_object else None,
    )


_WITHOUT_IDS = (
    "With no column 'example_id' nobody can tell which example a row belongs to: rename the one that holds the ids"
)
_ADVICE = "Name it with task_fields=ExperimentTaskFieldNames(example_id=..., output=...)"


def _implied(columns: Mapping[str, Any], taken: set[str]) -> set[str]:
    """The columns of an exported table that say nothing of the run that is not known from elsewhere."""
    if not columns.keys() >= _EXPORTED:
        return set()
    return {column for column in _OF_THE_DATASET if column not in taken}


def _known(columns: Mapping[str, Any], taken: set[str]) -> dict[str, str]:
    """The column of each role; those of AX that say the same again are taken, and not read."""
    known = {role: role for role in RUN_ROLES if role in columns and role not in taken}
    taken.update(known.values())
    free = [column for column in _AX_SPELLINGS if column in columns and column not in taken]
    if not _AX_MARKS.isdisjoint(free):
        taken.update(free)
        for column in free:
            known.setdefault(_AX_SPELLINGS[column], column)
    return known


def _named_evaluations(
    table: Table, given: Mapping[str, EvaluationResultFieldNames]
) -> tuple[dict[str, EvaluationColumns], dict[str, EvaluationColumns]]:
    """The columns that the caller names, of evaluators and of people."""
    evaluators: dict[str, EvaluationColumns] = {}
    people: dict[str, EvaluationColumns] = {}
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
        columns = EvaluationColumns(names.annotator_kind)
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
    found: dict[str, EvaluationColumns],
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
            own = found.setdefault(name, EvaluationColumns())
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
