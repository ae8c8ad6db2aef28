"""Spans as every backend gives them to people: the same columns, times in UTC, the span's id as the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FIRST_COLUMNS = (
    *("name", "span_kind", "parent_id", "start_time", "end_time", "status_code", "status_message", "events"),
    *("context.span_id", "context.trace_id"),
)


def iso(time: datetime | None) -> str | None:
    """A bound as text; a time without a zone is taken to be UTC, as Phoenix's own client does."""
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def upper_cased(value: str | Sequence[str] | None) -> list[str] | None:
    """One or several kinds or codes, as OpenInference and OpenTelemetry write them."""
    if value is None:
        return None
    return [value.upper()] if isinstance(value, str) else [one.upper() for one in value]


def span_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a span: the columns that each has, then its attributes by name."""
    import pandas as pd

    columns = list(dict.fromkeys([*FIRST_COLUMNS, *sorted({name for row in rows for name in row})]))
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})
    for name in ("start_time", "end_time"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame.set_index("context.span_id", drop=False)
