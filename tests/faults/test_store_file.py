"""The SQLite file is the store: it holds all by itself, and what happens to it under an experiment is noticed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from prefect_experiments.errors import InvalidSetting, StoreLost, StoreUnavailable
from prefect_experiments.models import Example
from prefect_experiments.records import RunRecord
from prefect_experiments.settings import Settings
from prefect_experiments.store import Recorder, Store, database, open_store
from support.patience import FOREVER_S, PATIENCE_S

from .harms import BESIDE, COUNT, OVERWRITTEN, STILL_THERE, delete_all, kept, new_experiment


def run_row(position: int) -> RunRecord:
    return RunRecord(position, 1, f"ex-{position}", f'"{position}"', None, 1_800_000_000.0, 1_800_000_001.0)


async def write(recorder: Recorder, positions: range) -> None:
    await asyncio.gather(*(recorder.write_run(run_row(position)) for position in positions))


def record(store: Store, experiment_id: str, positions: range) -> None:
    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await write(recorder, positions)

    asyncio.run(main())


def test_a_copied_file_has_everything_when_a_recorder_has_closed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store)
    record(store, experiment_id, range(COUNT))
    assert kept(path, experiment_id) == list(range(COUNT))  # the store is still open
    store.close()
    assert not Path(f"{path}-wal").exists()


def test_a_reader_does_not_hold_up_the_end_of_an_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", FOREVER_S)
    path = tmp_path / "store.db"
    store, other = Store(f"sqlite:///{path}"), Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store)
    with other.database.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM experiments")
        record(store, experiment_id, range(COUNT))
    store.database.settle()
    assert kept(path, experiment_id) == list(range(COUNT))
    store.close()
    other.close()


AT_EXIT = """
import sys
from prefect_experiments.models import Example
from prefect_experiments.store import open_store
open_store(sys.argv[1]).datasets.put("at exit", [Example(id="a", input="b")])
"""


def test_a_clean_exit_leaves_one_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    subprocess.run([sys.executable, "-c", AT_EXIT, f"sqlite:///{path}"], check=True)
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM datasets").fetchall() == [("at exit",)]


@pytest.mark.thorough
def test_an_exit_after_the_folder_is_gone_brings_nothing_back(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "store.db"
    code = f"{AT_EXIT}\nimport shutil; shutil.rmtree({str(path.parent)!r})"
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{path}"], check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mostly_slow(quick=8)
@pytest.mark.parametrize("harm", STILL_THERE + OVERWRITTEN, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("settled", [False, True], ids=["fresh", "settled"])
def test_what_is_done_to_the_file_is_noticed_by_an_experiment_that_waits(
    tmp_path: Path, harm: Callable[[Path], None], settled: bool
) -> None:
    """Without a result coming in; and where it can be, all is saved."""
    path = tmp_path / "folder" / "store.db"
    store = Store(f"sqlite:///{path}")
    first = new_experiment(store)
    store.upkeep.backup(path.with_name("older.db"))
    record(store, first, range(COUNT))
    experiment_id = new_experiment(store, "second")
    if settled:
        store.database.settle()

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await write(recorder, range(COUNT))
            if settled:
                await asyncio.to_thread(store.database.settle)
            harm(path)
            noticed_within = time.monotonic() + PATIENCE_S
            while time.monotonic() < noticed_within:
                await asyncio.sleep(0.1)
                await recorder.flush()

    with pytest.raises(StoreLost) as raised:
        asyncio.run(main())
    text = str(raised.value)
    assert text.startswith(f"the store's file {path} ")
    assert "Finished work is kept" not in text
    if harm in STILL_THERE:
        saved = Path(re.findall(r"saved in (\S+):", text)[0])
        assert kept(saved, experiment_id) == list(range(COUNT))
        assert kept(saved, first) == list(range(COUNT))
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    else:
        assert "cannot be relied on" in text
    with pytest.raises(StoreLost):
        store.experiments.page()
    store.close()


def test_a_store_that_was_lost_is_opened_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(url)
    delete_all(tmp_path / "store.db")
    with pytest.raises(StoreLost):
        store.experiments.page()
    again = open_store(url)
    assert again is not store
    new_experiment(again)
    again.close()
    store.close()


def test_no_file_is_made_in_the_place_of_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    with store.database.read():
        delete_all(path)
        with pytest.raises(StoreLost), store.database.read():
            pass
    store.close()
    assert not path.exists()


def test_a_store_that_is_put_back_while_nobody_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store)
    store.upkeep.backup(tmp_path / "backup.db")
    store.close()
    shutil.copyfile(tmp_path / "backup.db", path)
    assert store.experiments.get("latest").experiment.id == experiment_id
    store.close()


VACUUM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for n in range(20):
    connection.execute("CREATE TABLE IF NOT EXISTS large (x)")
    connection.execute("INSERT INTO large SELECT zeroblob(100000) FROM json_each('[1,2,3,4,5,6,7,8]')")
    connection.execute("DROP TABLE large")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
"""


