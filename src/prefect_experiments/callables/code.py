"""The code of a function or a class, as text where there is one and as it was loaded."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypeVar

from prefect_experiments.callables.scalars import stable_scalar
from prefect_experiments.local_modules import has_changed
from prefect_experiments.syntax import in_turn, syntax_tree

T = TypeVar("T")


def code_of(obj: Any) -> Any:
    """The source text; or the compiled code where there is none (REPL, exec), or where its file has changed since."""
    return in_turn(lambda: _source_or_code(obj))


@functools.lru_cache(maxsize=20)  # what is named together often stands in few files
def parsed(source: str | bytes) -> ast.Module:
    """The syntax tree of a source."""
    return syntax_tree(source)


def _source_or_code(obj: Any) -> Any:
    if _is_stale(obj):
        held = vars(obj).items() if inspect.isclass(obj) else ()
        scalars = {name: stable_scalar(part) for name, part in held if isinstance(part, str | int | float)}
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
        return [obj.__qualname__, {name: _compiled(part.__code__) for name, part in methods_of(obj).items()}]
    return str(getattr(obj, "__qualname__", ""))


def methods_of(cls: type) -> dict[str, FunctionType]:
    """The functions that stand in a class, by name."""
    parts = {name: getattr(part, "__func__", part) for name, part in vars(cls).items()}
    return {name: part for name, part in parts.items() if inspect.isfunction(part)}


def _is_stale(obj: Any) -> bool:
    """Whether the file that a function or a class is from says something else by now than what was loaded.

    `inspect` would give the lines that stand there now.
    """
    if inspect.isclass(obj):
        module = sys.modules.get(obj.__module__)
        functions = [*methods_of(obj).values()]
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


@functools.lru_cache(maxsize=20)  # an experiment's evaluators are often of one file
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
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Lambda)
        and node.lineno == code.co_firstlineno
        and all(_is_within(start, end, node.body) for start, end in places)
    ]
    if len({ast.dump(node) for node in found}) != 1:
        return None
    return ast.get_source_segment(source, found[0])


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
