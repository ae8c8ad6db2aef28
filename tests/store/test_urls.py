"""The URL of a store, as it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.store.urls import (
    connect_arguments,
    parse_url,
    portable,
    shown,
    url_text,
    without_secrets_of,
)

USE = "write sqlite:///path/to/experiments.db or postgresql://user:password@host/name"


def test_a_url_is_shown_without_any_of_its_secrets() -> None:
    given = "postgresql://me:h0rse@db.test/name?sslmode=require&sslpassword=Tr0ub4"
    url = parse_url(given)
    assert url.query["sslpassword"] == "Tr0ub4", "it is kept, for who opens the store"
    assert parse_url(url_text(url)) == url
    text = shown(url)
    assert "db.test/name?sslmode=require" in text
    assert "h0rse" not in text
    assert "Tr0ub4" not in text


def test_a_secret_that_is_a_number_is_one_all_the_same() -> None:
    text = shown(parse_url("postgresql://me@db.test/name?connect_timeout=10&sslpassword=123456"))
    assert "connect_timeout=10" in text
    assert "123456" not in text


@pytest.mark.parametrize(
    ("given", "in_parts", "seen", "told"),
    [
        (
            "postgresql://me:pa%40ss@db.test:5433/name",
            ("me", "pa@ss", "db.test", 5433, "name", {}),
            "postgresql+psycopg://me:***@db.test:5433/name",
            "postgresql+psycopg://me@db.test:5433/name",
        ),
        (
            "POSTGRES+asyncpg://me@[::1]:5433/name?ssl=true&timeout=7&statement_cache_size=0",
            ("me", None, "::1", 5433, "name", {"sslmode": "require", "connect_timeout": "7"}),
            "postgresql+psycopg://me@[::1]:5433/name?connect_timeout=7&sslmode=require",
            "postgresql+psycopg://me@[::1]:5433/name?connect_timeout=7&sslmode=require",
        ),
        (
            "postgresql://[2001:db8::2]/name?sslmode=False",
            (None, None, "2001:db8::2", None, "name", {"sslmode": "disable"}),
            "postgresql+psycopg://[2001:db8::2]/name?sslmode=disable",
            "postgresql+psycopg://[2001:db8::2]/name?sslmode=disable",
        ),
        (
            "postgresql://me:first@/?password=second&passfile=/x&application_name=eval&keepalives=1",
            (
                "me",
                "second",
                None,
                None,
                None,
                {"passfile": "/x", "application_name": "eval", "keepalives": "1"},
            ),
            "postgresql+psycopg://me:***@?application_name=eval&keepalives=1&passfile=%2A%2A%2A",
            "postgresql+psycopg://me@?application_name=eval&keepalives=1&passfile=%2Fx",
        ),
        ("sqlite://", (None, None, None, None, None, {}), "sqlite://", "sqlite://"),
        ("sqlite:///:memory:", (None, None, None, None, None, {}), "sqlite://", "sqlite://"),
        (
            "sqlite:////there/a?b@c.db?timeout=2.5",
            (None, None, None, None, "/there/a?b@c.db", {"timeout": "2.5"}),
            "sqlite:////there/a?b@c.db?timeout=2.5",
            "sqlite:////there/a?b@c.db?timeout=2.5",
        ),
        (
            "sqlite+aiosqlite:////there/a.db?timeout=1/b.db",
            (None, None, None, None, "/there/a.db?timeout=1/b.db", {}),
            "sqlite:////there/a.db?timeout=1/b.db",
            "sqlite:////there/a.db?timeout=1/b.db",
        ),
    ],
)
def test_what_a_url_says_and_what_of_it_is_shown_and_what_is_passed_on(
    given: str, in_parts: tuple[Any, ...], seen: str, told: str
) -> None:
    url = parse_url(given)
    assert (url.username, url.password, url.host, url.port, url.database, dict(url.query)) == in_parts
    assert (shown(url), portable(url)) == (seen, told)
    assert parse_url(url_text(url)) == url
    assert parse_url(portable(url)) == url._replace(password=None)


def test_what_the_driver_is_given_beside_a_url() -> None:
    """A server that is gone is noticed within seconds, unless the URL says otherwise."""
    plain = parse_url("postgresql://me@/name?host=one:5433&host=two:5434")
    assert connect_arguments(plain) == (plain, {"connect_timeout": 10, "tcp_user_timeout": 30_000})
    given = parse_url("postgresql://me@db.test/name?connect_timeout=3&prepare_threshold=5&sslmode=require")
    bare, arguments = connect_arguments(given)
    assert bare == parse_url("postgresql://me@db.test/name")
    assert arguments == {
        "connect_timeout": 3, "tcp_user_timeout": 30_000, "prepare_threshold": 5, "sslmode": "require"
    }  # fmt: skip
    for nothing in ("none", "NULL", ""):
        _, arguments = connect_arguments(parse_url(f"postgresql://me@db.test/name?prepare_threshold={nothing}"))
        assert arguments["prepare_threshold"] is None


def test_what_a_driver_has_said_is_told_without_the_secrets_of_the_url() -> None:
    url = parse_url("postgresql://me:h0rse@db.test/name?sslpassword=Tr0ub4&sslmode=require")
    assert without_secrets_of(url, "me with h0rse, require and Tr0ub4") == "me with ***, require and ***"
    assert without_secrets_of(parse_url("postgresql://me@db.test/name"), "none for me") == "none for me"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("store.db", f"the store's URL 'store.db' is not a database URL; {USE}"),
        ("an odd one", f"the store's URL is not a database URL; {USE}"),
        ("sql-ite://x", f"the store's URL is not a database URL; {USE}"),
        (
            "postgresql://me@db.test/name?connect_timeout=soon",
            "the option connect_timeout of the store's URL must be a number, got 'soon'",
        ),
        ("sqlite:////a.db?timeout=long", "the option timeout of the store's URL must be a number, got 'long'"),
        (
            "postgresql://me@db.test/name?quux=1",
            "the store's URL has an option that PostgreSQL's driver does not know. What is special in a password is "
            "quoted (%3F for ?); the options are libpq's, and prepare_threshold",
        ),
        (
            "postgresql://me@db.test/name?prepare_treshold=1",
            "the store's URL has an option that PostgreSQL's driver does not know; did you mean prepare_threshold?. "
            "What is special in a password is quoted (%3F for ?); the options are libpq's, and prepare_threshold",
        ),
    ],
)
def test_what_is_said_of_one_that_cannot_be_used(given: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        parse_url(given)
    assert str(refused.value) == said


def test_a_setting_that_cannot_be_used_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", "h0rse")
    with pytest.raises(InvalidSetting) as refused:
        parse_url("h0rse")
    assert str(refused.value) == f"PREFECT_EXPERIMENTS_STORE_URL is not a database URL; {USE}"
