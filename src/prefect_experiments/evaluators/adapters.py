"""Evaluators of arize-phoenix-evals (3.x), used as they are.

They are told by what they look like, so that the library is needed only by those who use it.
Such an evaluator takes one mapping, ``eval_input``, and picks from it by its own field names or by
the mapping that `bind_evaluator` gave it. Its rate limiter yields to the experiment's (`phoenix_limits`).
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from typing import Any

from prefect_experiments import keys
from prefect_experiments.errors import InvalidEvaluator
from prefect_experiments.evaluators import prompts
from prefect_experiments.evaluators.base import BoundEvaluator, Needs
from prefect_experiments.evaluators.functions import annotator_kind, is_sync_in_disguise
from prefect_experiments.evaluators.identity import stable
from prefect_experiments.evaluators.results import parse_named
from prefect_experiments.tasks import Binding, Fields, is_async_callable

_ASYNC, _SYNC = ("_async_evaluate", "async_evaluate"), ("_evaluate", "evaluate")
_ROOT = re.compile(r"(?:\$\.?)?(\w+)")


def is_phoenix_evaluator(obj: Any) -> bool:
    """Whether an object is evaluated the phoenix-evals way: by one mapping called ``eval_input``."""
    evaluate = getattr(obj, "evaluate", None)
    if isinstance(obj, type) or not callable(evaluate) or not hasattr(obj, "input_schema"):
        return False
    try:
        return "eval_input" in inspect.signature(evaluate).parameters
    except (TypeError, ValueError):
        return False


def bind_phoenix(obj: Any) -> BoundEvaluator:
    """A phoenix-evals evaluator, or what `bind_evaluator` made of one, ready to be called.

    Raises:
        InvalidEvaluator: its name or kind cannot be used.
    """
    name = obj.name
    if not isinstance(name, str):
        raise InvalidEvaluator(f"a phoenix-evals evaluator's name must be text, got {name!r:.200}")
    function = obj.async_evaluate if _is_async(obj) else obj.evaluate
    return BoundEvaluator(
        name=name,
        kind=annotator_kind(obj.kind, name),
        function=function,
        binding=Binding((), (("eval_input", eval_input),)),
        is_async=is_async_callable(function),
        fingerprint=_fingerprint(obj),
        parse=functools.partial(parse_named, name),
        needs=Needs(missing=functools.partial(_unfilled, obj), names=eval_input),
        direction=direction if isinstance(direction := getattr(obj, "direction", None), str) else None,
    )


def eval_input(fields: Fields) -> dict[str, Any]:
    """What phoenix-evals picks from: the fields by name, and the example's columns where they do not collide.

    ``input``, ``output`` (the task's), ``expected``, ``reference`` and ``metadata`` are as in
    Phoenix's own experiments; every column of the example stands beside them under its own name,
    so that ``{question}`` in a prompt and ``{"context": "metadata.context"}`` in a mapping both work.
    """
    named = {
        "input": fields.input(),
        "output": fields.output(),
        "expected": fields.expected(),
        "reference": fields.expected(),
        "metadata": fields.metadata(),
    }
    return {**fields.dataset_row(), **named}


def _unfilled(obj: Any, fields: Fields) -> list[str]:
    """Of the names that its prompt, or its function, needs and its mapping leads to, those that an example has not.

    What the task's output will hold, and what a function of the mapping gives, is not known beforehand.
    """
    mapping = getattr(obj, "_input_mapping", None) or {}
    there = eval_input(fields)
    if obj.kind == "llm":  # nobody fills a prompt's {reference} where there is none
        there = {name: value for name, value in there.items() if value is not None or name == "output"}
    found = []
    for field in mapping if obj.input_schema is None else _required(obj.input_schema):
        path = mapping.get(field, field) or field
        if isinstance(path, str) and path not in there and not _leads_somewhere(path, there):
            found.append(path)
    parts = [name for name in _parts_named(obj) if name.partition(".")[0] in there.keys() - mapping.keys()]
    return found + [name for name in parts if not prompts.is_filled(name, there)]


def _parts_named(obj: Any) -> list[str]:
    """The parts of fields that a mustache prompt names, ``{{input.question}}``: its schema has their roots alone."""
    template = getattr(getattr(obj, "prompt_template", None), "template", None)
    roots = set(_required(obj.input_schema))
    return [
        name
        for name in prompts.variables(prompts.texts_of(template))
        if name not in roots and name.partition(".")[0] in roots
    ]


def _required(schema: Any) -> list[str]:
    fields = getattr(schema, "model_fields", {})
    return [name for name, field in fields.items() if field.is_required()]


def _leads_somewhere(path: str, there: Mapping[str, Any]) -> bool:
    """Whether a path into the fields, such as ``input.question``, may lead to a value."""
    root = _ROOT.match(path)
    if root is None or root[1] == "output":
        return True
    if root[1] not in there:
        return False
    from phoenix.evals.utils import extract_with_jsonpath  # the evaluator is of this library

    try:
        extract_with_jsonpath(dict(there), path)
    except Exception:  # noqa: BLE001 - its parser's own errors among them
        return False
    return True


def _is_async(obj: Any) -> bool:
    """Whether the most derived class that judges does so asynchronously.

    phoenix-evals gives each evaluator an `async_evaluate`. Where only the sync method was written,
    that one fails or goes to threads of its own, while the engine's keep to ``concurrency``.
    """
    for owner in map(vars, type(obj).__mro__):
        if any(name in owner for name in _ASYNC):
            disguised = is_sync_in_disguise(owner.get("_async_evaluate"), "_evaluate")
            return not disguised and callable(getattr(obj, "async_evaluate", None))
        if any(name in owner for name in _SYNC):
            return False
    return False


def _fingerprint(obj: Any) -> str:
    """Changes with the prompt, the model, the choices, the mapping, a code evaluator's function.

    The library's own classes count by name only: that it was upgraded is no reason to pay a
    judge again.
    """
    own = type(obj)
    code = None if own.__module__.startswith("phoenix.evals") else keys.callable_fingerprint(own)
    return keys.fingerprint(own.__qualname__, code, stable(vars(obj)))
