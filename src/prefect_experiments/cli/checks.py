"""Looks at several things at once, each with what it finds and the command that mends it; none is waited for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prefect_experiments.errors import describe
from prefect_experiments.secret_texts import without_secrets


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        state: ``error`` where a run, or what was set up for it, would fail.
        what: the thing.
        found: in words.
        mend: a command that mends it; empty where nothing has to be done.
    """

    state: Literal["ok", "warning", "error"]
    what: str
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One look at something.

    Attributes:
        what: is looked at.
        look: gives what it finds, one after the other.
        mend: a command for where nothing answers.
    """

    what: str
    look: Callable[[], Iterator[Finding]]
    mend: str = "prefect-experiments doctor --debug"


def found_by(checks: Sequence[Check], wait: float) -> list[Finding]:
    """What all checks find, side by side; one that goes on for longer than they are given is left behind."""
    found: list[list[Finding]] = [[] for _ in checks]
    threads = [
        # Not those of a pool, which the end of the process would wait for.
        threading.Thread(target=_look, args=(check, into), daemon=True)
        for check, into in zip(checks, found, strict=True)
    ]
    until = time.monotonic() + wait
    for thread in threads:
        thread.start()
    for check, thread, into in zip(checks, threads, found, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            text = f"no answer within {wait:g} s; --wait SECONDS waits for longer"
            into.append(Finding("error", check.what, text, check.mend))
    return [
        Finding(one.state, one.what, without_secrets(one.found), without_secrets(one.mend))
        for findings in found
        for one in list(findings)
    ]


def _look(check: Check, into: list[Finding]) -> None:
    """Put into a list what a check finds; one that breaks is a finding itself."""
    try:
        for finding in check.look():
            into.append(finding)  # noqa: PERF402 - as it comes: what has been found stays, whatever follows
    except Exception as error:  # noqa: BLE001 - the other checks have something to say
        into.append(Finding("error", check.what, describe(error), "prefect-experiments doctor --debug"))
