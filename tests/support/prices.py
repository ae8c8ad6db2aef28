"""Without the extra that brings the table of prices."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from prefect_experiments.tracing.prices import has_table


@contextmanager
def no_table_of_prices() -> Iterator[None]:
    """As where it is not installed; a process looks for it once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "genai_prices", None)
        has_table.cache_clear()
        try:
            yield
        finally:
            has_table.cache_clear()
