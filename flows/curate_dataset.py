"""The package's flow `curate-dataset`, for the deployments of this repository."""

from prefect_experiments.flows.curate_dataset import curate_dataset

__all__ = ["curate_dataset"]
