"""The kind of an evaluator, however it says it; AX's own classes are read from its client's environment."""

from __future__ import annotations

import enum
import functools
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from prefect_experiments.errors import InvalidEvaluator
from prefect_experiments.evaluators import Evaluator, create_evaluator

from .judging import bind

ARIZE = Path(__file__).parents[2] / ".venv-arize"


class AnnotatorKind(enum.Enum):
    CODE = "CODE"
    LLM = "LLM"


class Judged(Evaluator):
    def evaluate(self, output):
        return 1


class AsAX(Judged):
    annotator_kind = "LLM"


class AsOurs(Judged):
    kind = "LLM"


class AsAProperty(Judged):
    @property
    def annotator_kind(self):
        return AnnotatorKind.LLM


class Nothing(AsAX):
    annotator_kind = None


class CodeAgain(AsAX):
    kind = "CODE"


class Foreign:
    annotator_kind = "llm"

    def evaluate(self, output, **kwargs):
        return 1


class Callable:
    annotator_kind = "HUMAN"

    def __call__(self, output):
        return 1


def function(output):
    return 1


@pytest.mark.parametrize(
    ("evaluator", "kind"),
    [
        (Judged, "CODE"),
        (AsAX, "LLM"),
        (AsAX(), "LLM"),
        (AsOurs, "LLM"),
        (AsAProperty, "LLM"),
        (CodeAgain, "CODE"),
        (Nothing, "CODE"),
        (Foreign, "LLM"),
        (Callable(), "HUMAN"),
        (SimpleNamespace(evaluate=function, annotator_kind=AnnotatorKind.LLM), "LLM"),
        (function, "CODE"),
        (create_evaluator(kind=AnnotatorKind.LLM)(function), "LLM"),
    ],
)
def test_what_is_said(evaluator, kind):
    assert bind({"it": evaluator}).kind == kind


def test_an_object_says_more_than_its_class():
    evaluator = AsAX()
    evaluator.annotator_kind = "HUMAN"
    assert bind(evaluator).kind == "HUMAN"


def test_functions():
    def judge(output):
        return 1

    judge.annotator_kind = "LLM"
    assert bind(judge).kind == "LLM"
    assert bind(functools.wraps(judge)(lambda output: 1)).kind == "LLM"
    judge.annotator_kind, judge.kind = None, "a kind of its own"
    assert bind(judge).kind == "CODE"


def test_two_kinds_are_refused():
    class Both(Judged):
        kind = "HUMAN"
        annotator_kind = "LLM"

    with pytest.raises(InvalidEvaluator, match="'Both' says two kinds: kind='HUMAN', annotator_kind='LLM'"):
        bind(Both)
    with pytest.raises(InvalidEvaluator, match="unknown kind 'LMM'; did you mean 'LLM'"):
        bind(SimpleNamespace(evaluate=function, annotator_kind="LMM", name="x"))


@pytest.fixture
def ax(monkeypatch):
    """The modules of AX's client with its evaluators, without the rest of it, which needs another pandas."""
    (site,) = ARIZE.glob("lib/python*/site-packages") if ARIZE.exists() else [None]
    if site is None:
        pytest.skip("there is no .venv-arize")
    for name in ("arize", "arize.experiments", "arize.experiments.evaluators"):
        module = ModuleType(name)
        module.__path__ = [str(site.joinpath(*name.split(".")))]
        monkeypatch.setitem(sys.modules, name, module)
    before = set(sys.modules)
    from arize.experiments.evaluators import base, types, utils

    yield SimpleNamespace(**vars(base), types=types, create_evaluator=utils.create_evaluator)
    for name in set(sys.modules) - before:
        if name.startswith("arize."):
            del sys.modules[name]


def test_ax_s_own_classes(ax):
    class Said(ax.Evaluator):
        annotator_kind = "LLM"

        def evaluate(self, output, **kwargs):
            return ax.types.EvaluationResult(score=1)

    class Model(ax.LLMEvaluator):
        async def async_evaluate(self, output, **kwargs):
            return ax.types.EvaluationResult(label="good")

    class Code(ax.CodeEvaluator):
        annotator_kind = ax.types.AnnotatorKind.LLM
        _name = "mine"

        def evaluate(self, output, **kwargs):
            return ax.types.EvaluationResult(score=1)

    said = Said()
    assert said.kind == "CODE"  # as AX's client has it, which knows nothing of `annotator_kind`
    found = [bind(evaluator) for evaluator in (said, Model(), Code(), ax.create_evaluator(name="f")(function))]
    assert [(one.name, one.kind, one.is_async) for one in found] == [
        ("Said", "LLM", False),
        ("Model", "LLM", True),
        ("mine", "LLM", False),
        ("f", "CODE", False),
    ]
