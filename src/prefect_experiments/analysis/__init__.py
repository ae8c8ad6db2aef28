"""From piles of scores to statements that can be trusted."""

from prefect_experiments.analysis.ran import RanExperiment
from prefect_experiments.analysis.summary import MetricSummary, Summary, summarize

__all__ = ["MetricSummary", "RanExperiment", "Summary", "summarize"]
