"""Datasets of pixie-qa: their files, the applications they are for, and their evaluators."""

from prefect_experiments.pixie.applications import application

__all__ = ["application"]
