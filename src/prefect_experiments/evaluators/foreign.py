"""Evaluators of libraries whose ways are not known here: refused in a line that says what to do."""

from __future__ import annotations

import inspect
from typing import Any

_LIBRARIES = {
    "azure": "Azure AI Evaluation",
    "deepeval": "deepeval",
    "inspect_ai": "Inspect",
    "langchain": "LangChain",
    "langchain_classic": "LangChain",
    "langsmith": "LangSmith",
    "mlflow": "MLflow",
    "openevals": "openevals",
    "ragas": "ragas",
    "torchmetrics": "TorchMetrics",
    "trulens": "TruLens",
    "trulens_eval": "TruLens",
}
# What such objects judge by, where no module says whose they are.
_METHODS = {
    "measure": "deepeval",
    "single_turn_score": "ragas",
    "single_turn_ascore": "ragas",
    "multi_turn_score": "ragas",
    "evaluate_run": "LangSmith",
    "evaluate_strings": "LangChain",
}
_PARAMETERS = frozenset({"inputs", "outputs", "expectations", "reference_outputs", "test_case", "trace", "trajectory"})


def foreign_library(obj: Any) -> str | None:
    """The library that a callable, an object or a class comes from, if it is one whose evaluators are not taken."""
    classes = obj.__mro__ if isinstance(obj, type) else type(obj).__mro__
    modules = [c.__module__ for c in classes]
    if inspect.isroutine(obj):
        modules.append(str(getattr(obj, "__module__", "")))
    return next((_LIBRARIES[root] for m in modules if (root := m.partition(".")[0]) in _LIBRARIES), None)


def looks_like(obj: Any) -> str | None:
    """The library whose evaluators have the methods of this object."""
    return next((library for name, library in _METHODS.items() if callable(getattr(obj, name, None))), None)


def takes_foreign_fields(names: list[str]) -> bool:
    """Whether parameters are those by which MLflow, LangSmith and others give what is called otherwise here."""
    return len(_PARAMETERS & set(names)) > 1


def refusal(where: str, name: str, library: str) -> str:
    """Why it is not taken, and what to do."""
    return (
        f"{where}: {name} is an evaluator of {library}'s sort, which is not taken as it is; call it in a function of "
        "your own, as in def judge(input, output, expected): ..., that returns the score"
    )
