"""From piles of scores to statements that can be trusted."""

from prefect_experiments.analysis.experiment_plan import ExperimentPlan
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.history import History, HistoryEntry, history_of
from prefect_experiments.analysis.labels.agreement import Agreement, meta_evaluation
from prefect_experiments.analysis.labels.classification import ClassificationReport, classification_report
from prefect_experiments.analysis.pass_rates import repetition_summary
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.repetitions import RepetitionSummary
from prefect_experiments.analysis.summary import MetricSummary, Summary, summarize
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison, Verdict

__all__ = [
    "Agreement",
    "ClassificationReport",
    "Comparison",
    "ExperimentPlan",
    "Gate",
    "History",
    "HistoryEntry",
    "Metric",
    "MetricComparison",
    "MetricSummary",
    "RanExperiment",
    "RepetitionSummary",
    "Summary",
    "Verdict",
    "classification_report",
    "history_of",
    "meta_evaluation",
    "repetition_summary",
    "summarize",
]
