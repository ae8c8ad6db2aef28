"""Traces in Arize AX, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_experiments.backends.arize.api import ArizeApi, Row
from prefect_experiments.backends.arize.rows import is_id
from prefect_experiments.backends.arize.spaces import Space
from prefect_experiments.backends.span_tables import FIRST_COLUMNS, iso, span_frame, upper_cased
from prefect_experiments.errors import AmbiguousName, NotFound, unknown_value
from prefect_experiments.sync import waited

if TYPE_CHECKING:
    import pandas as pd


class ArizeSpans:
    """``client.spans`` for AX; see `backends.base.Spans`. AX looks at the last seven days where no time is given."""

    def __init__(self, api: ArizeApi, space: Space) -> None:
        self._api = api
        self._space = space

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
        kinds, codes = upper_cased(span_kind), upper_cased(status_code)
        wanted = {f"attributes.{name}": value for name, value in (attributes or {}).items()}
        project_id = await self._project(project)
        found: list[Row] = []
        async for span in self._api.spans(project_id, start_time=iso(start_time), end_time=iso(end_time)):
            row = _flat(span)
            chosen = (
                (kinds is None or row["span_kind"] in kinds)
                and (codes is None or row["status_code"] in codes)
                and not (root_spans_only and row["parent_id"])
                and all(row.get(name) == value for name, value in wanted.items())
            )
            if chosen:
                found.append(row)
            if len(found) == limit:
                break
        return span_frame(found)

    async def _project(self, project: str) -> str:
        if is_id(project):
            return project
        rows = await self._api.projects(await self._space.id(), project)
        ids = [str(row["id"]) for row in rows if row.get("name") == project]
        if not ids:
            names = [str(row.get("name")) for row in rows]
            raise NotFound(f"{self._api.http.address}: {unknown_value('project', project, names[:20])}")
        if len(ids) > 1:
            raise AmbiguousName(
                f"{len(ids)} projects are called {project!r}; name one by its id: {', '.join(ids[:10])}"
            )
        return ids[0]


def _flat(span: Row) -> Row:
    context = span.get("context") or {}
    row = {name: span.get(name) for name in FIRST_COLUMNS if not name.startswith("context.")}
    row["span_kind"] = span.get("kind") or "UNKNOWN"
    row["status_code"] = span.get("status_code") or "UNSET"
    row.update((f"context.{name}", context.get(name)) for name in ("span_id", "trace_id"))
    row.update(_dotted("attributes", span.get("attributes") or {}))
    return row


def _dotted(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values of nested objects under names such as ``attributes.input.value``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _dotted(f"{name}.{key}", item)
    else:
        yield name, value
