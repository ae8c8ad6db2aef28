"""What the page says above its table of examples: verdict, metrics, distributions, operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.label_texts import counted, say_more_than_scores
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison
from prefect_experiments.reports import charts, phrases
from prefect_experiments.reports.charts import Histogram, Interval, IntervalPlot, Role
from prefect_experiments.reports.escaping import one_line, web_address
from prefect_experiments.reports.figures import MetricFigures, Outline
from prefect_experiments.reports.report_model import ReportSide
from prefect_experiments.reports.spending import judge_rows
from prefect_experiments.results.stored import StoredRuns

_MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Party:
    """One side of the page."""

    role: Role
    side: ReportSide

    @property
    def url(self) -> str | None:
        """The side's page, where its address is one to trust."""
        return web_address(self.side.url)

    @property
    def stored_as(self) -> str | None:
        """Its experiment's id in the store, where it is in one."""
        runs = self.side.runs
        return runs.experiment_id if isinstance(runs, StoredRuns) else None

    @property
    def flow_run_url(self) -> str | None:
        """The page of its flow run, likewise."""
        return web_address(self.side.flow_run_url)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of the page's first table."""

    figures: phrases.Figures
    means: IntervalPlot | None
    change: IntervalPlot | None
    filterable: bool = False


def metric_rows(comparison: Comparison, parties: Sequence[Party], columns: Sequence[str]) -> list[MetricRow]:
    """The compared metrics: both means with their intervals, and the difference around zero."""
    metrics = list(comparison.metrics.values())
    points = [metric for metric in metrics if numbers.unit_of(metric.baseline_mean, metric.candidate_mean) == "points"]
    # One axis for all that is in points, so that the differences can be read against each other.
    shared = _difference_axis(points, 100)
    rows = []
    for metric in metrics:
        in_points = numbers.unit_of(metric.baseline_mean, metric.candidate_mean) == "points"
        axis = shared if in_points else _difference_axis([metric], 1)
        rows.append(
            MetricRow(
                phrases.figures_of(metric),
                _means(metric, parties),
                _change(metric, axis, 100 if in_points else 1),
                metric.name in columns,
            )
        )
    return rows


def operation_rows(comparison: Comparison) -> list[MetricRow]:
    """Latency, tokens and cost, compared on the shared examples; each has an axis of its own."""
    rows = []
    for metric in comparison.operations.values():
        unit = numbers.OPERATION_UNITS[metric.name]
        change = _change(metric, _difference_axis([metric], 1), 1, partial(numbers.value, unit=unit))
        rows.append(MetricRow(phrases.figures_of(metric, operation=True), None, change))
    return rows


def _difference_axis(metrics: Sequence[MetricComparison], factor: float) -> tuple[float, float]:
    ends = [end for metric in metrics for end in (metric.difference, metric.ci_low, metric.ci_high)]
    return charts.axis_around((None if end is None else end * factor for end in ends), with_zero=True)


def _change(
    metric: MetricComparison, axis: tuple[float, float], factor: float, label: Callable[[float], str] = numbers.plain
) -> IntervalPlot | None:
    if metric.difference is None:
        return None
    role: Role = metric.verdict if metric.verdict in ("improved", "regressed") else "unchanged"
    low, high = (None if end is None else end * factor for end in (metric.ci_low, metric.ci_high))
    return charts.interval_plot([(role, metric.difference * factor, low, high)], axis, label, zero=True)


def _means(metric: MetricComparison, parties: Sequence[Party]) -> IntervalPlot | None:
    intervals = [
        interval for party in reversed(parties) if (interval := _mean_interval(party, metric.name)) is not None
    ]
    return charts.interval_plot(intervals, _score_axis(intervals)) if intervals else None


def _mean_interval(party: Party, name: str) -> Interval | None:
    found = party.side.summary.metrics.get(name)
    return None if found is None or found.mean is None else (party.role, found.mean, found.ci_low, found.ci_high)


def _score_axis(intervals: Sequence[Interval]) -> tuple[float, float]:
    if all(0 <= value <= 1 for _, value, _, _ in intervals):
        return 0.0, 1.0
    return charts.axis_around(end for _, *ends in intervals for end in ends)


def summary_rows(party: Party) -> list[dict[str, Any]]:
    """The metrics of a page that shows one experiment: the mean with its interval, labels, what it rests on."""
    rows = []
    for name, metric in party.side.summary.metrics.items():
        interval = _mean_interval(party, name)
        low, high = numbers.score(metric.ci_low), numbers.score(metric.ci_high)
        rows.append(
            {
                "name": name,
                "mean": numbers.score(metric.mean),
                "interval": f"[{low}, {high}]" if metric.ci_low is not None else "",
                "labels": counted(metric.labels) if say_more_than_scores(metric.labels) else "",
                "plot": charts.interval_plot([interval], _score_axis([interval])) if interval else None,
            }
        )
    return rows


