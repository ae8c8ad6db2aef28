"""Traces in Phoenix, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from prefect_experiments.backends.phoenix.api import PhoenixApi, Row
from prefect_experiments.errors import BackendRefused, InvalidInput
from prefect_experiments.loops import waited

if TYPE_CHECKING:
    import pandas as pd

_FIRST = (
    *("name", "span_kind", "parent_id", "start_time", "end_time", "status_code", "status_message", "events"),
    *("context.span_id", "context.trace_id"),
)


class PhoenixSpans:
    """``client.spans`` for Phoenix; see `backends.base.Spans`."""

    def __init__(self, api: PhoenixApi) -> None:
        self._api = api

    @waited
    async def frame(
        self,
        project: str,
        *,
        start_time: datetime | None,
        end_time: datetime | None,
        limit: int,
        span_kind: str | Sequence[str] | None,
        status_code: str | Sequence[str] | None,
        attributes: Mapping[str, Any] | None,
        root_spans_only: bool,
    ) -> pd.DataFrame:
        """One row a span, newest first; the index is the span's id."""
        filters: dict[str, Any] = {
            "start_time": _iso(start_time),
            "end_time": _iso(end_time),
            "span_kind": _several(span_kind),
            "status_code": _several(status_code),
            "attribute": [f"{key}:{_value(value)}" for key, value in (attributes or {}).items()] or None,
            "parent_id": "null" if root_spans_only else None,
            "sort": "start_time",
        }
        try:
            rows = await self._api.spans(project, limit=limit, **filters)
        except BackendRefused as error:  # a filter is all that could be refused
            raise InvalidInput(str(error)) from None
        return _frame([_flat(row) for row in rows])


def _iso(time: datetime | None) -> str | None:
    """A time without a zone is taken to be UTC, as Phoenix's own client does."""
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def _several(value: str | Sequence[str] | None) -> list[str] | None:
    if value is None:
        return None
    return [value.upper()] if isinstance(value, str) else [one.upper() for one in value]


def _value(value: Any) -> str:
    """As the filter reads it: JSON; a text that looks like a number or a truth value is quoted."""
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return orjson.dumps(value).decode()


def _flat(row: Row) -> dict[str, Any]:
    context = Row(row["context"])
    flat = {name: row.get(name) for name in _FIRST if not name.startswith("context.")}
    flat.update((f"context.{name}", context[name]) for name in ("span_id", "trace_id"))
    flat.update((f"attributes.{name}", value) for name, value in (row.get("attributes") or {}).items())
    return flat


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    columns = list(dict.fromkeys([*_FIRST, *sorted({name for row in rows for name in row})]))
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})
    for name in ("start_time", "end_time"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame.set_index("context.span_id", drop=False)
