"""What makes a callable what it is, as JSON that is the same in every process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from prefect_experiments.callables.code import code_of, methods_of
from prefect_experiments.callables.first_sight import remembered
from prefect_experiments.callables.names import Names, names_in, state_of, written
from prefect_experiments.callables.scalars import is_scalar, stable_scalar
from prefect_experiments.local_modules import imported_by, is_own

__all__ = ["describe", "remembered"]

_DEEPEST = 8
_MOST_FOLLOWED = 1000


def describe(obj: Any) -> tuple[list[Any], list[Any]]:
    """A callable's code and what it holds; then what of the user's own its code leads to, the nearest first.

    Returns:
        The description, and the functions and classes that it is made of.
    """
    root = _Description()
    said: list[Any] = [root.of(obj)]
    if named := root.named(obj):
        said.append(named)
    waiting, seen = deque(root.leads_to), {id(obj): getattr(obj, "__func__", obj)}
    while waiting and len(seen) <= _MOST_FOLLOWED:
        part = waiting.popleft()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        description = _Description()
        made = _digest([description.of(part), description.named(part)]), [part]
        said.append(remembered(part, lambda made=made: made, what="part"))  # type: ignore[misc]
        waiting.extend(description.leads_to)
    return said, list(seen.values())


def _digest(description: Any) -> str:
    return hashlib.sha256(repr(description).encode("utf-8", "backslashreplace")).hexdigest()


class _Description:
    """What is said of one object.

    Attributes:
        leads_to: the functions and classes of the user's own that it names or holds.
    """

    def __init__(self) -> None:
        self.leads_to: list[Any] = []
        self._told: set[int] = set()

    def of(self, obj: Any) -> list[Any]:
        """Its code, and what it holds."""
        if isinstance(obj, functools.partial):
            return ["partial", self.of(obj.func), self._stable(obj.args), self._stable(obj.keywords)]
        if inspect.ismethod(obj):
            return ["method", self.of(obj.__func__), self._instance(obj.__self__)]
        if inspect.isfunction(obj) or inspect.isbuiltin(obj):
            return ["function", getattr(obj, "__qualname__", ""), code_of(obj), self._defaults(obj)]
        if inspect.isclass(obj):
            return ["class", obj.__qualname__, code_of(obj)]
        return ["object", *self._instance(obj)]

    def named(self, obj: Any) -> dict[str, Any]:
        """What its code names, by name: constants as they are, of all else what it is called."""
        if isinstance(obj, functools.partial):
            return self.named(obj.func)
        if inspect.ismethod(obj):
            return {**self.named(obj.__self__), **self.named(obj.__func__)}
        if inspect.isfunction(obj):
            return self._named_by_function(obj)
        if inspect.isbuiltin(obj) or inspect.ismodule(obj):
            return {}
        return self._named_by_class(obj if inspect.isclass(obj) else type(obj))

    # --- what code names ---

    def _named_by_function(self, function: FunctionType) -> dict[str, Any]:
        wrapped = vars(function).get("__wrapped__")
        if not is_own(function.__globals__):
            self._follow(wrapped)
            return {}
        found = self._named_by_code(function.__code__, function.__globals__)
        if wrapped is not None:  # its text is that of what it wraps
            self._follow(wrapped)
            found["()"] = code_of(FunctionType(function.__code__, function.__globals__, closure=function.__closure__))
        return found

    def _named_by_class(self, cls: type) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for base in cls.__mro__[1:]:
            self._follow(base)
        if not _is_own_class(cls):
            return found
        for name, part in sorted(vars(cls).items()):
            functions = list(_functions_in(part))
            for function in functions:
                its_own = function.__qualname__.startswith(f"{cls.__qualname__}.")
                if its_own and not function.__closure__ and not vars(function):  # its text is that of the class
                    found.update(self._named_by_function(function))
                else:
                    self._follow(function)
            if not functions and not name.startswith("__"):
                found[f".{name}"] = self._value(part)
        return found

    def _named_by_code(self, code: CodeType, scope: Mapping[str, Any]) -> dict[str, Any]:
        names = names_in(code)
        found: dict[str, Any] = {}
        modules = [(name, imported_by(scope, name, level)) for name, level in sorted(names.imports)]
        modules += self._take(names.globals, names, "", scope, found)
        known: set[int] = set()
        while modules:
            path, module = modules.pop()
            if module is not None and id(module) not in known and is_own(vars(module)):
                known.add(id(module))
                modules += self._take(names.attributes, names, f"{path}.", vars(module), found)
        return found

    def _take(
        self, wanted: frozenset[str], names: Names, path: str, scope: Mapping[str, Any], found: dict[str, Any]
    ) -> list[tuple[str, ModuleType | None]]:
        """What some names are in a module; those that are modules are given back, to be looked into."""
        modules: list[tuple[str, ModuleType | None]] = []
        for name in sorted(wanted - names.assigned - state_of(scope)):
            value = scope.get(name)
            if _is(value, ModuleType):
                modules.append((path + name, value))
            elif _is(value, list, dict, set):  # as it was written: what it holds by now is state
                found[path + name] = [type(value).__qualname__, self._stable(written(scope, name))]
            elif name in scope:
                found[path + name] = self._value(value)
        return modules

    def _value(self, value: Any, depth: int = 0) -> Any:
        """A global or an attribute of a class: what it is made with, never the state that it has come to since."""
        self._follow(value)
        if is_scalar(value):
            return stable_scalar(value)
        if _is(value, tuple, frozenset) and depth <= _DEEPEST:
            items = [self._value(item, depth + 1) for item in value]
            return items if _is(value, tuple) else sorted(items, key=repr)
        if _is(value, functools.partial) and depth <= _DEEPEST:
            keywords = tuple(sorted(value.keywords.items()))
            return ["partial", *(self._value(part, depth + 1) for part in (value.func, value.args, keywords))]
        named = _is(value, FunctionType, MethodType, BuiltinFunctionType, type)
        return value.__qualname__ if named else type(value).__qualname__

    def _follow(self, value: Any) -> None:
        """To the code of a function, a class, or an object's class, where it is the user's own."""
        if _is(value, MethodType):
            value = value.__func__
        if _is(value, FunctionType):
            if is_own(value.__globals__):
                self.leads_to.append(value)
            else:
                self._follow(vars(value).get("__wrapped__"))
            return
        cls = value if _is(value, type) else type(value)
        if _is_own_class(cls):
            self.leads_to.append(cls)
        with contextlib.suppress(Exception):  # what stands for something that is not there yet may fail at any look
            self._follow(vars(value).get("__wrapped__"))  # a cached function, an evaluator of one, a Prefect task

    # --- what an object holds ---

    def _instance(self, obj: Any) -> list[Any]:
        if inspect.isclass(obj) or inspect.ismodule(obj):
            return [obj.__name__]
        self._told.add(id(obj))
        return [type(obj).__qualname__, code_of(type(obj)), self._stable(_attributes(obj))]

    def _defaults(self, obj: Callable[..., Any]) -> list[Any]:
        cells = [self._cell(cell) for cell in getattr(obj, "__closure__", None) or ()]
        return [
            self._stable(getattr(obj, "__defaults__", None)),
            self._stable(getattr(obj, "__kwdefaults__", None)),
            cells,
        ]

    def _cell(self, cell: Any) -> Any:
        try:
            value = cell.cell_contents
        except ValueError:  # a closure variable that is not assigned yet
            return "<empty>"
        return self._kept(value)

    def _kept(self, value: Any, depth: int = 0) -> Any:
        """A container that may be changed is where a function or a part keeps its state: results, counts, a cache."""
        known = isinstance(value, list | dict | set | bytearray)
        return type(value).__qualname__ if known else self._stable(value, depth)

    def _stable(self, value: Any, depth: int = 0) -> Any:
        """A value as JSON that is the same in every process: no memory addresses."""
        if is_scalar(value):
            self._follow(type(value))
            return stable_scalar(value)
        if depth > _DEEPEST:
            return type(value).__qualname__
        if isinstance(value, Mapping):
            return {str(self._stable(k)): self._stable(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._stable(v, depth + 1) for v in value]
        if isinstance(value, set | frozenset):
            return sorted((self._stable(v, depth + 1) for v in value), key=repr)
        self._follow(value)
        if callable(value) and hasattr(value, "__qualname__"):
            return [value.__qualname__, code_of(value)]
        if hasattr(type(value), "__dataclass_fields__") or hasattr(type(value), "model_fields"):  # values, not state
            return [type(value).__qualname__, self._stable(_attributes(value), depth + 1)]
        if _is_plain(value) and id(value) not in self._told:
            self._told.add(id(value))
            held = {name: self._kept(part, depth + 1) for name, part in _attributes(value).items()}
            return [type(value).__qualname__, remembered(value, lambda: (held, ()), what="held")]
        return type(value).__qualname__


def _is(value: Any, *types: type) -> bool:
    """By its type alone: `isinstance` asks the object, and a proxy (Flask's, Django's) may fail or do something."""
    return issubclass(type(value), types)


def _is_plain(value: Any) -> bool:
    """Whether an object is of classes of the user's own alone: no client, no lock, nothing that counts by itself."""
    return all(_is_own_class(cls) for cls in type(value).__mro__[:-1]) and bool(_attributes(value))


def _is_own_class(cls: type) -> bool:
    module = sys.modules.get(cls.__module__) if isinstance(cls.__module__, str) else None
    if isinstance(module, ModuleType):
        return is_own(vars(module))
    return any(is_own(function.__globals__) for function in methods_of(cls).values())


def _functions_in(part: Any) -> Iterator[FunctionType]:
    """The functions in what stands in a class: methods of all sorts, properties."""
    every = (part, *(getattr(part, name, None) for name in ("__func__", "fget", "fset", "func")))
    for each in every if isinstance(part, _HOLDERS) else (part,):
        if isinstance(each, FunctionType):
            yield each


_HOLDERS = (staticmethod, classmethod, property, functools.cached_property, functools.partialmethod)


def _attributes(obj: Any) -> dict[str, Any]:
    """What an object holds, in its ``__dict__`` and in slots."""
    slots = [name for cls in type(obj).__mro__ for name in _slot_names(vars(cls).get("__slots__", ()))]
    held = {name: getattr(obj, name) for name in slots if hasattr(obj, name)}
    return {**held, **getattr(obj, "__dict__", {})}


def _slot_names(slots: Any) -> list[str]:
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if not name.startswith("__")]
