"""The one table of results: its schema, its reader, our own shape of it; and results beside a dataset's examples."""

from prefect_experiments.results.examples import with_examples
from prefect_experiments.results.frame import result_frame, result_rows, results_of
from prefect_experiments.results.matching import LogReport, Matched, Misfit, allowed_misfits, match
from prefect_experiments.results.reader import read_results
from prefect_experiments.results.records import (
    DIRECTION,
    ResultEvaluation,
    ResultEvaluator,
    ResultRun,
    Results,
    fingerprint_of,
)

__all__ = [
    "DIRECTION",
    "LogReport",
    "Matched",
    "Misfit",
    "ResultEvaluation",
    "ResultEvaluator",
    "ResultRun",
    "Results",
    "allowed_misfits",
    "fingerprint_of",
    "match",
    "read_results",
    "result_frame",
    "result_rows",
    "results_of",
    "with_examples",
]
