"""Results in our own shape: one row an experiment run, as mappings or as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefect_experiments.flat_rows import flat_row
from prefect_experiments.models import Example
from prefect_experiments.records import EvaluationRecord, Key, RunIds, RunRecord
from prefect_experiments.results.meant import meant_by_name
from prefect_experiments.results.names import under_given_names
from prefect_experiments.results.table import (
    ANNOTATION_PARTS,
    DIRECTION,
    EVALUATION_PARTS,
    PENDING_PART,
    USED_PARTS,
    ResultEvaluator,
    ResultRun,
    Results,
)

if TYPE_CHECKING:
    import pandas as pd

RUN_COLUMNS = (
    "id",
    "example_id",
    "repetition_number",
    "input",
    "expected",
    "output",
    "status",
    "error",
    "latency_ms",
    "token_count",
    "total_cost",
    "trace_id",
)
_NUMBERS = ("latency_ms", *USED_PARTS)


def results_of(
    origin: str,
    ids: RunIds,
    runs: Sequence[RunRecord],
    evaluations: Iterable[EvaluationRecord],
    examples: Mapping[str, Example],
    annotations: Iterable[EvaluationRecord] = (),
    evaluators: Iterable[str] = (),
    meant_for: Mapping[str, Iterable[str]] | None = None,
) -> Results:
    """The results of an experiment in the store, which have their types already.

    Args:
        origin: what they are, for messages.
        ids: what the runs are called.
        runs: in dataset order.
        evaluations: of these runs, and maybe of others.
        examples: that the runs are on, by id.
        annotations: as the evaluations.
        evaluators: names of evaluators, also of those that gave no evaluation.
        meant_for: by evaluator, the ids of the examples that it is meant for; of those that are not meant for all.
    """
    evaluated: dict[Key, dict[str, EvaluationRecord]] = {run.key: {} for run in runs}
    noted: dict[Key, dict[str, EvaluationRecord]] = {run.key: {} for run in runs}
    evaluations, renamed = under_given_names(evaluations)
    known = {name: ResultEvaluator(name) for name in evaluators if name not in renamed}
    people: dict[str, ResultEvaluator] = {}
    for one in evaluations:
        if (found := evaluated.get(one.key)) is not None:
            found[one.name] = one
            more = (
                *(part for part in USED_PARTS if getattr(one, part) is not None),
                *([f"metadata.{DIRECTION}"] if DIRECTION in one.metadata else []),
                *([PENDING_PART] if one.pending else []),
            )
            before = known.get(one.name)
            if before is None or not {*more} <= {*before.parts}:
                parts = dict.fromkeys((*(EVALUATION_PARTS if before is None else before.parts), *more))
                known[one.name] = ResultEvaluator(one.name, one.annotator_kind, tuple(parts))
    for note in annotations:
        if (found := noted.get(note.key)) is not None:
            found[note.name] = note
            people.setdefault(note.name, ResultEvaluator(note.name, "HUMAN", ANNOTATION_PARTS))
    made = []
    for row, run in enumerate(runs, 1):
        example = examples.get(run.example_id)
        given, expected = (None, None) if example is None else (example.input, example.output)
        made.append(ResultRun(row, run, given, expected, evaluated[run.key], noted[run.key], ids.shown(run.key)))
    columns = frozenset(RUN_COLUMNS)
    given_by = ((one.evaluator, one.name, run.example_id) for run in made for one in run.evaluations.values())
    return Results(
        origin,
        tuple(made),
        tuple(known.values()),
        tuple(people.values()),
        columns=columns,
        meant_for=meant_by_name(meant_for or {}, given_by),
    )


def result_rows(results: Results, *, counted: bool = False) -> list[dict[str, Any]]:
    """One row a run, all with the same columns: those of our own shape, and the further ones that a table had.

    Args:
        results: from a table, or from the store.
        counted: leave scores and labels that do not count empty.
    """
    nothing = dict.fromkeys(result_columns(results))
    rows = [{**nothing, **_row(run, results, counted=counted)} for run in results.runs]
    for name, cells in (results.others or {}).items():
        for row, cell in zip(rows, cells, strict=True):
            row[name] = cell
    return rows


def result_columns(results: Results, metadata: Iterable[str] = ()) -> list[str]:
    """All columns, in order; `metadata` are further keys of the runs' metadata."""
    found = _own_columns(results)
    found += [f"eval.{one.name}.{part}" for one in results.evaluators for part in one.parts]
    if results.others is None:
        keys = (*metadata, *(key for run in results.runs for key in run.record.metadata))
        found += dict.fromkeys(f"metadata.{key}" for key in keys)
    found += [f"annotation.{one.name}.{part}" for one in results.people for part in one.parts]
    return [*found, *(results.others or ())]


def _own_columns(results: Results) -> list[str]:
    return [name for name in RUN_COLUMNS if name in results.columns or name in ("repetition_number", "status")]


def _row(run: ResultRun, results: Results, *, counted: bool) -> dict[str, Any]:
    status = "ok" if run.error is None else "error"
    row: dict[str, Any] = {"id": run.id, "input": run.input, "expected": run.expected, "status": status}
    row = {name: row[name] if name in row else getattr(run.record, name) for name in _own_columns(results)}
    if results.others is None:  # a table's metadata stand in it under names of their own
        row.update((f"metadata.{key}", value) for key, value in run.record.metadata.items())
    for evaluators, prefix, said in (
        (results.evaluators, "eval", run.evaluations),
        (results.people, "annotation", run.annotations),
    ):
        for evaluator in evaluators:
            if (one := said.get(evaluator.name)) is not None:
                for part in evaluator.parts:
                    if not (counted and prefix == "eval" and run.error is not None and part in ("score", "label")):
                        row[f"{prefix}.{evaluator.name}.{part}"] = _part(one, part)
    return row


def _part(one: EvaluationRecord, name: str) -> Any:
    """A part by the name that its column has; what a person wrote is called ``text`` there."""
    if name.startswith("metadata."):
        return one.metadata.get(name.removeprefix("metadata."))
    return one.explanation if name == "text" else getattr(one, name)


def result_frame(results: Results, *, counted: bool = False) -> pd.DataFrame:
    """The rows of `result_rows` as a table; it has all its columns also where there are no rows."""
    import pandas as pd

    rows = result_rows(results, counted=counted)
    own = [name for name in result_columns(results) if name not in (results.others or ())]
    # Column by column as objects: pandas would otherwise turn None beside numbers into NaN in
    # text columns, and outputs that are lists into something else.
    columns = {name: pd.Series([row[name] for row in rows], dtype=object) for name in own}
    columns.update((name, pd.Series(list(cells))) for name, cells in (results.others or {}).items())
    frame = pd.DataFrame(columns)
    for name in own:
        if name in _NUMBERS or (name.startswith("eval.") and name.rpartition(".")[2] in ("score", *USED_PARTS)):
            frame[name] = pd.to_numeric(frame[name])
    if len(frame):
        frame["repetition_number"] = frame["repetition_number"].astype(int)
    return frame


def example_frame(examples: Sequence[Example]) -> pd.DataFrame:
    """``id`` and flat columns, in dataset order."""
    import pandas as pd

    rows = [dict(flat_row(example)) for example in examples]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(name for row in rows for name in row)) or ["id"])
