"""Arguments by name, for tasks and evaluators of every shape."""

from __future__ import annotations

import asyncio
import functools
import operator
import re
import string
from types import MappingProxyType
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.errors import InvalidEvaluator, InvalidTask
from prefect_experiments.evaluators import EVALUATOR_GETTERS, Evaluator, resolve_evaluators
from prefect_experiments.models import Example
from prefect_experiments.tasks import TASK_GETTERS, Fields, resolve_task

INPUT, EXPECTED, METADATA, OUTPUT = {"q": "2+2?"}, {"a": 4}, {"topic": "sums"}, "four"
TRACE = "0" * 31 + "1"
EXAMPLE = Example(id="ex-1", input=INPUT, output=EXPECTED, metadata=METADATA, splits=("train",))
ROW = {"id": "ex-1", "q": "2+2?", "a": 4, "topic": "sums"}
TASK_VALUES = {
    "input": INPUT,
    "expected": EXPECTED,
    "reference": EXPECTED,
    "output": EXPECTED,
    "metadata": METADATA,
    "example": EXAMPLE,
    "dataset_row": ROW,
}
EVALUATOR_VALUES = {
    **TASK_VALUES,
    "output": OUTPUT,
    "experiment_output": OUTPUT,
    "dataset_output": EXPECTED,
    "trace_id": TRACE,
}


def fields():
    return Fields(
        "ex-1",
        '{"q": "2+2?"}',
        '{"a": 4}',
        '{"topic": "sums"}',
        splits=("train",),
        output_json='"four"',
        trace_id=TRACE,
    )


def as_task(function):
    return resolve_task(function).call(fields())


def as_evaluator(function):
    [bound] = resolve_evaluators(function)
    return bound.call(fields())


BOTH = pytest.mark.parametrize(
    ("call", "values", "only"),
    [(as_task, TASK_VALUES, INPUT), (as_evaluator, EVALUATOR_VALUES, OUTPUT)],
    ids=["task", "evaluator"],
)


def written(parameters: str):
    """A function with these parameters that returns its ``locals()``."""
    scope: dict[str, object] = {}
    exec(f"def f({parameters}):\n    return locals()", scope)
    return scope["f"]


def test_these_are_all_the_names():
    assert set(TASK_GETTERS) == set(TASK_VALUES)
    assert set(EVALUATOR_GETTERS) == set(EVALUATOR_VALUES)


@BOTH
def test_every_name(call, values, only):
    assert call(written(", ".join(values))) == values


@BOTH
def test_the_only_parameter(call, values, only):
    assert call(written("x")) == {"x": only}
    assert call(written("x=1")) == {"x": only}
    assert call(written("x, /")) == {"x": only}
    assert call(written("*, x")) == {"x": only}
    assert call(written("x, temperature=0.5, *, model='m'")) == {"x": only, "temperature": 0.5, "model": "m"}
    assert call(written("metadata")) == {"metadata": METADATA}
    assert call(written("expected, temperature=0.5")) == {"expected": EXPECTED, "temperature": 0.5}


@BOTH
def test_known_names_are_filled_although_they_have_defaults(call, values, only):
    assert call(written("input=None, metadata=None, unknown=3")) == {"input": INPUT, "metadata": METADATA, "unknown": 3}


@BOTH
def test_star_arguments(call, values, only):
    assert call(written("**kwargs")) == {"kwargs": values}
    assert call(written("*args")) == {"args": (only,)}
    assert call(written("*args, **kwargs")) == {"args": (), "kwargs": values}
    assert call(written("x, *args")) == {"x": only, "args": ()}
    assert call(written("input, *args, expected")) == {"input": INPUT, "args": (), "expected": EXPECTED}
    assert call(written("*args, expected")) == {"args": (), "expected": EXPECTED}
    rest = {name: value for name, value in values.items() if name != "input"}
    assert call(written("input, **kwargs")) == {"input": INPUT, "kwargs": rest}
    assert call(written("x, **kwargs")) == {"x": only, "kwargs": values}


@BOTH
def test_positional_only(call, values, only):
    assert call(written("input, expected, /")) == {"input": INPUT, "expected": EXPECTED}
    assert call(written("expected, /, input")) == {"expected": EXPECTED, "input": INPUT}
    assert call(written("x=1, input=None, y=2, /")) == {"x": 1, "input": INPUT, "y": 2}
    assert call(written("x=1, input=None, y=2, metadata=3, /, z=4")) == {
        "x": 1,
        "input": INPUT,
        "y": 2,
        "metadata": METADATA,
        "z": 4,
    }


