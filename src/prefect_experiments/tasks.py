"""The function under test: argument binding by name.

Evaluators are bound the same way (with a few more names), so the machinery here serves both.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prefect_experiments import keys
from prefect_experiments.errors import InvalidTask
from prefect_experiments.flat_rows import flat_row
from prefect_experiments.models import Example
from prefect_experiments.references import load_reference

TASK_NAMES = ("input", "expected", "reference", "output", "metadata", "example", "dataset_row")


class Fields:
    """What a call may be given, decoded from JSON anew for each call and only where asked for.

    Decoding is a deep copy as well: a task that changes its input changes nobody else's.
    """

    __slots__ = ("example_id", "expected_json", "input_json", "metadata_json", "output_json", "splits", "trace_id")

    def __init__(
        self,
        example_id: str,
        input_json: str,
        expected_json: str | None,
        metadata_json: str,
        *,
        splits: tuple[str, ...] = (),
        output_json: str | None = None,
        trace_id: str | None = None,
    ) -> None:
        self.example_id = example_id
        self.input_json = input_json
        self.expected_json = expected_json
        self.metadata_json = metadata_json
        self.splits = splits
        self.output_json = output_json
        self.trace_id = trace_id

    def input(self) -> Any:
        """The example's input."""
        return orjson.loads(self.input_json)

    def expected(self) -> Any:
        """The example's expected output, ``None`` where it has none."""
        return None if self.expected_json is None else orjson.loads(self.expected_json)

    def metadata(self) -> Any:
        """The example's metadata."""
        return orjson.loads(self.metadata_json)

    def output(self) -> Any:
        """The task's output."""
        return None if self.output_json is None else orjson.loads(self.output_json)

    def trace(self) -> str | None:
        """The trace of the task's run."""
        return self.trace_id

    def example(self) -> Example:
        """The example as a whole."""
        return Example(
            id=self.example_id,
            input=self.input(),
            output=self.expected(),
            metadata=self.metadata(),
            splits=self.splits,
        )

    def dataset_row(self) -> Mapping[str, Any]:
        """The example as one flat read-only row."""
        return flat_row(self.example())


Getter = Callable[[Fields], Any]
TASK_GETTERS: dict[str, Getter] = {
    "input": Fields.input,
    "expected": Fields.expected,
    "reference": Fields.expected,
    "output": Fields.expected,
    "metadata": Fields.metadata,
    "example": Fields.example,
    "dataset_row": Fields.dataset_row,
}


@dataclass(frozen=True, slots=True)
class Binding:
    """How a callable's parameters are filled from the fields of an example."""

    positional: tuple[Getter, ...]
    keyword: tuple[tuple[str, Getter], ...]

    def arguments(self, fields: Fields) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one call."""
        return [get(fields) for get in self.positional], {name: get(fields) for name, get in self.keyword}


def bind(function: Callable[..., Any], getters: Mapping[str, Getter], only: str) -> Binding:
    """Match a callable's parameters to fields, by name; what a partial has filled stays as it is.

    Args:
        function: any callable; its signature is read, it is not called.
        getters: the known names.
        only: the field that a callable's only parameter gets when its name is not a known one.

    Raises:
        ValueError: a parameter without a default has an unknown name, or there is none at all.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # some builtins have no signature: they get the one field
        return Binding((getters[only],), ())
    filled = _filled_by_partial(function)
    known = {name: get for name, get in getters.items() if name not in filled}
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in filled]
    wanted = {p.name: known[p.name] for p in named if p.name in known}
    required = [p for p in named if p.default is p.empty]
    unknown = [p for p in required if p.name not in known]
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if unknown:
        if len(required) > 1 or wanted:
            names = ", ".join(repr(p.name) for p in unknown)
            raise ValueError(f"has parameters that no field fills: {names}. Known names: {', '.join(known)}")
        wanted = {unknown[0].name: getters[only]}
    elif not wanted and not takes_all:
        if takes_any and not any(p.kind is p.POSITIONAL_ONLY for p in named):
            return Binding((getters[only],), ())
        if not named:
            raise ValueError(f"takes no argument. Give it one, or any of: {', '.join(known)}")
        wanted = {named[0].name: getters[only]}
    positional = _by_position(named, wanted)
    by_position = {p.name for p in named if p.kind is p.POSITIONAL_ONLY}
    keyword = {name: get for name, get in wanted.items() if name not in by_position}
    if takes_all:
        keyword = {**known, **keyword}
    return Binding(positional, tuple(keyword.items()))


