"""What code names: globals, attributes, modules that it imports when it is called."""

from __future__ import annotations

import ast
import dis
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from prefect_experiments.callables.code import parsed

_READS_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
_READS_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")
_ASSIGNS = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR")


@dataclass(frozen=True, slots=True)
class Names:
    """The names in a piece of code and in the functions within it.

    Attributes:
        globals: that are read.
        attributes: that are read or imported, of whatever.
        assigned: globals and attributes that are changed.
        imports: names of modules, and the number of dots before them.
    """

    globals: frozenset[str]
    attributes: frozenset[str]
    assigned: frozenset[str]
    imports: frozenset[tuple[str, int]]


@functools.lru_cache(maxsize=2000)
def names_in(code: CodeType) -> Names:
    """The names in a piece of code and in the functions within it."""
    found: dict[str, set[str]] = {}
    imports: set[tuple[str, int]] = set()
    waiting = [code]
    while waiting:
        each = waiting.pop()
        waiting.extend(constant for constant in each.co_consts if isinstance(constant, CodeType))
        # Without the first half of what has a number above 255: it would stand between an import and its level.
        steps = [step for step in dis.get_instructions(each) if step.opname != "EXTENDED_ARG"]
        for number, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":  # after the number of dots, and what is wanted of it
                imports.add((step.argval, steps[number - 2].argval))
            elif isinstance(step.argval, str):
                found.setdefault(step.opname, set()).add(step.argval)

    def of(operations: tuple[str, ...]) -> frozenset[str]:
        return frozenset().union(*(found.get(operation, ()) for operation in operations))

    return Names(of(_READS_GLOBAL), of(_READS_ATTRIBUTE), of(_ASSIGNS), frozenset(imports))


def state_of(scope: Mapping[str, Any]) -> frozenset[str]:
    """The globals of a module that some function of it assigns: they are its state, not what it was made with."""
    tree = _source_of(scope)
    if tree is not None:
        return _global_statements(tree)
    functions = [value for value in list(scope.values()) if isinstance(value, FunctionType)]
    return frozenset().union(*(names_in(function.__code__).assigned for function in functions))


def written(scope: Mapping[str, Any], name: str) -> Any:
    """What the text of a module says that a global is, where it says it without naming anything; else ``None``."""
    tree = _source_of(scope)
    value = None if tree is None else _assignments(tree).get(name)
    try:
        return None if value is None else ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _source_of(scope: Mapping[str, Any]) -> ast.Module | None:
    file = scope.get("__file__")
    try:
        return parsed(Path(file).read_bytes()) if isinstance(file, str) else None
    except (OSError, SyntaxError, ValueError):
        return None


@functools.lru_cache(maxsize=20)
def _global_statements(tree: ast.Module) -> frozenset[str]:
    return frozenset(name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)


@functools.lru_cache(maxsize=20)
def _assignments(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None) if isinstance(node, ast.Assign | ast.AnnAssign) else None
        found.update((each.id, value) for each in targets if isinstance(each, ast.Name) and value is not None)
    return found
