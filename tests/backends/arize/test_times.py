"""The times that AX gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments.backends.arize.rows import to_time
from support.zones import in_zone

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(
    "given",
    ["2026-03-14T12:00:00", "2026-03-14 12:00:00.000", "2026-03-14T12:00:00Z", "2026-03-14T14:00:00+02:00",
     1_773_489_600_000],
)  # fmt: skip
def test_a_time_without_a_zone_is_universal_wherever_this_runs(given: Any, zone: str) -> None:
    with in_zone(zone):
        assert to_time(given) == NOON
