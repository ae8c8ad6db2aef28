"""The package's flow `compare`, for the deployments of this repository."""

from prefect_experiments.flows.compare import compare

__all__ = ["compare"]
