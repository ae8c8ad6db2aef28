"""The package's flow `deployment-evaluation`, for the deployments of this repository."""

from prefect_experiments.flows.deployment_evaluation import deployment_evaluation

__all__ = ["deployment_evaluation"]
