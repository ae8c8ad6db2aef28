"""How long tests wait for what must come. It is no claim on speed: others may use the machine, too.

What must not come late is never measured with a clock; tests assert on what was seen when it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")

PATIENCE_S = 1500.0
"""For anything that takes seconds on a quiet machine: Prefect's server took more than 600 to start where seventeen
others shared two cores. It is less than what pytest gives a test, so that what was waited for is said."""

FOREVER_S = 3600.0
"""For what must not be waited for: where it is, the test hangs until pytest ends it."""

http = httpx.Client(timeout=PATIENCE_S)
"""For what a test asks a server itself."""


def wait_for(look: Callable[[], T], what: str = "", *, every: float = 0.05) -> T:
    """Look again and again until there is something.

    Args:
        look: gives what is waited for, or something that is false.
        what: what is waited for, in words.
        every: seconds between two looks.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what or look}"
        time.sleep(every)
    return found