def _filled_by_partial(function: Any) -> set[str]:
    """The keywords that a partial, also one with a wrapper around it, gives already."""
    filled: set[str] = set()
    while True:
        if isinstance(function, functools.partial):
            filled.update(function.keywords)
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return filled


def _by_position(parameters: Sequence[inspect.Parameter], wanted: Mapping[str, Getter]) -> tuple[Getter, ...]:
    """What the positional-only parameters get, up to the last that is wanted; those between, their default."""
    getters: list[Getter] = []
    between: list[Getter] = []
    for parameter in parameters:
        if parameter.kind is not parameter.POSITIONAL_ONLY:
            break
        if parameter.name in wanted:
            getters += [*between, wanted[parameter.name]]
            between = []
        else:
            between.append(_always(parameter.default))
    return tuple(getters)


def _always(value: Any) -> Getter:
    return lambda _: value


@dataclass(frozen=True, slots=True)
class Task:
    """A task that is ready to be called.

    Attributes:
        name: how it is called in messages and records.
        is_async: whether a call gives an awaitable or an async stream; sync calls belong in a worker thread.
        fingerprint: changes when the task's own code changes.
        reference: ``package.module:name`` where the task can be found again, else ``None``.
    """

    name: str
    function: Callable[..., Any]
    binding: Binding
    is_async: bool
    fingerprint: str
    reference: str | None = None

    def call(self, fields: Fields) -> Any:
        """Call the task on one example."""
        args, kwargs = self.binding.arguments(fields)
        return self.function(*args, **kwargs)


def resolve_task(task: Any) -> Task:
    """A callable, or a reference to one, as a task.

    The class of a callable object may have properties that say what code it stands for (``__made_of__``), and what
    leads to it (``__reference__``).

    Raises:
        InvalidReference: the reference leads nowhere.
        InvalidTask: not callable, or its parameters cannot be bound.
    """
    reference = task if isinstance(task, str) else None
    function = load_reference(task) if isinstance(task, str) else task
    if isinstance(function, type) or not callable(function):
        raise InvalidTask(
            f"a task must be a function or another callable, or a reference 'package.module:name'; got {task!r:.200}"
        )
    function = getattr(function, "fn", function) if is_prefect_task(function) else function
    name = callable_name(function)
    made_of = function.__made_of__ if hasattr(type(function), "__made_of__") else function
    try:
        binding = bind(function, TASK_GETTERS, "input")
    except ValueError as error:
        raise InvalidTask(f"task {name!r} {error}") from None
    return Task(
        name=name,
        function=function,
        binding=binding,
        is_async=is_async_callable(function),
        fingerprint=keys.callable_fingerprint(made_of),
        reference=reference or reference_to(function),
    )


def is_prefect_task(obj: Any) -> bool:
    """Whether it is a Prefect task or flow (told without importing Prefect)."""
    return any(c.__module__.startswith("prefect.") and c.__name__ in {"Task", "Flow"} for c in type(obj).__mro__)


def is_async_callable(function: Any) -> bool:
    """Whether calling it gives an awaitable or an async stream, as far as can be told before the call."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    call = getattr(type(function), "__call__", None)  # noqa: B004 - wanted as a function, not as a yes or no
    return not inspect.isroutine(function) and (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))


def callable_name(function: Any) -> str:
    """A name for people: a function's own, a partial's function's, an object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else str(name)


def reference_to(function: Any) -> str | None:
    """``package.module:name`` when importing that gives this very object, or one that says it is made by it."""
    if hasattr(type(function), "__reference__"):
        return str(function.__reference__)
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is function else None