def score_counts(parties: Sequence[Party]) -> list[dict[str, Any]]:
    """For each metric and side, what its mean rests on and what is missing from it."""
    names = dict.fromkeys(name for party in parties for name in party.side.summary.metrics)
    rows = []
    for name in names:
        for party in reversed(parties):
            if (metric := party.side.summary.metrics.get(name)) is None:
                continue
            bounds = ""
            labels = metric.n_labels_alone
            if metric.n < metric.n_expected and metric.lowest is not None and not labels:
                bounds = f"{numbers.mean(metric.lowest)} to {numbers.mean(metric.highest)}"
            rows.append(
                {
                    "name": name,
                    "role": party.role,
                    "mean": numbers.mean(metric.mean),
                    "scored": numbers.share(labels or metric.n, metric.n_expected) + (", labels" if labels else ""),
                    "task_errors": metric.n_task_errors,
                    "evaluator_errors": metric.n_errors,
                    "no_score": metric.n_nothing,
                    "pending": metric.n_pending,
                    "missing": metric.n_missing,
                    "bounds": bounds,
                    "repetitions": str(metric.repetitions or ""),
                }
            )
    return rows


def distributions(parties: Sequence[Party], outline: Outline) -> list[dict[str, Any]]:
    """For each metric, how its scores spread and how often each label was given."""
    shown = []
    for name in outline.metrics:
        found = [side.metrics.get(name, MetricFigures()) for side in outline.sides]
        chart = _histogram(
            parties, [one.scores for one in found], numbers.plain if name in outline.beyond else numbers.score
        )
        labels = _labels([one.labels for one in found])
        if chart or labels:
            shown.append((name, chart, labels))
    highest = max((chart.highest for _, chart, _ in shown if chart), default=0.0)
    return [{"name": name, "chart": chart and chart.up_to(highest), "labels": labels} for name, chart, labels in shown]


def _histogram(
    parties: Sequence[Party],
    values: Sequence[Sequence[float]],
    label: Callable[[float], str],
    longest: float | None = None,
) -> Histogram | None:
    pairs = list(zip(parties, values, strict=True))[::-1]
    named = [(party.role, party.role if len(pairs) > 1 else "runs", found) for party, found in pairs]
    return charts.histogram(named, label, longest=longest)


def _labels(sides: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    counted = {label: [side.get(label, 0) for side in sides] for side in sides for label in side}
    if not say_more_than_scores(counted):  # the chart beside it has the same counts
        return []
    most = sorted(counted.items(), key=lambda item: -sum(item[1]))
    rows = [{"label": one_line(label, 80), "counts": counts} for label, counts in most[:_MOST_LABELS]]
    if len(most) > _MOST_LABELS:
        rest = [sum(counts[place] for _, counts in most[_MOST_LABELS:]) for place in range(len(sides))]
        rows.append({"label": f"{len(most) - _MOST_LABELS} more labels", "counts": rest})
    return rows


def operations(parties: Sequence[Party], outline: Outline) -> dict[str, Any]:
    """Latency with its percentiles and its spread, tokens and cost, for each side."""
    values = [side.latencies for side in outline.sides]
    chart = None
    if any(values):
        longest = max(float(np.percentile(found, 99)) for found in values if found)
        chart = _histogram(parties, values, numbers.duration, longest)
    # The baseline stands left of the candidate, as time goes.
    columns = [_operations_of(party) for party in reversed(parties)]
    rows = [(name, [column[name] for column in columns]) for name in columns[0]]
    return {"chart": chart, "rows": rows + judge_rows([party.side.summary for party in reversed(parties)])}


def _operations_of(party: Party) -> dict[str, str]:
    summary = party.side.summary
    runs = max(1, summary.n_runs)
    tokens, cost = summary.token_count, summary.total_cost
    latencies = {f"latency, {name}": numbers.duration(value) for name, value in summary.latency_ms.items()}
    return {f"latency, {name}": numbers.NOTHING for name in ("p50", "p95", "p99")} | {
        **latencies,
        "tokens": numbers.NOTHING if tokens is None else numbers.count(tokens),
        "tokens for each run": numbers.NOTHING if tokens is None else numbers.plain(round(tokens / runs, 1)),
        "cost": numbers.money(cost),
        "cost for each run": numbers.money(None if cost is None else cost / runs),
    }
