"""What the command line says, else the ini file."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


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


def options_of(config: pytest.Config) -> Options:
    """The options of a run of pytest.

    Raises:
        pytest.UsageError: a number that is none.
    """

    def given(name: str) -> str | None:
        said = config.getoption(f"experiment_{name}", None)
        return config.getini(f"experiment_{name}") or None if said in (None, "") else str(said)

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
