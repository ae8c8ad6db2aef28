"""Faults of a backend, one at a time, that is whole but for it; and whether the suite notices."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.errors import ExperimentsError
from prefect_experiments.pages import Pagination
from prefect_experiments.testing import BackendSuite, Conditions, ResultSuite
from support.folder_backend import FolderBackend, FolderSettings

Fault = Callable[[FolderBackend, pytest.MonkeyPatch], None]


def gives(method: str, change: Callable[[Any], Any]) -> Fault:
    """A method gives something else."""

    def spoil(remote: FolderBackend, patch: pytest.MonkeyPatch) -> None:
        owner, name = _found(remote, method)
        original = getattr(owner, name)
        patch.setattr(owner, name, lambda *given, **more: change(original(*given, **more)))

    return spoil


def is_instead(method: str, other: Callable[..., Any]) -> Fault:
    """Something else is done; it gets the method before what that is given."""

    def spoil(remote: FolderBackend, patch: pytest.MonkeyPatch) -> None:
        owner, name = _found(remote, method)
        original = getattr(owner, name)
        patch.setattr(owner, name, lambda *given, **more: other(original, *given, **more))

    return spoil


def _found(remote: FolderBackend, method: str) -> tuple[Any, str]:
    owner, _, name = method.rpartition(".")
    return (attrgetter(owner)(remote) if owner else remote), name


def nothing(*_: Any, **__: Any) -> None:
    """Instead of doing it."""


def silent(method: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """What should be refused is passed over."""
    try:
        return method(*given, **more)
    except ExperimentsError:
        return None


def mumbled(method: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """It is refused without a word of what."""
    try:
        return method(*given, **more)
    except ExperimentsError as error:
        raise type(error)("no") from None


def examples(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda dataset: replace(dataset, examples=tuple(change(list(dataset.examples))))


def each(part: str, value: Any) -> Callable[[Any], Any]:
    return lambda found: [replace(one, **{part: value}) for one in found]


def paged(change: Callable[[Any, Pagination], Any]) -> Callable[[Any], Any]:
    return lambda found: change(*found)


def runs(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda pulled: replace(pulled, runs=[changed for one in pulled.runs for changed in change(one)])


def run(**parts: Any) -> Callable[[Any], Any]:
    return runs(lambda one: [one._replace(run=one.run._replace(**parts))])


def evaluations(**parts: Any) -> Callable[[Any], Any]:
    return runs(lambda one: [one._replace(evaluations=tuple(e._replace(**parts) for e in one.evaluations))])


END = Pagination()


class Faulty(Conditions):
    """On a backend of which a test makes a faulty one."""

    experiment = ResultSuite.experiment

    @pytest.fixture
    def remote(self, tmp_path: Path) -> FolderBackend:
        (tmp_path / "kept").mkdir()
        return FolderBackend(FolderSettings(path=str(tmp_path / "kept")))

    @pytest.fixture
    def notices(
        self, remote: FolderBackend, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str, Fault], None]:
        """Asserts that a test of the suite fails on a fault."""

        def assert_it(test: str, fault: Fault) -> None:
            fault(remote, monkeypatch)
            method = getattr(BackendSuite(), f"test_{test}")
            with pytest.raises((AssertionError, pytest.fail.Exception, ExperimentsError, AttributeError, LookupError)):
                method(**{name: request.getfixturevalue(name) for name in inspect.signature(method).parameters})

        return assert_it
