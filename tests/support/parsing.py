"""Syntax trees made in turn, whoever makes them.

Threads that parse at the same time break each other's parse in Python before 3.11.9 and 3.12.3 ("AST constructor
recursion depth mismatch", gh-106905). The package takes turns with itself (`prefect_experiments.syntax`), and a process
of the tests also holds threads of Prefect's, and other libraries that parse: the command line's read docstrings so.
"""

from __future__ import annotations

import ast
import functools
import threading
from typing import Any


def take_turns() -> None:
    """Have `ast.parse` wait for that of another thread."""
    lock, parse = threading.RLock(), ast.parse

    @functools.wraps(parse)
    def in_turn(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return parse(*args, **kwargs)

    ast.parse = in_turn  # type: ignore[assignment]  # it has overloads
