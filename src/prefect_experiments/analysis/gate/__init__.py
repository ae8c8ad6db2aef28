"""The gate: rules that turn a comparison into a verdict."""

from prefect_experiments.analysis.gate.gate_rules import Gate, OnInconclusive
from prefect_experiments.analysis.gate.metric_rules import Metric

__all__ = ["Gate", "Metric", "OnInconclusive"]