class Thing:
    def __init__(self, suffix="!"):
        self.suffix = suffix

    def method(self, input, expected):
        return [input, expected, self.suffix]

    @classmethod
    def of_class(cls, input):
        return [cls.__name__, input]

    @staticmethod
    def static(input):
        return [input]

    def __call__(self, metadata, x=1):
        return [metadata, x, self.suffix]


class AsyncThing:
    async def __call__(self, input):
        await asyncio.sleep(0)
        return input


@BOTH
def test_methods_objects_and_lambdas(call, values, only):
    assert call(Thing().method) == [INPUT, EXPECTED, "!"]
    assert call(Thing.of_class) == ["Thing", INPUT]
    assert call(Thing.static) == [INPUT]
    assert call(Thing("?")) == [METADATA, 1, "?"]
    assert call(lambda x: [x]) == [only]
    assert call(lambda input, expected: [input, expected]) == [INPUT, EXPECTED]  # noqa: A006
    assert asyncio.run(call(AsyncThing())) == INPUT


def test_what_is_async_is_known_before_the_call():
    async def coroutine(x):
        pass

    async def two(x, input):
        pass

    for function in (coroutine, AsyncThing(), AsyncThing().__call__, functools.partial(two, 1)):
        assert resolve_task(function).is_async
        assert resolve_evaluators({"e": function})[0].is_async
    for function in (len, Thing(), Thing().method, lambda x: coroutine(x), functools.partial(Thing(), x=1)):
        assert not resolve_task(function).is_async
        assert not resolve_evaluators({"e": function})[0].is_async


# --- partials ---------------------------------------------------------------------------------


@BOTH
def test_what_a_partial_has_filled_stays(call, values, only):
    both = written("input, expected")
    assert call(functools.partial(both, expected="x")) == {"input": INPUT, "expected": "x"}
    assert call(functools.partial(both, input="x")) == {"input": "x", "expected": EXPECTED}
    assert call(functools.partial(both, "x")) == {"input": "x", "expected": EXPECTED}
    assert call(functools.partial(functools.partial(both, expected="x"), expected="y"))["expected"] == "y"
    assert call(functools.partial(written("prompt, q"), prompt="x")) == {"prompt": "x", "q": only}
    assert call(functools.partial(written("prompt, q"), "x")) == {"prompt": "x", "q": only}
    assert call(functools.partial(written("prompt, q"), q="x")) == {"prompt": only, "q": "x"}
    assert call(functools.partial(written("input, x"), input="given")) == {"input": "given", "x": only}
    assert call(functools.partial(Thing().method, expected="x")) == [INPUT, "x", "!"]
    assert call(functools.partial(Thing(), x=2)) == [METADATA, 2, "!"]
    kwargs = call(functools.partial(written("**kwargs"), expected="x", k=3))["kwargs"]
    assert kwargs == {**values, "expected": "x", "k": 3}


@BOTH
def test_a_wrapper_around_a_partial_leaves_it_alone_too(call, values, only):
    partial = functools.partial(written("input, expected"), expected="x")

    @functools.wraps(partial)
    def wrapper(*args, **kwargs):
        return partial(*args, **kwargs)

    wrapper.__name__ = "wrapper"
    assert call(wrapper) == {"input": INPUT, "expected": "x"}


def test_a_partial_that_has_filled_everything_takes_nothing():
    with pytest.raises(InvalidTask, match="task 'f' takes no argument"):
        resolve_task(functools.partial(written("x"), x=5))
    with pytest.raises(InvalidEvaluator, match="evaluator 'f' takes no argument"):
        resolve_evaluators(functools.partial(written("output"), output="given"))


