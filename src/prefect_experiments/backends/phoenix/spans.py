"""Traces in Phoenix, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from prefect_experiments.backends.phoenix.api import PhoenixApi, Row
from prefect_experiments.backends.span_tables import FIRST_COLUMNS, iso, span_frame, upper_cased
from prefect_experiments.errors import BackendRefused, InvalidInput
from prefect_experiments.sync import waited

if TYPE_CHECKING:
    import pandas as pd


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
            "start_time": iso(start_time),
            "end_time": iso(end_time),
            "span_kind": upper_cased(span_kind),
            "status_code": upper_cased(status_code),
            "attribute": [f"{key}:{_value(value)}" for key, value in (attributes or {}).items()] or None,
            "parent_id": "null" if root_spans_only else None,
            "sort": "start_time",
        }
        try:
            rows = await self._api.spans(project, limit=limit, **filters)
        except BackendRefused as error:  # a filter is all that could be refused
            raise InvalidInput(str(error)) from None
        return span_frame([_flat(row) for row in rows])


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
    flat = {name: row.get(name) for name in FIRST_COLUMNS if not name.startswith("context.")}
    flat.update((f"context.{name}", context[name]) for name in ("span_id", "trace_id"))
    flat.update((f"attributes.{name}", value) for name, value in (row.get("attributes") or {}).items())
    return flat
