"""The package's flow `regression`, for the deployments of this repository."""

from prefect_experiments.flows.regression import regression

__all__ = ["regression"]
