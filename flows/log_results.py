"""The package's flow `log-results`, for the deployments of this repository."""

from prefect_experiments.flows.log_results import log_results

__all__ = ["log_results"]
