"""What a gate says of evaluations that a person, or an agent, is still to make: until then nobody knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.verdicts import Side

_FILLS_IN = " lists them, client.experiments.annotate_runs fills them in"
_HOW = re.compile(rf": prefect-experiments pending \S+{re.escape(_FILLS_IN)}")


def how_to_fill_in(n_pending: int, side: Side) -> str:
    """How many evaluations of an experiment are pending, and what to do with them."""
    said = f"{numbers.count(n_pending, 'evaluation')} of {side.label} {'is' if n_pending == 1 else 'are'} pending"
    if not side.experiment_id:
        return f"{said}: fill them in where the table of results comes from"
    return f"{said}: prefect-experiments pending {side.experiment_id}{_FILLS_IN}"


def said_once(reasons: Iterable[str]) -> Iterator[str]:
    """A verdict's reasons, of which only the first says what to do with an experiment's pending evaluations."""
    seen: set[str] = set()

    def first(found: re.Match[str]) -> str:
        known = found[0] in seen
        seen.add(found[0])
        return "" if known else found[0]

    for reason in reasons:
        yield _HOW.sub(first, reason)


def pending_of(name: str, *sides: Side | None) -> str:
    """The same of one metric, on the sides that are judged; empty where nothing is pending."""
    found = [(side, side.pending.get(name, 0)) for side in sides if side is not None]
    return "; ".join(how_to_fill_in(n, side) for side, n in found if n)
