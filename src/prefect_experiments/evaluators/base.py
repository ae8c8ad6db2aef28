"""What an evaluator is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_experiments.models import AnnotatorKind, EvaluationResult
from prefect_experiments.tasks import TASK_GETTERS, Binding, Fields, Getter

EVALUATOR_GETTERS: dict[str, Getter] = {
    **TASK_GETTERS,
    "output": Fields.output,
    "experiment_output": Fields.output,
    "dataset_output": Fields.expected,
    "trace_id": Fields.trace,
}


class Evaluator:
    """Base for evaluators written as classes: override `evaluate`, `async_evaluate`, or both.

    The arguments are filled by name like a function's (``output``, ``expected``, ``input``, ...),
    and ``**kwargs`` gets all of them. With both methods, the async one is used.

    Attributes:
        name: default, the class's name.
        kind: ``CODE`` unless said; ``LLM`` for a judge, ``HUMAN`` for a person's annotation.
        annotator_kind: the same, as Arize AX spells it; say one of the two.
        version: part of the fingerprint; change it when something behind the code has changed (a
            prompt file, a model), and a resumed experiment runs this evaluator again.
    """

    name: str = ""
    kind: AnnotatorKind = "CODE"
    annotator_kind: AnnotatorKind | None = None
    version: str | None = None

    def evaluate(self, **kwargs: Any) -> Any:
        """Judge one experiment run; see `EvaluationResult` and docs/experiments.md for what may be returned."""
        raise NotImplementedError

    async def async_evaluate(self, **kwargs: Any) -> Any:
        """Judge one experiment run, asynchronously."""
        raise NotImplementedError


def _whole(fields: Fields) -> Fields:
    return fields


WHOLE = Binding((_whole,), ())
"""For an evaluator that picks from the fields itself: they are its one argument."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an evaluator needs of the examples, as far as that can be known before anything is run.

    Attributes:
        expected: whether it has nothing to say without an expected output.
        usable: whether it can compare with an expected output, out of an object that only wraps it.
        missing: of one example, by its fields, the names that it needs, such as a prompt's variables, and
            that the example does not fill.
        names: of one example the names that could fill them.
    """

    expected: bool = False
    usable: Callable[[Any], bool] | None = None
    missing: Callable[[Fields], Collection[str]] | None = None
    names: Callable[[Fields], Collection[str]] | None = None


@dataclass(frozen=True, slots=True)
class BoundEvaluator:
    """An evaluator of any sort, ready to be called by the engine.

    Attributes:
        name: unique within an experiment.
        is_async: whether `call` gives an awaitable; sync calls belong in a worker thread.
        fingerprint: changes when the evaluator's code, options or version change, or what of the user's own it names.
        reference: where it can be found again (import reference or built-in name), else ``None``.
        parse: turns what the call returned into results; raises TypeError or ValueError for
            anything that is no evaluation.
        needs: what can be asked of the examples before it is called.
        direction: ``maximize``, ``minimize`` or ``neutral``, where the evaluator says which scores are better.
    """

    name: str
    kind: AnnotatorKind
    function: Callable[..., Any]
    binding: Binding
    is_async: bool
    fingerprint: str
    parse: Callable[[Any], Sequence[EvaluationResult]]
    reference: str | None = None
    needs: Needs = Needs()
    direction: str | None = None

    def call(self, fields: Fields) -> Any:
        """Call the evaluator on one experiment run."""
        args, kwargs = self.binding.arguments(fields)
        return self.function(*args, **kwargs)
