"""Every key and fingerprint, made in this one place.

A key says *which* thing something is and is the same on every machine; a fingerprint says
whether it has *changed*. Both are sha256 over canonical JSON (sorted keys, no white space,
UTF-8), shortened where people read them.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
import math
import operator
import re
import sys
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import orjson

from prefect_experiments.local_modules import has_changed

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def canonical_json(value: Any) -> bytes:
    """Canonical JSON of a value that is JSON already; anything else by its ``repr``."""
    return orjson.dumps(value, default=repr, option=_CANONICAL)


def fingerprint(*parts: Any) -> str:
    """64 hex digits that change when any part changes."""
    return hashlib.sha256(canonical_json(list(parts))).hexdigest()


def new_id(prefix: str) -> str:
    """A new random id such as ``exp-3f9a0c2e71b84d65`` (64 random bits)."""
    return f"{prefix}-{uuid.uuid4().hex[:16]}"


def example_id(input_value: Any, output_value: Any) -> str:
    """The id of an example that brings none: made of its input and expected output, so the same everywhere.

    Numbers and truth values count as the text that a CSV file holds for them, and nothing as an empty
    cell, so that it makes no difference what sort of file a row stands in. Doubles of one content are
    told apart by the caller with ``-2``, ``-3``, ...
    """
    content = canonical_json([_cells(input_value), _cells(output_value)])
    return "ex-" + hashlib.sha256(content).hexdigest()[:12]


def metadata_order(metadata: Mapping[str, Any]) -> bytes:
    """What orders examples of one content by their metadata, in whatever file and order they stand."""
    cells = {key: cell_text(value) for key, value in metadata.items()}
    return canonical_json({key: text for key, text in cells.items() if text})


def _cells(value: Any) -> Any:
    return {key: cell_text(cell) for key, cell in value.items()} if isinstance(value, dict) else cell_text(value)


def cell_text(value: Any) -> str:
    """A JSON value as a cell of a CSV file holds it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value) if isinstance(value, bool | int | float) else canonical_json(value).decode()


def run_id(experiment_id: str, position: int, repetition_number: int) -> str:
    """The id of an experiment run.

    An example's position is fixed for all versions of its dataset, so (experiment, position,
    repetition) names the same thing as (experiment, example id, repetition).
    """
    return f"{experiment_id}.{position}.{repetition_number}"


def parse_run_id(run_id: str) -> tuple[str, int, int]:
    """The experiment, position and repetition of a run id.

    Raises:
        ValueError: the text is not a run id.
    """
    experiment_id, position, repetition_number = run_id.rsplit(".", 2)
    return experiment_id, int(position), int(repetition_number)


def evaluation_id(experiment_run_id: str, name: str) -> str:
    """The id of an evaluation: one name has one verdict on one experiment run."""
    return f"{experiment_run_id}.{name}"


def callable_fingerprint(obj: Any) -> str:
    """Changes when a callable's own code, bound arguments or attributes change.

    What an object is when it is first seen in a process is what counts: an evaluator that counts
    its calls, or a function that fills a cache, stays the same. What the callable calls is not
    followed: give an evaluator a new ``version`` when only a helper or a prompt file behind it has
    changed.
    """
    return _remembered(obj, lambda: fingerprint(_describe(obj)))


_Seen = tuple[tuple[Callable[[], Any], ...], Any, str]
_seen: dict[tuple[int, ...], _Seen] = {}
_kept_alive: deque[tuple[int, ...]] = deque()
_MOST_KEPT_ALIVE = 100
_DEEPEST = 8
_parsing = threading.RLock()
_PARSED_AGAIN = 3


def _remembered(obj: Any, make: Callable[[], str]) -> str:
    """The fingerprint that an object had at first sight.

    Remembered by identity, because evaluators need not be hashable, and forgotten with the object.
    A bound method is made anew at each look at it, so it goes by its object and its function.
    """
    parts = (obj.__self__, obj.__func__) if inspect.ismethod(obj) else (obj,)
    key = tuple(map(id, parts))
    # A notebook's autoreload puts new code into old functions.
    code = parts[-1].__code__ if inspect.isfunction(parts[-1]) else None
    known = _seen.get(key)
    if known and known[1] is code and all(ref() is part for ref, part in zip(known[0], parts, strict=True)):
        return known[2]
    made = make()
    refs: tuple[Callable[[], Any], ...]
    try:
        refs = tuple(weakref.ref(part, lambda ref: _forget(key, ref)) for part in parts)
    except TypeError:  # slots without __weakref__: nothing would tell when its id is another's
        refs = tuple(functools.partial(operator.itemgetter(0), (part,)) for part in parts)
        _kept_alive.append(key)
        if len(_kept_alive) > _MOST_KEPT_ALIVE:
            _seen.pop(_kept_alive.popleft(), None)
    _seen[key] = refs, code, made
    return made


