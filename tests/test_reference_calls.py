"""References that call something, with literals alone, and only what says that it may be called so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.errors import InvalidReference
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.experiment.spec import CallableSpec
from prefect_experiments.reference_calls import makes_references, reference_call
from prefect_experiments.references import load_reference, whole_path
from prefect_experiments.tasks import resolve_task

MODULE = """
import functools, os
from prefect_experiments.reference_calls import makes_references

CALLED = []

@makes_references
def times(number, *, by=1, note=None):
    def task(input):
        return input * number * by
    task.given = [number, by, note]
    return task

@makes_references
def judge(least):
    def judge(output):
        return output >= least
    return judge

class Group:
    times = staticmethod(times)

def unmarked(command):
    CALLED.append(command)

@functools.wraps(unmarked)
def wrapped(command):
    CALLED.append(command)

class Anything:
    def __getattr__(self, name):
        return True
    def __call__(self, *args):
        CALLED.append(args)

anything = Anything()
number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module ``calls_app``, which is also ``app.py`` in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "calls_app.py").write_text(MODULE)
    (tmp_path / "app.py").write_text(MODULE)
    yield
    sys.modules.pop("calls_app", None)


@pytest.mark.parametrize("where", ["calls_app", "app.py"])
@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("(3)", [3, 1, None]),
        ("(number=-2.5, by=2)", [-2.5, 2, None]),
        ("('a:b.py:c)', note=\"it's (1)\")", ["a:b.py:c)", 1, "it's (1)"]),
        ("([1, {'a': (None, True)}], note={1})", [[1, {"a": (None, True)}], 1, {1}]),
        (" ( 3 ,\n note = 'x' ) ", [3, 1, "x"]),
    ],
)
def test_a_factory_is_given_literals(module: None, where: str, arguments: str, given: list[Any]) -> None:
    assert load_reference(f"{where}:times{arguments}").given == given
    assert load_reference(f"{where}:Group.times{arguments}").given == given


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
        max_leaves=8,
    )
)
def test_what_repr_writes_is_read(value: Any) -> None:
    call = reference_call(f"calls_app:times({value!r}, note={value!r})")
    assert call is not None
    assert call.factory == "calls_app:times"

    @makes_references
    def taken(number: Any, note: Any) -> Any:
        return number, note

    assert call.made_by(taken) == (value, value)


@pytest.mark.parametrize("arguments", ["('touch it')", "(command='touch it')"])
@pytest.mark.parametrize(
    "factory",
    ["calls_app:unmarked", "calls_app:wrapped", "calls_app:anything", "calls_app:number", "os:system",
     "app.py:unmarked", "builtins:eval", "subprocess:run", "functools:partial", "prefect_experiments:run_experiment",
     "prefect_experiments.references:load_reference", "prefect_experiments.reference_calls:makes_references"],
)  # fmt: skip
def test_nothing_else_is_called(module: None, factory: str, arguments: str, tmp_path: Path) -> None:
    import calls_app  # type: ignore[import-not-found]

    with pytest.raises(InvalidReference, match="may not be called by a reference"):
        load_reference(f"{factory}{arguments}")
    assert calls_app.CALLED == []
    assert not (tmp_path / "it").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "(os.getcwd())",
        "(__import__('os').mkdir('it'))",
        "(by=__import__('os').mkdir('it'), number=1)",
        "(*[3])",
        "(**{'number': 3})",
        "(number)",
        "(f'{1}')",
        "(lambda: 3)",
        "(3)(4)",
        "(3) + (4)",
        "(3); (4)",
        "(3\n)\nimport os\n(4)",
        "(3 for x in [1])",
        "(x := 3)",
        "(3",
        "(" * 300 + ")" * 300,
        "(number=3, number=4)",
        "('\0')",
    ],
)
def test_what_is_no_literal_is_refused(module: None, tmp_path: Path, arguments: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        load_reference(f"calls_app:times{arguments}")
    assert not (tmp_path / "it").exists()
    assert "calls_app:times" in str(refused.value)


@pytest.mark.parametrize("arguments", ["(3)(4)", "(3) + (4)", "(*[3])(4)", "(**{})"])
def test_what_is_more_than_a_call_is_said(module: None, arguments: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        load_reference(f"calls_app:times{arguments}")
    assert str(refused.value) == (
        f"reference 'calls_app:times{arguments}' cannot be read; write literals, as in "
        "package.module:factory('text', option=3): it is no call with literals alone"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("()", "missing a required argument: 'number'"),
        ("(1, 2)", "too many positional arguments"),
        ("(1, off=2)", "got an unexpected keyword argument 'off'"),
    ],
)
def test_arguments_that_it_does_not_take_are_said(module: None, arguments: str, said: str) -> None:
    with pytest.raises(InvalidReference, match=said):
        load_reference(f"calls_app:times{arguments}")


@pytest.mark.parametrize(
    "text",
    [
        "app:answer",
        "app.py:answer",
        "regex(pattern='a:b()')",
        "C:\\x(1)\\app.py:answer",
        "a(1):b",
        "contains",
        "a:(1)",
        "",
    ],
)
def test_what_calls_nothing_is_another_reference(text: str) -> None:
    assert reference_call(text) is None


def test_they_are_tasks_and_evaluators_and_travel(module: None) -> None:
    reference = "calls_app:times(3, note='a:b.py:c')"
    task = resolve_task(reference)
    spec = CallableSpec.model_validate_json(CallableSpec.of(task).model_dump_json())
    assert spec.reference == reference
    assert spec.pickled is None
    assert spec.task().function(2) == 6
    assert resolve_task("calls_app:times(4)").fingerprint != task.fingerprint
    [judge] = resolve_evaluators(["calls_app:judge(3)"])
    assert (judge.name, judge.reference) == ("judge", "calls_app:judge(3)")
    again = CallableSpec.model_validate_json(CallableSpec.of(judge).model_dump_json()).evaluator()
    assert again.function(3) is True


def test_the_path_of_a_factorys_file_is_made_whole_and_its_arguments_are_left_alone(module: None) -> None:
    here = Path.cwd()
    assert whole_path("app.py:times('app.py:x')") == f"{here}/app.py:times('app.py:x')"
    assert whole_path("calls_app:times('app.py:x')") == "calls_app:times('app.py:x')"
    assert whole_path("app.py:times") == f"{here}/app.py:times"


def test_where_references_are_limited_so_are_factories_of_the_users(
    module: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", "other,flows/")
    Path("flows").mkdir()
    for where in ("calls_app", "app.py"):
        with pytest.raises(InvalidReference, match="is not allowed here"):
            load_reference(f"{where}:times(3)")
    assert "calls_app" not in sys.modules
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", "calls_app")
    assert load_reference("calls_app:times(3)")(2) == 6
    with pytest.raises(InvalidReference):
        load_reference("calls_app:times.__globals__('os')")
    with pytest.raises(InvalidReference, match="may not be called"):
        load_reference("prefect_experiments.references:load_reference('os:system')")
