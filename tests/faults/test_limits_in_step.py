"""Processes that make calls of one experiment keep to a provider's limit together, whatever becomes of one of them."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_experiments import Client
from prefect_experiments.engine.known_limits import Known
from prefect_experiments.engine.limits import LONGEST_RETRY_AFTER_S, ActiveLimits, RateLimit
from prefect_experiments.experiment import limits_in_step as in_step_module
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.limits_in_step import InStep
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.store import Store
from prefect_experiments.store.provider_limits import FORGOTTEN_S, SILENT_S
from prefect_experiments.store.tables import limit_sharers, provider_limits
from support.limited_server import LimitedServer
from support.patience import PATIENCE_S, wait_for

HOST = "api.provider.test"
WORKER = Path(__file__).with_name("in_step.py")
Start = Callable[..., "Elsewhere"]


class Refused(Exception):
    def __init__(self, retry_after: float | None = None, host: str = HOST) -> None:
        super().__init__("slow down")
        self.status_code, self.retry_after = 429, retry_after
        self.request = type("Request", (), {"url": type("Url", (), {"host": host})})


class OwnLimits(ActiveLimits):
    """Those of a process of their own, of which it is not true that they are shared by all that this process runs."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: 0.0)  # it stands still: their rate is not that of stores being opened
        self.of_this_process: dict[str, RateLimit] = {}

    def meet(self, provider: str) -> RateLimit:
        limit = self.of_this_process.setdefault(provider, RateLimit(provider))
        if limit not in self.met:
            self.met.append(limit)
        return limit


class Elsewhere(InStep):
    """As in another process; its rounds come when the test says so."""

    def __init__(self, store: Store, process: str, experiment_id: str = "exp", starts: int = 0) -> None:
        store.provider_limits.this_process = lambda: process  # type: ignore[method-assign]
        self.limits = OwnLimits()
        super().__init__(store, experiment_id, self.limits)
        for _ in range(starts):
            self.limits.note_start()
        self.limits.share_of = self._share
        self.beat()

    def refused(self, retry_after: float | None = None, host: str = HOST, by: str = "task ask") -> None:
        limit = self.limits.exceeded(Refused(retry_after, host), time.monotonic())
        self.limits.of_target(by).append(limit)
        self.beat()

    @property
    def limit(self) -> RateLimit:
        [limit] = self.limits.met
        return limit

    @property
    def known(self) -> Known:
        return self.limit.known()