@settings(max_examples=150)
@given(data=st.data())
def test_any_partial_of_any_function(data):
    """Given keywords stay, known names get their fields, other parameters their defaults."""
    known = data.draw(st.lists(st.sampled_from(sorted(TASK_VALUES)), unique=True, min_size=1))
    unknown = data.draw(st.lists(st.sampled_from(string.ascii_lowercase), unique=True, max_size=3))
    names = data.draw(st.permutations(known + unknown))
    keyword_only = data.draw(st.integers(0, len(names)))
    written_names = [f"{name}='default'" if name in unknown else name for name in names]
    # Parameters without a default must come first, unless they are given by keyword only.
    before = sorted(written_names[:keyword_only], key=lambda name: "=" in name)
    given_keywords = data.draw(st.lists(st.sampled_from(names), unique=True))
    if not [name for name in names if name not in given_keywords]:
        return
    after = written_names[keyword_only:]
    function = written(", ".join([*before, *(["*"] if after else []), *after]))
    got = as_task(functools.partial(function, **dict.fromkeys(given_keywords, "given")))
    left = [name for name in names if name not in given_keywords]
    only_defaults_left = all(name in unknown for name in left)
    for name, value in got.items():
        if name in given_keywords:
            assert value == "given"
        elif name in known:
            assert value == TASK_VALUES[name]
        elif not only_defaults_left:
            assert value == "default"
    if only_defaults_left:
        assert [got[name] for name in left].count(INPUT) == 1


# --- builtins and callables without a signature -----------------------------------------------


def test_builtins():
    assert as_task(len) == 1
    assert as_task(operator.itemgetter("q")) == "2+2?"
    assert as_task(functools.partial(operator.eq, INPUT)) is True
    assert as_evaluator({"length": len}) == 4
    assert as_evaluator({"upper": str.upper}) == "FOUR"
    assert as_evaluator({"matches": re.compile("f..r").search}).group() == "four"
    assert as_evaluator({"longest": max}) == "u"
    assert as_evaluator({"known": {"four": 1.0}.get}) == 1.0
    assert as_evaluator({"printed": print}) is None


def test_mocks():
    mock = Mock(return_value="answer")
    mock.__name__ = "mock"
    assert as_task(mock) == "answer"
    mock.assert_called_once()


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "unknown"),
    [
        ("input, model", "'model'"),
        ("a, b", "'a', 'b'"),
        ("input, a, *, b, c=1", "'a', 'b'"),
        ("a, input, /", "'a'"),
        ("a, b, **kwargs", "'a', 'b'"),
        ("a, *args, b", "'a', 'b'"),
    ],
)
def test_parameters_that_nothing_fills_are_refused_by_name(parameters, unknown):
    with pytest.raises(InvalidTask) as caught:
        resolve_task(written(parameters))
    assert str(caught.value) == (
        f"task 'f' has parameters that no field fills: {unknown}. "
        "Known names: input, expected, reference, output, metadata, example, dataset_row"
    )
    with pytest.raises(InvalidEvaluator, match=f"evaluator 'f' has parameters that no field fills: {unknown}"):
        resolve_evaluators(written(parameters))


def test_no_parameter_is_refused():
    with pytest.raises(InvalidTask, match=r"task 'f' takes no argument\. Give it one, or any of: input, expected"):
        resolve_task(written(""))
    with pytest.raises(InvalidEvaluator, match="takes no argument"):
        resolve_evaluators(written(""))


@pytest.mark.parametrize("task", [3, None, Thing, {"a": 1}, object()])
def test_what_is_no_callable_is_refused(task):
    with pytest.raises(InvalidTask, match="a task must be a function or another callable, or a reference"):
        resolve_task(task)


# --- what is handed over ----------------------------------------------------------------------


def test_dataset_row_is_read_only():
    row = as_task(lambda dataset_row: dataset_row)
    assert isinstance(row, MappingProxyType)
    with pytest.raises(TypeError):
        row["q"] = 1


def test_fields_that_are_not_there():
    bare = Fields("ex-1", "null", None, "{}")
    assert resolve_task(written("input, expected, metadata, dataset_row")).call(bare) == {
        "input": None,
        "expected": None,
        "metadata": {},
        "dataset_row": {"id": "ex-1"},
    }


def test_class_based_evaluators_with_kwargs_get_everything():
    class Judge(Evaluator):
        def evaluate(self, **kwargs):
            return kwargs

    class Picky(Evaluator):
        def evaluate(self, *, output, dataset_row, **kwargs):
            return [output, dataset_row["topic"], sorted(kwargs)]

    assert as_evaluator(Judge()) == EVALUATOR_VALUES
    assert as_evaluator(Picky) == [OUTPUT, "sums", sorted(set(EVALUATOR_VALUES) - {"output", "dataset_row"})]
