"""What a first run scores so low that no later run can be worse: a baseline of it would let everything pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.directions import agreed
from prefect_experiments.analysis.gate.case import Case
from prefect_experiments.analysis.gate.metric_rules import Metric
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import MetricCheck


def floor_checks(case: Case, table: ResultTable, rules: Mapping[str, Metric]) -> Iterator[MetricCheck]:
    """That no metric of which more is better is 0 everywhere; most often, its evaluator does not fit the outputs.

    Args:
        case: a candidate without a baseline.
        table: its results.
        rules: of the metrics that the gate names.
    """
    said = agreed(table.directions)
    for name, metric in case.metrics.items():
        is_neutral = said.get(name) == "neutral" and name not in rules
        if metric.direction != "maximize" or is_neutral or metric.values is None or not metric.values.size:
            continue
        if not metric.values.any():
            examples = numbers.count(len(metric.values), "example")
            yield MetricCheck(
                name=name,
                status="inconclusive",
                reason=(
                    f"{name} is {numbers.score(0.0)} on all of {examples}, so that no later run could be worse than "
                    "this one: does its evaluator read the output as it is? Where less is better, give the gate "
                    "direction: minimize; if it is right so, `prefect-experiments tag` makes this run the baseline"
                ),
            )
