"""Experiments as tests: what pytest loads, in every run where this package is installed beside it.

So it imports nothing but pytest: what does the work is imported by the first test that has the marker `experiment`, or
uses the fixture of that name.
"""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from prefect_experiments.pytest_plugin.known import MARKER, RUN, USED

if TYPE_CHECKING:
    from prefect_experiments.pytest_plugin.cases import evaluate, log_evaluation, log_output
    from prefect_experiments.pytest_plugin.fixture import ExperimentFixture, ExperimentInTest

__all__ = ["ExperimentFixture", "ExperimentInTest", "evaluate", "log_evaluation", "log_output"]

_WHERE = {
    "ExperimentFixture": "fixture",
    "ExperimentInTest": "fixture",
    "evaluate": "cases",
    "log_evaluation": "cases",
    "log_output": "cases",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


_OPTIONS = {
    "backend": "where experiments are kept: local, phoenix, arize, or a saved block; default from the settings",
    "baseline": "what experiments are compared with that name none: an id, a name, tag:NAME, latest, or a file",
    "gate": "the rules for experiments that name none: the path of a YAML or JSON file",
    "report": "a folder that gets an HTML report of each experiment",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the settings of the same names."""
    group = parser.getgroup("experiments", "prefect-experiments")
    for name, words in _OPTIONS.items():
        group.addoption(f"--experiment-{name}", metavar=name.upper(), help=words)
        parser.addini(f"experiment_{name}", words)
    repetitions = "how often each example is run, where a test does not say"
    group.addoption("--experiment-repetitions", type=int, metavar="N", help=repetitions)
    parser.addini("experiment_repetitions", repetitions)
    group.addoption(
        "--experiment-dry-run",
        nargs="?",
        type=int,
        const=1,
        metavar="N",
        help="try one random example, or N; nothing is kept, compared or judged",
    )
    group.addoption(
        "--experiment-first-run",
        action="store_true",
        help="there may be no experiment with the baseline's tag yet, though others of the dataset have tags",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(dataset=, task=, evaluators=, gate=, baseline=, ...): run an experiment over a dataset and hold it "
        "to a gate; without a task, the test is the task, or its parameters are the dataset. See docs/pytest.md",
    )
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reports(config), "experiments-reports")


class _Reports:
    """Takes from the reports of pytest-xdist's workers what their experiments were."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if found := getattr(report, "experiments", None):
            _session(self._config).records.extend(found)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist, in the process that starts the others: tell them what they share."""
    run = node.config.stash.setdefault(RUN, uuid.uuid4().hex)
    node.workerinput["experiments"] = {"run": run, "owner": os.getpid()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001 - pytest goes by the names
    """Under pytest-xdist, in the process that started the others: take what the last of them has made of the cases."""
    if found := getattr(node, "workeroutput", {}).get("experiments"):
        _session(node.config).closed.extend(found)


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> Iterator[ExperimentFixture]:
    """Runs experiments: ``experiment.run(dataset=..., task=..., evaluators=...).assert_gate("gate.yaml")``."""
    __tracebackhide__ = True
    from prefect_experiments.pytest_plugin.fixture import of_test

    found = of_test(request)
    yield found
    found.end()


def _session(config: pytest.Config) -> Any:
    from prefect_experiments.pytest_plugin.session import session_of

    return session_of(config)


def _is_marked(node: pytest.Item) -> bool:
    return node.get_closest_marker(MARKER) is not None


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: Any, obj: object) -> Iterator[None]:
    """Of a test that is a task, keep pytest from looking for fixtures called ``input`` and so on."""
    if type(obj) is not FunctionType:  # asked so, nothing of the object's own runs: a test module may import anything
        return (yield)
    own = getattr(obj, "pytestmark", None)
    marks = [mark for mark in (own if isinstance(own, list) else []) if getattr(mark, "name", None) == MARKER]
    if not marks and not collector.get_closest_marker(MARKER):
        return (yield)
    from prefect_experiments.pytest_plugin.marks import without_fields

    with without_fields(obj, collector):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each repetition, where the tests are the cases."""
    if metafunc.definition.get_closest_marker(MARKER) is not None:
        from prefect_experiments.pytest_plugin.marks import repeat

        repeat(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Find out of what each marked test is: an experiment, or a case of one."""
    if marked := [item for item in session.items if _is_marked(item)]:
        from prefect_experiments.pytest_plugin.hooks import found

        found(session.config, marked)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Take note of the cases that ``-k`` and the like have left out: a verdict on the rest is to say so."""
    if marked := [item for item in items if _is_marked(item)]:
        from prefect_experiments.pytest_plugin.hooks import left_out

        left_out(marked[0].config, marked)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test with a marker that cannot be used, where a worker of pytest-xdist could not refuse to begin."""
    if _is_marked(item) and (why := _session(item.config).refused.get(item)):
        pytest.fail(why, pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run the experiment of a marked test; then its body, if that is not the task itself."""
    __tracebackhide__ = True
    if not _is_marked(pyfuncitem):
        return None
    from prefect_experiments.pytest_plugin.hooks import run_marked

    return run_marked(pyfuncitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """While a case runs, what it logs is its own."""
    if not _is_marked(item):
        return (yield)
    from prefect_experiments.pytest_plugin.hooks import case_of

    if (case := case_of(item)) is None:
        return (yield)
    with case.running():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep how a case went, and let the report carry what the test's experiments were to the process that reports."""
    report = yield
    if USED in item.config.stash:
        from prefect_experiments.pytest_plugin.hooks import reported

        reported(item, call, report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """When all cases have run, log and judge them."""
    result = yield
    if USED in session.config.stash:
        from prefect_experiments.pytest_plugin.hooks import close

        close(session)
    return result


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the cases that have run, where the run was interrupted: by now, the workers of pytest-xdist have ended."""
    if USED in session.config.stash or RUN in session.config.stash:
        from prefect_experiments.pytest_plugin.shared import has_leftovers

        if has_leftovers(session.config):
            from prefect_experiments.pytest_plugin.closing import keep

            keep(session.config)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which experiments there were."""
    if USED in config.stash:
        _session(config).print(terminalreporter)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was shared."""
    if USED in config.stash or RUN in config.stash:
        from prefect_experiments.pytest_plugin.shared import end

        end(config)
