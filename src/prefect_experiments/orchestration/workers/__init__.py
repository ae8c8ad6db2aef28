"""Experiments whose calls are made by workers: Prefect's task runners, and flow runs of a deployment."""
