"""What is common to all endpoints: bodies by the official models, ids, times, pages."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from arize._generated.api_client import models
from problems import Problem
from pydantic import ValidationError

_numbers = itertools.count(1)


def checked(model: str, body: Any) -> dict[str, Any]:
    """The body, once the official package's model of that name has taken it."""
    if not isinstance(body, dict):
        raise Problem(400, "the body must be a JSON object")
    try:
        getattr(models, model).from_dict(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Problem(422, f"{model}.{place}: {first['msg']}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(400, f"{model}: {error}") from None
    return body


def new_id(kind: str) -> str:
    """Such as ``Dataset:17:x4Fq`` in base64."""
    return base64.b64encode(f"{kind}:{next(_numbers)}:{secrets.token_hex(2)}".encode()).decode()


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def limit_of(given: Any, most: int) -> int:
    try:
        limit = 50 if given in (None, "") else int(given)
    except (TypeError, ValueError):
        raise Problem(400, f"limit must be a number, got {given!r}") from None
    if not 1 <= limit <= most:
        raise Problem(400, f"limit must be between 1 and {most}, got {limit}")
    return limit


def page(rows: Sequence[Any], name: str, limit: int, cursor: str | None, key: Callable[[Any], str]) -> dict[str, Any]:
    """A page of rows that are in order; it begins after the row whose key is in the cursor."""
    start = 0
    if cursor:
        after = _decoded(cursor)
        keys = [key(row) for row in rows]
        if after not in keys:
            raise Problem(400, "the cursor is not one of this list")
        start = keys.index(after) + 1
    chosen = rows[start : start + limit]
    pagination: dict[str, Any] = {"has_more": start + limit < len(rows)}
    if pagination["has_more"]:
        pagination["next_cursor"] = base64.urlsafe_b64encode(json.dumps({"after": key(chosen[-1])}).encode()).decode()
    return {name: list(chosen), "pagination": pagination}


def _decoded(cursor: str) -> str:
    try:
        return str(json.loads(base64.urlsafe_b64decode(cursor))["after"])
    except (ValueError, KeyError, TypeError):
        raise Problem(400, "the cursor cannot be read") from None


def contains(rows: Iterable[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
    """The rows whose name holds a text, in whatever case."""
    return [row for row in rows if not name or name.lower() in row["name"].lower()]
