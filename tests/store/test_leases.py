"""Who has a lease, as one sees it who would have it, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_experiments.errors import ExperimentInUse, NotFound
from prefect_experiments.store import Store, leases, processes
from prefect_experiments.store.leases import BEAT_S, DOUBT_S, LOOK_S, NOBODY, SILENT_S
from prefect_experiments.store.processes import Process, holding

from .samples import new_experiment

ELSEWHERE = Process("elsewhere", "another machine", 1, "1", "a")
GONE = dataclasses.replace(Process.this(), pid=2**31 - 1)  # there is no such number


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


def show_life(store: Store, experiment_id: str, beat: float, holder: str = ELSEWHERE.text) -> None:
    """What a holder on another machine does every few seconds."""
    row = {
        "experiment_id": experiment_id,
        "purpose": "calls",
        "holder": holder,
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


def test_whoever_comes_after_a_time_has_to_look_for_as_long_itself(store: Store, clock: Clock) -> None:
    """The database may have been away between two looks, for the holder as well."""
    experiment_id = new_experiment(store).experiment.id
    mine = store.leases.of_calls(experiment_id)
    show_life(store, experiment_id, 1.0)
    assert not mine.try_to_take()
    looks = 0
    while not mine.try_to_take():
        clock.now += 1000
        looks += 1
    assert looks == -(-SILENT_S // (2 * BEAT_S))
    mine.release()


@pytest.mark.parametrize(
    ("holder", "is_left", "is_its"),
    [
        (None, True, False),
        (NOBODY, True, False),
        (GONE.text, True, False),
        (ELSEWHERE.text, False, True),
    ],
    ids=["there is none", "nobody", "gone", "elsewhere"],
)
def test_whose_it_is_as_others_see_it(store: Store, holder: str | None, is_left: bool, is_its: bool) -> None:
    experiment_id = new_experiment(store).experiment.id
    if holder is not None:
        show_life(store, experiment_id, 1.0, holder)

    def look() -> tuple[bool, bool, bool]:
        lease = store.leases.of_calls(experiment_id)
        with store.database.read() as connection:
            held = [lease.is_held_by(connection, by) for by in (holder or ELSEWHERE.text, "another")]
            return lease.is_left(connection), held[0], held[1]

    assert look() == (is_left, is_its, False)
    with store.database.write() as connection:
        assert store.leases.of_calls(experiment_id).is_ended(connection) is is_left
    with store.database.read() as connection:
        found = connection.execute(leases.leases.select()).one_or_none()
    assert (found and found.holder) == (NOBODY if is_left and holder is not None else holder), "who is gone learns it"


def test_a_holder_that_has_been_silent_for_long_learns_that_it_has_lost_it(store: Store, clock: Clock) -> None:
    experiment_id = new_experiment(store).experiment.id
    show_life(store, experiment_id, 1.0)
    lease = store.leases.of_calls(experiment_id)
    for _ in range(int(SILENT_S / LOOK_S)):
        with store.database.write() as connection:
            assert not lease.is_ended(connection)
        clock.now += LOOK_S
    with store.database.write() as connection:
        assert lease.is_ended(connection)
        assert store.leases.of_calls(experiment_id).is_ended(connection)


def test_a_holder_that_shows_its_life_just_then_keeps_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and the word that it has ended."""
    experiment_id = new_experiment(store).experiment.id
    show_life(store, experiment_id, 1.0, GONE.text)
    lease = store.leases.of_calls(experiment_id)
    look = type(lease)._row

    def look_and_wait(self: Any, connection: sa.Connection) -> Any:
        seen = look(self, connection)
        connection.execute(leases.leases.update().values(beat=2.0))
        return seen

    monkeypatch.setattr(type(lease), "_row", look_and_wait)
    with store.database.write() as connection:
        assert not lease.is_ended(connection)
        assert connection.execute(sa.select(leases.leases.c.holder)).scalar() == GONE.text