@pytest.fixture
def start(any_store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the limits of another process."""
    monkeypatch.setattr(in_step_module, "SHOWN_EVERY_S", 0.0)
    with contextlib.ExitStack() as stores:

        def start_one(process: str, experiment_id: str = "exp", starts: int = 0) -> Elsewhere:
            store = Store(any_store_url)
            stores.callback(store.close)
            return Elsewhere(store, process, experiment_id, starts)

        yield start_one


def is_the_pause(seconds: float) -> bool:
    """Whether it is what is left of the longest pause that anybody is told of."""
    return LONGEST_RETRY_AFTER_S - PATIENCE_S < seconds <= LONGEST_RETRY_AFTER_S


def rounds(*processes: Elsewhere) -> None:
    """Everybody hears what was told, and who is there."""
    for process in (*processes, *processes):
        process.beat()


def seconds(function: Callable[[], Any]) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began


def test_what_one_was_told_stops_them_all(start: Start) -> None:
    first, second, third = start("1", starts=20), start("2", starts=20), start("3", starts=20)
    rounds(first, second, third)
    second.refused(LONGEST_RETRY_AFTER_S)
    rounds(first, third)
    for process in (first, second, third):
        assert is_the_pause(process.known.pause)
        assert process.known.rate == 30.0  # half of what all three of them did
        assert process.limit.share.of == 3
    assert sorted(process.limit.share.place for process in (first, second, third)) == [0, 1, 2]
    late = start("4")
    assert is_the_pause(late.known.pause)  # before its first call
    assert late.limit.rate == 30.0


@pytest.mark.thorough
def test_what_was_heard_does_not_grow_on_its_way(start: Start) -> None:
    first, second = start("1"), start("2")
    told_after = seconds(lambda: first.refused(60.0))
    slowest = max(seconds(lambda: rounds(first, second)) for _ in range(50))
    ends = [process.limit._paused_until for process in (first, second)]
    # No more than it took to tell it once, and to hear it once; the database's clock counts milliseconds.
    assert ends[1] - ends[0] <= told_after + slowest + 0.002
    assert [process.limit.rate for process in (first, second)] == [0.5, 0.5]


@pytest.mark.thorough
def test_all_are_refused_at_once_and_the_rate_is_halved_once(start: Start) -> None:
    processes = [start(str(number), starts=10) for number in range(4)]
    rounds(*processes)
    for process in processes:
        process.limits.exceeded(Refused(30.0), time.monotonic())
    tellers = [threading.Thread(target=process.beat) for process in processes]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    rounds(*processes)
    assert {process.limit.rate for process in processes} == {20.0}
    assert {process.limit.share.of for process in processes} == {4}


def test_news_is_added_to_what_is_known(start: Start) -> None:
    first, second = start("1"), start("2")
    second.limits.exceeded(Refused(0.5), time.monotonic())  # and has not heard of the other yet
    first.refused(LONGEST_RETRY_AFTER_S)
    second.beat()
    assert is_the_pause(start("3").known.pause)


def test_whose_calls_are_refused_is_heard_too(start: Start) -> None:
    """A judge's provider does not slow down the task in other processes, where the task has another one."""
    first, second = start("1"), start("2")
    first.refused(30.0, "judges.test", by="evaluator judge")
    first.refused(20.0, by="task ask")
    second.beat()
    assert [limit.name for limit in second.limits.of_target("evaluator judge")] == ["judges.test"]
    assert [limit.name for limit in second.limits.of_target("task ask")] == [HOST]


@pytest.mark.thorough
def test_other_experiments_share_the_limit_of_a_provider_that_they_have_met(start: Start) -> None:
    first, other = start("1", "one", starts=10), start("2", "another", starts=10)
    first.refused(30.0)
    rounds(first, other)
    assert not other.limits.met  # it may be calling somebody else
    other.refused()
    rounds(first, other)
    assert first.limit.share.of == other.limit.share.of == 2
    assert first.limit.rate == other.limit.rate == 5.0
    assert other.known.pause > 20


def age(process: Elsewhere, seconds: float) -> None:
    """Let what the store knows be as old as that."""
    with process._store._database.write() as connection:
        c, s = provider_limits.c, limit_sharers.c
        connection.execute(sa.update(provider_limits).values(as_of=c.as_of - seconds))
        connection.execute(sa.update(limit_sharers).values(seen=s.seen - seconds))


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["ends", "dies"])
def test_who_is_no_longer_there_has_no_part(start: Start, how: str) -> None:
    processes = [start(str(number), starts=10) for number in range(3)]
    rounds(*processes)
    processes[0].refused(30.0)
    rounds(*processes)
    gone, *others = processes
    assert {process.limit.share.of for process in others} == {3}
    if how == "ends":
        gone._store.leave(gone._me())
    else:
        age(gone, SILENT_S + 1)  # and the others are heard of again
    rounds(*others)
    assert {process.limit.share.of for process in others} == {2}
    assert {process.limit.share.place for process in others} == {0, 1}
    if how == "dies":  # it only stood still
        rounds(gone, *others)
        assert {process.limit.share.of for process in processes} == {3}


def test_the_databases_clock_counts_and_what_is_old_is_forgotten(start: Start) -> None:
    first = start("1", starts=10)
    first.refused(LONGEST_RETRY_AFTER_S)
    age(first, 20.0)
    second = start("2")
    second.refused(0.5)
    assert is_the_pause(second.known.pause + 20)
    age(first, LONGEST_RETRY_AFTER_S - 20 + FORGOTTEN_S + 1)
    assert HOST not in first._store.look().limits
    assert is_the_pause(first.known.pause)  # what it was told itself holds
    second._store.leave(second._me())
    with second._store._database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(provider_limits)).scalar() == 0


def test_a_clock_that_is_set_back_makes_no_pause_longer_than_it_was(start: Start) -> None:
    first = start("1")
    first.refused(30.0)
    age(first, -86_400.0)
    second = start("2")
    rounds(first, second)
    assert second._known(second._store.look(), HOST).pause <= 30
    assert first.known.pause <= 30


def test_any_names_and_figures_are_carried(start: Start) -> None:
    first, second = start("1"), start("2")
    first.refused(1e9, "hôte \N{SNOWMAN} 'x'; --", by='task "quoted"')
    second.beat()
    assert second.limit.name == "hôte \N{SNOWMAN} 'x'; --"
    assert 0 < second.known.pause <= LONGEST_RETRY_AFTER_S
    assert list(second.limits.met_by) == ['task "quoted"']
    first.limits.meet("never-refused").server_failed()
    first.beat()
    second.beat()
    assert second.limits.meet("never-refused").rate == math.inf


