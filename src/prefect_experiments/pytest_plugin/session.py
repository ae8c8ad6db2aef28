"""What one process of a pytest run knows of its experiments: the options, where they are kept, what there was."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prefect_experiments.pytest_plugin import RUN, SESSION
from prefect_experiments.pytest_plugin.marks import is_case, said

if TYPE_CHECKING:
    from prefect_experiments.pytest_plugin.cases import Case, Cases

_LONGEST_NAME = 255


@dataclass(frozen=True)
class Options:
    """What the command line says, else the settings."""

    backend: str | None
    baseline: str | None
    gate: str | None
    report: str | None
    repetitions: int | None
    dry_run: int | None
    first_run: bool


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


def options_of(config: pytest.Config) -> Options:
    """The options of a run of pytest.

    Raises:
        pytest.UsageError: a number that is none.
    """

    def given(name: str) -> str | None:
        return config.getoption(f"experiment_{name}", None) or config.getini(f"experiment_{name}") or None

    repetitions, dry_run = given("repetitions"), config.getoption("experiment_dry_run", None)
    try:
        n = None if repetitions is None else int(repetitions)
    except ValueError:
        raise pytest.UsageError(f"experiment_repetitions must be a whole number, got {repetitions!r:.80}") from None
    if (n is not None and n < 1) or (dry_run is not None and dry_run < 1):
        raise pytest.UsageError("--experiment-repetitions and --experiment-dry-run must be at least 1")
    names = ("backend", "baseline", "gate", "report")
    first = bool(config.getoption("experiment_first_run", False))
    return Options(**{name: given(name) for name in names}, repetitions=n, dry_run=dry_run, first_run=first)


def session_of(config: pytest.Config) -> Session:
    """What this process knows."""
    if SESSION not in config.stash:
        config.stash[SESSION] = Session(config)
    found: Session = config.stash[SESSION]
    return found


def is_worker(config: pytest.Config) -> bool:
    """Whether pytest-xdist has started this process."""
    return hasattr(config, "workerinput")


def folder_of(config: pytest.Config) -> Path:
    """The folder that the processes of a run share; it need not be there."""
    name = f"experiments-{_run_of(config)}"
    if config.pluginmanager.has_plugin("cacheprovider"):
        return Path(config.rootpath, config.getini("cache_dir"), "d", name)
    return Path(tempfile.gettempdir(), f"prefect-{name}")


def make_folder(config: pytest.Config) -> Path:
    """`folder_of`, made."""
    folder = folder_of(config)
    if config.pluginmanager.has_plugin("cacheprovider") and config.cache is not None:
        config.cache.mkdir(folder.name)  # which keeps it out of version control
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _run_of(config: pytest.Config) -> str:
    if is_worker(config):
        return str(config.workerinput["experiments"]["run"])  # type: ignore[attr-defined]
    return config.stash.setdefault(RUN, uuid.uuid4().hex)


def keep_leftovers(config: pytest.Config) -> None:
    """Log the cases that have run and that no process has logged."""
    folder = folder_of(config)
    if not is_worker(config) and any(folder.glob("*.json")):
        from prefect_experiments.pytest_plugin.closing import keep_all

        keep_all(session_of(config), folder)


def end(config: pytest.Config) -> None:
    """End what the processes of a run shared."""
    folder = folder_of(config)
    if is_worker(config) or not folder.is_dir():
        return
    from prefect_experiments.orchestration.shared_server import end_server

    end_server(folder)
    if not any(folder.glob("*.json")):
        shutil.rmtree(folder, ignore_errors=True)


def _check_whole(item: pytest.Item, marked: dict[str, Any]) -> None:
    """Refuse what a marker says of a whole experiment, before anything is run.

    Raises:
        pytest.UsageError: the marker cannot be used.
    """
    from prefect_experiments.errors import unknown_value
    from prefect_experiments.experiment.arguments import RunArguments

    if "dataset" not in marked:
        why = "the marker has task=" if "task" in marked else "the test takes the fields of an example"
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.experiment needs dataset=, as {why}")
    known = [*RunArguments.model_fields, "required"]
    if (wrong := next((name for name in marked if name not in known), None)) is not None:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.experiment: {unknown_value('keyword', wrong, known)}")


class Session:
    """See the module."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options = options_of(config)
        self.records: list[Record | dict[str, str]] = []
        self.closed: list[dict[str, Any]] = []
        self.refused: dict[pytest.Item, str] = {}
        self._sent = 0

    @functools.cached_property
    def cases(self) -> Cases:
        """The tests that are cases."""
        from prefect_experiments.pytest_plugin.cases import Cases

        return Cases(self)

    def found(self, items: list[pytest.Item]) -> None:
        """Take note of the marked tests that are to run.

        Raises:
            pytest.UsageError: a marker cannot be used. Of a worker of pytest-xdist nobody would see that, so there the
                test fails.
        """
        for item in items:
            try:
                self._find(item)
            except pytest.UsageError as error:
                if not is_worker(self.config):
                    raise
                self.refused[item] = str(error)

    def _find(self, item: pytest.Item) -> None:
        marked = said(item)
        if is_case(item, marked):
            self.cases.add(item, marked)
            return
        _check_whole(item, marked)
        if isinstance(item, pytest.Function) and "experiment" not in item.fixturenames:
            item.fixturenames.append("experiment")

    def run_whole(self, item: pytest.Function, marked: dict[str, Any]) -> object | None:
        """Run the experiment that a test is marked with, and hold it to its gate; see `marks.run_marked`."""
        __tracebackhide__ = True
        from prefect_experiments.pytest_plugin.fixture import run_of_marker

        return run_of_marker(item, marked)

    def case_of(self, item: pytest.Item) -> Case | None:
        """The case that a test is, if it is one."""
        return self.cases.by_item.get(item) if "cases" in self.__dict__ else None

    def reported(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Take note of a test's report."""
        if (case := self.case_of(item)) is not None:
            case.reported(call, report)
        if report.when == "teardown" and is_worker(self.config):
            new, self._sent = self.records[self._sent :], len(self.records)
            if new:
                report.experiments = [asdict(one) for one in new if isinstance(one, Record)]  # type: ignore[attr-defined]

    def keep_cases(self) -> None:
        """Log the cases that have run, and judge nothing: the run was interrupted."""
        if "cases" in self.__dict__ and not is_worker(self.config):
            self.cases.keep()

    def close(self, session: pytest.Session) -> None:
        """Log and judge the cases, and report the verdicts."""
        if "cases" in self.__dict__:
            self.closed.extend(self.cases.close())
        if is_worker(self.config):
            if self.closed:
                self.config.workeroutput["experiments"] = self.closed  # type: ignore[attr-defined]
        elif self.closed:
            from prefect_experiments.pytest_plugin.closing import report_verdicts

            report_verdicts(session, self.closed, self.records)

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
    def git(self) -> dict[str, str]:
        """The commit that the tests are of, where they are in a Git repository."""
        try:
            done = subprocess.run(
                ["git", "rev-parse", "HEAD"],  # noqa: S607 - the one that the user has
                cwd=self.config.rootpath,
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            )
        except (OSError, subprocess.SubprocessError):
            return {}
        return {"git_sha": done.stdout.strip()}

    def report_path(self, name: str) -> Path | None:
        """Where the report of an experiment goes, if it is to have one."""
        if self.options.report is None:
            return None
        plain = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
        short = f"{plain[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return self.config.invocation_params.dir / self.options.report / f"{short}.html"
