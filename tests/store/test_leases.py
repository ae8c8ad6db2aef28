"""Who has a lease, as one sees it who would have it, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_experiments.store import Store, leases
from prefect_experiments.store.leases import BEAT_S, LOOK_S, SILENT_S
from prefect_experiments.store.processes import Process

from .samples import new_experiment

ELSEWHERE = Process("elsewhere", "another machine", 1, "1", "a")


class Clock:
    """The time, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(leases, "time", found)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.close()


def show_life(store: Store, experiment_id: str, beat: float) -> None:
    """What a holder on another machine does every few seconds."""
    row = {
        "experiment_id": experiment_id,
        "purpose": "calls",
        "holder": ELSEWHERE.text,
        "beat": beat,
        "since": 0.0,
        "flow_run_id": None,
    }
    with store.database.write() as connection:
        connection.execute(store.database.upsert(leases.leases), [row])


def test_a_holder_elsewhere_keeps_it_for_as_long_as_it_shows_that_it_lives(store: Store, clock: Clock) -> None:
    experiment_id = new_experiment(store).experiment.id
    mine = store.leases.of_calls(experiment_id)
    for beat in range(int(3 * SILENT_S / BEAT_S)):
        show_life(store, experiment_id, beat)
        for _ in range(int(BEAT_S / LOOK_S)):
            assert not mine.try_to_take()
            clock.now += LOOK_S
    last = clock.now - BEAT_S
    while not mine.try_to_take():
        clock.now += LOOK_S
    assert clock.now - last == SILENT_S
    mine.release()
