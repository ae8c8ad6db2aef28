"""The URL of a store: read, completed, and written so that it shows no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import sqlalchemy as sa

from prefect_experiments.errors import InvalidSetting, from_here
from prefect_experiments.secret_texts import split_address
from prefect_experiments.settings import temporary_clone

_USE = "write sqlite:///path/to/experiments.db or postgresql://user:password@host/name"
# A server that is gone is noticed within seconds, not when TCP gives up; the URL may say otherwise.
_TIMEOUTS = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
# Those whose values may be shown; any other may hold what is nobody's business.
_SHOWN = {"host", "hostaddr", "port", "sslmode", "application_name", "target_session_attrs", "timeout"}
# What asyncpg calls otherwise, and what it has for statements that are prepared, which none are here.
_ASYNCPG = {"ssl": "sslmode", "timeout": "connect_timeout"}
_OF_ASYNCPG_ALONE = {
    "command_timeout",
    "max_cacheable_statement_size",
    "max_cached_statement_lifetime",
    "prepared_statement_cache_size",
    "prepared_statement_name_func",
    "statement_cache_size",
}


def parse_url(url: str) -> sa.URL:
    """The URL of a store with everything filled in: the driver, and a file's absolute path.

    A driver that the URL names is not used: the store has its own, and Prefect's URLs, which
    name asynchronous ones, do as they are. The path of an SQLite file stands in the URL as it is, whatever
    characters it has; nothing in it is quoted.

    Raises:
        InvalidSetting: it cannot be used.
    """
    scheme, separator, rest = url.partition("://")
    backend = scheme.partition("+")[0].lower()
    if not separator or not backend.isalnum():
        raise InvalidSetting(f"{_origin(url)} is not a database URL; {_USE}")
    if backend == "sqlite":
        return _sqlite(rest)
    if backend in ("postgresql", "postgres"):
        return _postgresql(url)
    raise InvalidSetting(
        f"not a database URL that can be used: the store can be SQLite or PostgreSQL, not {backend!r:.20}; {_USE}"
    )


def url_text(url: sa.URL) -> str:
    """The text that `parse_url` makes the same URL of, with the password."""
    if url.get_backend_name() != "sqlite":
        return url.render_as_string(hide_password=False)
    if url.database is None:
        return "sqlite://"
    options = "&".join(f"{name}={value}" for name, value in url.query.items())
    return f"sqlite:///{url.database}{'?' if options else ''}{options}"


def shown(url: sa.URL) -> str:
    """A URL that `parse_url` gave, for people: with its secrets hidden."""
    if url.get_backend_name() == "sqlite":
        return url_text(url)
    return url.set(query={name: _seen(name, value) for name, value in url.query.items()}).render_as_string()


def portable(url: sa.URL) -> str:
    """A URL that `parse_url` gave, without a secret in it: the password, if any, is for whoever opens it to know."""
    if url.get_backend_name() == "sqlite":
        return url_text(url)
    plain = {name: value for name, value in url.query.items() if name not in _secret_options()}
    without: sa.URL = url._replace(password=None)  # `set` leaves alone what is None
    return without.set(query=plain).render_as_string(hide_password=False)


def without_secrets_of(url: sa.URL, text: str) -> str:
    """A text that the driver made, without the secrets of a URL."""
    hidden = [str(value) for name, value in url.query.items() if name in _secret_options()]
    for secret in filter(None, [str(url.password or ""), *hidden]):
        text = text.replace(secret, "***")
    return text


def connect_arguments(url: sa.URL) -> tuple[sa.URL, dict[str, Any]]:
    """A PostgreSQL URL that `parse_url` gave as SQLAlchemy shows it, and what the driver is given beside it."""
    options = {name: _TYPED.get(name, str)(str(value)) for name, value in url.query.items() if name != "host"}
    hosts = {name: value for name, value in url.query.items() if name == "host"}  # these, SQLAlchemy takes apart
    return url.set(query=hosts), _TIMEOUTS | options


def _sqlite(rest: str) -> sa.URL:
    path, query = rest, {}
    at, _, options = rest.rpartition("?")
    if re.fullmatch(r"timeout=[^&/]*", options):  # the only option; else the question mark is part of the path
        path, query = at, {"timeout": _checked("timeout", options.partition("=")[2])}
    if path in ("", "/", "/:memory:"):
        return sa.URL.create("sqlite")
    if not path.startswith("/"):
        raise InvalidSetting(f"a file's path stands behind three slashes in the store's URL; {_USE}")
    path = path.removeprefix("/")
    if path.startswith("file:"):
        raise InvalidSetting(f"the store takes no file: URIs; {_USE}")
    return sa.URL.create("sqlite", database=_absolute(path), query=query)


def _absolute(path: str) -> str:
    """A path that a later change of the working directory leads to no other file."""
    try:
        file = Path(path).expanduser()
        found = file.absolute()
    except RuntimeError as error:  # ~ of an unknown user
        raise InvalidSetting(f"the store's path {path} leads nowhere: {error}") from None
    except FileNotFoundError:
        raise InvalidSetting(f"the store's path {path} leads nowhere {from_here()}") from None
    if not file.is_absolute() and (clone := temporary_clone(found)) is not None:
        raise InvalidSetting(
            f"the store's path {path} is relative, and leads into {clone}, which is deleted after this flow run, with "
            "everything that it pays for. Set PREFECT_EXPERIMENTS_STORE_URL to an absolute path (sqlite:////four/"
            "slashes.db) or to a PostgreSQL"
        )
    return str(found)


def _postgresql(url: str) -> sa.URL:
    parts = split_address(url)
    if parts is None:
        raise InvalidSetting(
            f"{_origin(url)} is not a database URL that can be used; {_USE}. What is special in a password is quoted "
            "(%40 for @, %2F for /, %3F for ?)"
        )
    host, _, database = parts.place.partition("/")
    host, _, port = host[1:].partition("]") if host.startswith("[") else host.partition(":")
    port = port.removeprefix(":")
    query = _options(parse_qsl(parts.options or "", keep_blank_values=True))
    as_option = query.pop("password", None)
    return sa.URL.create(
        "postgresql+psycopg",
        username=unquote(parts.user) if parts.user else None,
        password=str(as_option or "") or unquote(parts.password or "") or None,  # as the driver takes it
        host=unquote(host) or None,
        port=int(port) if port else None,
        database=unquote(database) or None,
        query=query,
    )


def _options(given: list[tuple[str, str]]) -> dict[str, str | tuple[str, ...]]:
    """The options as psycopg calls them; several hosts may be given."""
    options: dict[str, str | tuple[str, ...]] = {}
    known = _known_options()
    for name, value in given:
        if name in _OF_ASYNCPG_ALONE:
            continue
        name = _ASYNCPG.get(name, name)
        if known and name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            # The name is not told: it may be the end of a password.
            raise InvalidSetting(
                f"the store's URL has an option that PostgreSQL's driver does not know{meant}. What is special in a "
                "password is quoted (%3F for ?); the options are libpq's, and prepare_threshold"
            )
        if name == "sslmode":
            value = {"true": "require", "false": "disable"}.get(value.lower(), value)
        options[name] = _checked(name, value) if name in _TYPED else value
    hosts = tuple(value for name, value in given if name == "host")
    return options | ({"host": hosts} if len(hosts) > 1 else {})


def _checked(name: str, value: str) -> str:
    try:
        _TYPED[name](value)
    except ValueError:
        raise InvalidSetting(f"the option {name} of the store's URL must be a number, got {value!r:.20}") from None
    return value


def _threshold(value: str) -> int | None:
    return None if value.lower() in ("none", "null", "") else int(value)


_TYPED: Mapping[str, Callable[[str], Any]] = {
    "prepare_threshold": _threshold,
    "connect_timeout": int,
    "timeout": float,
}


@cache
def _libpq_options() -> Mapping[str, bool]:
    """The options that the installed libpq has, and whether each is a secret; none where there is no driver."""
    try:
        from psycopg import pq
    except ImportError:
        return {}
    found = pq.Conninfo.get_defaults()
    return {option.keyword.decode(): option.dispchar.startswith(b"*") for option in found}


def _known_options() -> set[str]:
    libpq = _libpq_options()
    return {*libpq, "prepare_threshold"} if libpq else set()


def _secret_options() -> set[str]:
    return {"password", "sslpassword"} | {name for name, secret in _libpq_options().items() if secret}


def _seen(name: str, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    is_number = isinstance(value, str) and value.isdecimal() and name not in _secret_options()
    return value if name in _SHOWN or is_number else "***"


def _origin(url: str) -> str:
    """What a URL that cannot be read is called. It may hold a password anywhere."""
    if url == os.environ.get("PREFECT_EXPERIMENTS_STORE_URL"):
        return "PREFECT_EXPERIMENTS_STORE_URL"
    return f"the store's URL {url!r}" if re.fullmatch(r"[\w./-]+", url) else "the store's URL"
