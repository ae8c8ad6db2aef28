"""Evaluators of pydantic-evals (1.x and 2.x), used as they are: ``EqualsExpected()``, ``LLMJudge(...)``, your own.

They are told by what they look like, so that the library is needed only by those who use it. Each gets an
`EvaluatorContext` with the example's id, input, metadata and expected output and the task's output. How
long the task took and its spans are not in it: what judges by these alone is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import sys
from collections.abc import Mapping
from typing import Any

from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators.base import WHOLE, BoundEvaluator, Needs
from prefect_experiments.evaluators.functions import kind_of
from prefect_experiments.evaluators.identity import identity_of
from prefect_experiments.evaluators.results import parse_result, renamable
from prefect_experiments.models import AnnotatorKind, EvaluationResult
from prefect_experiments.tasks import Fields, is_async_callable

_LIBRARY = "pydantic_evals"
_JUDGES = frozenset({"LLMJudge", "GEval"})
_OF_SPANS = frozenset(
    {"HasMatchingSpan", "ToolCorrectness", "TrajectoryMatch", "ArgumentCorrectness", "MaxToolCalls", "MaxModelRequests"}
)
_UNKNOWN = frozenset({"duration", "metrics", "attributes"})
_METHODS = ("evaluate", "evaluate_async", "get_serialization_name", "as_spec")


def is_pydantic_evaluator(obj: Any) -> bool:
    """Whether an object is an evaluator as pydantic-evals has them, of cases or of whole reports."""
    return not isinstance(obj, type) and all(callable(getattr(obj, name, None)) for name in _METHODS)


def bind_pydantic(obj: Any) -> BoundEvaluator:
    """An evaluator of pydantic-evals, ready to be called.

    Raises:
        InvalidEvaluator: it judges by what is not known here: a whole report, spans, how long the task took.
    """
    name = str(_called(obj, "get_default_evaluation_name") or obj.get_serialization_name())
    _refuse_unknowable(obj, name)
    classes = _classes(obj)
    return BoundEvaluator(
        name=name,
        kind=_kind(obj, name, classes),
        function=functools.partial(_evaluate, obj),
        binding=WHOLE,
        is_async=is_async_callable(obj.evaluate),
        fingerprint=identity_of(obj, _state(obj, classes), library=_LIBRARY),
        parse=functools.partial(_parse, name),
        needs=Needs(expected="EqualsExpected" in classes or bool(getattr(obj, "include_expected_output", False))),
    )


def _evaluate(obj: Any, fields: Fields) -> Any:
    """Call it with the library's context. An object of the library's is there, so the library is."""
    context = _context_class()(
        name=fields.example_id,
        inputs=fields.input(),
        metadata=fields.metadata() or None,
        expected_output=fields.expected(),
        output=fields.output(),
        duration=math.nan,
        _span_tree=_no_spans(),
        attributes={},
        metrics={},
    )
    return obj.evaluate(context)


@functools.cache
def _context_class() -> Any:
    """The library's context, without what is not known here: asked for, that is an error and no number."""
    library = importlib.import_module(f"{_LIBRARY}.evaluators")

    class Context(library.EvaluatorContext):  # type: ignore[name-defined, misc]
        def __getattribute__(self, name: str) -> Any:
            if name in _UNKNOWN:
                raise InvalidInput(
                    f"the evaluator asks for ctx.{name}, which is not at hand when an output is evaluated. How long "
                    "the task took, its tokens and its cost are kept with each run: let a gate look at them "
                    "(max_p95_latency, ...), or let the task return what is to be evaluated"
                )
            return super().__getattribute__(name)

    return Context


def _no_spans() -> Any:
    errors = importlib.import_module(f"{_LIBRARY}.otel._errors")
    return errors.SpanTreeRecordingError(
        "the task's spans are not at hand when prefect-experiments evaluates its output"
    )


def _classes(obj: Any) -> frozenset[str]:
    """The names of those of the library's classes that an evaluator is of."""
    return frozenset(c.__name__ for c in type(obj).__mro__ if c.__module__.partition(".")[0] == _LIBRARY)


def _refuse_unknowable(obj: Any, name: str) -> None:
    classes = _classes(obj)
    if "ReportEvaluator" in classes:
        raise InvalidEvaluator(
            f"evaluator {name!r} looks at a whole report of pydantic-evals; write it as a function over the table of "
            "runs, for compare_experiments(experiment_evaluators={...})"
        )
    if classes & _OF_SPANS:
        raise InvalidEvaluator(
            f"evaluator {name!r} looks at the task's spans, which are not at hand here; let the task return what it "
            "did (the tools it called, say) and evaluate that"
        )
    if "MaxDuration" in classes:
        raise InvalidEvaluator(
            f"evaluator {name!r} looks at how long the task took, which is kept with each run as latency_ms; let a "
            "gate look at it: Gate(max_p95_latency=...)"
        )


def _kind(obj: Any, name: str, classes: frozenset[str]) -> AnnotatorKind:
    said = kind_of(obj, name, own_words=False)
    return "LLM" if said == "CODE" and classes & _JUDGES else said


def _state(obj: Any, classes: frozenset[str]) -> Any:
    """Its fields and its version; of a judge without a model of its own, the one that judges by default."""
    held: dict[str, Any] = {"version": _called(obj, "get_evaluator_version")}
    if dataclasses.is_dataclass(obj):
        held |= {field.name: getattr(obj, field.name, None) for field in dataclasses.fields(obj)}
    if classes & _JUDGES and held.get("model") is None:
        held["model"] = getattr(sys.modules.get(f"{_LIBRARY}.evaluators.llm_as_a_judge"), "_default_model", None)
    return held


def _called(obj: Any, method: str) -> Any:
    """What a method gives that not every version of the library has."""
    found = getattr(obj, method, None)
    return found() if callable(found) else None


def _parse(own_name: str, value: Any) -> list[EvaluationResult]:
    """What it returned: one value, or several by name."""
    if not isinstance(value, Mapping):
        return parse_result(value)
    results = [dataclasses.replace(parse_result(item)[0], name=str(name)) for name, item in value.items()]
    return renamable(results, own_name) or [EvaluationResult()]
