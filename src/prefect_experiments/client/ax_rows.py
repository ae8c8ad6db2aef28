"""Rows as AX has them: examples with whatever columns, and the table of results that its client gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.datasets import is_tabular, read_table
from prefect_experiments.datasets.scalars import is_missing, python_scalar
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example

if TYPE_CHECKING:
    import pandas as pd

_TRACED_OUTPUT = "attributes.output.value"
_EXPECTED = ("expected", "reference", "expected_output")  # as `create_dataset` knows the expected output as well


def ax_examples(examples: Any) -> list[Any]:
    """Rows of AX's as `create_dataset` takes them.

    Raises:
        InvalidDataset: they are of no sort that can be read.
    """
    if isinstance(examples, str | Path) or is_tabular(examples):
        examples = [
            {name: None if is_missing(value) else value for name, value in row.items()}
            for row in read_table(examples, name="examples").records()
        ]
    elif isinstance(examples, Mapping) or not hasattr(examples, "__iter__"):
        raise InvalidDataset(
            "examples is a list of mappings of column to value, a DataFrame, or the path of a file; "
            f"got a value of type {type(examples).__qualname__}"
        )
    return [_example(row) for row in examples]


def _example(row: Any) -> Any:
    if isinstance(row, Example) or not isinstance(row, Mapping):
        return row
    if "input" in row:
        # What becomes of a column `expected` is the output; `dataset_row` has it under its own name as well.
        own = {name: row[name] for name in _EXPECTED if name in row and "output" not in row}
        return {**row, "metadata": {**own, **(row.get("metadata") or {})}} if own else row
    fields = {str(name): python_scalar(value) for name, value in row.items()}
    found: dict[str, Any] = {name: fields.pop(name) for name in ("id",) if name in fields}
    if _TRACED_OUTPUT in fields:
        found["output"] = {_TRACED_OUTPUT: fields.pop(_TRACED_OUTPUT)}
    return {**found, "input": fields}


def ax_frame(ran: RanExperiment) -> pd.DataFrame:
    """The table of results with AX's columns next to ours."""
    import pandas as pd

    frame = ran.to_dataframe()
    runs = ran.task_runs
    added: dict[str, list[Any]] = {
        "result.trace.id": [run.trace_id for run in runs],
        "result.trace.timestamp": [int(run.start_time.timestamp() * 1000) for run in runs],
        "latency": [run.latency_ms for run in runs],
        "execution_status": ["COMPLETED" if run.status == "ok" else "FAILED" for run in runs],
        "exceptions": [run.error for run in runs],
    }
    places = {run.id: place for place, run in enumerate(runs)}
    for evaluation in ran.evaluation_runs:
        values = {
            "trace.id": evaluation.trace_id,
            "trace.timestamp": int(evaluation.start_time.timestamp() * 1000),
            **{f"metadata.{key}": value for key, value in evaluation.metadata.items()},
        }
        for part, value in values.items():
            column = added.setdefault(f"eval.{evaluation.name}.{part}", [None] * len(runs))
            column[places[evaluation.run_id]] = value
    new = {name: values for name, values in added.items() if name not in frame}
    columns = {name: pd.Series(values, index=frame.index, dtype=object) for name, values in new.items()}
    frame = pd.concat([frame, pd.DataFrame(columns)], axis=1)
    frame["latency"] = pd.to_numeric(frame["latency"])
    return frame
