"""The flows that deployments point at, such as ``prefect_experiments.flows.regression.regression``."""
