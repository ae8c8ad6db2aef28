"""How much work something is, as the number of functions that it calls: the same on every machine, unlike its time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def calls_of(function: Callable[[], Any]) -> int:
    """How many functions of Python and of C it calls, in this thread."""
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def assert_in_proportion(work: Callable[[int], Any], size: int) -> None:
    """Ten times as much to do is at most about ten times the work; what looks at every pair makes it a hundred.

    Args:
        work: does it for so much; called with `size` twice, as the first call makes what is made once.
        size: the smaller of two amounts.
    """
    work(size)
    one, ten = calls_of(lambda: work(size)), calls_of(lambda: work(10 * size))
    assert ten < 12 * one, f"{one} calls for {size}, {ten} for {10 * size}"
