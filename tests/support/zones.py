"""This process in another time zone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def in_zone(zone: str) -> Iterator[None]:
    """While this is entered, local time is that of a zone, such as ``Asia/Tokyo``."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            yield
    finally:
        time.tzset()
