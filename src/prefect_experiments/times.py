"""Times: seconds since the epoch, as records keep them, on one side; datetimes and milliseconds on the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def to_datetime(seconds: float) -> datetime:
    """Seconds since the epoch as an aware datetime in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC)


def milliseconds(start: float, end: float) -> float:
    """How long it is from one time to another: of the datetimes that are shown, so that the figures agree."""
    return (to_datetime(end) - to_datetime(start)) / timedelta(milliseconds=1)
