"""Syntax trees are made in turn, and again where somebody else has come in between."""

from __future__ import annotations

import ast
import threading
import time
from typing import Any

import pytest

from prefect_experiments.syntax import expression_tree, syntax_tree


def test_a_parse_that_another_thread_has_broken_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11's "AST constructor recursion depth mismatch"."""
    parse, broken = ast.parse, iter([True, True, False])

    def sometimes(*arguments: Any, **options: Any) -> ast.AST:
        if next(broken):
            raise SystemError("AST constructor recursion depth mismatch (before=147, after=166)")
        return parse(*arguments, **options)

    monkeypatch.setattr(ast, "parse", sometimes)
    assert ast.unparse(syntax_tree("a = 1")) == "a = 1"


def test_what_stays_broken_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> ast.AST:
        raise SystemError

    monkeypatch.setattr(ast, "parse", never)
    with pytest.raises(SystemError):
        expression_tree("a")


def test_what_is_no_source_is_said() -> None:
    with pytest.raises(SyntaxError):
        syntax_tree("a b")


def test_in_the_tests_whoever_parses_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0

    def counted(*_: Any, **__: Any) -> ast.Module:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)  # whoever else may come in does
        inside -= 1
        return ast.Module([], [])

    monkeypatch.setattr(ast, "compile", counted, raising=False)
    threads = [threading.Thread(target=ast.parse, args=("a = 1",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
