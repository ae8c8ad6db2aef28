from collections.abc import Iterator

import pytest

from prefect_experiments.engine import calls, limits
from prefect_experiments.tracing import sender
from support.collector import Collector


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short pauses, and no queue left over from another test."""
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(limits, "COOL_DOWN_S", 0.02)
    monkeypatch.setattr(limits, "_shared", {})
    monkeypatch.setattr(sender, "_senders", {})
    monkeypatch.setattr(sender, "LINGER_S", 0.05)
    monkeypatch.setattr(sender, "FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(sender, "LONGEST_BACKOFF_S", 0.1)
    monkeypatch.setattr(sender, "BUSY_S", 0)
    yield
    for left_over in sender._senders.values():  # its collector is gone; the next test reads the log, or the network
        left_over._say = lambda level, text: None
        left_over._put_back = lambda batch: None
        with left_over._lock:
            left_over._queue.clear()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running