def _forget(key: tuple[int, ...], dead: Any) -> None:
    known = _seen.get(key)
    if known and any(ref is dead for ref in known[0]):
        _seen.pop(key, None)


def _describe(obj: Any) -> list[Any]:
    if isinstance(obj, functools.partial):
        return ["partial", _describe(obj.func), _stable(obj.args), _stable(obj.keywords)]
    if inspect.ismethod(obj):
        return ["method", _describe(obj.__func__), _describe_instance(obj.__self__)]
    if inspect.isfunction(obj) or inspect.isbuiltin(obj):
        return ["function", getattr(obj, "__qualname__", ""), _code(obj), _defaults(obj)]
    if inspect.isclass(obj):
        return ["class", obj.__qualname__, _code(obj)]
    return ["object", *_describe_instance(obj)]


def _describe_instance(obj: Any) -> list[Any]:
    if inspect.isclass(obj) or inspect.ismodule(obj):
        return [obj.__name__]
    return [type(obj).__qualname__, _code(type(obj)), _stable(_attributes(obj))]


def _attributes(obj: Any) -> dict[str, Any]:
    """What an object holds, in its ``__dict__`` and in slots."""
    slots = [name for cls in type(obj).__mro__ for name in _slot_names(vars(cls).get("__slots__", ()))]
    held = {name: getattr(obj, name) for name in slots if hasattr(obj, name)}
    return {**held, **getattr(obj, "__dict__", {})}


def _slot_names(slots: Any) -> list[str]:
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if not name.startswith("__")]


def _code(obj: Any) -> Any:
    """The source text; or the compiled code where there is none (REPL, exec), or where its file has changed since.

    In Python 3.11, threads that parse at the same time break each other's parse ("AST constructor recursion depth
    mismatch"): ours take turns, and where somebody else's comes in between, it is tried again.
    """
    with _parsing:
        for _ in range(_PARSED_AGAIN):
            with contextlib.suppress(SystemError):
                return _source_or_code(obj)
        return _source_or_code(obj)


def _source_or_code(obj: Any) -> Any:
    if _is_stale(obj):
        held = vars(obj).items() if inspect.isclass(obj) else ()
        scalars = {name: _stable(part) for name, part in held if isinstance(part, str | int | float)}
        return [_without_source(inspect.unwrap(obj)), scalars]
    try:
        if getattr(obj, "__name__", "") == "<lambda>" and (source := _lambda_source(obj)):
            return source
        return inspect.getsource(obj)
    except (OSError, TypeError, SyntaxError, IndexError):
        return _without_source(obj)


def _without_source(obj: Any) -> Any:
    code = getattr(obj, "__code__", None)
    if code is not None:
        return _compiled(code)
    if inspect.isclass(obj):
        return [obj.__qualname__, {name: _compiled(part.__code__) for name, part in _methods(obj).items()}]
    return str(getattr(obj, "__qualname__", ""))


def _methods(cls: type) -> dict[str, FunctionType]:
    parts = {name: getattr(part, "__func__", part) for name, part in vars(cls).items()}
    return {name: part for name, part in parts.items() if inspect.isfunction(part)}


def _is_stale(obj: Any) -> bool:
    """Whether the file that a function or a class is from says something else by now than what was loaded.

    `inspect` would give the lines that stand there now.
    """
    if inspect.isclass(obj):
        module = sys.modules.get(obj.__module__)
        functions = [*_methods(obj).values()]
    else:
        function = inspect.unwrap(obj)
        if not inspect.isfunction(function):
            return False
        module, functions = sys.modules.get(function.__module__), [function]
    loader = getattr(module, "__loader__", None)
    if module is None or not isinstance(loader, SourceFileLoader):
        return False
    if inspect.isclass(obj) and vars(module).get(obj.__name__) is obj and has_changed(module):
        return True  # what is no method of it cannot be compared
    file = getattr(module, "__file__", None)
    return any(
        function.__code__.co_filename == file and not _is_in_file(function.__code__, loader) for function in functions
    )


