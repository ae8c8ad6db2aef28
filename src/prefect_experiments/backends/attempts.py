"""What a push notes of its requests and of its visits to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prefect_experiments.errors import ExperimentsError
from prefect_experiments.store.outbox import Outgoing

Item = Outgoing


class Attempt(NamedTuple):
    """One item pushed once."""

    item: Item
    began: float
    remote_id: str | None = None
    refused: str | None = None
    error: ExperimentsError | None = None


class Visit(NamedTuple):
    """What was done at the store: so many marked, or looked at what waits."""

    marked: int = 0
    waiting: Sequence[Item] | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Failures:
    """Of one item.

    Attributes:
        count: all of them.
        unasked: those after which the backend did not say when to come back.
        its_own: those of them that the backend cannot be blamed for.
        taken_then: how much it had taken at the last one.
    """

    count: int = 0
    unasked: int = 0
    its_own: int = 0
    taken_then: int = -1
