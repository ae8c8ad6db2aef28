"""What scores an output: functions, classes, built-ins, and other libraries' evaluators.

Everything becomes a `BoundEvaluator` through `resolve_evaluators`; what a call returned becomes
results through `parse_result`. Nothing here runs an evaluator: the engine does.
"""

from prefect_experiments.evaluators.as_task import evaluator_task
from prefect_experiments.evaluators.ax import as_before, ax_evaluators
from prefect_experiments.evaluators.base import EVALUATOR_GETTERS, BoundEvaluator, Evaluator, Needs
from prefect_experiments.evaluators.builtin import builtin_names
from prefect_experiments.evaluators.functions import create_evaluator
from prefect_experiments.evaluators.resolve import resolve_evaluators
from prefect_experiments.evaluators.results import parse_result, pending
from prefect_experiments.evaluators.text_evaluators import ExactMatch
from prefect_experiments.models import EvaluationResult

__all__ = [
    "EVALUATOR_GETTERS",
    "BoundEvaluator",
    "EvaluationResult",
    "Evaluator",
    "ExactMatch",
    "Needs",
    "as_before",
    "ax_evaluators",
    "builtin_names",
    "create_evaluator",
    "evaluator_task",
    "parse_result",
    "pending",
    "resolve_evaluators",
]
