"""Whatever was given as evaluators, as a tuple of `BoundEvaluator` with names of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from prefect_experiments.errors import InvalidEvaluator, unknown_value
from prefect_experiments.evaluators import builtin
from prefect_experiments.evaluators.adapters import bind_phoenix, is_phoenix_evaluator
from prefect_experiments.evaluators.autoevals import bind_autoevals, is_autoevals_scorer
from prefect_experiments.evaluators.base import BoundEvaluator, Evaluator
from prefect_experiments.evaluators.foreign import foreign_library, looks_like, refusal
from prefect_experiments.evaluators.functions import bind_callable, bind_object, method_of
from prefect_experiments.evaluators.phoenix_limits import yield_to_experiments
from prefect_experiments.evaluators.pydantic_evals import bind_pydantic, is_pydantic_evaluator
from prefect_experiments.evaluators.results import name_fault
from prefect_experiments.evaluators.scoring import Builtin
from prefect_experiments.references import load_reference
from prefect_experiments.tasks import callable_name, is_prefect_task

_USABLE = (
    "a function, an Evaluator (object or class), an evaluator of phoenix-evals, autoevals or pydantic-evals, a "
    f"built-in's name ({', '.join(builtin.builtin_names())}), or a reference 'package.module:name' or "
    "'path/to/file.py:name'"
)


_ADAPTERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], BoundEvaluator]], ...] = (
    (is_phoenix_evaluator, bind_phoenix),
    (is_pydantic_evaluator, bind_pydantic),
    (is_autoevals_scorer, bind_autoevals),
)


def resolve_evaluators(evaluators: Any, *, only: Collection[str] | None = None) -> tuple[BoundEvaluator, ...]:
    """Evaluators of any sort, ready to be called, in the order given.

    Args:
        evaluators: ``None``, one evaluator, a list of them, or ``{name: evaluator}``. An evaluator
            is a function, coroutine function, partial or callable object; an `Evaluator` object
            or class; an evaluator of phoenix-evals, autoevals or pydantic-evals; the name of a
            built-in, with options as in ``regex(pattern='a+')`` or ``{"name": "regex", "pattern": "a+"}``;
            or a reference ``package.module:name`` or ``path/to/file.py:name`` to any of the first three.
        only: keep the evaluators of these names.

    Raises:
        InvalidEvaluator: something that is none of these, parameters that no field fills, or two
            evaluators of one name.
        InvalidReference: a reference that leads nowhere.
    """
    bound = tuple(_resolve(where, name, obj) for where, name, obj in _listed(evaluators))
    yield_to_experiments()  # now that a judge's module has been imported
    _check_unique(bound)
    return bound if only is None else _restrict(bound, [only] if isinstance(only, str) else only)


def _listed(evaluators: Any) -> list[tuple[str, str | None, Any]]:
    """Each evaluator with where it stands, for messages, and the name it is to have."""
    if evaluators is None:
        return []
    if isinstance(evaluators, Mapping) and not _is_builtin_mapping(evaluators):
        return [(f"evaluators[{name!r}]", name, obj) for name, obj in evaluators.items()]
    if isinstance(evaluators, list | tuple):
        return [(f"evaluators[{index}]", None, obj) for index, obj in enumerate(evaluators)]
    return [("evaluators", None, evaluators)]


def _resolve(where: str, name: Any, obj: Any) -> BoundEvaluator:
    bound = _bind(where, obj)
    bound = bound if name is None else dataclasses.replace(bound, name=name)
    if fault := name_fault(bound.name):
        raise InvalidEvaluator(f"{where}: an evaluator's name {fault}; use {{name: evaluator}}")
    return bound


def _bind(where: str, obj: Any) -> BoundEvaluator:
    if isinstance(obj, str):
        return _bind_text(where, obj)
    if isinstance(obj, Mapping) and _is_builtin_mapping(obj):
        return builtin.bind_builtin(builtin.build(obj["name"], {key: obj[key] for key in obj if key != "name"}))
    return _bind_any(where, obj)


def _bind_text(where: str, text: str) -> BoundEvaluator:
    if builtin.is_spec(text):
        return builtin.bind_builtin(builtin.build(*builtin.parse_spec(text)), reference=text.strip())
    if ":" not in text:
        raise InvalidEvaluator(f"{where}: {text!r:.200} is neither a built-in nor a reference. It must be {_USABLE}")
    found = load_reference(text)
    if isinstance(found, str):
        raise InvalidEvaluator(f"{where}: reference {text!r} leads to a text, not to an evaluator")
    return _bind_any(f"{where} ({text})", found, reference=text)


def _bind_any(where: str, obj: Any, *, reference: str | None = None) -> BoundEvaluator:
    if isinstance(obj, BoundEvaluator):
        return obj
    if is_prefect_task(obj):
        obj = obj.fn
    if isinstance(obj, type):
        obj = _instance(where, obj)
    if isinstance(obj, Builtin):
        return builtin.bind_builtin(obj, reference=reference)
    for is_theirs, bind_theirs in _ADAPTERS:
        if is_theirs(obj):
            return dataclasses.replace(bind_theirs(obj), reference=reference)
    if isinstance(obj, Evaluator) or method_of(obj) is not None:
        return bind_object(obj, reference=reference)
    _refuse_foreign(where, obj)
    if callable(obj):
        return bind_callable(obj, reference=reference)
    raise _no_evaluator(where, obj, f"a {type(obj).__qualname__}")


def _refuse_foreign(where: str, obj: Any) -> None:
    if library := foreign_library(obj):
        raise InvalidEvaluator(refusal(where, callable_name(obj), library))


def _no_evaluator(where: str, obj: Any, what: str) -> InvalidEvaluator:
    if library := looks_like(obj):
        return InvalidEvaluator(refusal(where, callable_name(obj), library))
    return InvalidEvaluator(f"{where} is {what} and no evaluator. It must be {_USABLE}")


def _instance(where: str, cls: type) -> Any:
    """An object of an evaluator class that can be made without arguments."""
    if not hasattr(cls, "evaluate") and not hasattr(cls, "async_evaluate"):
        _refuse_foreign(where, cls)
    if not hasattr(cls, "evaluate") and not hasattr(cls, "async_evaluate") and not _has_call(cls):
        raise _no_evaluator(where, cls, f"the class {cls.__qualname__}")
    try:
        return cls()
    except Exception as error:
        raise InvalidEvaluator(
            f"{where}: {cls.__qualname__}() failed with {type(error).__name__}: {error}. "
            "Give an object instead of the class"
        ) from error


def _has_call(cls: type) -> bool:
    return any("__call__" in vars(base) for base in cls.__mro__)


def _is_builtin_mapping(value: Mapping[Any, Any]) -> bool:
    """Told from ``{name: evaluator}`` by a ``name`` that is the name of a built-in, or a slip of one."""
    name = value.get("name")
    return isinstance(name, str) and builtin.is_spec(name) and "(" not in name


def _check_unique(bound: tuple[BoundEvaluator, ...]) -> None:
    names = [evaluator.name for evaluator in bound]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise InvalidEvaluator(
            f"several evaluators have the name {', '.join(map(repr, doubles))}; names must differ. "
            f"Name them, as in evaluators={{{doubles[0]!r}: ..., '{doubles[0]}_2': ...}}"
        )


def _restrict(bound: tuple[BoundEvaluator, ...], only: Collection[str]) -> tuple[BoundEvaluator, ...]:
    names = [evaluator.name for evaluator in bound]
    for name in only:
        if name not in names:
            raise InvalidEvaluator(unknown_value("evaluator", name, names))
    return tuple(evaluator for evaluator in bound if evaluator.name in only)
