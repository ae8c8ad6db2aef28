"""Fixtures for tests that run experiments on a real Prefect server, each on a store of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, Settings

from prefect_experiments import Client
from support.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def on_the_server(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)  # for the processes that tests start
    # An experiment does without a server that takes long; a test that looks for what is there does not.
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))
    with settings_for(prefect_api):
        yield


def settings_for(api: str) -> SettingsContext:
    """Prefect's settings for a server, made once: `temporary_settings` takes as long as many a test."""
    return SettingsContext(profile=get_settings_context().profile, settings=_settings(api))


@functools.cache
def _settings(api: str) -> Settings:
    updates = {PREFECT_API_URL: api, PREFECT_LOGGING_LEVEL: "WARNING"}
    return get_settings_context().settings.copy_with_update(updates=updates)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'experiments.db'}"


@pytest.fixture
def client(store_url: str) -> Client:
    return Client(store_url=store_url)
