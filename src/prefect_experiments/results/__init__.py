"""The one table of results: its schema, its reader, our own shape of it; and results beside a dataset's examples."""

from prefect_experiments.results.examples import with_examples
from prefect_experiments.results.frame import result_frame, result_rows, results_of
from prefect_experiments.results.matching import LogReport, Matched, Misfit, allowed_misfits, match
from prefect_experiments.results.meant import meant_by_name
from prefect_experiments.results.names import given_names
from prefect_experiments.results.reader import read_results, refuse_doubles
from prefect_experiments.results.table import (
    DIRECTION,
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
    "ResultEvaluator",
    "ResultRun",
    "Results",
    "allowed_misfits",
    "fingerprint_of",
    "given_names",
    "match",
    "meant_by_name",
    "read_results",
    "refuse_doubles",
    "result_frame",
    "result_rows",
    "results_of",
    "with_examples",
]
