"""What the environment and the file `.env.phoenix` say of Phoenix; `faults/test_places.py` asks its own client."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prefect_experiments.backends.phoenix import environment
from prefect_experiments.errors import InvalidSetting


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Phoenix's file, where nothing of the environment says where Phoenix is."""
    for name in [name for name in os.environ if name.startswith(("PHOENIX_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(environment, "_said", set())
    monkeypatch.chdir(tmp_path)
    return tmp_path / environment.FILE


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("PHOENIX_API_KEY=a key", "a key"),
        ("PHOENIX_API_KEY='a key'", "a key"),
        ('export PHOENIX_API_KEY = " a key "', "a key"),
        ("PHOENIX_API_KEY='a key\"", "'a key\""),
        ("PHOENIX_API_KEY='", "'"),
    ],
)
def test_quotes_around_a_value_of_the_file_are_none_of_it(file: Path, line: str, key: str) -> None:
    file.write_text(f"{line}\n")
    assert environment.phoenix_key() == key


@pytest.mark.parametrize("place", ["file", "environment"])
@pytest.mark.parametrize("key", ["file", "environment", "nowhere"])
def test_a_key_that_goes_where_a_file_says_is_told_of(
    file: Path, place: str, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = {"PHOENIX_ENDPOINT": (place, "http://there.example"), "PHOENIX_API_KEY": (key, "a-key")}
    file.write_text("".join(f"{name}={value}\n" for name, (where, value) in said.items() if where == "file"))
    for name, (where, value) in said.items():
        if where == "environment":
            monkeypatch.setenv(name, value)
    found = environment.phoenix_place()
    assert found is not None
    assert found.url == "http://there.example"
    told = f"The credentials of the environment are sent to the address that PHOENIX_ENDPOINT in {file} says."
    assert caplog.messages == ([told] if (place, key) == ("file", "environment") else [])


LOCAL = "http://127.0.0.1"


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({}, None),
        ({"PHOENIX_PORT": "6006"}, None),
        ({"PHOENIX_PORT": "6007"}, (f"{LOCAL}:6007", "PHOENIX_PORT")),
        ({"PHOENIX_HOST": "there"}, ("http://there:6006", "PHOENIX_HOST")),
        ({"PHOENIX_HOST": "there", "PHOENIX_PORT": "7"}, ("http://there:7", "PHOENIX_HOST")),
        ({"PHOENIX_HOST": "there:8", "PHOENIX_PORT": "7"}, ("http://there:8", "PHOENIX_HOST")),
        ({"PHOENIX_HOST": "0.0.0.0", "PHOENIX_PORT": "7"}, (f"{LOCAL}:7", "PHOENIX_HOST")),
        ({"PHOENIX_HOST": "HTTPS://there"}, ("HTTPS://there", "PHOENIX_HOST")),
        ({"PHOENIX_BASE_URL": "http://b", "PHOENIX_HOST": "h"}, ("http://b", "PHOENIX_BASE_URL")),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://o", "PHOENIX_BASE_URL": "http://b"},
            ("http://o", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ),
        (
            {"PHOENIX_COLLECTOR_ENDPOINT": "http://c/v1/traces/", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://o"},
            ("http://c", "PHOENIX_COLLECTOR_ENDPOINT"),
        ),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://c//v1/traces?a=b"}, ("http://c?a=b", "PHOENIX_COLLECTOR_ENDPOINT")),
        (
            {"PHOENIX_COLLECTOR_ENDPOINT": "http://c/v1/traces/x"},
            ("http://c/v1/traces/x", "PHOENIX_COLLECTOR_ENDPOINT"),
        ),
        (
            {"PHOENIX_ENDPOINT": "http://e/v1/traces", "PHOENIX_COLLECTOR_ENDPOINT": "http://c"},
            ("http://e/v1/traces", "PHOENIX_ENDPOINT"),
        ),
        ({"PHOENIX_ENDPOINT": " ", "PHOENIX_HOST": "h"}, ("http://h:6006", "PHOENIX_HOST")),
        ({"PHOENIX_ENDPOINT": "http://e:port", "PHOENIX_HOST": "h"}, ("http://h:6006", "PHOENIX_HOST")),
    ],
)
def test_the_first_that_is_said_counts(
    file: Path, said: dict[str, str], place: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert environment.phoenix_place() == place


@pytest.mark.parametrize(
    ("here", "there", "place"),
    [
        ({}, "PHOENIX_ENDPOINT=http://f", "http://f by file"),
        ({"PHOENIX_HOST": "h"}, "PHOENIX_COLLECTOR_ENDPOINT=http://f", "http://h:6006"),
        ({"PHOENIX_HOST": "h"}, "PHOENIX_ENDPOINT=http://f", "http://f by file"),
        ({"PHOENIX_PORT": "7"}, "PHOENIX_ENDPOINT=http://f", "http://f by file"),
        ({"PHOENIX_ENDPOINT": "http://e"}, "PHOENIX_ENDPOINT=http://f", "http://e"),
        ({"PHOENIX_BASE_URL": "http://b"}, "PHOENIX_HOST=f", "http://f:6006 by file"),
        ({"PHOENIX_BASE_URL": "http://b"}, "PHOENIX_BASE_URL=http://f", "http://b"),
        ({"PHOENIX_BASE_URL": "http://b"}, "", "http://b"),
        ({}, "PHOENIX_PORT=7", f"{LOCAL}:7"),
        ({}, "PHOENIX_PORT=many\nPHOENIX_HOST=f", "http://f:6006 by file"),
        ({"PHOENIX_DISCOVER_CONFIG": " No "}, "PHOENIX_ENDPOINT=http://f", None),
        ({"PHOENIX_DISCOVER_CONFIG": "yes"}, "PHOENIX_ENDPOINT=http://f", "http://f by file"),
    ],
)
def test_the_file_says_what_variables_do_not(
    file: Path, here: dict[str, str], there: str, place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f"# Phoenix\n\nOTHER_ENDPOINT=http://x\n{there}\n")
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    found = environment.phoenix_place()
    if place is None:
        assert found is None
        return
    assert found is not None
    assert (found.url, found.named_by.endswith(f" in {file}")) == (place.removesuffix(" by file"), "by file" in place)


def test_the_nearest_file_above_counts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = file.parent / "a" / "b"
    below.mkdir(parents=True)
    file.write_text("PHOENIX_API_KEY=far\n")
    monkeypatch.chdir(below)
    assert environment.phoenix_key() == "far"
    (below.parent / environment.FILE).write_text("PHOENIX_CLIENT_HEADERS=A=1\n")
    assert (environment.phoenix_key(), environment.phoenix_headers()) == ("", {"a": "1"})


def test_a_port_that_is_none_is_refused_and_in_a_file_passed_over(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("PHOENIX_PORT=many\n")
    assert environment.phoenix_place() is None
    assert caplog.messages == [f"PHOENIX_PORT in {file} is no number, and is ignored."]
    monkeypatch.setenv("PHOENIX_PORT", "many")
    with pytest.raises(InvalidSetting) as refused:
        environment.phoenix_place()
    assert str(refused.value) == "PHOENIX_PORT must be a number, got 'many'"


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("a=1,B = two words ,c%20d=e%2Cf", {"a": "1", "b": "two words", "c d": "e,f"}),
        ("a=b=c", {"a": "b=c"}),
        (" , a=, ", {"a": ""}),
        ("a", None),
        ("=1", None),
        (" =1", None),
    ],
)
def test_headers_of_the_environment(
    file: Path, text: str, headers: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOENIX_CLIENT_HEADERS", text)
    if headers is not None:
        assert environment.phoenix_headers() == headers
        return
    with pytest.raises(InvalidSetting, match="PHOENIX_CLIENT_HEADERS must be name=value pairs with commas between"):
        environment.phoenix_headers()


@pytest.mark.parametrize(("bytes_", "key"), [(65536, "k"), (65537, "")])
def test_a_file_that_is_too_large_is_passed_over(file: Path, bytes_: int, key: str) -> None:
    file.write_text("PHOENIX_API_KEY=k\n".ljust(bytes_, "#"))
    assert environment.phoenix_key() == key
