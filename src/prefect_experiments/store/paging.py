"""What the store's lists share: pages, cursors, names."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import InvalidInput
from prefect_experiments.pages import Pagination
from prefect_experiments.texts import plain_text

MOST_A_PAGE = 1000
_LONGEST_CURSOR = 500


def check_name(name: str, what: str) -> str:
    """A name that can be shown, typed and passed on.

    Raises:
        InvalidInput: empty, longer than 255 characters, or with control characters.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > 255 or not name.isprintable():
        raise InvalidInput(f"the {what}'s name must be 1 to 255 printable characters, got {name!r:.60}")
    return name


def page(
    connection: Connection, query: Any, limit: int, cursor: str | None, *, by: Sequence[sa.Column[Any]]
) -> tuple[Any, Pagination]:
    """One page of a query, newest first: by columns of it that together are unique and grow with each new row."""
    check_limit(limit)
    if cursor is not None:
        query = query.where(sa.tuple_(*by) < sa.tuple_(*decode_cursor(cursor, *(each.type.python_type for each in by))))
    rows = connection.execute(query.order_by(*(each.desc() for each in by)).limit(limit + 1)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    after = encode_cursor([getattr(rows[-1], each.name) for each in by]) if more else None
    return rows, Pagination(has_more=more, next_cursor=after)


def check_limit(limit: int) -> int:
    """A page's size.

    Raises:
        InvalidInput: not between 1 and 1000.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_A_PAGE:
        raise InvalidInput(f"limit must be between 1 and {MOST_A_PAGE}, got {limit!r}")
    return limit


def encode_cursor(values: list[Any]) -> str:
    """The opaque text that says where the next page begins."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def decode_cursor(cursor: str, *kinds: type) -> list[Any]:
    """What `encode_cursor` was given.

    Args:
        cursor: the opaque text.
        kinds: the types of the values; whole numbers count from 0.

    Raises:
        InvalidInput: not a cursor of ours, or one of another list.
    """
    if isinstance(cursor, str) and len(cursor) <= _LONGEST_CURSOR:
        try:
            values = json.loads(base64.urlsafe_b64decode(cursor))
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list) and len(values) == len(kinds) and all(map(_fits, values, kinds)):
            return values
    raise InvalidInput(f"{cursor!r:.60} is not a cursor of this list; pass what its pagination.next_cursor gave")


def _fits(value: Any, kind: type) -> bool:
    """Whether a cursor's value is one that a database can compare."""
    if type(value) is not kind:
        return False
    if isinstance(value, int):
        return 0 <= value < 2**31
    return not isinstance(value, str) or plain_text(value) == value
