"""One side of a report: an experiment's summary, and its results table read run by run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from prefect_experiments.analysis import MetricSummary, RanExperiment, Summary
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.summary import PERCENTILES, clustered_stderr
from prefect_experiments.reports.texts import absent

if TYPE_CHECKING:
    import pandas as pd

_PARTS = {"score": "score", "label": "label", "explanation": "explanation", "text": "explanation", "error": "error"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportSide:
    """What a report knows of one experiment.

    Attributes:
        summary: its figures.
        rows: shaped like `RanExperiment.to_dataframe()`, as a table or as mappings.
        label: how people call it: the experiment's name, or the file's.
        url: its page at the backend, where there is one.
        dataset: the dataset's name.
    """

    summary: Summary
    rows: pd.DataFrame | Sequence[Mapping[str, Any]]
    label: str
    url: str | None = None
    experiment_id: str = ""
    created_at: datetime | None = None
    dataset: str = ""


@dataclass(slots=True)
class Score:
    """What one evaluator, or one person, said of a run."""

    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Run:
    """One row of a results table. `annotations` are people's, `scores` the evaluators'."""

    example_id: str
    repetition: int
    input: Any
    expected: Any
    output: Any
    error: str | None
    latency_ms: float | None
    token_count: float | None
    total_cost: float | None
    trace_id: str | None
    scores: dict[str, Score] = field(default_factory=dict)
    annotations: dict[str, Score] = field(default_factory=dict)


def report_side(ran: RanExperiment) -> ReportSide:
    """The side of a report that shows this experiment."""
    experiment = ran.experiment
    return ReportSide(
        summary=ran.summary,
        rows=ran.to_dataframe(),
        label=experiment.name,
        url=ran.url,
        experiment_id=experiment.id,
        created_at=experiment.created_at,
        dataset=experiment.dataset_name,
    )


def table_side(table: ResultTable) -> ReportSide:
    """The side of a report that shows a results table of somebody's own, which was never logged."""
    side = ReportSide(
        summary=_NOTHING, rows=table.frame, label=table.label, url=table.url, experiment_id=table.experiment_id
    )
    return replace(side, summary=_summary_of(read_runs(side), table))


def read_runs(side: ReportSide) -> list[Run]:
    """The side's results table, run by run. Columns that a table of somebody's own lacks stay empty."""
    return [_run(position, row) for position, row in enumerate(_records(side.rows))]


def _records(rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    if isinstance(rows, Sequence):
        yield from rows
        return
    # `to_dict("records")` would cost seconds more for a wide table of objects.
    columns = [str(name) for name in rows.columns]
    for values in zip(*(rows.iloc[:, place].tolist() for place in range(len(columns))), strict=True):
        yield dict(zip(columns, values, strict=True))


def _run(position: int, row: Mapping[str, Any]) -> Run:
    known = {name: value for name, value in row.items() if not absent(value)}
    error = _text(known.get("error")) or None
    if error is None and known.get("status") == "error":
        error = "the task failed; its error was not kept"
    run = Run(
        example_id=str(known.get("example_id", position + 1)),
        repetition=int(_number(known.get("repetition_number")) or 1),
        input=known.get("input"),
        expected=known.get("expected"),
        output=known.get("output"),
        error=error,
        latency_ms=_number(known.get("latency_ms")),
        token_count=_number(known.get("token_count")),
        total_cost=_number(known.get("total_cost")),
        trace_id=_text(known.get("trace_id")),
    )
    for column, value in known.items():
        group, _, rest = column.partition(".")
        name, _, part = rest.rpartition(".")
        if name and part in _PARTS and group in ("eval", "annotation"):
            scores = run.scores if group == "eval" else run.annotations
            value = _number(value) if part == "score" else _text(value)
            setattr(scores.setdefault(name, Score()), _PARTS[part], value)
    if run.error is not None:
        run.scores.clear()  # a failed run has no evaluations, whatever stands in the table
    for found in run.scores.values():
        if found.error is not None:
            found.score = None
    return run


_NOTHING = Summary(
    n_examples=0, n_expected=0, n_runs=0, n_errors=0, latency_ms={}, token_count=None, total_cost=None, metrics={}
)


def _summary_of(runs: Sequence[Run], table: ResultTable) -> Summary:
    """What `summarize` says of an experiment in the store, of a table."""
    ok = [run for run in runs if run.error is None]
    latencies = [run.latency_ms for run in ok if run.latency_ms is not None]
    tokens = [run.token_count for run in runs if run.token_count is not None]
    costs = [run.total_cost for run in runs if run.total_cost is not None]
    expected = max(table.n_expected, len(runs))
    return Summary(
        n_examples=len(table.example_ids if table.expected_ids is None else table.expected_ids),
        n_expected=expected,
        n_runs=len(runs),
        n_errors=len(runs) - len(ok),
        latency_ms={f"p{p}": float(np.percentile(latencies, p)) for p in PERCENTILES} if latencies else {},
        token_count=int(sum(tokens)) if tokens else None,
        total_cost=math.fsum(costs) if costs else None,
        metrics={name: _metric_of(name, runs, expected) for name in dict.fromkeys(n for run in ok for n in run.scores)},
    )


def _metric_of(name: str, runs: Sequence[Run], expected: int) -> MetricSummary:
    scored = [(run.example_id, s.score) for run in runs if (s := run.scores.get(name)) and s.score is not None]
    n, total = len(scored), math.fsum(score for _, score in scored)
    mean = total / n if n else None
    stderr, n_examples = clustered_stderr(scored, mean)
    within = bool(expected) and all(0 <= score <= 1 for _, score in scored)
    said = [found for run in runs if (found := run.scores.get(name))]
    failed = sum(run.error is not None for run in runs)
    errors = sum(found.error is not None for found in said)
    return MetricSummary(
        n=n,
        n_expected=expected,
        mean=mean,
        stderr=stderr,
        lowest=total / expected if within else None,
        highest=(total + expected - n) / expected if within else None,
        n_examples=n_examples,
        labels=Counter(found.label for found in said if found.label is not None),
        n_task_errors=failed,
        n_errors=errors,
        n_no_score=len(said) - n - errors,
        n_missing=expected - failed - len(said),
    )


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
