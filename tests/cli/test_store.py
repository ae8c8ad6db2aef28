"""The commands that look after the store."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from prefect_experiments import Client, EvaluationResultFieldNames, Example, ExperimentTaskFieldNames
from prefect_experiments.store import Store

from .harness import ROWS, Here

RESULTS = [{"example_id": f"r{n}", "output": "A", "right": float(n == 1)} for n in range(1, 5)]


def fill(client: Client) -> str:
    Path("rows.csv").write_text(ROWS)
    made = client.experiments.create(
        name="logged",
        dataset="rows.csv",
        experiment_runs=RESULTS,
        task_fields=ExperimentTaskFieldNames(example_id="example_id", output="output"),
        evaluator_columns={"right": EvaluationResultFieldNames(score="right")},
    )
    return made.id


def test_info_and_check(here: Here) -> None:
    fill(here.client)
    found = here.json("store", "info")
    assert found["url"] == here.store_url
    assert found["database"].startswith("SQLite 3")
    assert found["bytes"] > 4096
    assert (
        found["counts"] | {"datasets": 1, "experiments": 1, "runs": 4, "evaluations": 4, "examples": 4}
        == found["counts"]
    )
    text = here("store", "info").out
    assert text.startswith(here.store_url)
    assert here.json("store", "check") == {"url": here.store_url, "whole": True, "faults": []}
    assert here("store", "check").out == f"{here.store_url} is whole\n"


def test_nothing_is_made_where_no_store_is(here: Here, tmp_path: Path) -> None:
    for command in ("info", "check", "backup"):
        here.store_url = f"sqlite:///{tmp_path / 'mistyped.db'}"
        ended = here("store", command)
        assert ended.code == 2
        assert f"there is no store at {here.store_url}" in ended.err
    assert not (tmp_path / "mistyped.db").exists()


def test_backup_and_back(here: Here, tmp_path: Path) -> None:
    experiment_id = fill(here.client)
    target = tmp_path / "copies" / "backup.db"
    written = here.json("store", "backup", str(target))
    assert written == {"backup": str(target), "bytes": target.stat().st_size}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [file.name for file in target.parent.iterdir()] == ["backup.db"]
    again = here("store", "backup", str(target))
    assert again.code == 2
    assert "pass --overwrite" in again.err
    assert here("store", "backup", str(target), "--overwrite").code == 0
    assert here("store", "backup", here.store_url.removeprefix("sqlite:///")).code == 2
    named = here.json("store", "backup", str(tmp_path / "copies"))["backup"]
    assert Path(named).parent == tmp_path / "copies"
    here.store_url = f"sqlite:///{target}"
    assert here.json("show", experiment_id)["experiment"]["id"] == experiment_id
    assert here.json("store", "check")["whole"]
    device = tmp_path / "pipe"
    os.mkfifo(device)
    refused = here("store", "backup", str(device), "--overwrite")
    assert (refused.code, "it is a pipe" in refused.err) == (2, True)
    refused = here("store", "backup", "/proc/nowhere/backup.db")
    assert refused.code == 2
    assert "cannot be written to" in refused.err


def test_damage_is_found(here: Here) -> None:
    fill(here.client)
    here.client.store.close()
    path = Path(here.store_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA foreign_keys=OFF")
        file.execute("UPDATE experiment_runs SET output = '{' WHERE position = 1")
        file.execute("DELETE FROM experiments")
        file.commit()
    ended = here("store", "check")
    assert ended.code == 3
    assert "4 rows of experiment_runs belong to no row of experiments" in ended.out
    assert "1 values of experiment_runs.output are not JSON" in ended.out
    with path.open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * (path.stat().st_size - 4096))
    document = here("store", "check", "--json")
    assert document.code == 3
    assert document.json["whole"] is False
    assert document.json["faults"]
    assert "damaged: put back a backup, or see what SQLite's own `.recover` can read" in here("store", "check").out
    refused = here("store", "backup", str(path.with_name("backup.db")))
    assert (refused.code, "damaged" in refused.err) == (2, True), refused.err
    assert not path.with_name("backup.db").exists()
    path.write_text("not a database" * 1000)
    ended = here("store", "check")
    assert (ended.code, "file is not a database" in ended.out) == (3, True)


@pytest.mark.slow
def test_a_backup_while_others_write(here: Here, tmp_path: Path) -> None:
    """Each is of one moment: an experiment of two examples never has one of them."""
    store, stop = Store(here.store_url), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.datasets.put(f"dataset {number}", [Example(id=name, input=number) for name in "ab"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            target = tmp_path / f"backup {number}.db"
            assert here("store", "backup", str(target)).code == 0
            copy = Store(f"sqlite:///{target}")
            counts = copy.upkeep.info().counts
            assert counts["examples"] == 2 * counts["dataset_versions"] == 2 * counts["datasets"]
            assert copy.upkeep.faults() == []
            copy.close()
    finally:
        stop.set()
        writer.join()
        store.close()


def test_a_store_in_postgresql(here: Here, postgres_url: str, tmp_path: Path) -> None:
    store = Store(postgres_url)
    store.close()
    client = Client(store_url=postgres_url)
    experiment_id = fill(client)
    here.store_url = postgres_url
    assert here.json("store", "info")["database"].startswith("PostgreSQL ")
    assert here.json("store", "check")["whole"]
    target = tmp_path / "backup.db"
    ended = here("store", "backup", str(target))
    assert ended.out == f"wrote {target}\n"
    assert "s3cret" not in ended.out + ended.err
    assert sorted(file.name for file in tmp_path.iterdir() if "backup" in file.name) == ["backup.db"]
    copy = Client(store_url=f"sqlite:///{target}")
    there = client.experiments.list_runs(experiment=experiment_id, all=True).to_df()
    assert copy.experiments.list_runs(experiment=experiment_id, all=True).to_df().equals(there)
    assert copy.store.upkeep.info().counts == client.store.upkeep.info().counts
    assert copy.store.upkeep.faults() == []
    copy.store.close()
    client.store.close()


def test_help(here: Here) -> None:
    assert " backup " in here("store", "--help").out
