"""The command that says which backends there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclopts import App

from prefect_experiments.cli.output import Answer, Here, plain, print_fields
from prefect_experiments.errors import InvalidSetting

if TYPE_CHECKING:
    from rich.console import Console


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(backends)


def backends(*, terminal: Here) -> Answer:  # noqa: ARG001 - which commands have, and ask their clients of
    """List the backends that are installed, and the options that each takes.

    Args:
        terminal: where it is shown.
    """
    from prefect_experiments.backends import backend_names

    found = {name: _described(name) for name in backend_names()}

    def show(console: Console) -> None:
        for name, options in found.items():
            print_fields(console, name, options) if options else console.print(plain(name), style="bold")

    return Answer({"backends": found}, show)


def _described(name: str) -> dict[str, Any]:
    from prefect_experiments.backends import LOCAL, find_backend

    if name == LOCAL:
        return {}
    try:
        return dict(find_backend(name).settings.explained())
    except InvalidSetting as error:  # another package's, which is broken: the others are listed all the same
        return {"error": str(error)}
