"""What a store says when it cannot do what is asked: SQLite's own, without a server."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from prefect_experiments.errors import (
    AmbiguousName,
    ExperimentInUse,
    InvalidInput,
    InvalidSetting,
    StoreLost,
    StoreUnavailable,
)
from prefect_experiments.store import Store, existing_file, leases, reopen_store
from prefect_experiments.store.leases import DOUBT_S, NOBODY
from prefect_experiments.store.processes import Process
from prefect_experiments.store.shared_work import WorkerLease

from .samples import new_experiment, record, run_row, verdict

ELSEWHERE = Process("elsewhere", "another machine", 1, "1", "a")
LONG = "x" * 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{path}")
    yield found
    found.close()


def changed(path: Path, *statements: str) -> None:
    """Have another program change the file of a store that is closed."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


# Where there can be none --------------------------------------------------------------------------


def test_a_store_in_memory_is_its_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect_experiments.store._open", {})  # another test's may be open still
    with pytest.raises(InvalidSetting) as refused:
        reopen_store("sqlite://")
    assert str(refused.value) == "it is in a store in memory, which only the process that made it has"


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    for find in (Store, existing_file):
        with pytest.raises(InvalidSetting) as refused:
            find(f"sqlite:///{tmp_path / LONG}")
        assert str(refused.value) == f"the store {tmp_path / LONG} cannot be made: File name too long"


def test_a_file_that_another_should_be_in(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidSetting) as refused:
        existing_file(f"sqlite:///{tmp_path / 'notes.txt' / 'store.db'}")
    assert str(refused.value) == (
        f"the store {tmp_path / 'notes.txt' / 'store.db'} cannot be made: {tmp_path / 'notes.txt'} is no folder"
    )


def test_a_link_that_leads_nowhere(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "nowhere" / "store.db")
    with pytest.raises(InvalidSetting) as refused:
        Store(f"sqlite:///{path}")
    assert str(refused.value) == f"the store {path} cannot be opened: No such file or directory"


def test_something_else_in_the_place_of_its_log(path: Path) -> None:
    Store(f"sqlite:///{path}").close()
    path.with_name("store.db-wal").mkdir()
    with pytest.raises(StoreUnavailable) as told:
        Store(f"sqlite:///{path}")
    assert str(told.value) == (
        f"the store at sqlite:///{path} cannot be read or written: unable to open database file. Is the disk sound, "
        "and has nobody touched the files beside it (…-wal, …-shm)? `prefect-experiments store check` tells what is "
        "left"
    )


# What it cannot hold ------------------------------------------------------------------------------


def test_text_that_is_no_unicode(store: Store) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.experiments.get("\ud800")
    assert str(refused.value) == "text with a lone surrogate is not Unicode and cannot be kept in the store"


def test_a_run_without_what_it_must_have(store: Store) -> None:
    experiment = new_experiment(store).experiment.id
    with pytest.raises(InvalidInput) as refused:
        record(store, experiment, [run_row(0, attempts=None)])
    assert str(refused.value) == (
        f"a value that the store at {store.shown_url} cannot hold: NOT NULL constraint failed: "
        f"experiment_runs.attempts. Of experiment {experiment}, 1 finished run of this process is not kept."
    )


def test_an_evaluation_without_what_it_must_have(store: Store) -> None:
    """The runs that it is of were kept before."""
    experiment = new_experiment(store).experiment.id
    with pytest.raises(InvalidInput) as refused:
        record(store, experiment, [run_row(0), run_row(1)], [verdict(0, annotator_kind=None)])
    assert str(refused.value) == (
        f"a value that the store at {store.shown_url} cannot hold: NOT NULL constraint failed: "
        f"evaluations.annotator_kind. Of experiment {experiment}, 1 evaluation of this process is not kept."
    )
    assert len(store.results.finished_runs(experiment)) == 2


def test_an_id_that_two_backends_have_given(store: Store) -> None:
    there: dict[str, Any] = dict.fromkeys(("remote_dataset_id", "remote_version_id"), "there")
    there |= {"remote_id": "RXhw", "project_name": None, "url": None}
    made = [new_experiment(store, name=name).experiment.id for name in ("first", "second")]
    for experiment, target in zip(made, ("phoenix here", "arize there"), strict=True):
        store.links.link_experiment(experiment, target, **there)
    with pytest.raises(AmbiguousName) as refused:
        store.experiments.get("RXhw")
    assert str(refused.value).startswith("2 experiments are called 'RXhw' in different backends; ")
    assert all(experiment in str(refused.value) for experiment in made)


@pytest.mark.parametrize(
    ("code", "is_busy"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_LOCKED, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_CANTOPEN, False),
    ],
)
def test_who_holds_a_file_up_is_told_from_what_is_wrong_with_it(code: int, is_busy: bool, store: Store) -> None:
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    with pytest.raises(StoreUnavailable) as told, store.database.named_errors():
        raise OperationalError("SELECT 1", None, error)
    assert told.value.is_busy is is_busy


