"""The marker ``@pytest.mark.experiment``: what it says, and which of its three readings a test has.

- with a task, an experiment over the dataset runs before the test's body;
- without one, a test that takes ``input``, ``expected`` and so on is the task itself;
- and a test that takes none of these is a case: its parameters are an example, its run is an experiment run.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

from prefect_experiments.pytest_plugin.known import MARKER
from prefect_experiments.pytest_plugin.options import options_of
from prefect_experiments.tasks import TASK_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

_fields: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()

REPETITION = "_experiment_repetition"
_ID = "repetition-"


def said(node: Any) -> dict[str, Any]:
    """What the markers of a test, its class and its module say, the nearest first."""
    found: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(
                f"{node.nodeid}: @pytest.mark.{MARKER} takes keywords only, such as dataset=; got {mark.args[0]!r:.80}"
            )
        found |= mark.kwargs
    return found


def fields_of(function: Callable[..., Any]) -> list[str]:
    """The parameters of a test that a task takes, where they are not those of ``parametrize``."""
    return _fields.get(getattr(function, "__func__", function), [])


@contextlib.contextmanager
def without_fields(function: Any, collector: pytest.Collector) -> Iterator[None]:
    """While pytest looks for a test's fixtures: its parameters without those that are an example's fields."""
    signature = inspect.signature(function)
    fields = [name for name in signature.parameters if name in TASK_NAMES and name not in _given(function, collector)]
    _fields[function] = fields
    if not fields:
        yield
        return
    left = [parameter for name, parameter in signature.parameters.items() if name not in fields]
    function.__signature__ = signature.replace(parameters=left)
    try:
        yield
    finally:
        del function.__signature__


def _given(function: Callable[..., Any], collector: pytest.Collector) -> set[str]:
    """The names that ``parametrize`` gives values to."""
    found: set[str] = set()
    own = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    for mark in (*own, *collector.iter_markers("parametrize")):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", "")
        found |= {name.strip() for name in (names.split(",") if isinstance(names, str) else names)}
    return found


def is_case(item: pytest.Item, marked: dict[str, Any]) -> bool:
    """Whether a marked test is an example's run, and not a whole experiment."""
    return "task" not in marked and not (isinstance(item, pytest.Function) and fields_of(item.function))


def repeat(metafunc: pytest.Metafunc) -> None:
    """Make a test of each repetition of a case."""
    item = metafunc.definition
    try:
        marked = said(item)
    except pytest.UsageError as error:
        pytest.fail(str(error), pytrace=False)
    n = marked.get("repetitions", options_of(metafunc.config).repetitions or 1)
    if not isinstance(n, int) or n < 1:
        pytest.fail(f"{item.nodeid}: repetitions must be a whole number of at least 1, got {n!r:.80}", pytrace=False)
    if n > 1 and is_case(item, marked):
        metafunc.fixturenames.append(REPETITION)
        metafunc.parametrize(REPETITION, range(1, n + 1), ids=[f"{_ID}{number}" for number in range(1, n + 1)])


def repetition_of(item: pytest.Item) -> int:
    """The number of a case's repetition, from 1."""
    callspec = getattr(item, "callspec", None)
    return 1 if callspec is None else int(callspec.params.get(REPETITION, 1))


def example_id(item: pytest.Item) -> str:
    """The node id, without the repetition."""
    callspec = getattr(item, "callspec", None)
    if callspec is None or REPETITION not in callspec.params:
        return item.nodeid
    before, _, after = item.nodeid.rpartition(f"{_ID}{callspec.params[REPETITION]}")
    return f"{before.removesuffix('-')}{after}".removesuffix("[]")
