"""What a gate says of evaluations that a person, or an agent, is still to make: until then nobody knows."""

from __future__ import annotations

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.verdicts import Side


def how_to_fill_in(n_pending: int, side: Side) -> str:
    """How many evaluations of an experiment are pending, and what to do with them."""
    which = side.experiment_id or "EXPERIMENT"
    return (
        f"{numbers.count(n_pending, 'evaluation')} of {side.label} {'is' if n_pending == 1 else 'are'} pending: "
        f"prefect-experiments pending {which} lists them, client.experiments.annotate_runs fills them in"
    )


def pending_of(name: str, *sides: Side | None) -> str:
    """The same of one metric, on the sides that are judged; empty where nothing is pending."""
    found = [(side, side.pending.get(name, 0)) for side in sides if side is not None]
    return "; ".join(how_to_fill_in(n, side) for side, n in found if n)
