"""Sums of US dollars, without what binary fractions add to them: sixty times 0.00021 is 0.0126."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import overload

_DECIMALS = 12  # a token of the cheapest models is worth more than a billionth


def total(amounts: Iterable[float]) -> float:
    """The sum."""
    return rounded(math.fsum(amounts))


@overload
def rounded(amount: float) -> float: ...


@overload
def rounded(amount: None) -> None: ...


def rounded(amount: float | None) -> float | None:
    """A sum that was made elsewhere; ``None`` where there is none."""
    return None if amount is None else round(amount, _DECIMALS)