def test_all_connections_in_use(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.database.engine.pool, "_timeout", 0.01)
    with contextlib.ExitStack() as used:
        for _ in range(15):
            used.enter_context(store.database.read())
        with pytest.raises(StoreUnavailable) as told, store.database.read():
            pass
    assert told.value.is_busy
    assert str(told.value) == (
        f"the store at {store.shown_url} is too busy: all connections of this process stayed in use. Try again."
    )


# What others have done to it ----------------------------------------------------------------------


def replace_log(path: Path) -> None:
    log = path.with_name("store.db-wal")
    log.rename(path.with_name("moved"))
    log.touch()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "was deleted or moved"),
        (
            lambda path: path.with_name("store.db-wal").unlink(),
            "lost its write-ahead log (…-wal, …-shm), which was deleted or moved",
        ),
        (replace_log, "lost its write-ahead log (…-wal, …-shm), which was replaced"),
    ],
)
def test_a_file_that_is_lost(store: Store, path: Path, harm: Callable[[Path], None], said: str) -> None:
    new_experiment(store)
    harm(path)
    with pytest.raises(StoreLost) as told:
        store.experiments.page(limit=1)
    saved = path.with_name("store.db.saved-1")
    assert str(told.value).startswith(f"the store's file {path} {said} while it was in use; everything that was kept")
    assert told.value.saved_in == saved


def test_a_file_that_is_lost_with_all_that_it_held(store: Store, path: Path) -> None:
    with store.database.read():
        path.unlink()
        with pytest.raises(StoreLost) as told, store.database.read():
            pass
    assert told.value.saved_in is None
    assert str(told.value) == (
        f"the store's file {path} was deleted or moved while it was in use; what it held could not be saved: put it, "
        "or a copy of it, back in its place"
    )


def test_tables_and_columns_that_are_gone(path: Path) -> None:
    store = Store(f"sqlite:///{path}")
    assert store.upkeep.faults() == []
    store.close()
    changed(path, "ALTER TABLE experiments DROP COLUMN description", "DROP TABLE experiment_tags")
    again = Store(f"sqlite:///{path}")
    assert again.upkeep.faults() == [
        "there is no table experiment_tags",
        "the table experiments has no column description",
    ]
    again.close()


def test_a_copy_that_is_not_whole(path: Path) -> None:
    store = Store(f"sqlite:///{path}")
    new_experiment(store)
    store.close()
    schema = "UPDATE sqlite_master SET sql = replace(sql, 'description TEXT', 'description TEXT NOT NULL')"
    changed(path, "PRAGMA writable_schema=ON", schema)
    again = Store(f"sqlite:///{path}")
    with pytest.raises(InvalidSetting, match=r"the copy is not whole: NULL value in \w+\.description\. It is damaged"):
        again.upkeep.backup(path.with_name("backup.db"))
    again.close()
    assert [file.name for file in path.parent.iterdir()] == ["store.db"], "nothing is left of it"


def test_a_backup_to_where_none_can_be(store: Store) -> None:
    with pytest.raises(InvalidSetting) as refused:
        store.upkeep.backup(Path("/proc/nowhere/backup.db"))
    assert str(refused.value) == "the backup cannot be written to /proc/nowhere/backup.db: No such file or directory"


# Whose the calls are ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holder", "who", "then"),
    [
        (ELSEWHERE.text, str(ELSEWHERE), "goes on with the rest"),
        (NOBODY, "another process", "has gone on with the rest, and ended"),
    ],
)
def test_calls_that_another_process_has_taken_over(
    store: Store, monkeypatch: pytest.MonkeyPatch, holder: str, who: str, then: str
) -> None:
    experiment = new_experiment(store).experiment.id
    mine = store.leases.of_calls(experiment)
    assert mine.try_to_take()
    with store.database.write() as connection:
        connection.execute(leases.leases.update().values(holder=holder))
    monkeypatch.setattr(mine, "_sure", (-2 * DOUBT_S, 0.0))
    with pytest.raises(ExperimentInUse) as told:
        mine.confirm()
    assert str(told.value) == (
        f"experiment {experiment} was taken over by {who} while this process stood still or could not reach the store; "
        f"it makes no further calls. What it had finished is kept, and the other one {then}"
    )
    mine.release()


def test_work_whose_leader_is_gone(store: Store) -> None:
    experiment = new_experiment(store).experiment.id
    with pytest.raises(ExperimentInUse) as told:
        WorkerLease(store.database, experiment, 1, ELSEWHERE.text).try_to_take()
    assert str(told.value) == (
        f"the work on experiment {experiment} is not wanted any more: {ELSEWHERE}, which led it, has ended or was "
        "taken over from. What had finished is kept"
    )
