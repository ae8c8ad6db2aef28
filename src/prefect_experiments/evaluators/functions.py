"""Functions, callable objects and evaluator classes, bound by the names of their parameters."""

from __future__ import annotations

import dis
import functools
import inspect
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum
from typing import Any, cast, overload

from prefect_experiments import keys
from prefect_experiments.errors import InvalidEvaluator, unknown_value
from prefect_experiments.evaluators.base import EVALUATOR_GETTERS, BoundEvaluator, Evaluator
from prefect_experiments.evaluators.foreign import takes_foreign_fields
from prefect_experiments.evaluators.results import parse_result
from prefect_experiments.models import AnnotatorKind
from prefect_experiments.tasks import (
    Binding,
    Getter,
    bind,
    callable_name,
    is_async_callable,
    reference_to,
)

Scorer = Callable[[Any], Any]
_METHODS = ("async_evaluate", "evaluate")
_KINDS: dict[str, AnnotatorKind] = {"CODE": "CODE", "LLM": "LLM", "HUMAN": "HUMAN"}
_KIND_NAMES = ("kind", "annotator_kind")  # ours and Phoenix's; AX's
_ALIASES = (("expected", "reference", "dataset_output"), ("output", "experiment_output"))


class FunctionEvaluator(Evaluator):
    """A function with a name, a kind and a version; made by `create_evaluator`, still callable."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        kind: Any = "CODE",
        name: str | None = None,
        scorer: Scorer | None = None,
        version: str | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name or callable_name(function)
        self.kind = annotator_kind(kind, self.name)
        self.scorer = scorer
        self.version = version
        self.binding = bind_by_name(function, self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    def evaluate(self, **kwargs: Any) -> Any:
        """Call the function with those of the fields it takes; one result, or a list of several."""
        if is_async_callable(self.function):
            raise TypeError(f"evaluator {self.name!r} is async; await its async_evaluate(...)")
        return self._judged(self._call(kwargs))

    async def async_evaluate(self, **kwargs: Any) -> Any:
        """Like `evaluate`, for functions of both sorts."""
        value = self._call(kwargs)
        return self._judged(await value if inspect.isawaitable(value) else value)

    def parse(self, value: Any) -> Any:
        """Results of what the function returned, by way of the scorer where there is one."""
        return parse_result(value if self.scorer is None else self.scorer(value))

    def _call(self, fields: Mapping[str, Any]) -> Any:
        given = dict(fields)
        for aliases in _ALIASES:
            value = next((given[name] for name in aliases if name in given), None)
            given.update({name: value for name in aliases if name not in given})
        lookups: dict[str, Getter] = {name: operator.methodcaller("get", name) for name in EVALUATOR_GETTERS}
        args, kwargs = bind(self.function, lookups, "output").arguments(cast("Any", given))
        return self.function(*args, **kwargs)

    def _judged(self, value: Any) -> Any:
        results = self.parse(value)
        return results[0] if len(results) == 1 else results


@overload
def create_evaluator(kind: Callable[..., Any]) -> FunctionEvaluator: ...


@overload
def create_evaluator(
    kind: str | Enum = "CODE", name: str | None = None, scorer: Scorer | None = None, *, version: str | None = None
) -> Callable[[Callable[..., Any]], FunctionEvaluator]: ...


def create_evaluator(
    kind: Any = "CODE", name: str | None = None, scorer: Scorer | None = None, *, version: str | None = None
) -> Any:
    """Make a function an evaluator: ``@create_evaluator`` or ``@create_evaluator(kind="LLM", name="tone")``.

    The function's parameters are filled by name (``output``, ``expected``, ``input``, ...); it may
    be async, and it stays callable as it was.

    Args:
        kind: ``CODE``, ``LLM`` or ``HUMAN``, in any case.
        name: default, the function's.
        scorer: turns what the function returned into what an evaluator may return.
        version: part of the fingerprint; change it when something behind the code has changed (a
            prompt file, a model), and a resumed experiment runs this evaluator again.

    Raises:
        InvalidEvaluator: no function, an unknown kind, or parameters that no field fills.
    """

    def decorate(function: Callable[..., Any]) -> FunctionEvaluator:
        if isinstance(function, type) or not callable(function) or method_of(function) is not None:
            raise InvalidEvaluator(
                f"create_evaluator takes a function, got {function!r:.200}. An evaluator class or object is used "
                "as it is; {name: evaluator} gives it another name"
            )
        return FunctionEvaluator(function, kind=kind, name=name, scorer=scorer, version=version)

    if callable(kind) and not isinstance(kind, Enum | type):
        function, kind = kind, "CODE"
        return decorate(function)
    annotator_kind(kind, name or "create_evaluator")  # before it decorates anything
    return decorate


def bind_callable(function: Callable[..., Any], *, reference: str | None = None) -> BoundEvaluator:
    """A function, partial, bound method, lambda or callable object, ready to be called.

    Raises:
        InvalidEvaluator: parameters that no field fills.
    """
    plain = inspect.isroutine(function) or isinstance(function, functools.partial)
    own_name = None if plain else _own_name(function)
    name = own_name or callable_name(function)
    return BoundEvaluator(
        name=name,
        kind=kind_of(function, name),
        function=function,
        binding=bind_by_name(function, name),
        is_async=is_async_callable(function),
        fingerprint=keys.fingerprint(keys.callable_fingerprint(function), _version_of(function)),
        parse=parse_result,
        reference=reference or reference_to(function),
    )


def bind_object(obj: Any, *, reference: str | None = None) -> BoundEvaluator:
    """An object with `evaluate` and/or `async_evaluate`, of this package's base or any other.

    Raises:
        InvalidEvaluator: neither method is there, or parameters that no field fills.
    """
    name = _own_name(obj) or type(obj).__name__
    if isinstance(obj, FunctionEvaluator):
        parts = [keys.callable_fingerprint(obj.function), obj.scorer and keys.callable_fingerprint(obj.scorer)]
        return BoundEvaluator(
            name=name,
            kind=annotator_kind(obj.kind, name),
            function=obj.function,
            binding=obj.binding,
            is_async=is_async_callable(obj.function),
            fingerprint=keys.fingerprint(*parts, obj.version),
            parse=obj.parse,
            reference=reference or reference_to(obj),
        )
    method = method_of(obj)
    if method is None:
        raise InvalidEvaluator(f"evaluator {name!r} has neither evaluate nor async_evaluate; write one of them")
    return BoundEvaluator(
        name=name,
        kind=kind_of(obj, name),
        function=method,
        binding=bind_by_name(method, name),
        is_async=is_async_callable(method),
        fingerprint=keys.fingerprint(keys.callable_fingerprint(obj), _version_of(obj)),
        parse=parse_result,
        reference=reference,
    )


def bind_by_name(function: Callable[..., Any], name: str) -> Binding:
    """How an evaluator's parameters are filled.

    Raises:
        InvalidEvaluator: parameters that no field fills.
    """
    names = _parameter_names(function)
    if takes_foreign_fields(names) and EVALUATOR_GETTERS.keys().isdisjoint(names):
        raise InvalidEvaluator(
            f"evaluator {name!r} takes {', '.join(names)}, as other libraries' evaluators do; call it in a function of "
            f"your own that takes any of: {', '.join(EVALUATOR_GETTERS)}"
        )
    try:
        return bind(function, EVALUATOR_GETTERS, "output")
    except ValueError as error:
        raise InvalidEvaluator(f"evaluator {name!r} {error}") from None


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (ValueError, TypeError):  # some builtins have no signature
        return []


def kind_of(obj: Any, name: str, *, own_words: bool = True) -> AnnotatorKind:
    """The kind that an evaluator says it is, as ``kind`` or as ``annotator_kind``; ``CODE`` where it says nothing.

    What the object or its most derived class says counts, whichever of the two names it says it by.

    Args:
        obj: the evaluator.
        name: its name, for messages.
        own_words: whether ``kind`` can only mean this. What a plain function, or an evaluator of a library
            that knows no kinds, has by that name need not be one.

    Raises:
        InvalidEvaluator: an unknown kind, or two names that say different things.
    """
    own_words = own_words and not inspect.isroutine(obj) and not isinstance(obj, functools.partial)
    for owner in _kind_owners(obj):
        said: dict[AnnotatorKind, str] = {}
        for spelled in _KIND_NAMES:
            value = getattr(obj, spelled, None) if spelled in owner else None
            if value is not None and (own_words or spelled != "kind" or _kind_text(value) in _KINDS):
                said[annotator_kind(value, name)] = spelled
        if len(said) > 1:
            texts = ", ".join(f"{spelled}={kind!r}" for kind, spelled in said.items())
            raise InvalidEvaluator(f"evaluator {name!r} says two kinds: {texts}; keep one of them")
        if said:
            return next(iter(said))
    return "CODE"


def _kind_owners(obj: Any) -> Iterator[Collection[str]]:
    """The names that an object, then each of its classes defines; what it gives by other means comes last."""
    own = getattr(obj, "__dict__", {})
    # The value of AX's cached property stands in the object, and is its base class's word all the same.
    yield [name for name in own if not isinstance(getattr(type(obj), name, None), functools.cached_property)]
    yield from (vars(c) for c in type(obj).__mro__ if c is not Evaluator)
    yield _KIND_NAMES


def annotator_kind(kind: Any, name: str) -> AnnotatorKind:
    """``CODE``, ``LLM`` or ``HUMAN`` of an enumeration's member or a text in any case; ``CODE`` of ``None``.

    Raises:
        InvalidEvaluator: any other kind.
    """
    if kind is None:
        return "CODE"
    text = _kind_text(kind)
    if text not in _KINDS:
        raise InvalidEvaluator(f"evaluator {name!r}: {unknown_value('kind', kind, list(_KINDS))}")
    return _KINDS[text]


def _kind_text(kind: Any) -> str:
    # "AnnotatorKind.LLM" is what str() makes of the enumerations of Phoenix and AX.
    return str(kind.value if isinstance(kind, Enum) else kind).rpartition(".")[2].upper()


def method_of(obj: Any) -> Callable[..., Any] | None:
    """The method that judges: of the most derived class that has one, the async one where it has both."""
    owners = [getattr(obj, "__dict__", {}), *(vars(c) for c in type(obj).__mro__ if c is not Evaluator)]
    for owner in owners:
        found = [getattr(obj, name) for name in _METHODS if callable(getattr(obj, name, None)) and name in owner]
        if len(found) == 2 and is_sync_in_disguise(found[0], "evaluate"):
            return cast("Callable[..., Any]", found[1])
        if found:
            return cast("Callable[..., Any]", found[0])
    return None


def is_sync_in_disguise(method: Any, sync_name: str) -> bool:
    """Whether a coroutine function awaits nothing and leaves the work to the sync method of that name.

    Such a method is there for a protocol's sake (Phoenix's client writes one into each of its
    evaluators). Awaited, it would hold up the event loop; the sync one goes to a thread.
    """
    code = getattr(inspect.unwrap(method), "__code__", None)
    if code is None or sync_name not in code.co_names or not inspect.iscoroutinefunction(method):
        return False
    return not any(instruction.opname == "GET_AWAITABLE" for instruction in dis.get_instructions(code))


def _own_name(obj: Any) -> str | None:
    name = getattr(obj, "name", None)
    return name if isinstance(name, str) and name else None


def _version_of(obj: Any) -> str | int | None:
    version = getattr(obj, "version", None)
    return version if isinstance(version, str | int) else None
