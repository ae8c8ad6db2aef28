"""Datasets of pixie-qa: their files, the applications they are for, and their evaluators."""

from prefect_experiments.pixie.applications import application
from prefect_experiments.pixie.evaluators import evaluator

__all__ = ["application", "evaluator"]
