"""Spans that came by OTLP, and the lists of projects and spans that AX makes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from problems import Problem
from wire import checked, contains, limit_of, new_id, now, page


class Traces:
    def __init__(self) -> None:
        self.count = 0
        self.spans: list[dict[str, Any]] = []
        self.projects: dict[str, dict[str, Any]] = {}  # by name

    def take(self, headers: dict[str, str] | None, request: ExportTraceServiceRequest) -> None:
        """Keep what came over HTTP, with its headers; count what came over gRPC."""
        for of_resource in request.resource_spans:
            resource = {pair.key: pair.value.string_value for pair in of_resource.resource.attributes}
            for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                self.count += 1
                if headers is not None:
                    self._keep(span, resource, headers)

    def _keep(self, span: Any, resource: dict[str, str], headers: dict[str, str]) -> None:
        name = resource.get("openinference.project.name", "")
        if name not in self.projects:
            space = headers.get("arize-space-id", "")
            self.projects[name] = {"id": new_id("Model"), "name": name, "space_id": space, "created_at": now()}
        attributes = {pair.key: _value(pair.value) for pair in span.attributes}
        self.spans.append(
            {
                "project": name,
                "headers": headers,
                "name": span.name,
                "context": {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex()},
                "kind": attributes.get("openinference.span.kind", "UNKNOWN"),
                "parent_id": span.parent_span_id.hex() or None,
                "start_time": _time(span.start_time_unix_nano),
                "end_time": _time(span.end_time_unix_nano),
                "status_code": ("UNSET", "OK", "ERROR")[span.status.code],
                "status_message": span.status.message,
                "attributes": _nested(attributes),
                "events": [],
            }
        )

    def list_projects(self, query: dict[str, str]) -> dict[str, Any]:
        rows = contains(self.projects.values(), query.get("name"))
        if space := query.get("space_id"):
            rows = [row for row in rows if row["space_id"] == space]
        return page(rows, "projects", limit_of(query.get("limit"), 100), query.get("cursor"), lambda row: row["id"])

    def list_spans(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        given = checked("ListSpansRequest", body)
        project = next((p["name"] for p in self.projects.values() if p["id"] == given["project_id"]), None)
        if project is None:
            raise Problem(404, f"project {given['project_id']} not found")
        rows = [span for span in self.spans if span["project"] == project]
        for bound, keep in (("start_time", lambda s, t: s >= t), ("end_time", lambda s, t: s <= t)):
            if bound in given:
                moment = datetime.fromisoformat(given[bound])
                rows = [row for row in rows if keep(datetime.fromisoformat(row["start_time"]), moment)]
        rows.sort(key=lambda row: row["start_time"], reverse=True)
        shown = [{k: v for k, v in row.items() if k not in ("project", "headers")} for row in rows]
        limit = limit_of(query.get("limit"), 500)
        return page(shown, "spans", limit, query.get("cursor"), lambda row: row["context"]["span_id"])


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat().replace("+00:00", "Z")


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


def _nested(attributes: dict[str, Any]) -> dict[str, Any]:
    """AX gives attributes as objects within objects."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        *path, last = name.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                break
        else:
            place[last] = value if isinstance(value, str | int | float | bool) else str(value)
    return found
