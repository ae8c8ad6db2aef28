"""What commands print as tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from prefect_experiments.cli.output import table


@pytest.mark.parametrize("name", ["acc[/x]", "x[red]y", "[bold]z[/bold]"])
def test_names_and_cells_with_brackets_are_shown_as_they_are(name: str) -> None:
    shown = io.StringIO()
    Console(file=shown, width=80).print(table([{name: f"cell {name}"}]))
    assert [line.strip() for line in shown.getvalue().splitlines() if line.strip()] == [name, f"cell {name}"]
