"""The URL of a store, as it is shown."""

from __future__ import annotations

from prefect_experiments.store.urls import parse_url, shown, url_text


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
