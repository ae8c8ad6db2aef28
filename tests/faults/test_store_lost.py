"""An experiment whose store is lost ends at once, says what that has cost, and goes on from what was saved."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidSetting, StoreLost, StoreUnavailable
from prefect_experiments.models import Example
from prefect_experiments.store import Store, patience
from prefect_experiments.store import recorder as recorder_module

from .harms import OVERWRITTEN, STILL_THERE, delete_all, kept, new_experiment, overwrite_with_another

CONCURRENCY, EXAMPLES, AT = 5, 1000, 60
CALL_S = 0.03
NOTICED_S = 5  # a second or two on a quiet machine
ROWS = [{"id": f"e{number}", "input": number} for number in range(EXAMPLES)]
NOT_KEPT = re.compile(
    r"Of experiment (exp-\w+), (?:(\d+) finished runs? of this process (?:is|are) not kept|every finished run)"
)


class Calls:
    """A task that has something done to the store's file in its midst."""

    def __init__(self, harm: Callable[[], object]) -> None:
        self._harm = harm
        self._lock = threading.Lock()
        self.begun: list[float] = []
        self.harmed_at = 0.0

    def _begin(self) -> None:
        with self._lock:
            self.begun.append(time.monotonic())
            if len(self.begun) == AT:
                self._harm()
                self.harmed_at = time.monotonic()

    def task(self, input: int) -> int:
        self._begin()
        time.sleep(CALL_S)
        return input

    async def async_task(self, input: int) -> int:
        self._begin()
        await asyncio.sleep(CALL_S)
        return input


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize("harm", STILL_THERE + OVERWRITTEN, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_is_done_to_the_file_ends_the_experiment(
    tmp_path: Path, harm: Callable[[Path], None], kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "folder" / "store.db"
    client = Client(store_url=f"sqlite:///{path}")
    new_experiment(client.store)
    client.store.upkeep.backup(path.with_name("older.db"))
    new_experiment(client.store, "another")
    client.store.database.settle()
    calls = Calls(lambda: harm(path))
    task = calls.task if kind == "sync" else calls.async_task
    with pytest.raises(StoreLost) as raised:
        client.experiments.run_experiment(
            experiment_name="harmed", dataset=ROWS, task=task, concurrency=CONCURRENCY, retries=0, print_summary=False
        )
    made, text = len(calls.begun), str(raised.value)
    assert calls.begun[-1] - calls.harmed_at < NOTICED_S
    said = "".join(capfd.readouterr()) + text
    assert "busy" not in said
    assert "is kept; try again" not in said
    found = NOT_KEPT.search(text)
    assert found is not None, text
    experiment_id, lost = found[1], int(found[2] or 0)
    if harm in OVERWRITTEN:
        assert raised.value.saved_in is None
        assert AT - CONCURRENCY <= lost <= made
    else:
        saved = raised.value.saved_in
        assert saved is not None
        assert str(saved) in text
        there = kept(saved, experiment_id)
        assert lost <= CONCURRENCY
        assert AT - CONCURRENCY <= len(there) <= made <= len(there) + 2 * CONCURRENCY
        there_client = Client(store_url=f"sqlite:///{saved}")
        again = Calls(lambda: None)
        ran = there_client.experiments.resume_experiment(experiment=experiment_id, task=again.async_task)
        assert len(again.begun) == EXAMPLES - len(there)
        assert ran.summary.n_runs == EXAMPLES
        there_client.store.close()
    client.store.close()
    assert len(calls.begun) == made


def test_a_new_store_that_another_is_copied_over(tmp_path: Path) -> None:
    """Of what is in a new store, little is in the file itself."""
    path = tmp_path / "store.db"
    client = Client(store_url=f"sqlite:///{path}")
    calls = Calls(lambda: overwrite_with_another(path))
    with pytest.raises(StoreLost, match="was overwritten with another one while it was in use"):
        client.experiments.run_experiment(
            dataset=ROWS, task=calls.task, concurrency=CONCURRENCY, retries=0, print_summary=False
        )
    assert calls.begun[-1] - calls.harmed_at < NOTICED_S
    client.store.close()


def test_a_store_that_gives_up_says_what_that_has_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (recorder_module, patience):
        monkeypatch.setattr(module, "GIVE_UP_AFTER_S", 2.0)
    path = tmp_path / "store.db"
    client = Client(store_url=f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        calls = Calls(lambda: other.execute("BEGIN IMMEDIATE"))
        with pytest.raises(StoreUnavailable) as raised:
            client.experiments.run_experiment(
                dataset=ROWS, task=calls.async_task, concurrency=CONCURRENCY, retries=0, print_summary=False
            )
        other.execute("ROLLBACK")
    found = NOT_KEPT.search(str(raised.value))
    assert found is not None, str(raised.value)
    [experiment] = client.experiments.list()
    assert found[1] == experiment.id
    assert int(found[2]) + len(client.store.results.finished_runs(experiment.id)) == len(calls.begun)
    client.store.close()


def killed_with_a_log(path: Path) -> str:
    """A store as a kill leaves it: with a write-ahead log that holds what the file does not."""
    code = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from faults.harms import new_experiment\n"
        "from prefect_experiments.store import Store\n"
        "print(new_experiment(Store(f'sqlite:///{sys.argv[1]}'), 'killed'), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    tests = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code, str(path), tests], stdout=subprocess.PIPE, text=True)
    assert Path(f"{path}-wal").stat().st_size
    return done.stdout.strip()


@pytest.mark.thorough
def test_a_copy_is_not_destroyed_by_the_log_of_what_was_there_before(tmp_path: Path) -> None:
    path, backup = tmp_path / "store.db", tmp_path / "backup.db"
    store = Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store)
    store.upkeep.backup(backup)
    store.close()
    killed_with_a_log(path)
    shutil.copyfile(backup, path)
    with pytest.raises(InvalidSetting, match=r"beside it is store.db-wal of the file that was there before"):
        Store(f"sqlite:///{path}")
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    store = Store(f"sqlite:///{path}")
    assert store.upkeep.faults() == []
    assert store.experiments.get(experiment_id).experiment.id == experiment_id
    store.close()


@pytest.mark.thorough
def test_what_a_kill_has_left_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    experiment_id = killed_with_a_log(path)
    store = Store(f"sqlite:///{path}")
    assert store.experiments.get(experiment_id).experiment.name == "killed"
    store.close()
    assert kept(path, experiment_id) == []
    assert not Path(f"{path}-wal").exists()


def test_links_lead_to_the_store(tmp_path: Path) -> None:
    """SQLite's further files lie beside the file, not beside a link to it."""
    real = tmp_path / "real" / "store.db"
    Store(f"sqlite:///{real}").close()
    link, folder = tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(real)
    folder.symlink_to(real.parent)
    one, two = Store(f"sqlite:///{link}"), Store(f"sqlite:///{folder / 'store.db'}")
    ids = [new_experiment(one, "one"), new_experiment(two, "two")]
    assert {experiment.id for experiment in one.experiments.page()[0]} == set(ids)
    assert one.upkeep.info().waiting_bytes > 0
    for target in (real, link, tmp_path / "real" / ".." / "real" / "store.db"):
        with pytest.raises(InvalidSetting, match="is the store itself"):
            one.upkeep.backup(target, overwrite=True)
    other = tmp_path / "other.db"
    Store(f"sqlite:///{other}").close()
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(StoreLost, match="was replaced by another file"):
        one.experiments.page()
    two.experiments.page()
    one.close()
    two.close()


@pytest.mark.parametrize("kind", ["pipe", "loose link", "read-only file", "link to a folder"])
def test_what_cannot_hold_a_store_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "store.db"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "loose link":
        path.symlink_to(tmp_path / "nowhere" / "store.db")
    elif kind == "link to a folder":
        path.symlink_to(tmp_path)
    else:
        if os.geteuid() == 0:
            pytest.skip("root writes to whatever it wants")
        path.touch(0o400)
    with pytest.raises(InvalidSetting, match=re.escape(str(path))):
        Store(f"sqlite:///{path}")


def test_a_file_that_cannot_be_looked_at_for_a_moment_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network drive that is away; `stat` is where this can be seen without one."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    new_experiment(store, count=1)
    real, failing = Path.stat, 3

    def stat(path: Path, **options: bool) -> os.stat_result:
        nonlocal failing
        if path.name == "store.db" and failing:
            failing -= 1
            raise OSError(5, "Input/output error")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert len(store.experiments.page()[0]) == 1
    assert failing == 0
    store.close()


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_opens_its_own(tmp_path: Path) -> None:
    """While the parent has the file open. In SQLite itself, no other thread may be at work then: its locks stay."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    new_experiment(store, count=1)
    children = []
    for number in range(10):
        if not (child := os.fork()):
            code = 1
            try:
                mine = Store(f"sqlite:///{tmp_path / 'store.db'}")
                mine.datasets.put(f"of {number}", [Example(id="a", input=1)])
                mine.close()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    ended = [os.waitpid(child, 0)[1] for child in children]
    assert ended == [0] * 10
    assert store.upkeep.info().counts["datasets"] == 11
    store.close()


def test_a_store_that_is_deleted_twice_is_saved_twice(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    saved = []
    for _ in range(2):
        store = Store(f"sqlite:///{path}")
        new_experiment(store, count=1)
        delete_all(path)
        with pytest.raises(StoreLost) as raised:
            store.experiments.page()
        saved.append(raised.value.saved_in)
        store.close()
    assert [file and file.name for file in saved] == ["store.db.saved-1", "store.db.saved-2"]
