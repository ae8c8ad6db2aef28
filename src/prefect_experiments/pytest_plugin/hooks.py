"""What the plugin's hooks do where there is something to be done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.errors import unknown_value
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.pytest_plugin.cases import Case, cases_of, dataset_of
from prefect_experiments.pytest_plugin.marks import is_case, said
from prefect_experiments.pytest_plugin.session import Record, session_of
from prefect_experiments.pytest_plugin.shared import is_worker

_HERE = Path(__file__).parent


def found(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take note of the marked tests that are to run.

    Raises:
        pytest.UsageError: a marker cannot be used. Of a worker of pytest-xdist nobody would see that, so there the
            test fails.
    """
    cases, refused = cases_of(config), session_of(config).refused
    for item in items:
        with _refusing(config, refused, [item]):
            _find(item)
    with _refusing(config, refused, list(cases.by_item)):
        cases.check()


@contextlib.contextmanager
def _refusing(config: pytest.Config, refused: dict[pytest.Item, str], items: list[pytest.Item]) -> Iterator[None]:
    try:
        yield
    except pytest.UsageError as error:
        if not is_worker(config):
            raise
        refused |= dict.fromkeys(items, str(error))


def _find(item: pytest.Item) -> None:
    marked = said(item)
    if is_case(item, marked):
        cases_of(item.config).add(item, marked)
        return
    _check_whole(item, marked)
    if isinstance(item, pytest.Function) and "experiment" not in item.fixturenames:
        item.fixturenames.append("experiment")


def _check_whole(item: pytest.Item, marked: dict[str, Any]) -> None:
    """Refuse what a marker says of a whole experiment, before anything is run.

    Raises:
        pytest.UsageError: the marker cannot be used.
    """
    if "dataset" not in marked:
        why = "the marker has task=" if "task" in marked else "the test takes the fields of an example"
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.experiment needs dataset=, as {why}")
    known = [*RunArguments.model_fields, "required"]
    if (wrong := next((name for name in marked if name not in known), None)) is not None:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.experiment: {unknown_value('keyword', wrong, known)}")


def left_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take note of cases that were collected, and are not to run."""
    deselected = session_of(config).deselected
    for item in items:
        with contextlib.suppress(pytest.UsageError):  # of a marker that is not used
            marked = said(item)
            if is_case(item, marked):
                name = str(dataset_of(item, marked))
                deselected[name] = deselected.get(name, 0) + 1


def case_of(item: pytest.Item) -> Case | None:
    """The case that a test is, if it is one."""
    return cases_of(item.config).by_item.get(item)


def reported(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Take note of a test's report; from a worker of pytest-xdist, it carries what the test's experiments were."""
    session = session_of(item.config)
    if report.skipped and isinstance(report.longrepr, tuple) and Path(report.longrepr[0]).parent == _HERE:
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, report.longrepr[2])
    if (case := case_of(item)) is not None:
        case.reported(call, report)
    if report.when == "teardown" and is_worker(item.config):
        new, session.sent = session.records[session.sent :], len(session.records)
        if new:
            plain = [asdict(one) for one in new if isinstance(one, Record)]
            report.experiments = plain  # type: ignore[attr-defined]


def run_marked(item: pytest.Function) -> object | None:
    """Run the experiment of a marked test; gives ``True`` where there is no body to be run after it."""
    __tracebackhide__ = True
    from prefect_experiments.pytest_plugin.fixture import run_of_marker

    marked: dict[str, Any] = said(item)
    return None if is_case(item, marked) else run_of_marker(item, marked)


def close(session: pytest.Session) -> None:
    """Log and judge the cases, if there are any."""
    if cases_of(session.config).groups or session_of(session.config).closed:
        from prefect_experiments.pytest_plugin import closing

        closing.close(session)
