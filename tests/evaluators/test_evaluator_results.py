from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix.evals.evaluators import Score

from prefect_experiments.evaluators import EvaluationResult, parse_result

quick = settings(deadline=None)


class Tone(str, Enum):  # noqa: UP042 - str() of these gives the member's name, which is the point
    KIND = "kind"


@dataclass
class PixieEvaluation:
    score: float
    reasoning: str
    details: dict[str, Any] = field(default_factory=dict)


Verdict = namedtuple("Verdict", "label explanation score")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, EvaluationResult(score=1.0, label="True")),
        (False, EvaluationResult(score=0.0, label="False")),
        (np.True_, EvaluationResult(score=1.0, label="True")),
        (np.False_, EvaluationResult(score=0.0, label="False")),
        (3, EvaluationResult(score=3.0)),
        (0.25, EvaluationResult(score=0.25)),
        (np.float32(0.5), EvaluationResult(score=0.5)),
        (np.int64(2), EvaluationResult(score=2.0)),
        (np.array(0.5), EvaluationResult(score=0.5)),
        (Decimal("0.1"), EvaluationResult(score=0.1)),
        (Fraction(1, 4), EvaluationResult(score=0.25)),
        ("good", EvaluationResult(label="good")),
        (Tone.KIND, EvaluationResult(label="kind")),
        (None, EvaluationResult()),
        ([], EvaluationResult()),
        ({}, EvaluationResult()),
        ((0.5, "meh"), EvaluationResult(score=0.5, label="meh")),
        ((True, "meh"), EvaluationResult(score=1.0, label="meh")),
        ((np.bool_(True), None), EvaluationResult(score=1.0)),
        ((None, "meh", "because"), EvaluationResult(label="meh", explanation="because")),
        ((1, None, None), EvaluationResult(score=1.0)),
        ({"score": 1, "explanation": "why"}, EvaluationResult(score=1.0, explanation="why")),
        ({"label": "a", "metadata": None}, EvaluationResult(label="a")),
        ({"score": True, "name": "x"}, EvaluationResult(score=1.0, name="x")),
        ({"score": 0.5, "metadata": {"k": [1]}}, EvaluationResult(score=0.5, metadata={"k": [1]})),
        (EvaluationResult(score=np.float64(0.5)), EvaluationResult(score=0.5)),
        (Verdict("good", "why", 1), EvaluationResult(score=1.0, label="good", explanation="why")),
        (PixieEvaluation(0.5, "half", {"k": 1}), EvaluationResult(0.5, explanation="half", metadata={"k": 1})),
        (Score(name="x", score=1, label="a"), EvaluationResult(score=1.0, label="a", name="x")),
        (Score(label="a", direction="minimize"), EvaluationResult(label="a", metadata={"direction": "minimize"})),
        ([0.5], EvaluationResult(score=0.5)),
        ([Score(name="n", score=0)], EvaluationResult(score=0.0, name="n")),
    ],
)
def test_one_result(value, expected):
    [parsed] = parse_result(value)
    assert parsed == expected
    assert parsed.score is None or type(parsed.score) is float


