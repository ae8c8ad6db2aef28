"""Syntax trees are made in turn, and again where somebody else has come in between."""

from __future__ import annotations

import ast
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
