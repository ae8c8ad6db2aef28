"""A dry run writes nothing and calls nobody but the user's own code."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, run_experiment

ROWS = [{"id": f"e{n}", "input": n, "output": n} for n in range(50)]


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tried: list[Any] = []
    others = {*threading.enumerate()} - {threading.current_thread()}  # what an earlier test left over

    def refuse(*arguments: Any, **_: Any) -> None:
        if threading.current_thread() not in others:
            tried.append(arguments[1:])
        raise OSError("there is no network here")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    yield
    assert tried == [], "a dry run opened a connection"


@pytest.fixture
def files_before(client: Client, tmp_path: Path) -> dict[str, bytes]:
    client.datasets.create_dataset(name="kept", examples=ROWS)
    client.store.close()  # the write-ahead log is folded into the file
    return contents(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm"))}


@pytest.mark.mostly_slow(quick=2)
@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(("dry_run", "expected"), [(True, 1), (7, 7), (80, 50)])
@pytest.mark.parametrize("dataset", ["kept", ROWS])
def test_nothing_is_written_and_nobody_is_called(
    client: Client, files_before: dict[str, bytes], tmp_path: Path, dry_run: int, expected: int, dataset: Any
) -> None:
    calls: list[int] = []

    def task(input: int) -> int:
        calls.append(input)
        return input

    ran = run_experiment(
        dataset=dataset, task=task, evaluators="exact_match", dry_run=dry_run, client=client, print_summary=False
    )
    assert len(calls) == len(ran.task_runs) == expected
    assert ran.summary.metrics["exact_match"].mean == 1.0
    assert len(ran.to_dataframe()) == expected
    assert len(client.experiments.list()) == 0
    client.store.close()
    assert contents(tmp_path) == files_before


def test_the_same_examples_each_time(client: Client) -> None:
    def drawn() -> list[str]:
        ran = run_experiment(dataset=ROWS, task=lambda n: n, dry_run=5, client=client, print_summary=False)
        return [run.example_id for run in ran.task_runs]

    assert drawn() == drawn()
    assert drawn() != [f"e{n}" for n in range(5)]
