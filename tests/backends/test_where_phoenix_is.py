"""What the environment and the file `.env.phoenix` say of Phoenix; `faults/test_places.py` asks its own client."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prefect_experiments.backends.phoenix import environment


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
