"""The package's flow `meta-evaluation`, for the deployments of this repository."""

from prefect_experiments.flows.meta_evaluation import meta_evaluation

__all__ = ["meta_evaluation"]
