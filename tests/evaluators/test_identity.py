"""What tells one evaluator of another library from another, and what its prompt asks an example for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

from prefect_experiments.evaluators.identity import identity_of, stable
from prefect_experiments.evaluators.prompts import is_filled, texts_of, variables


class Tone(Enum):
    KIND = "kind"


@dataclass
class Rubric:
    text: str
    weights: dict[int, Any] = field(default_factory=dict)


class Model:
    """As a judge's model: two attributes that tell it, and others that do not."""

    def __init__(self, provider: str, model: str, client: object = None) -> None:
        self.provider, self.model, self.client = provider, model, client


class Answer(pydantic.BaseModel):
    b: int
    a: int
    c: int = 1


def nested(depth: int, bottom: Any) -> Any:
    return [nested(depth - 1, bottom)] if depth else bottom


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *((value, value) for value in (None, True, "a", 5, 0.5)),
        ({1: (2, [3])}, {"1": [2, [3]]}),
        (Rubric, "Rubric"),
        (Rubric("a", {1: Tone.KIND}), ["Rubric", {"text": "a", "weights": {"1": ["Tone", "KIND"]}}]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 1}), [1, 2]),
        (date(2026, 1, 2), ["date", "2026-01-02"]),
        (timedelta(seconds=1), ["timedelta", "0:00:01"]),
        (Decimal("1.50"), ["Decimal", "1.50"]),
        (PurePosixPath("a/b"), ["PurePosixPath", "a/b"]),
        (b"x", ["bytes", "b'x'"]),
        (object(), "object"),
        (Model("openai", "gpt", object()), ["Model", "openai", "gpt"]),
        (SimpleNamespace(provider="openai"), "SimpleNamespace"),
        (SimpleNamespace(model_name="m", other=1), ["SimpleNamespace", "m"]),
        (SimpleNamespace(template=["a"], model_name="m"), ["SimpleNamespace", ["a"]]),
        (SimpleNamespace(_template="a"), ["SimpleNamespace", "a"]),
        (re.compile("a", re.IGNORECASE), ["Pattern", "a", int(re.compile("a", re.IGNORECASE).flags)]),
        (nested(8, "x"), nested(8, "x")),
        (nested(9, 5), nested(9, 5)),
        (nested(9, [5]), nested(9, "list")),
        (nested(9, object()), nested(9, "object")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_part_of_an_evaluator_is_the_same_in_every_process(value: Any, kept: Any) -> None:
    assert stable(value) == kept


def test_a_models_schema_has_what_is_required_in_order() -> None:
    found = stable(Answer)
    assert found["required"] == ["a", "b"]
    assert list(found["properties"]) == ["b", "a", "c"]
    assert stable([Answer]) == [found]


def test_a_librarys_own_class_counts_by_its_name_and_a_derived_one_by_its_code() -> None:
    def made(module: str, gives: int) -> Any:
        source = f"class Judge:\n    def evaluate(self):\n        return {gives}\n"
        space: dict[str, Any] = {"__name__": module}
        exec(source, space)  # of a module that need not be there
        return space["Judge"]()

    def identity(obj: Any, state: Any = None) -> str:
        return identity_of(obj, state, library="their_library")

    assert identity(made("their_library.judges", 1)) == identity(made("their_library.other", 2))
    assert identity(made("their_library.judges", 1)) != identity(made("their_library.judges", 1), {"model": "m"})
    assert identity(made("their_library_too", 1)) != identity(made("their_library_too", 2))


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("a", ["a"]),
        (["a", ("b",)], ["a", "b"]),
        ([{"role": "user", "content": "a"}, {"content": [{"type": "text", "text": "b"}, {"text": None}]}], ["a", "b"]),
        ({"text": "t", "content": "c"}, ["c", "t"]),
        (5, []),
        (None, []),
    ],
)
def test_the_texts_of_a_prompt(prompt: Any, texts: list[str]) -> None:
    assert list(texts_of(prompt)) == texts


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], []),
        (["no variable, {neither} this"], []),
        (["{{input.question}} {{ expected }} {{{raw}}} {{& amp}} {{input.question}}"],
         ["input.question", "expected", "raw", "amp"]),
        (["{{b}}", "{{a}} {{b}}"], ["b", "a"]),
        (["{{#items}}{{name}}{{/items}}{{^none}}\n{{why}}\n{{/ none }}{{out}}"], ["out"]),
        (["{{#items}}{{name}}{{/other}}"], ["name"]),
        (["{{__hidden}} {{_shown}} {{! a remark }}"], ["_shown"]),
    ],
)  # fmt: skip
def test_the_variables_of_a_prompt(texts: list[str], names: list[str]) -> None:
    assert variables(texts) == names


THERE = {"input": {"q": {"deep": 0}, "none": None, "text": "x"}, "output": None, "expected": None, "context": "c"}


@pytest.mark.parametrize(
    ("variable", "filled"),
    [
        ("input", True),
        ("input.q", True),
        ("input.q.deep", True),
        ("input.q.other", False),
        ("input.none", False),
        ("input.text.more", False),
        ("input.other", False),
        ("context", True),
        ("expected", False),
        ("expected.x", False),
        ("nothing", False),
        ("output", True),
        ("output.whatever", True),
    ],
)
def test_which_variables_an_example_fills(variable: str, filled: bool) -> None:
    """What an output will hold is not known before."""
    assert is_filled(variable, THERE) is filled