@pytest.fixture
def said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round tells the store, and that it does not answer is said without waiting."""
    monkeypatch.setattr(in_step_module, "SHOWN_EVERY_S", 0.0)
    monkeypatch.setattr(in_step_module, "SAID_AFTER_S", 0.0)


@pytest.mark.usefixtures("said_at_once")
def test_a_store_that_is_away_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    first, second = (Elsewhere(Store(f"sqlite:///{path}"), name, starts=10) for name in "12")
    rounds(first, second)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        first.refused(60.0)
        first.beat()
        assert first.known.pause > 30  # local limits go on
        assert first.limit.rate == 10.0
        assert first.limit.share.of == 2
    [said] = [text for text in caplog.messages if "rate limits" in text]
    assert said.startswith("The rate limits of experiment exp are kept to by this process alone, at its last share of ")
    assert "does not answer" in said
    first.beat()  # it is told now
    second.beat()
    assert second.known.pause > 30
    assert second.limit.rate == 10.0


@pytest.mark.usefixtures("said_at_once")
def test_that_a_store_is_away_from_the_first_round_on_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    Elsewhere(Store(f"sqlite:///{path}"), "0")  # its tables are there
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        Elsewhere(Store(f"sqlite:///{path}"), "1")
    assert len([text for text in caplog.messages if "by this process alone" in text]) == 1


def echo(input: int) -> int:
    return input


@pytest.mark.thorough
@pytest.mark.parametrize("shared", [True, False])
def test_a_session_is_in_step_while_it_records_where_it_is_shared(any_store_url: str, shared: bool) -> None:
    import asyncio

    client = Client(store_url=any_store_url)
    work = RunWork(plan_new(RunArguments(dataset=[{"input": 1}], task=echo), client))
    work.load_dataset()
    spec = work.session.spec
    session = Session(spec, client.store, shared=shared)

    async def main() -> tuple[list[str], set[str]]:
        async with session.recording():
            sharers = [one.experiment_id for one in client.store.provider_limits.look().sharers]
            return sharers, {thread.name for thread in threading.enumerate()}

    sharers, threads = asyncio.run(main())
    assert sharers == ([spec.experiment_id] if shared else [])
    assert ("limits-in-step" in threads) is shared
    assert client.store.provider_limits.look().sharers == []
    assert "limits-in-step" not in {thread.name for thread in threading.enumerate()}


# Several processes and a real server


class Workers:
    def __init__(self, store_url: str, server: LimitedServer, how: str, at_once: int) -> None:
        self.store, self.processes = Store(store_url), contextlib.ExitStack()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.names = ["a", "b", "c"]
        for name in self.names:
            command = [sys.executable, str(WORKER), store_url, "exp", server.url, name, str(at_once), how]
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
            self.processes.callback(process.wait)
            self.processes.callback(process.kill)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.close()
        self.store.close()

    def have_all_met_it(self) -> bool:
        return [len(one.met) for one in self.store.provider_limits.look().sharers] == [1] * len(self.names)


def callers(server: LimitedServer, since: float, until: float = math.inf) -> Counter[str]:
    return Counter(call.who for call in list(server.calls) if since < call.at < until)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["shared", "apart"])
def test_a_retry_after_that_one_process_gets(any_store_url: str, how: str) -> None:
    with LimitedServer(None, retry_after=20) as server, Workers(any_store_url, server, how, at_once=1) as workers:
        wait_for(lambda: min(Counter(call.who for call in server.calls)[name] for name in "abc") > 20, "all of them")
        server.refuse_next = True
        refused = wait_for(lambda: next((call for call in list(server.calls) if call.refused), None), "the refusal")
        over = refused.at + server.retry_after
        if how == "apart":  # the others know nothing of it
            called = functools.partial(callers, server, refused.at + 2, over)
            assert wait_for(lambda: set(called()) == set("abc") - {refused.who} and min(called().values()) > 3)
            return
        # What one says of having met the provider, it says a round after it has heard of the pause.
        wait_for(workers.have_all_met_it, "a word of each")
        heard = time.monotonic()
        wait_for(lambda: set(callers(server, over - 0.5)) == set("abc"), "all of them again")
        assert callers(server, heard, over - 0.5) == Counter()
        assert sum(call.refused for call in server.calls) == 1


@pytest.mark.slow
def test_three_processes_keep_to_a_servers_rate(any_store_url: str) -> None:
    with LimitedServer(20, retry_after=2) as server, Workers(any_store_url, server, "shared", at_once=8) as workers:
        wait_for(workers.have_all_met_it, "a word of each")
        since = time.monotonic() + 3
        wait_for(lambda: len([call for call in list(server.calls) if call.at > since]) > 250, "250 calls")
        until = time.monotonic()
    calls = [call for call in server.calls if since < call.at < until]
    assert len(calls) <= 1.1 * server.per_second * (until - since)
    # One refusal each time that the rate has grown beyond the server's, and not one for each call or process.
    assert sum(call.refused for call in calls) <= 15
    # Each has its part.
    parts = callers(server, since, until)
    assert set(parts) == set("abc")
    assert min(parts.values()) > 0.5 * max(parts.values())
