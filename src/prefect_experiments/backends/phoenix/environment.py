"""What Phoenix's own client reads: variables, and the file ``.env.phoenix``. As its version 3.5 reads them.

What belongs together comes from one place: where any variable of a group is set, the file says nothing about that
group any more, but for ``PHOENIX_ENDPOINT``, which another variable only stands in for. A test compares with the client
itself.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import httpx

from prefect_experiments.errors import InvalidSetting, current_directory

FILE = ".env.phoenix"
ENDPOINT, HOST, PORT = "PHOENIX_ENDPOINT", "PHOENIX_HOST", "PHOENIX_PORT"
COLLECTORS = ("PHOENIX_COLLECTOR_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
BASE_URL = "PHOENIX_BASE_URL"  # says where Phoenix is, but not that a file does not
ADDRESSES = (ENDPOINT, *COLLECTORS, BASE_URL, HOST)
KEY, HEADERS = "PHOENIX_API_KEY", "PHOENIX_CLIENT_HEADERS"
USUAL_PORT = 6006
_LARGEST_FILE = 64 * 1024
_TRACES = re.compile(r"/+v1/traces/?(?=$|[?#])")

logger = logging.getLogger("prefect_experiments")
_said: set[str] = set()


class Place(NamedTuple):
    """Where Phoenix is, and what has said so."""

    url: str
    named_by: str


class _Group(NamedTuple):
    """What variables, or the file where there is one, say."""

    values: dict[str, str]
    file: Path | None = None


def phoenix_place() -> Place | None:
    """Where the environment says that Phoenix is; ``None`` where it says nothing."""
    found = _group((*ADDRESSES, PORT), decide={*ADDRESSES, PORT} - {BASE_URL})
    named = [(name, found.values[name], found.file) for name in ADDRESSES if name in found.values]
    if found.values and found.file is None and ENDPOINT not in found.values:
        path, there = _file()
        if ENDPOINT in there:
            named.insert(0, (ENDPOINT, there[ENDPOINT], path))
    port = _port(found)
    for name, value, file in named:
        url = _as_url(name, value, port)
        try:
            httpx.URL(url)
        except httpx.InvalidURL:
            _warn(f"{name} is no URL, and is ignored.")
            continue
        if file is not None and _group((KEY, HEADERS)).file is None and _group((KEY, HEADERS)).values:
            _warn(f"The credentials of the environment are sent to the address that {name} in {file} says.")
        return Place(url, name if file is None else f"{name} in {file}")
    return None if port == USUAL_PORT else Place(f"http://127.0.0.1:{port}", PORT)


def phoenix_key() -> str:
    """The API key; the empty text for none."""
    return _group((KEY, HEADERS)).values.get(KEY, "")


def phoenix_headers() -> dict[str, str]:
    """The headers, with names in lower case. ``name=value,name2=value2``, percent-encoded as W3C's baggage is.

    Raises:
        InvalidSetting: they are not written so.
    """
    found: dict[str, str] = {}
    text = _group((KEY, HEADERS)).values.get(HEADERS, "")
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, value = part.partition("=")
        if not separator or not name.strip():
            raise InvalidSetting(f"{HEADERS} must be name=value pairs with commas between them")
        found[unquote(name).strip().lower()] = unquote(value).strip()
    return found


def _group(names: Collection[str], decide: Collection[str] | None = None) -> _Group:
    """What is said of names that belong together: by variables if any of those that decide is set, else by the file."""
    decide = names if decide is None else decide
    here = {name: value for name in names if (value := os.environ.get(name, "").strip())}
    if not here.keys().isdisjoint(decide):
        return _Group(here)
    path, every = _file()
    there = {name: every[name] for name in names if name in every}
    if here and there.keys().isdisjoint(decide):
        return _Group(here)
    return _Group(there, path if there else None)


def _as_url(name: str, value: str, port: int) -> str:
    if name in COLLECTORS:
        return _TRACES.sub("", value) or value
    if name != HOST or re.match(r"https?://", value, re.IGNORECASE):
        return value
    host = "127.0.0.1" if value == "0.0.0.0" else value  # noqa: S104 - what a server is told to listen on
    return f"http://{host}" if ":" in host else f"http://{host}:{port}"


def _port(found: _Group) -> int:
    text = found.values.get(PORT, "")
    if not text or text.isnumeric():
        return int(text or USUAL_PORT)
    if found.file is None:
        raise InvalidSetting(f"{PORT} must be a number, got {text!r:.50}")
    _warn(f"{PORT} in {found.file} is no number, and is ignored.")
    return USUAL_PORT


# The file


def _file() -> tuple[Path | None, dict[str, str]]:
    """The nearest one at or above the current directory, and what is in it."""
    here = current_directory()
    if here is None or os.environ.get("PHOENIX_DISCOVER_CONFIG", "").strip().lower() in ("false", "0", "no", "off"):
        return None, {}
    for folder in (here, *here.parents):
        path = folder / FILE
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except OSError:
            _warn(f"{path} is ignored: it cannot be looked at.")
            continue
        if not stat.S_ISREG(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
            _warn(f"{path} is ignored: it is no file of this user's own.")
            continue
        return path, _read(path, found.st_size)
    return None, {}


def _read(path: Path, size: int) -> dict[str, str]:
    if size > _LARGEST_FILE:
        _warn(f"{path} is ignored: it is larger than {_LARGEST_FILE} bytes.")
        return {}
    try:
        return dict(_pairs(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeError):
        _warn(f"{path} is ignored: it cannot be read.")
        return {}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("export "):
            line = line[len("export ") :].lstrip()
        name, separator, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1].strip()
        if separator and value and re.fullmatch(r"PHOENIX_[A-Za-z0-9_]*", name):
            yield name, value


def _warn(text: str) -> None:
    if text not in _said:
        _said.add(text)
        logger.warning("%s", text)
