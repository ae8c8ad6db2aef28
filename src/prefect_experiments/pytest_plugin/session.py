"""What one process of a pytest run knows of its experiments: the options, what they are called, what there was."""

from __future__ import annotations

import functools
import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.origin import git_facts
from prefect_experiments.pytest_plugin.known import USED
from prefect_experiments.pytest_plugin.options import options_of
from prefect_experiments.pytest_plugin.shared import is_worker

_LONGEST_NAME = 255
_SESSION = pytest.StashKey["Session"]()


@dataclass
class Record:
    """One experiment, for the list at the end.

    Attributes:
        said: what became of it, such as ``PASSED``.
        where: the page of a backend, else empty.
        report: the path of its report, else empty.
        note: how to go on with one that was stopped, or why one is not judged.
    """

    name: str
    said: str = ""
    experiment_id: str = ""
    dataset: str = ""
    where: str = ""
    report: str = ""
    note: str = ""


def session_of(config: pytest.Config) -> Session:
    """What this process knows."""
    if _SESSION not in config.stash:
        config.stash[_SESSION], config.stash[USED] = Session(config), True
    return config.stash[_SESSION]


class Session:
    """See the module."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options = options_of(config)
        self.records: list[Record | dict[str, str]] = []
        self.closed: list[dict[str, Any]] = []
        """What became of the cases, from the process that has logged them."""
        self.refused: dict[pytest.Item, str] = {}
        self.deselected: dict[str, int] = {}
        """How many cases of a dataset were collected and not selected to run."""
        self.sent = 0
        """So many of the records are on their way to the process that reports."""

    def print(self, terminal: Any) -> None:
        """Print which experiments there were, below the results of the tests."""
        every = [one if isinstance(one, Record) else Record(**one) for one in self.records]
        if not every or is_worker(self.config):
            return
        terminal.write_sep("=", "experiments")
        for one in every:
            good, bad = one.said == "PASSED", one.said in ("FAILED", "STOPPED")
            where = one.where or (f"id {one.experiment_id}" if one.experiment_id else "")
            more = "  ".join(part for part in (where, one.report and f"report {one.report}", one.note) if part)
            terminal.write(f"{one.said:<12} ", green=good, red=bad, yellow=not (good or bad))
            terminal.line(f"{one.name}{f' on {one.dataset}' if one.dataset else ''}  {more}")

    def name_of(self, text: str, backend: str | None) -> str:
        """What an experiment is called: the text; with the time, where a name can be had once only."""
        from prefect_experiments.experiment.places import remote_of

        name = "".join(character if character.isprintable() and character not in '"\\' else "?" for character in text)
        remote = remote_of(backend)
        ending = ""
        if remote is not None and remote.capabilities.names_unique:
            ending = f" {datetime.now(UTC):%Y-%m-%d %H:%M:%S} {uuid.uuid4().hex[:4]}"
        room = _LONGEST_NAME - len(ending)
        if len(name) > room:
            name = f"{name[: room - 9]} {hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return name + ending

    def near(self, source: Any, item: pytest.Item) -> Any:
        """A file that is named relative to the current folder, the test's folder or the root folder, as a path."""
        if not isinstance(source, str | os.PathLike) or "\n" in str(source):
            return source
        path = Path(source)
        if path.is_absolute() or path.exists():
            return source
        for folder in (item.path.parent, self.config.rootpath):
            if (there := folder / path).is_file():
                return str(there)
        return source

    @functools.cached_property
    def git(self) -> Mapping[str, Any]:
        """What is known of the commit that the tests are of."""
        return git_facts(self.config.rootpath)

    def report_path(self, name: str) -> Path | None:
        """Where the report of an experiment goes, if it is to have one."""
        if self.options.report is None:
            return None
        plain = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
        short = f"{plain[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return self.config.invocation_params.dir / self.options.report / f"{short}.html"
