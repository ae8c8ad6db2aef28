"""The commands that look after the store."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from prefect_experiments.cli.output import DONE, UNFINISHED, Answer, Flag, Here, plain, print_fields, said

if TYPE_CHECKING:
    from rich.console import Console

    from prefect_experiments.store import Store

app = App(name="store", help="Back up, check and describe the store that everything is kept in.")


@app.command
def backup(target: Path = Path(), /, *, overwrite: Flag = False, terminal: Here) -> Answer:
    """Copy the store into one SQLite file, also while experiments are running, and from PostgreSQL as well.

    The copy is a store itself: --store-url sqlite:///PATH opens it. To put it back, copy it to the place of an SQLite
    store that nothing is using.

    Args:
        target: the file to write, or a folder that gets one named after the time; by default the current one.
        overwrite: replace the file if it is there.
        terminal: where it is shown.
    """
    written = _store(terminal).upkeep.backup(target, overwrite=overwrite)
    return said({"backup": str(written), "bytes": written.stat().st_size}, f"wrote {written}")


@app.command
def check(*, terminal: Here) -> Answer:
    """See whether the store is whole: read all of it, and say what is wrong. The exit code is 3 if anything is.

    Args:
        terminal: where it is shown.
    """
    from prefect_experiments.store import existing_file
    from prefect_experiments.store.upkeep import faults_of_file

    url, file = existing_file(terminal.store_url)
    faults = [] if file is None else faults_of_file(file)
    faults = faults or _store(terminal).upkeep.faults()

    def show(console: Console) -> None:
        for fault in faults:
            console.print(plain(f"  {fault}"))
        advice = "damaged: put back a backup, or see what SQLite's own `.recover` can read of it"
        console.print(plain(f"{url} is {advice if faults else 'whole'}"))

    return Answer({"url": url, "whole": not faults, "faults": faults}, show, UNFINISHED if faults else DONE)


@app.command
def upgrade(*, terminal: Here) -> Answer:
    """Bring the schema of a store that an older version has made to this version's.

    Whatever opens a store does that, but for doctor. An older version of the package cannot use it afterwards.

    Args:
        terminal: where it is shown.
    """
    from prefect_experiments.store import existing_file, looking_at

    existing_file(terminal.store_url)
    with looking_at(terminal.store_url) as seen:
        before = seen.info().version
    found = _store(terminal).upkeep.info()
    changed = f"from {before or 'nothing'} to" if before != found.version else "is"
    return said(
        {"url": found.url, "before": before, "schema": found.version}, f"{found.url}: schema {changed} {found.version}"
    )


@app.command
def info(*, terminal: Here) -> Answer:
    """Say where the store is, how large it is, and how much is in it.

    Args:
        terminal: where it is shown.
    """
    found = _store(terminal).upkeep.info()
    fields: dict[str, Any] = {
        "database": found.database,
        "schema": found.version,
        "size": f"{found.bytes / 1e6:.1f} MB",
        **{name.replace("_", " "): count for name, count in found.counts.items()},
    }
    return Answer(found.to_dict(), functools.partial(print_fields, title=found.url, fields=fields))


def _store(terminal: Here) -> Store:
    """The store that was asked for. None is made: a mistyped path would look like an empty one."""
    from prefect_experiments.store import existing_file, open_store

    existing_file(terminal.store_url)
    return open_store(terminal.store_url)
