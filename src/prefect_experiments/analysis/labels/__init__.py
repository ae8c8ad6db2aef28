"""Labels beside the truth: classification metrics, and how far a judge agrees with people."""

from prefect_experiments.analysis.labels.agreement import Agreement, meta_evaluation
from prefect_experiments.analysis.labels.classification import ClassificationReport, classification_report

__all__ = ["Agreement", "ClassificationReport", "classification_report", "meta_evaluation"]
