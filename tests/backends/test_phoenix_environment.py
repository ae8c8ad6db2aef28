"""What is said of an environment, or a file `.env.phoenix`, that says where Phoenix is and cannot be followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_experiments import Client
from prefect_experiments.backends.phoenix import environment


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PHOENIX_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "_said", set())  # each is said once a process


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.symlink_to(path), "is ignored: it cannot be looked at."),
        (lambda path: path.mkdir(), "is ignored: it is no file of this user's own."),
        (lambda path: path.write_text("#" * 65537), "is ignored: it is larger than 65536 bytes."),
        (lambda path: path.write_bytes(b"PHOENIX_PORT=\xff"), "is ignored: it cannot be read."),
    ],
)
def test_a_file_that_is_ignored(
    make: Callable[[Path], object], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ".env.phoenix"
    make(path)
    remote = Client(backend="phoenix", store_url="sqlite://").remote
    assert remote is not None
    assert f"{path} {said}" in caplog.text


def test_an_address_that_is_no_url_is_ignored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", "http://host:port")
    Client(backend="phoenix", store_url="sqlite://")
    assert "PHOENIX_COLLECTOR_ENDPOINT is no URL, and is ignored." in caplog.text


def test_a_key_of_the_environment_for_an_address_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ".env.phoenix"
    path.write_text("PHOENIX_ENDPOINT=http://127.0.0.1:1\n")
    monkeypatch.setenv("PHOENIX_API_KEY", "sk-mine")
    Client(backend="phoenix", store_url="sqlite://")
    assert (
        f"The credentials of the environment are sent to the address that PHOENIX_ENDPOINT in {path} says."
        in caplog.text
    )
    assert "sk-mine" not in caplog.text
