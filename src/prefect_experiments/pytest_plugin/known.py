"""What all parts of the plugin know; loaded with it, so it imports nothing but pytest."""

from __future__ import annotations

import pytest

MARKER = "experiment"
RUN = pytest.StashKey[str]()
"""What this run of pytest is called, where several processes share it."""
USED = pytest.StashKey[bool]()
"""Whether a test of this run has the marker, or uses the fixture."""
