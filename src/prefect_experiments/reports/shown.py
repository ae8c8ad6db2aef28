"""How results show themselves: what ``print`` gives, and what a notebook shows; see `display`."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from prefect_experiments.analysis import Comparison, History, RanExperiment, Summary, Verdict
from prefect_experiments.reports import terminal
from prefect_experiments.reports.history_terminal import print_history
from prefect_experiments.reports.notebook import html

__all__ = ["html", "text"]


@singledispatch
def text(value: Any) -> str:
    """What ``print`` gives: what the command line prints, without colours."""
    return repr(value)


@text.register
def _(value: RanExperiment) -> str:
    outcome = terminal.printed(lambda out: terminal.print_summary(value, out))
    if value.comparison is not None:
        return f"{outcome}\n{text(value.comparison)}"
    return outcome if value.verdict is None else f"{outcome}\n{text(value.verdict)}"


@text.register
def _(value: Summary) -> str:
    runs = f"{value.n_runs:,} of {value.n_expected:,} runs, {value.n_errors:,} failed"
    scores = terminal.printed(lambda out: terminal.print_figures(value, out))
    # A summary is figures alone: what the errors say belongs to the experiment.
    why = ["  why runs failed: print(ran), or ran.failures"] if value.n_errors else []
    return "\n".join([runs, *([scores] if scores else []), *why])


@text.register
def _(value: Comparison) -> str:
    return terminal.printed(lambda out: terminal.print_comparison(value, out))


@text.register
def _(value: History) -> str:
    return terminal.printed(lambda out: print_history(value, out))


@text.register
def _(value: Verdict) -> str:
    return terminal.printed(lambda out: terminal.print_verdict(value, out))
