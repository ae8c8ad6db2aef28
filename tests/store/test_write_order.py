"""Rows are locked in one order where many write at once, so that no two processes wait for each other in a circle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from prefect_experiments.store import Recorder, Store
from prefect_experiments.store.outbox import OutgoingEvaluation
from prefect_experiments.store.provider_limits import Sharer

from .samples import new_experiment, record, run_row, verdict

KEYS = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
UNSORTED = [KEYS[n] for n in (4, 1, 5, 0, 3, 2)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.close()


class Written:
    """What is handed to the database to be written, by table; it goes no further."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.rows: dict[str, list[list[tuple[Any, ...]]]] = {}
        patch.setattr(store.database, "write_many", self._note)

    def _note(self, _connection: sa.Connection, statement: Any, rows: list[tuple[Any, ...]]) -> None:
        self.rows.setdefault(statement.table.name, []).append(list(rows))

    def once(self, table: str) -> list[tuple[Any, ...]]:
        [rows] = self.rows[table]
        return rows


@pytest.fixture
def of_many_writers(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Written]]:
    """An experiment in a store that takes itself for one of many writers, as PostgreSQL is."""
    experiment_id = new_experiment(store, 3, repetitions=2).experiment.id
    record(store, experiment_id, [run_row(*key) for key in KEYS])
    with monkeypatch.context() as patch:
        patch.setattr(store.database, "is_sqlite", False)
        yield experiment_id, Written(store, patch)


def test_runs_of_one_commit_are_written_in_the_order_of_their_keys(
    store: Store, of_many_writers: tuple[str, Written]
) -> None:
    experiment_id, written = of_many_writers

    async def write() -> None:
        recorder = Recorder(store.database, experiment_id)
        writes = [asyncio.create_task(recorder.write_run(run_row(*key))) for key in UNSORTED]
        await asyncio.sleep(0)  # all have come in before the first commit
        async with recorder:
            await asyncio.gather(*writes)

    asyncio.run(write())
    assert [row[1:3] for row in written.once("experiment_runs")] == KEYS


def test_evaluations_of_one_commit_are_written_in_the_order_of_their_keys(
    store: Store, of_many_writers: tuple[str, Written]
) -> None:
    experiment_id, written = of_many_writers
    given = [verdict(n, name, repetition) for name in ("tone", "exact") for n, repetition in UNSORTED]
    record(store, experiment_id, verdicts=given)
    found = [row[1:4] for row in written.once("evaluations")]
    assert found == [(*key, name) for key in KEYS for name in ("exact", "tone")]


def test_what_was_pushed_is_noted_in_the_order_of_its_keys(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment_id = new_experiment(store, 3, repetitions=2).experiment.id
    link = store.links.link_experiment(
        experiment_id, "somewhere", remote_id="R", project_name=None, url=None,
        remote_dataset_id="D", remote_version_id="V",
    )  # fmt: skip
    runs = [(run_row(*key), f"run {number}", None) for number, key in enumerate(UNSORTED)]
    judged = [
        (OutgoingEvaluation(verdict(n, name, repetition), "run"), None, None)
        for name in ("tone", "exact")
        for n, repetition in UNSORTED
    ]
    with monkeypatch.context() as patch:
        written = Written(store, patch)
        store.outbox.mark(link, [*runs, *judged])
    assert [row[:3] for row in written.once("pushed_runs")] == [(link.id, *key) for key in KEYS]
    found = [row[:4] for row in written.once("pushed_evaluations")]
    assert found == [(link.id, *key, name) for key in KEYS for name in ("exact", "tone")]


def test_providers_are_locked_in_the_order_of_their_names(store: Store) -> None:
    locked: list[Any] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO provider_limits"):
            locked.append(given[0])

    event.listen(store.database.engine, "before_cursor_execute", note)
    store.provider_limits.exchange(Sharer("e", "p", None, {}), ["b.test", "c.test", "a.test"], dict)
    assert locked == ["a.test", "b.test", "c.test"]