def test_others_who_write_and_shrink_the_file_are_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store, count=2000)

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            other = await asyncio.create_subprocess_exec(sys.executable, "-c", VACUUM, str(path))
            position = 0
            while other.returncode is None and position < 1900:
                await write(recorder, range(position, position + 10))
                position += 10
                await asyncio.sleep(0.02)
            assert await other.wait() == 0

    asyncio.run(main())
    assert len(store.results.finished_runs(experiment_id)) >= 10
    assert store.upkeep.faults() == []
    store.close()


STRANGE = [
    "feature%2Fx",
    "100%",
    "a?b=c",
    "what?",
    "a#b",
    "sp ace",
    "größe-日本-🙂",
    "a&b;c'd\"e",
    "x?timeout",
    "a:b@c",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_path_may_hold_anything(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name / f"{name}.db"
    store = open_store(f"sqlite:///{path}")
    experiment_id = new_experiment(store, count=1)
    assert store.shown_url == f"sqlite:///{path}"
    assert open_store(store.shown_url) is store
    assert open_store(store.portable_url) is store
    again = Store(store.portable_url)
    assert again.experiments.get("latest").experiment.id == experiment_id
    again.close()
    store.close()
    assert kept(path, experiment_id) == []
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / name))
    monkeypatch.delenv("PREFECT_EXPERIMENTS_STORE_URL", raising=False)
    home = open_store(Settings().resolved_store_url())
    new_experiment(home, count=1)
    home.close()
    assert (tmp_path / name / "experiments.db").is_file()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize(("before", "after"), [(None, 0o600), (0o644, 0o600), (0o664, 0o660), (0o666, 0o666)])
def test_a_file_is_for_its_owner(tmp_path: Path, before: int | None, after: int) -> None:
    """A new one; one that an earlier version made; not one that somebody has opened to others."""
    path = tmp_path / "store.db"
    if before is not None:
        Store(f"sqlite:///{path}").close()
        path.chmod(before)
    store = Store(f"sqlite:///{path}")
    new_experiment(store)
    assert {stat.S_IMODE(Path(f"{path}{end}").stat().st_mode) for end in BESIDE} == {after}
    backup = store.upkeep.backup(tmp_path / "backup.db")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    store.close()


def test_a_relative_path_in_a_temporary_clone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker leaves it: the flow's code in a temporary folder, which is deleted after the flow run."""
    clone = tmp_path / "tmpabcprefect" / "project-main"
    clone.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(clone)
    Store("sqlite:///here.db").close()  # no flow run: somebody works there
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")
    for url in ("sqlite:///team.db", "sqlite+aiosqlite:///./data/team.db"):
        with pytest.raises(InvalidSetting) as refused:
            Store(url)
        given = url.partition("///")[2]
        assert str(refused.value) == (
            f"the store's path {given} is relative, and leads into {clone.parent}, which is deleted after this flow "
            "run, with everything that it pays for. Set PREFECT_EXPERIMENTS_STORE_URL to an absolute path "
            "(sqlite:////four/slashes.db) or to a PostgreSQL"
        )
    monkeypatch.setenv("PREFECT_HOME", "home")
    monkeypatch.delenv("PREFECT_EXPERIMENTS_STORE_URL", raising=False)
    with pytest.raises(InvalidSetting, match="deleted after this flow run"):
        open_store()
    assert [file.name for file in clone.iterdir()] == ["here.db"]
    Store(f"sqlite:///{tmp_path / 'team.db'}").close()
    Store("sqlite://").close()
    monkeypatch.setenv("PREFECT_EXPERIMENTS_HOME", str(clone))  # a folder that stays
    Store("sqlite:///team.db").close()


def test_a_disk_that_fails_is_not_said_to_keep_anything(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store)
    os.truncate(f"{path}-wal", 0)  # what the process has not read yet is gone
    other = None
    with pytest.raises((StoreUnavailable, InvalidSetting, StoreLost)) as raised:
        other = Store(f"sqlite:///{path}")
        other.results.runs(experiment_id)
        store.datasets.put("another", [Example(id="a", input="b")])
    assert "Finished work is kept" not in str(raised.value)
    store.close()
    if other is not None:
        other.close()
