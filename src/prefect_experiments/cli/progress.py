"""How far an experiment is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prefect_experiments.cli.output import about, tell
from prefect_experiments.errors import ExperimentStopped

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from prefect_experiments.cli.output import Terminal
    from prefect_experiments.experiment.counts import Progress

LINE_EVERY_S = 5.0


def quiet_prefect() -> None:
    """Keep Prefect's running commentary off the terminal, unless somebody has said what to log.

    Prefect's server gets it all the same. To be called before Prefect is imported.
    """
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")


@contextlib.contextmanager
def watching(terminal: Terminal, *, resumable: bool = True) -> Iterator[None]:
    """Show the progress of the experiment that is run within this.

    What breaks it gets a note on how to go on.

    Args:
        terminal: what the global options say.
        resumable: whether it can be gone on with: not so a dry run.
    """
    watcher = _BarWatcher() if sys.stderr.isatty() else _LineWatcher()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(watcher.shown())
            from prefect_experiments.experiment.progress import heard_by

            if resumable:
                watcher.first_words = stack.enter_context(prepared_prefect(terminal))
            stack.enter_context(heard_by(watcher))
            yield
    except ExperimentStopped:
        raise  # it says so itself
    except BaseException as error:
        if resumable and watcher.experiment_id:
            about(error, watcher.experiment_id, _advice(watcher.experiment_id, terminal))
        raise


def _advice(experiment_id: str, terminal: Terminal) -> str:
    with_store = " with the same --store-url" if terminal.store_url else ""
    return f"What has finished is kept; go on with `prefect-experiments resume {experiment_id}`{with_store}"


@contextlib.contextmanager
def prepared_prefect(terminal: Terminal) -> Iterator[str]:
    """Import Prefect, and keep what its engine says of an error off the terminal within this: the command says it.

    Yields:
        What a person should know before Prefect starts.
    """
    import prefect.main
    import prefect.settings

    from prefect_experiments.orchestration.commentary import filtered, is_no_commentary

    named = prefect.settings.PREFECT_API_URL.value()
    words = "" if named else "Prefect starts a server for this run, as PREFECT_API_URL names none ..."
    handlers = () if terminal.debug or "PREFECT_LOGGING_LEVEL" in os.environ else logging.getLogger().handlers
    with filtered(handlers, is_no_commentary):
        yield words


class _Watcher:
    """Remembers the experiment's id; whoever looks on is shown the rest.

    Attributes:
        first_words: said when everything has been checked and the run starts.
    """

    def __init__(self) -> None:
        self.experiment_id = ""
        self.first_words = ""

    def __call__(self, progress: Progress) -> None:
        if self.first_words:
            tell(self.first_words)
            self.first_words = ""
        self.experiment_id = progress.experiment_id
        if progress.began:
            self.show(progress)

    def show(self, progress: Progress) -> None:
        """Show how far it is."""

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """While this is entered."""
        yield


class _LineWatcher(_Watcher):
    def __init__(self) -> None:
        super().__init__()
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            tell(str(progress))


class _BarWatcher(_Watcher):
    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bar: Bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.description}", markup=False),  # an error's text may be part of it
            TimeElapsedColumn(),
            # What the task prints is no markup either: a line without its end is printed as a text.
            console=Console(stderr=True, markup=False, highlight=False, emoji=False),
            transient=True,
            # What the task prints goes above the bar, unless it goes somewhere else anyhow.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._line = self._bar.add_task("starting", total=None)

    def show(self, progress: Progress) -> None:
        total = 1.0 if progress.runs_expected else None
        self._bar.update(self._line, total=total, completed=progress.share, description=str(progress))

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        with self._bar:
            yield