def test_a_list_gives_several_named_results():
    parsed = parse_result([EvaluationResult(score=1, name="a"), {"label": "x", "name": "b"}, Score(name="c", score=0)])
    assert [(r.name, r.score, r.label) for r in parsed] == [("a", 1.0, None), ("b", None, "x"), ("c", 0.0, None)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "an evaluator may return EvaluationResult, a dict of score, label, .*; this one returned object"),
        (1j, "returned complex"),
        (b"good", "returned bytes"),
        ({1, 2}, "returned set"),
        (dict, "returned type"),
        (EvaluationResult, "returned type"),
        ({"score": 1, "scroe": 2, "why": ""}, "has also 'scroe', 'why'"),
        ({1: 2}, "has also 1"),
        ({"score": "1"}, "a score must be a number, got str"),
        ({"label": 1}, "label must be text, got int"),
        ({"label": True}, "label must be text, got bool"),
        ({"explanation": ["a"]}, "explanation must be text, got list"),
        ({"metadata": [1]}, "metadata must be a mapping, got list"),
        ({"score": 1, "name": 5}, "name must be text"),
        ({"score": 1, "name": "a\nb"}, r"must not hold line breaks or control characters, got 'a\\nb'"),
        ({"score": 1, "name": "a" * 300}, "must have at most 255 characters, got 300"),
        ((), "this one has 0 items"),
        ((1,), "this one has 1 items"),
        ((1, "a", "b", "c"), "this one has 4 items"),
        (("good", "because"), "score must be a number, got str"),
        ((1, 2), "label must be text, got int"),
        ((1, "a", 2), "explanation must be text, got int"),
        ([1, 2], "number 1, 2 has no name"),
        ([{"score": 1, "name": "a"}, 2], "number 2 has no name"),
        (
            [{"score": 1, "name": "a"}, {"score": 0, "name": "a"}],
            "several results have the name 'a'; names must differ",
        ),
        ([[1]], "returned list"),
        ([{"score": 1, "name": "a"}, {"score": "x", "name": "b"}], "result 2 of 2: a score must be a number"),
        (np.array([1.0, 2.0]), "one number, got numpy.ndarray"),
        (EvaluationResult(label=3), "label must be text, got int"),
    ],
)
def test_what_is_no_verdict(value, text):
    with pytest.raises(TypeError, match=text):
        parse_result(value)


def test_an_object_with_nothing_but_a_score_is_no_verdict():
    class Bare:
        score = 1

    with pytest.raises(TypeError, match="label or a reasoning"):
        parse_result(Bare())


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        np.float64("nan"),
        Decimal("Infinity"),
        Decimal("sNaN"),
        10**400,
        {"score": -math.inf},
        (math.nan, "x"),
        Score(name="x", score=math.nan),
        [{"name": "a", "score": 1}, {"name": "b", "score": math.nan}],
    ],
)
def test_scores_must_be_finite(value):
    with pytest.raises(ValueError, match="finite"):
        parse_result(value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.text("abc", min_size=1, max_size=3)
verdicts = st.fixed_dictionaries(
    {"name": names},
    optional={
        "score": st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
        "label": st.none() | st.text(),
        "explanation": st.none() | st.text(),
        "metadata": st.none() | st.dictionaries(st.text(), st.integers()),
    },
)


@quick
@given(anything)
def test_anything_is_a_verdict_or_a_clear_error(value):
    try:
        parsed = parse_result(value)
    except (TypeError, ValueError) as error:
        assert str(error)  # noqa: PT017 - most values are no error
        return
    assert parsed
    for result in parsed:
        assert result.score is None or math.isfinite(result.score)
        assert result.label is None or isinstance(result.label, str)
    assert len(parsed) == 1 or len({result.name for result in parsed}) == len(parsed)


@quick
@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.text(), st.none() | st.text())
def test_all_spellings_of_one_verdict_are_the_same(score, label, explanation):
    spelled = [
        (score, label, explanation),
        {"score": score, "label": label, "explanation": explanation},
        EvaluationResult(score, label, explanation),
        Score(score=score, label=label, explanation=explanation),
        [(score, label, explanation)],
    ]
    assert [parse_result(value) for value in spelled] == [[EvaluationResult(score, label, explanation)]] * len(spelled)


@quick
@given(st.lists(verdicts, max_size=4, unique_by=lambda verdict: verdict["name"]))
def test_a_list_is_parsed_item_by_item(items):
    assert parse_result(items) == ([r for item in items for r in parse_result(item)] or [EvaluationResult()])


@quick
@given(verdicts)
def test_parsing_twice_changes_nothing(item):
    assert parse_result(parse_result(item)) == parse_result(item)


def test_a_name_that_no_result_can_have() -> None:
    with pytest.raises(TypeError, match="a result's name must not be empty"):
        parse_result({"name": "", "score": 1.0})
