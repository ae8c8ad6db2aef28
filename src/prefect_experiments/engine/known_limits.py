"""What is known of a provider's limit, as several processes tell each other of it.

Each piece of knowledge only ever restrains: "start no call for 12 s", "no more than 40 a second together". Of two, the
stricter one holds, part by part, so that it does not matter who hears what first, or how often: such a merge is
commutative, associative and idempotent (a join semilattice: Shapiro, Preguiça, Baquero and Zawirski, "Conflict-free
Replicated Data Types", 2011). Times are counted from the moment of the knowledge, for the clocks of machines differ.

A rate is that of all together, and each process takes an equal part of it. Halving and growing by 5 % a second are the
same for the whole and for equal parts of it, so that nobody needs to ask anybody before a call.
"""

from __future__ import annotations

import math
from typing import NamedTuple

GROWTH_PER_SECOND = 0.05
HEARD_WITHIN_S = 2.0  # a cut is known to all who share the limit by then: two rounds


class Known(NamedTuple):
    """What is known of one provider's limit at a moment.

    Attributes:
        rate: call starts a second, of all together; infinite where nobody was ever refused.
        pause: seconds until a call may start.
        hold: seconds until the rate grows.
        since_cut: seconds since the rate was last cut.
        refused_for: seconds since when all calls were refused; 0 where they are not.
        since_success: seconds since a call last came back well.
    """

    rate: float = math.inf
    pause: float = 0.0
    hold: float = 0.0
    since_cut: float = math.inf
    refused_for: float = 0.0
    since_success: float = math.inf

    def merged(self, other: Known) -> Known:
        """What both of them know, of the same moment."""
        since_success = min(self.since_success, other.since_success)
        return Known(
            min(self.rate, other.rate),
            max(self.pause, other.pause),
            max(self.hold, other.hold),
            min(self.since_cut, other.since_cut),
            min(max(self.refused_for, other.refused_for), since_success),
            since_success,
        )

    def after(self, seconds: float) -> Known:
        """What it comes to when so much time has passed."""
        growing = max(0.0, seconds - self.hold)
        return Known(
            self.rate * math.exp(min(GROWTH_PER_SECOND * growing, 300.0)),  # beyond that, no number is as large
            max(0.0, self.pause - seconds),
            max(0.0, self.hold - seconds),
            self.since_cut + seconds,
            self.refused_for and self.refused_for + seconds,
            self.since_success + seconds,
        )


class Share(NamedTuple):
    """A process's part of a limit.

    Attributes:
        place: its number among those who share the limit, from 0; they start one after the other after a pause.
        of: how many share it.
        others: call starts a second of the others, lately; ``None`` for those of whom that is not known yet.
    """

    place: int = 0
    of: int = 1
    others: tuple[float | None, ...] = ()

    def together(self, own: float) -> float:
        """Call starts a second of all; those of whom nothing is known are taken to do as this one does."""
        return own + sum(own if rate is None else rate for rate in self.others)


ALONE = Share()
