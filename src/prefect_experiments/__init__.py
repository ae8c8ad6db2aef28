"""Evaluation experiments on AI applications, run as Prefect flows.

Importing this package is cheap and starts nothing: each public name is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect_experiments.analysis import MetricSummary, RanExperiment, Summary
    from prefect_experiments.async_client import AsyncClient
    from prefect_experiments.client import Client
    from prefect_experiments.evaluators import Evaluator, create_evaluator
    from prefect_experiments.models import (
        AnnotateRecordInput,
        Annotation,
        AnnotationInput,
        Dataset,
        Evaluation,
        EvaluationResult,
        Example,
        Experiment,
        ExperimentRun,
        Sample,
    )
    from prefect_experiments.orchestration.blocks import ExperimentStore, PhoenixCredentials
    from prefect_experiments.orchestration.runs import (
        aevaluate_experiment,
        aresume_experiment,
        arun_experiment,
        evaluate_experiment,
        resume_experiment,
        run_experiment,
    )

_WHERE = {
    "prefect_experiments.analysis": ("MetricSummary", "RanExperiment", "Summary"),
    "prefect_experiments.async_client": ("AsyncClient",),
    "prefect_experiments.client": ("Client",),
    "prefect_experiments.evaluators": ("Evaluator", "create_evaluator"),
    "prefect_experiments.models": (
        "AnnotateRecordInput",
        "Annotation",
        "AnnotationInput",
        "Dataset",
        "Evaluation",
        "EvaluationResult",
        "Example",
        "Experiment",
        "ExperimentRun",
        "Sample",
    ),
    "prefect_experiments.orchestration.blocks": ("ExperimentStore", "PhoenixCredentials"),
    "prefect_experiments.orchestration.runs": (
        "aevaluate_experiment",
        "aresume_experiment",
        "arun_experiment",
        "evaluate_experiment",
        "resume_experiment",
        "run_experiment",
    ),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "AnnotateRecordInput",
    "Annotation",
    "AnnotationInput",
    "AsyncClient",
    "Client",
    "Dataset",
    "Evaluation",
    "EvaluationResult",
    "Evaluator",
    "Example",
    "Experiment",
    "ExperimentRun",
    "ExperimentStore",
    "MetricSummary",
    "PhoenixCredentials",
    "RanExperiment",
    "Sample",
    "Summary",
    "aevaluate_experiment",
    "aresume_experiment",
    "arun_experiment",
    "create_evaluator",
    "evaluate_experiment",
    "resume_experiment",
    "run_experiment",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
