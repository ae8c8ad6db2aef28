"""Results that were made elsewhere: read, understood, checked, and matched with the examples of a dataset."""

from prefect_experiments.datasets.logged.matching import LogReport, Matched, Misfit, allowed_misfits, match
from prefect_experiments.datasets.logged.reading import read_results
from prefect_experiments.datasets.logged.records import LoggedResults, LoggedRun, LoggedVerdict, fingerprint_of

__all__ = [
    "LogReport",
    "LoggedResults",
    "LoggedRun",
    "LoggedVerdict",
    "Matched",
    "Misfit",
    "allowed_misfits",
    "fingerprint_of",
    "match",
    "read_results",
]
