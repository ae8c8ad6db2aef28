"""``client.spans``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from prefect_experiments.backends import LOCAL
from prefect_experiments.backends.base import HasSpans
from prefect_experiments.client.datasets import Home
from prefect_experiments.errors import InvalidInput, InvalidSetting

if TYPE_CHECKING:
    import pandas as pd


class Spans:
    """``client.spans``: traces that applications have left in the backend."""

    def __init__(self, client: Home) -> None:
        self.client = client
        self._remote = client.remote

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.client, "spans")

    def get_spans_dataframe(
        self,
        *,
        project_identifier: str = "default",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        limit: int = 1000,
        span_kind: str | Sequence[str] | None = None,
        status_code: str | Sequence[str] | None = None,
        attributes: Mapping[str, Any] | None = None,
        root_spans_only: bool = False,
    ) -> pd.DataFrame:
        """Spans of a project, newest first.

        Args:
            project_identifier: name or id.
            start_time: only spans that began then or later.
            end_time: only spans that began before.
            limit: how many at most.
            span_kind: only of this kind or these, such as ``"LLM"``.
            status_code: only with this status or these: ``"OK"``, ``"ERROR"``, ``"UNSET"``.
            attributes: only with these values of attributes, such as ``{"user.id": "u-42"}``.
            root_spans_only: only spans without a parent.

        Returns:
            One row a span, with the span's id as the index: ``name, span_kind, parent_id, start_time,
            end_time, status_code, status_message, events, context.span_id, context.trace_id`` and
            ``attributes.*``. ``create_dataset(dataframe=..., input_keys=["attributes.input.value"],
            output_keys=["attributes.output.value"])`` makes a dataset of it that is linked to the spans.

        Raises:
            InvalidSetting: the backend keeps no traces, as the store.
            NotFound: no such project.
        """
        if self._remote is None or not self._remote.capabilities.spans:
            name = LOCAL if self._remote is None else self._remote.name
            raise InvalidSetting(f"the backend {name!r} keeps no traces; use the client of one that does")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InvalidInput(f"limit must be a whole number of at least 1, got {limit!r}")
        return cast("HasSpans", self._remote).spans.frame(
            project_identifier,
            start_time=start_time,
            end_time=end_time,
            limit=limit,
            span_kind=span_kind,
            status_code=status_code,
            attributes=attributes,
            root_spans_only=root_spans_only,
        )
