"""What the recorder writes, when it is durable, and in what order."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from prefect_experiments.records import RunIds
from prefect_experiments.store import Recorder, Store
from prefect_experiments.store import recorder as recorder_module
from support.patience import wait_for

from .samples import failed_row, new_experiment, outputs, record, run_row, verdict


def names(store: Store, experiment_id: str) -> list[tuple[str, str, float | None]]:
    return [("{}.{}".format(*e.key), e.name, e.score) for e in store.results.evaluations(experiment_id)]


def test_a_run_is_durable_when_write_run_returns(store: Store, open_another: Callable[[], Store]) -> None:
    experiment_id = new_experiment(store, 40).experiment.id
    other = open_another()

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:

            async def write(position: int) -> None:
                await recorder.write_run(run_row(position))
                assert (position, 1) in other.results.finished_runs(experiment_id)

            for position in range(20):
                await write(position)
            await asyncio.gather(*(write(position) for position in range(20, 40)))

    asyncio.run(main())
    assert len(other.results.finished_runs(experiment_id)) == 40


def test_everything_comes_back(store: Store) -> None:
    made = new_experiment(store, 2)
    experiment_id = made.experiment.id
    row = run_row(1, 2, attempts=3, token_count=120, total_cost=0.25, trace_id="0" * 32)
    given = verdict(
        1, "judge", 2,
        name="relevance", annotator_kind="LLM", score=0.5, label="good", explanation="because",
        metadata_json='{"model":"m"}', trace_id="1" * 32,
    )  # fmt: skip
    record(store, experiment_id, [row], [given])
    (run,) = [run.view(RunIds(experiment_id)) for run in store.results.runs(experiment_id)[0]]
    assert run.id == f"{experiment_id}.1.2"
    assert (run.example_id, run.repetition_number, run.output, run.error) == ("ex-1", 2, {"said": 1}, None)
    assert (run.status, run.attempts, run.token_count, run.total_cost) == ("ok", 3, 120, 0.25)
    assert (run.trace_id, run.latency_ms) == ("0" * 32, 250.0)
    assert (run.end_time - run.start_time).total_seconds() == 0.25
    (found,) = [evaluation.view(RunIds(experiment_id)) for evaluation in store.results.evaluations(experiment_id)]
    assert (found.run_id, found.id) == (run.id, f"{run.id}.relevance")
    assert (found.name, found.annotator_kind, found.score, found.label) == ("relevance", "LLM", 0.5, "good")
    assert (found.explanation, found.metadata, found.error) == ("because", {"model": "m"}, None)
    assert found.trace_id == "1" * 32
    updated = store.experiments.get(experiment_id).experiment.updated_at
    assert updated
    assert made.experiment.updated_at
    assert updated > made.experiment.updated_at


def test_an_error_is_replaced_and_an_ok_run_never(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id
    record(store, experiment_id, [failed_row(0), run_row(1), failed_row(2)])
    assert store.results.finished_runs(experiment_id) == {(1, 1)}
    record(store, experiment_id, [run_row(0, attempts=2), run_row(1, output_json='"later"'), failed_row(2, error="E2")])
    record(store, experiment_id, [failed_row(0, error="later"), failed_row(1, error="later")])
    assert outputs(store, experiment_id) == [
        ("ex-0", 1, {"said": 0}, None),
        ("ex-1", 1, {"said": 1}, None),
        ("ex-2", 1, None, "E2"),
    ]
    assert store.results.runs(experiment_id)[0][0].attempts == 2


def test_an_error_and_its_retry_in_one_commit(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id

    async def main() -> None:
        recorder = Recorder(store.database, experiment_id)
        # Taken before the recorder's thread starts, so that all are written in one commit.
        rows = [run_row(1), failed_row(0), run_row(0), run_row(0, output_json='"later"'), failed_row(0)]
        writes = [asyncio.create_task(recorder.write_run(row)) for row in rows]
        await asyncio.sleep(0)
        await recorder.write_evaluations([verdict(1, score=1.0), verdict(0, score=0.25), verdict(1, score=0.5)])
        async with recorder:
            await asyncio.gather(*writes)

    asyncio.run(main())
    assert outputs(store, experiment_id) == [("ex-0", 1, {"said": 0}, None), ("ex-1", 1, {"said": 1}, None)]
    assert names(store, experiment_id) == [("0.1", "exact", 0.25), ("1.1", "exact", 0.5)]


def test_a_verdict_is_replaced_by_a_later_one_of_its_name(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id
    record(store, experiment_id, [run_row(0), run_row(1)], [verdict(0), verdict(1, error="E", score=None)])
    record(store, experiment_id, verdicts=[verdict(1, score=0.5), verdict(0, "other")])
    assert names(store, experiment_id) == [("0.1", "exact", 1.0), ("0.1", "other", 1.0), ("1.1", "exact", 0.5)]
    assert [e.error for e in store.results.evaluations(experiment_id)] == [None, None, None]


def test_replace_removes_names_that_an_evaluator_no_longer_gives(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id

    def multi(position: int, *named: str, score: float = 1.0) -> list[Any]:
        return [verdict(position, "multi", name=name, score=score) for name in named]

    before = [*multi(0, "a", "b"), *multi(1, "a", "b"), verdict(0, "single")]
    record(store, experiment_id, [run_row(0), run_row(1)], before)
    record(store, experiment_id, verdicts=multi(0, "b", "c", score=0.5), replace=["multi"])
    assert names(store, experiment_id) == [
        ("0.1", "b", 0.5), ("0.1", "c", 0.5), ("0.1", "single", 1.0), ("1.1", "a", 1.0), ("1.1", "b", 1.0),
    ]  # fmt: skip
    record(store, experiment_id, verdicts=multi(1, "c"))
    assert [name for run, name, _ in names(store, experiment_id) if run == "1.1"] == ["a", "b", "c"]


def test_one_entry_is_never_split(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_ROWS_A_COMMIT", 1)
    experiment_id = new_experiment(store).experiment.id
    record(store, experiment_id, [run_row(0)])
    entry = [verdict(0, "multi", name=f"name {number}") for number in range(5)]
    record(store, experiment_id, verdicts=entry, replace=["multi"])  # split, the last would remove the others
    assert len(names(store, experiment_id)) == 5


def test_flush_waits_for_runs_and_verdicts_taken_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_ROWS_A_COMMIT", 3)
    experiment_id = new_experiment(store, 20).experiment.id

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await recorder.write_run(run_row(19))
            writes = [asyncio.create_task(recorder.write_run(run_row(position))) for position in range(19)]
            await asyncio.sleep(0)
            for number in range(10):
                await recorder.write_evaluations([verdict(19, f"e{number}")])
            await recorder.flush()
            assert len(store.results.finished_runs(experiment_id)) == 20
            assert len(store.results.evaluations(experiment_id)) == 10
            await recorder.flush()  # with nothing to wait for
            await asyncio.gather(*writes)

    asyncio.run(main())


@pytest.mark.thorough
def test_runs_are_written_before_the_verdicts_on_them(store: Store) -> None:
    experiment_id = new_experiment(store, 300).experiment.id

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:

            async def one(position: int) -> None:
                await recorder.write_run(run_row(position))
                await recorder.write_evaluations([verdict(position, "a"), verdict(position, "b")])

            await asyncio.gather(*(one(position) for position in range(300)))

    asyncio.run(main())
    assert len(store.results.evaluations(experiment_id)) == 600


@pytest.mark.thorough
def test_leaving_waits_until_all_is_durable(store: Store, open_another: Callable[[], Store]) -> None:
    experiment_id = new_experiment(store).experiment.id
    other = open_another()

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await recorder.write_run(run_row(0))
            for number in range(5_000):
                await recorder.write_evaluations([verdict(0, f"e{number}")])
        assert len(other.results.evaluations(experiment_id)) == 5_000
        with pytest.raises(RuntimeError, match="the recorder is closed"):
            await recorder.write_run(run_row(1))
        with pytest.raises(RuntimeError, match="the recorder is closed"):
            await recorder.write_evaluations([verdict(0)])

    asyncio.run(main())


def test_leaving_because_of_an_error_loses_nothing(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await recorder.write_run(run_row(0))
            await recorder.write_evaluations([verdict(0)])
            raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        asyncio.run(main())
    assert names(store, experiment_id) == [("0.1", "exact", 1.0)]


def test_a_waiter_that_was_cancelled_disturbs_nobody(store: Store) -> None:
    experiment_id = new_experiment(store, 30).experiment.id

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            writes = [asyncio.create_task(recorder.write_run(run_row(position))) for position in range(30)]
            await asyncio.sleep(0)
            for write in writes[::2]:
                write.cancel()
            await asyncio.gather(*writes[1::2])

    asyncio.run(main())
    assert len(store.results.finished_runs(experiment_id)) == 30  # what was taken is written all the same


def test_verdicts_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_ROWS_WAITING", 50)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    experiment_id = new_experiment(store).experiment.id
    record(store, experiment_id, [run_row(0)])
    lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            lock.execute("BEGIN IMMEDIATE")
            for number in range(50):
                await asyncio.wait_for(recorder.write_evaluations([verdict(0, f"e{number}")]), 5)
            last = asyncio.create_task(recorder.write_evaluations([verdict(0, "last")]))
            await asyncio.sleep(0.3)
            assert not last.done()
            lock.execute("ROLLBACK")
            await asyncio.wait_for(last, 30)
            assert len(store.results.evaluations(experiment_id)) == 51

    asyncio.run(main())
    lock.close()
    store.close()


def test_in_memory() -> None:
    store = Store("sqlite://")
    experiment_id = new_experiment(store).experiment.id
    record(store, experiment_id, [run_row(0)], [verdict(0)])
    assert names(store, experiment_id) == [("0.1", "exact", 1.0)]
    assert names(Store("sqlite://"), experiment_id) == []


@pytest.fixture
def syncs() -> Iterator[list[bool]]:
    """For each transaction in which SQLite was given something to write, whether it was told to wait for the disk."""
    seen: list[bool] = []
    told, wrote = {}, set()

    def statement(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("PRAGMA synchronous"):
            told[connection.engine] = statement.endswith("=FULL")
        elif statement.startswith(("INSERT", "UPDATE", "DELETE")):
            wrote.add(connection.engine)

    def commit(connection: Any) -> None:
        if connection.engine in wrote:
            wrote.discard(connection.engine)
            seen.append(told[connection.engine])

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", commit)
    yield seen
    event.remove(Engine, "before_cursor_execute", statement)
    event.remove(Engine, "commit", commit)


def test_a_commit_is_on_the_disk_within_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncs: list[bool]
) -> None:
    """Also when nothing comes after it: a power cut must not undo what has been there for long."""
    monkeypatch.setattr(recorder_module, "SYNC_EVERY_S", 0.2)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    experiment_id = new_experiment(store).experiment.id
    syncs.clear()

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await recorder.write_run(run_row(0))
            assert syncs == [False]
            await asyncio.to_thread(wait_for, lambda: len(syncs) > 1, "a synced commit")
            assert syncs == [False, True]
            await asyncio.sleep(0.5)
            assert syncs == [False, True]  # synced once, then there is nothing to do

    asyncio.run(main())
    store.close()


def test_the_last_commit_is_on_the_disk_when_the_recorder_is_left(tmp_path: Path, syncs: list[bool]) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    experiment_id = new_experiment(store).experiment.id
    syncs.clear()
    record(store, experiment_id, [run_row(0)])
    assert syncs[-1] is True
    store.close()


def test_what_is_no_experiments_running_is_on_the_disk_at_once(tmp_path: Path, syncs: list[bool]) -> None:
    """Datasets, experiments, tags: what was said to be made is there after a power cut."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    new_experiment(store)
    assert syncs
    assert all(syncs)
    store.close()


@pytest.mark.thorough
def test_what_was_said_of_a_failed_run_goes_with_it(store: Store) -> None:
    """Other clients evaluate failed runs. Of two processes that make one again, the first one's stays."""
    experiment_id = new_experiment(store, 2).experiment.id
    given = [verdict(0, "theirs", score=0.0, label="wrong"), verdict(1, "theirs")]
    record(store, experiment_id, [failed_row(0), run_row(1)], given)
    assert [name for _, name, _ in names(store, experiment_id)] == ["theirs", "theirs"]
    assert [figures[:4] for figures in store.results.evaluation_figures(experiment_id)] == [
        (1, "theirs", "theirs", 1.0)
    ]
    record(store, experiment_id, [failed_row(0, error="again")])
    assert names(store, experiment_id) == [("1.1", "theirs", 1.0)]
    record(store, experiment_id, [run_row(0)], [verdict(0, "mine")])
    record(store, experiment_id, [run_row(0)])
    assert names(store, experiment_id) == [("0.1", "mine", 1.0), ("1.1", "theirs", 1.0)]
