"""JSON files, each written whole or not at all, and lists of them, newest first."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.pages import Pagination
from prefect_experiments.store.paging import decode_cursor, encode_cursor

T = TypeVar("T")


def check_folder(path: Path) -> None:
    if not path.is_dir():
        raise InvalidSetting(f"there is no folder {path}; make it, or set path= to another")


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, default=lambda other: other.isoformat())
    Path(name).replace(path)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def every(folder: Path, name: str = "*.json") -> list[Any]:
    """What the files of a folder hold, newest first."""
    return sorted(map(read, folder.glob(name)), key=lambda found: found["created_at"], reverse=True)


def file_name(*parts: Any) -> str:
    return "-".join(quote(str(part), safe="") for part in parts) + ".json"


def page(found: Sequence[T], limit: int, cursor: str | None) -> tuple[list[T], Pagination]:
    start = 0 if cursor is None else int(decode_cursor(cursor, int)[0])
    more = start + limit < len(found)
    after = encode_cursor([start + limit]) if more else None
    return list(found[start : start + limit]), Pagination(has_more=more, next_cursor=after)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
