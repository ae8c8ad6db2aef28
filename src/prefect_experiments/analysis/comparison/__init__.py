"""A candidate beside a baseline: pairs, the right test for them, and the examples that changed."""

from prefect_experiments.analysis.comparison.compare import (
    DEFAULT_CONFIDENCE,
    ExperimentEvaluators,
    compare_results,
)

__all__ = ["DEFAULT_CONFIDENCE", "ExperimentEvaluators", "compare_results"]
