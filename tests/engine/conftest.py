import pytest

from prefect_experiments.engine import calls, limits


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Backoff in hundredths of seconds, and no limit left over from another test."""
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(limits, "OBSERVED_AT_LEAST_S", 0.02)
    monkeypatch.setattr(limits, "COOL_DOWN_S", 0.02)
    monkeypatch.setattr(limits, "_shared", {})