def test_who_has_not_shown_for_long_that_it_lives_asks_before_it_goes_on(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the machine slept, or somebody has set one of its clocks."""
    boot = Clock()
    monkeypatch.setattr(leases, "clock", boot.monotonic)
    monkeypatch.setattr(leases, "BEAT_S", 3600.0)
    experiment_id = new_experiment(store).experiment.id
    mine = store.leases.of_calls(experiment_id)
    assert mine.try_to_take()
    for boots, walls, doubt in (
        (0.0, 0.0, False), (DOUBT_S, DOUBT_S, False), (DOUBT_S + 1, 0.0, True),
        (0.0, DOUBT_S + 1, True), (0.0, -DOUBT_S, False), (0.0, -DOUBT_S - 1, True),
    ):  # fmt: skip
        boot.now += boots
        clock.now += walls
        assert mine.is_in_doubt() is doubt, (boots, walls)
        show = store.leases.of_calls(experiment_id)
        mine._renew()
        assert not mine.is_in_doubt()
        with store.database.read() as connection:
            assert show.is_held_by(connection, mine.holder)
    assert mine.trying_since is None
    mine.release()
    assert not mine.try_to_take(), "it is let go of for good"
    assert mine.holder not in holding


def test_a_row_that_is_gone_is_made_again_unless_the_experiment_is_gone_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_S", 3600.0)
    experiment_id = new_experiment(store).experiment.id
    mine = store.leases.of_calls(experiment_id)
    assert mine.try_to_take()
    for is_there in (True, False):
        with store.database.write() as connection:
            connection.execute(leases.leases.delete())
        monkeypatch.setattr(mine, "_sure", (0.0, 0.0))
        if is_there:
            mine.confirm()
            continue
        store.experiments.delete(experiment_id)
        with pytest.raises(NotFound) as gone:
            mine.confirm()
        assert str(gone.value) == f"experiment {experiment_id} was deleted from the store while it ran"
    mine.release()


def test_the_flow_run_of_one_that_was_killed_is_told_once_to_who_goes_on(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id
    show_life(store, experiment_id, 1.0, GONE.text)
    with store.database.write() as connection:
        connection.execute(leases.leases.update().values(flow_run_id="killed"))
    mine = store.leases.of_calls(experiment_id)
    assert mine.try_to_take()
    assert mine.shown_by("mine") == "killed"
    assert mine.shown_by("mine") is None
    with store.database.read() as connection:
        assert connection.execute(leases.leases.select()).one().flow_run_id == "mine"
    mine.release()
    other = store.leases.of_calls(experiment_id)
    assert other.try_to_take()
    assert other.shown_by("other") is None, "it was let go of"
    other.release()


def test_a_holder_of_this_machine_that_shows_that_it_lives_is_not_waited_for(store: Store) -> None:
    experiment_id, other = new_experiment(store).experiment.id, Process.this()
    show_life(store, experiment_id, processes.clock(), other.text)
    holding.add(other.text)
    with pytest.raises(ExperimentInUse) as told:
        asyncio.run(store.leases.of_calls(experiment_id).take())
    holding.discard(other.text)
    assert str(told.value) == (
        f"experiment {experiment_id} is held by {other}, which has been working on it since 1970-01-01 00:00:00 UTC "
        "and is alive: nothing was called here. Wait until it is done, or end it; then go on with "
        f"`prefect-experiments resume {experiment_id}`"
    )
    mine = store.leases.of_calls(experiment_id)
    asyncio.run(mine.take())  # it has ended
    mine.release()


@pytest.mark.parametrize("lives", [False, True])
def test_a_holder_elsewhere_is_waited_for_until_it_shows_that_it_lives_or_has_not_for_long(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lives: bool
) -> None:
    experiment_id = new_experiment(store).experiment.id
    show_life(store, experiment_id, 1.0)
    looks = []

    async def sleep(seconds: float) -> None:
        looks.append(seconds)
        clock.now += seconds
        if lives and len(looks) == 5:
            show_life(store, experiment_id, 2.0)

    monkeypatch.setattr(leases, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    mine = store.leases.of_calls(experiment_id)
    if lives:
        with pytest.raises(ExperimentInUse, match="is held by process 1 on elsewhere, which has been working on it"):
            asyncio.run(mine.take())
        assert looks == [LOOK_S] * 5
    else:
        asyncio.run(mine.take())
        assert looks == [LOOK_S] * int(SILENT_S / LOOK_S)
        mine.release()
    assert caplog.messages == [
        f"Experiment {experiment_id} is held by process 1 on elsewhere, of which it is not known whether it is alive: "
        "waiting for a sign of it, up to 20 s, to go on in its place."
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the states of processes are read from /proc")
def test_whether_a_process_lives() -> None:
    this = Process.this()
    assert this.lives() is False, "it has nothing"
    holding.add(this.text)
    assert this.lives() is True
    holding.discard(this.text)
    assert GONE.lives() is False
    assert ELSEWHERE.lives() is None
    child = subprocess.Popen(["sleep", "600"])
    other = dataclasses.replace(this, pid=child.pid, started=processes._stat(child.pid)[1])
    assert other.lives() is True
    assert dataclasses.replace(other, started=this.started + "0").lives() is False, "its number is another one's"
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    assert other.lives() is None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert other.lives() is False, "its parent has not asked after it yet"
    child.wait()
    assert other.lives() is False
    assert str(other) == f"process {child.pid} on {this.host}"
    assert Process.of(other.text) == other
    began = processes.clock()
    since = other.seconds_since(began - 5)
    assert since is not None
    assert 5 <= since <= 5 + processes.clock() - began
    assert ELSEWHERE.seconds_since(began) is None
