"""The gate: rules that turn a comparison into a verdict."""

from prefect_experiments.analysis.gate.rules import Gate, Metric, OnInconclusive

__all__ = ["Gate", "Metric", "OnInconclusive"]
