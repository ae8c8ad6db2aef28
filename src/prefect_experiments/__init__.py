"""Evaluation experiments on AI applications, run as Prefect flows.

Importing this package is cheap and starts nothing: each public name is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from prefect_experiments import display
from prefect_experiments.garbage import without_collecting

if TYPE_CHECKING:
    from prefect_experiments.analysis import (
        Agreement,
        ClassificationReport,
        Comparison,
        ExperimentPlan,
        Gate,
        History,
        Metric,
        MetricComparison,
        MetricSummary,
        RanExperiment,
        RepetitionSummary,
        Summary,
        Verdict,
        classification_report,
        meta_evaluation,
        repetition_summary,
    )
    from prefect_experiments.blocks import (
        ArizeCredentials,
        ExperimentStore,
        PhoenixCredentials,
    )
    from prefect_experiments.client import (
        Client,
    )
    from prefect_experiments.client.asynchronous import (
        AsyncClient,
    )
    from prefect_experiments.evaluators import (
        Evaluator,
        create_evaluator,
        evaluator_task,
        pending,
    )
    from prefect_experiments.experiment.compare import (
        acompare_experiments,
        compare_experiments,
    )
    from prefect_experiments.experiment.plan_experiment import (
        aplan_experiment,
        plan_experiment,
    )
    from prefect_experiments.models import (
        AnnotateRecordInput,
        Annotation,
        AnnotationInput,
        Dataset,
        Evaluation,
        EvaluationResult,
        EvaluationResultFieldNames,
        Example,
        Experiment,
        ExperimentRun,
        ExperimentTaskFieldNames,
        PendingEvaluation,
    )
    from prefect_experiments.options import (
        Sample,
    )
    from prefect_experiments.orchestration.log_flow import (
        alog_experiment,
        log_experiment,
    )
    from prefect_experiments.orchestration.runs import (
        aevaluate_experiment,
        aresume_experiment,
        arun_experiment,
        evaluate_experiment,
        resume_experiment,
        run_experiment,
    )
    from prefect_experiments.reports.files import (
        write_report,
    )
    from prefect_experiments.tracing.reporting import (
        report_usage,
    )

_WHERE = {
    "prefect_experiments.analysis": (
        "Agreement",
        "ClassificationReport",
        "Comparison",
        "ExperimentPlan",
        "Gate",
        "History",
        "Metric",
        "MetricComparison",
        "MetricSummary",
        "RanExperiment",
        "RepetitionSummary",
        "Summary",
        "Verdict",
        "classification_report",
        "meta_evaluation",
        "repetition_summary",
    ),
    "prefect_experiments.client": ("Client",),
    "prefect_experiments.client.asynchronous": ("AsyncClient",),
    "prefect_experiments.evaluators": (
        "Evaluator",
        "create_evaluator",
        "evaluator_task",
        "pending",
    ),
    "prefect_experiments.models": (
        "AnnotateRecordInput",
        "Annotation",
        "AnnotationInput",
        "Dataset",
        "Evaluation",
        "EvaluationResult",
        "EvaluationResultFieldNames",
        "Example",
        "Experiment",
        "ExperimentRun",
        "ExperimentTaskFieldNames",
        "PendingEvaluation",
    ),
    "prefect_experiments.options": ("Sample",),
    "prefect_experiments.blocks": (
        "ArizeCredentials",
        "ExperimentStore",
        "PhoenixCredentials",
    ),
    "prefect_experiments.experiment.compare": (
        "acompare_experiments",
        "compare_experiments",
    ),
    "prefect_experiments.experiment.plan_experiment": (
        "aplan_experiment",
        "plan_experiment",
    ),
    "prefect_experiments.orchestration.log_flow": (
        "alog_experiment",
        "log_experiment",
    ),
    "prefect_experiments.orchestration.runs": (
        "aevaluate_experiment",
        "aresume_experiment",
        "arun_experiment",
        "evaluate_experiment",
        "resume_experiment",
        "run_experiment",
    ),
    "prefect_experiments.reports.files": ("write_report",),
    "prefect_experiments.tracing.reporting": ("report_usage",),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Agreement",
    "AnnotateRecordInput",
    "Annotation",
    "AnnotationInput",
    "ArizeCredentials",
    "AsyncClient",
    "ClassificationReport",
    "Client",
    "Comparison",
    "Dataset",
    "Evaluation",
    "EvaluationResult",
    "EvaluationResultFieldNames",
    "Evaluator",
    "Example",
    "Experiment",
    "ExperimentPlan",
    "ExperimentRun",
    "ExperimentStore",
    "ExperimentTaskFieldNames",
    "Gate",
    "History",
    "Metric",
    "MetricComparison",
    "MetricSummary",
    "PendingEvaluation",
    "PhoenixCredentials",
    "RanExperiment",
    "RepetitionSummary",
    "Sample",
    "Summary",
    "Verdict",
    "acompare_experiments",
    "aevaluate_experiment",
    "alog_experiment",
    "aplan_experiment",
    "aresume_experiment",
    "arun_experiment",
    "classification_report",
    "compare_experiments",
    "create_evaluator",
    "evaluate_experiment",
    "evaluator_task",
    "log_experiment",
    "meta_evaluation",
    "pending",
    "plan_experiment",
    "repetition_summary",
    "report_usage",
    "resume_experiment",
    "run_experiment",
    "write_report",
]


def _writer() -> display.Writer:
    return importlib.import_module("prefect_experiments.reports.shown")


display.write_with(_writer)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with without_collecting():  # what modules make stays, and it would be looked through often
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