def _is_in_file(code: CodeType, loader: SourceFileLoader) -> bool:
    """Whether the file that was loaded has this very code in this place, when it is compiled now."""
    try:
        found = _codes_of(Path(loader.path).read_bytes(), loader)
    except OSError:
        return True  # no source: it goes by the compiled code anyway
    except (SyntaxError, ValueError):
        return False
    compiled = _compiled(code)
    return any(_compiled(other) == compiled for other in found.get((code.co_qualname, code.co_firstlineno), ()))


@functools.lru_cache(maxsize=4)  # an experiment's evaluators are often of one file
def _codes_of(source: bytes, loader: SourceFileLoader) -> dict[tuple[str, int], list[CodeType]]:
    """The code of every function in a source, by its name and first line."""
    found: dict[tuple[str, int], list[CodeType]] = {}
    waiting = [loader.source_to_code(source, loader.path)]
    while waiting:
        code = waiting.pop()
        found.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
        waiting.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return found


def _lambda_source(function: Any) -> str | None:
    """Exactly the lambda: `inspect.getsource` gives the line it begins in, less or more than that."""
    lines, _ = inspect.findsource(function)
    source = "".join(lines)
    code: CodeType = function.__code__
    places = [
        ((line, column), (end, end_column))
        for line, end, column, end_column in code.co_positions()
        if None not in (line, end, column, end_column) and (line, column) != (end, end_column)
    ]
    found = [
        node
        for node in ast.walk(_parsed(source))
        if isinstance(node, ast.Lambda)
        and node.lineno == code.co_firstlineno
        and all(_is_within(start, end, node.body) for start, end in places)
    ]
    if len({ast.dump(node) for node in found}) != 1:
        return None
    return ast.get_source_segment(source, found[0])


@functools.lru_cache(maxsize=1)  # an experiment's lambdas are often of one file
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def _is_within(start: tuple[Any, Any], end: tuple[Any, Any], node: ast.expr) -> bool:
    return (node.lineno, node.col_offset) <= start and end <= (node.end_lineno or 0, node.end_col_offset or 0)


def _compiled(code: CodeType) -> list[Any]:
    """A function's compiled code, the functions within it included."""
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), [_constant(c) for c in code.co_consts]]


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _compiled(value)
    if isinstance(value, tuple):
        return ["tuple", *(_constant(item) for item in value)]
    if isinstance(value, frozenset):  # its order changes with PYTHONHASHSEED
        return ["frozenset", *sorted((_constant(item) for item in value), key=repr)]
    return repr(value)


def _defaults(obj: Callable[..., Any]) -> list[Any]:
    closure = getattr(obj, "__closure__", None) or ()
    cells = [_cell(cell) for cell in closure]
    return [_stable(getattr(obj, "__defaults__", None)), _stable(getattr(obj, "__kwdefaults__", None)), cells]


def _cell(cell: Any) -> Any:
    try:
        value = cell.cell_contents
    except ValueError:  # a closure variable that is not assigned yet
        return "<empty>"
    # A container that may be changed is where a function keeps its state: results, counts, a cache.
    return type(value).__qualname__ if isinstance(value, list | dict | set | bytearray) else _stable(value)


def _stable(value: Any, depth: int = 0) -> Any:
    """A value as JSON that is the same in every process: no memory addresses."""
    if value is None or isinstance(value, bool | int | float | str | bytes | Enum | re.Pattern):
        return _stable_scalar(value)
    if depth > _DEEPEST:
        return type(value).__qualname__
    if isinstance(value, Mapping):
        return {str(_stable(k)): _stable(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_stable(v, depth + 1) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((_stable(v, depth + 1) for v in value), key=repr)
    if callable(value) and hasattr(value, "__qualname__"):
        return [value.__qualname__, _code(value)]
    if hasattr(type(value), "__dataclass_fields__") or hasattr(type(value), "model_fields"):  # values, not state
        return [type(value).__qualname__, _stable(_attributes(value), depth + 1)]
    return type(value).__qualname__


def _stable_scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return [type(value).__qualname__, value.name]
    if isinstance(value, re.Pattern):
        return [value.flags, _stable_scalar(value.pattern)]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if -(2**63) <= value < 2**64 else hex(value)
    return value
