"""What a store says of itself: how large it is, what is wrong with it, and a copy of it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from prefect_experiments.errors import AlreadyExists, InvalidSetting
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput
from prefect_experiments.store import Judgement, Store, database
from prefect_experiments.store.upkeep import faults_of_file

from .samples import examples, new_experiment, record, run_row, verdict

COUNTS = {
    "datasets": 1, "dataset_versions": 2, "examples": 3, "experiments": 1, "runs": 3, "evaluations": 2,
    "annotations": 1,
}  # fmt: skip


def fill(store: Store) -> str:
    made = new_experiment(store, 3).experiment.id
    store.datasets.put("dataset", examples(2))
    record(store, made, [run_row(n) for n in range(3)], [verdict(0), verdict(1)])
    note = AnnotationInput(name="note", score=1)
    store.results.annotate([AnnotateRecordInput(record_id=f"{made}.0.1", values=[note])])
    store.judgements.keep(made, Judgement(status="passed", exit_code=0))
    return made


def test_what_a_store_is_and_how_much_is_in_it(store: Store) -> None:
    fill(store)
    info = store.upkeep.info()
    assert (info.url, info.version, info.counts) == (store.shown_url, database.HEAD, COUNTS)
    if not store.database.is_sqlite:
        assert info.database.startswith("PostgreSQL ")
        assert info.bytes > 1_000_000
        assert info.waiting_bytes == 0
        return
    path = Path(str(store.database.url.database))
    assert info.database == f"SQLite {sqlite3.sqlite_version}"
    assert info.waiting_bytes == path.with_name("store.db-wal").stat().st_size > 0
    store.close()
    assert info.bytes == path.stat().st_size
    assert info.to_dict() == {
        "url": info.url, "database": info.database, "version": info.version, "bytes": info.bytes,
        "waiting_bytes": info.waiting_bytes, "counts": info.counts,
    }  # fmt: skip


BROKEN = [
    ("datasets", "metadata", 1),
    ("examples", "input", 3),
    ("examples", "output", 3),
    ("examples", "metadata", 3),
    ("examples", "splits", 3),
    ("experiments", "metadata", 1),
    ("experiments", "splits", 1),
    ("experiments", "positions", 1),
    ("experiment_runs", "output", 3),
    ("experiment_runs", "metadata", 3),
    ("evaluations", "metadata", 2),
    ("judgements", "reasons", 1),
    ("judgements", "checks", 1),
    ("judgements", "moved", 1),
]


def test_every_value_that_should_be_json_is_looked_at(store: Store) -> None:
    fill(store)
    assert store.upkeep.faults() == []
    with store.database.write() as connection:
        for table, column, _ in BROKEN:
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = '{{'")
    assert store.upkeep.faults() == [f"{n} values of {table}.{column} are not JSON" for table, column, n in BROKEN]


def test_rows_that_belong_to_nothing_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    fill(store)
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("DELETE FROM experiment_runs WHERE position < 2")
        file.execute("DELETE FROM datasets")
        file.commit()
    assert store.upkeep.faults() == [
        "2 rows of dataset_versions belong to no row of datasets",
        "3 rows of examples belong to no row of datasets",
        "1 rows of experiments belong to no row of datasets",
        "1 rows of annotations belong to no row of experiment_runs",
        "2 rows of evaluations belong to no row of experiment_runs",
    ]
    store.close()


def test_a_copy_is_not_put_in_the_place_of_another_unless_that_is_said(store: Store, tmp_path: Path) -> None:
    made = fill(store)
    target = tmp_path / "new" / "copy.db"
    assert store.upkeep.backup(target) == target
    before = target.read_bytes()
    with pytest.raises(AlreadyExists) as refused:
        store.upkeep.backup(target)
    assert str(refused.value) == f"there is a file {target} already; name another one, or pass --overwrite"
    assert target.read_bytes() == before
    new_experiment(store, name="second")
    assert store.upkeep.backup(target, overwrite=True) == target
    copy = Store(f"sqlite:///{target}")
    assert [one.name for one in copy.experiments.page()[0]] == ["second", "experiment"]
    assert copy.upkeep.info().counts == store.upkeep.info().counts
    assert copy.results.runs(made) == store.results.runs(made)
    copy.close()
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"]
    named = store.upkeep.backup(target.parent)
    assert named.parent == target.parent
    assert named.match("experiments-*-*.db")
    if store.database.is_sqlite:
        path = Path(str(store.database.url.database))
        with pytest.raises(InvalidSetting) as itself:
            store.upkeep.backup(path, overwrite=True)
        assert str(itself.value) == f"{path} is the store itself; name another file"


def test_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    fill(store)
    store.close()
    assert faults_of_file(path) == []
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * 4096)
    found = faults_of_file(path)
    assert found != []
    assert all(found)
    assert "ok" not in found
    path.write_text("not a database" * 1000)
    assert faults_of_file(path) == ["file is not a database"]
