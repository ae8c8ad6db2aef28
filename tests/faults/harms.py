"""What others do to the file of a store that is in use."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from prefect_experiments.models import Example
from prefect_experiments.store import Store, TaskRecord

COUNT = 200
BESIDE = ("", "-wal", "-shm")


def new_experiment(store: Store, name: str = "experiment", count: int = COUNT) -> str:
    version = store.datasets.put("dataset", [Example(id=f"ex-{n}", input={"n": n}) for n in range(count)])
    return store.experiments.create(name, version, task=TaskRecord("answer", "f" * 64, None)).experiment.id


def kept(path: Path, experiment_id: str) -> list[int]:
    """The runs that a file holds by itself, without what lies beside it."""
    copy = path.with_name(f"copy of {path.name}")
    subprocess.run(["cp", path, copy], check=True)  # in this process, it would take SQLite's locks away
    with closing(sqlite3.connect(copy)) as connection:
        query = "SELECT position FROM experiment_runs WHERE experiment_id = ? ORDER BY position"
        return [position for (position,) in connection.execute(query, (experiment_id,))]


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for end in BESIDE:
        Path(f"{path}{end}").unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("archived.db"))


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    Store(f"sqlite:///{other}").close()
    other.replace(path)


def rename_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("renamed"))


def delete_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def delete_the_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def delete_the_index(path: Path) -> None:
    Path(f"{path}-shm").unlink()


def replace_the_log(path: Path) -> None:
    Path(f"{path}-wal").rename(path.with_name("moved-wal"))
    Path(f"{path}-wal").write_bytes(b"")


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite_with_another(path: Path) -> None:
    other = path.with_name("other.db")
    store = Store(f"sqlite:///{other}")
    for n in range(5):
        new_experiment(store, f"another {n}", 2000)
    store.close()
    subprocess.run(["cp", other, path], check=True)


def overwrite_with_an_older_copy(path: Path) -> None:
    subprocess.run(["cp", path.with_name("older.db"), path], check=True)


def overwrite_with_text(path: Path) -> None:
    path.write_text("not a database\n" * 10_000)


STILL_THERE = [
    delete,
    delete_all,
    move_away,
    replace,
    rename_the_folder,
    delete_the_folder,
    delete_the_log,
    delete_the_index,
    replace_the_log,
]
OVERWRITTEN = [empty, cut_short, overwrite_with_another, overwrite_with_an_older_copy, overwrite_with_text]
