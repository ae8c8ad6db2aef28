r"""Built-in evaluators by name: ``exact_match``, or with options ``regex(pattern=r'^\d+$', flags='i')``.

Options are Python literals (``true``, ``false`` and ``null`` are understood too); nothing is ever
evaluated. A mapping says the same where quotes are awkward, as in YAML:
``{"name": "regex", "pattern": "^\d+$"}``.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import warnings
from collections.abc import Mapping
from typing import Any

from prefect_experiments import keys
from prefect_experiments.errors import InvalidEvaluator, unknown_value
from prefect_experiments.evaluators.base import BoundEvaluator, Needs
from prefect_experiments.evaluators.functions import bind_object
from prefect_experiments.evaluators.scoring import Builtin
from prefect_experiments.evaluators.text_evaluators import Contains, EditSimilarity, ExactMatch, Regex
from prefect_experiments.evaluators.value_evaluators import JsonSchema, JsonValid, ListContains, NumericCloseness
from prefect_experiments.syntax import expression_tree

BUILTINS: Mapping[str, type[Builtin]] = {
    evaluator.builtin: evaluator
    for evaluator in (
        ExactMatch,
        Contains,
        Regex,
        JsonValid,
        JsonSchema,
        EditSimilarity,
        NumericCloseness,
        ListContains,
    )
}
_SPEC = re.compile(r"\s*[A-Za-z_]\w*\s*(\(.*\)\s*)?", re.DOTALL)
_JSON_WORDS = {"true": True, "false": False, "null": None}


def builtin_names() -> list[str]:
    """The names of the built-in evaluators."""
    return list(BUILTINS)


def is_spec(text: str) -> bool:
    """Whether a text has the form ``name`` or ``name(option=value, ...)``; the name need not be known."""
    return _SPEC.fullmatch(text) is not None


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of ``name(option=value, ...)``.

    Raises:
        InvalidEvaluator: not of that form, or a value that is no literal.
    """
    wrong = f"evaluator {spec!r:.200} cannot be read; write it as name(option=value), values as in regex(pattern='a+')"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # '\d' without r, which means what it should
            tree = _JsonWords().visit(expression_tree(spec.strip())).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidEvaluator(f"{wrong}: {getattr(error, 'msg', error)}") from None
    if isinstance(tree, ast.Name):
        return tree.id, {}
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise InvalidEvaluator(wrong)
    if tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise InvalidEvaluator(f"{wrong}. Each value needs its option's name")
    options = {}
    for keyword in tree.keywords:
        try:
            options[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise InvalidEvaluator(
                f"{wrong}. The value of {keyword.arg} is no literal: {ast.unparse(keyword.value):.100}; "
                "are its quotes missing?"
            ) from None
    return tree.func.id, options


def build(name: str, options: Mapping[str, Any]) -> Builtin:
    """The built-in evaluator of that name, with these options.

    Raises:
        InvalidEvaluator: no such name or option, an option that is missing, or a value that cannot be used.
    """
    if name not in BUILTINS:
        raise InvalidEvaluator(
            f"{unknown_value('built-in evaluator', name, builtin_names())}. "
            "Your own are found by 'package.module:name' or 'path/to/file.py:name'"
        )
    evaluator = BUILTINS[name]
    parameters = inspect.signature(evaluator).parameters
    unknown = next((option for option in options if option not in parameters), None)
    if unknown is not None:
        raise InvalidEvaluator(f"evaluator {name!r}: {unknown_value('option', unknown, list(parameters))}")
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in options]
    if missing:
        raise InvalidEvaluator(f"evaluator {name!r} needs {missing[0]}=, as in {name}({missing[0]}=...)")
    return evaluator(**options)


def bind_builtin(evaluator: Builtin, *, reference: str | None = None) -> BoundEvaluator:
    """A built-in evaluator, ready to be called."""
    identity = keys.fingerprint(keys.callable_fingerprint(type(evaluator)), evaluator.version, evaluator.identity())
    bound = bind_object(evaluator, reference=reference or _spec_of(evaluator))
    return dataclasses.replace(
        bound, fingerprint=identity, needs=Needs(expected=evaluator.compares, usable=evaluator.usable)
    )


def _spec_of(evaluator: Builtin) -> str | None:
    """The text that asks for this evaluator again; ``None`` where its options cannot be written down."""
    if BUILTINS.get(evaluator.builtin) is not type(evaluator):
        return None
    parameters = inspect.signature(type(evaluator)).parameters
    given = [f"{key}={value!r}" for key, value in evaluator.options.items() if value != parameters[key].default]
    spec = f"{evaluator.builtin}({', '.join(given)})" if given else evaluator.builtin
    try:
        return spec if parse_spec(spec)[1].keys() <= evaluator.options.keys() else None
    except InvalidEvaluator:
        return None


class _JsonWords(ast.NodeTransformer):
    """``true``, ``false`` and ``null`` as Python writes them."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(_JSON_WORDS[node.id]) if node.id in _JSON_WORDS else node
