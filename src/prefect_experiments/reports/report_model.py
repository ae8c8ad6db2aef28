"""One side of a report: an experiment's summary, and its results run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from prefect_experiments import money
from prefect_experiments.analysis import MetricSummary, RanExperiment, Summary
from prefect_experiments.analysis.directions import agreed
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.summary import PERCENTILES, Used, metric_summary
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.results import ResultRun
from prefect_experiments.results.stored import HeldRuns, Runs, StoredRuns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportSide:
    """What a report knows of one experiment.

    Attributes:
        summary: its figures.
        runs: its results, run by run; `read` goes through them.
        label: how people call it: the experiment's name, or the file's.
        url: its page at the backend, where there is one.
        flow_run_url: Prefect's page of the flow run that made it, where there is one.
        dataset: the dataset's name.
    """

    summary: Summary
    runs: Sequence[ResultRun] | StoredRuns
    label: str
    url: str | None = None
    flow_run_url: str | None = None
    experiment_id: str = ""
    created_at: datetime | None = None
    dataset: str = ""

    @property
    def read(self) -> Runs:
        """Its results, to be gone through as often as needed."""
        return reading(self.runs)


def reading(runs: Sequence[ResultRun] | StoredRuns) -> Runs:
    """Runs, to be gone through as often as needed."""
    return runs if isinstance(runs, StoredRuns) else HeldRuns(runs)


def runs_of(ran: RanExperiment) -> Sequence[ResultRun] | StoredRuns:
    """The results of an experiment: in the store, unless they came along from a process that had them in memory."""
    return ran.results.runs if (stored := ran.stored) is None else stored


def report_side(ran: RanExperiment) -> ReportSide:
    """The side of a report that shows this experiment."""
    experiment = ran.experiment
    return ReportSide(
        summary=ran.summary,
        runs=runs_of(ran),
        label=experiment.name,
        url=ran.url,
        flow_run_url=ran.flow_run_url,
        experiment_id=experiment.id,
        created_at=experiment.created_at,
        dataset=experiment.dataset_name,
    )


def table_side(table: ResultTable) -> ReportSide:
    """The side of a report that shows a results table of somebody's own, which was never logged."""
    runs = table.results.runs
    return ReportSide(
        summary=_summary_of(runs, table),
        runs=runs,
        label=table.label,
        url=table.url,
        flow_run_url=table.flow_run_url,
        experiment_id=table.experiment_id,
    )


def _summary_of(runs: Sequence[ResultRun], table: ResultTable) -> Summary:
    """What `summarize` says of an experiment in the store, of a table."""
    ok = [run for run in runs if run.error is None]
    latencies = [found for run in ok if (found := run.record.latency_ms) is not None]
    of_task = _sum_of([run.record for run in runs])
    expected = max(table.n_expected, len(runs))
    names = dict.fromkeys(name for run in ok for name in run.evaluations)
    return Summary(
        n_examples=len(table.example_ids if table.expected_ids is None else table.expected_ids),
        n_expected=expected,
        n_runs=len(runs),
        n_errors=len(runs) - len(ok),
        latency_ms={f"p{p}": float(np.percentile(latencies, p)) for p in PERCENTILES} if latencies else {},
        token_count=of_task.token_count,
        total_cost=of_task.total_cost,
        metrics={name: _metric_of(name, table, expected) for name in names},
        judges=_judges_of(runs),
    )


def _judges_of(runs: Sequence[ResultRun]) -> dict[str, Used]:
    said: dict[str, list[EvaluationRecord]] = {}
    for run in runs:
        for one in run.evaluations.values():
            if one.token_count is not None or one.total_cost is not None:
                said.setdefault(one.evaluator, []).append(one)
    return {name: _sum_of(each) for name, each in said.items()}


def _sum_of(used: Sequence[RunRecord | EvaluationRecord]) -> Used:
    tokens = [one.token_count for one in used if one.token_count is not None]
    costs = [one.total_cost for one in used if one.total_cost is not None]
    return Used(token_count=sum(tokens) if tokens else None, total_cost=money.total(costs) if costs else None)


def _metric_of(name: str, table: ResultTable, expected: int) -> MetricSummary:
    said = [(run.example_id, one) for run in table.runs if (one := run.counted.get(name))]
    rows = [
        (example_id, one.score, one.label, one.error is not None, one.pending is not None) for example_id, one in said
    ]
    ids = table.example_ids if table.expected_ids is None else tuple(table.expected_ids)
    n_meant = int(table.meant(name, ids).sum())
    n_failed = int((table.failed & table.meant(name, table.example_ids)[table.places]).sum())
    n_expected = expected * n_meant // max(1, len(ids))
    return metric_summary(rows, n_expected, n_failed, direction=agreed(table.directions).get(name))
