"""The syntax trees of sources, made in turn."""

from __future__ import annotations

import ast
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_parsing = threading.RLock()
_PARSED_AGAIN = 3


def syntax_tree(source: str | bytes) -> ast.Module:
    """The tree of a module's source.

    Raises:
        SyntaxError: it is no source of Python's; also a ValueError, where it holds a null character.
    """
    return in_turn(lambda: ast.parse(source))


def expression_tree(source: str) -> ast.Expression:
    """The tree of an expression.

    Raises:
        SyntaxError: as of `syntax_tree`.
    """
    return in_turn(lambda: ast.parse(source, mode="eval"))


def in_turn(parse: Callable[[], T]) -> T:
    """Parse while no other thread of ours does.

    In Python 3.11, threads that parse at the same time break each other's parse ("AST constructor recursion depth
    mismatch"); where somebody else's comes in between, such as pydantic's, it is tried again.
    """
    with _parsing:
        for _ in range(_PARSED_AGAIN):
            with contextlib.suppress(SystemError):
                return parse()
        return parse()
