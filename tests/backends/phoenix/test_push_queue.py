"""The queue of what a backend lacks, asked of the store: right, and with little work, on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_experiments.store import Store, outbox
from prefect_experiments.store.tables import (
    evaluations,
    experiment_runs,
    pushed_evaluations,
    pushed_runs,
    run_annotations,
)

from .filled import NAMES, START, Filled


@pytest.fixture(params=["sqlite", "postgresql"])
def queue_store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = f"sqlite:///{tmp_path / 'queue.db'}"
    store = Store(request.getfixturevalue("postgres_url") if request.param == "postgresql" else url)
    yield store
    store.close()


def test_what_waits_and_what_does_not(queue_store: Store) -> None:
    filled = Filled(queue_store, 5)
    waits, link = queue_store.outbox, filled.link
    assert [run.position for run in waits.waiting_runs(link, 3)] == filled.positions[:3]
    assert waits.waiting_evaluations(link, 10) == [], "their runs are not there yet"
    assert waits.waiting(link) == (5, 15, 0)

    assert filled.take() == 5
    found = waits.waiting_evaluations(link, 4)
    assert [(v.position, v.name, v.run_id) for v in found] == [
        (p, n, f"there-{p}") for p in filled.positions[:2] for n in NAMES
    ][:4]
    assert filled.take() == 15
    assert waits.waiting(link) == (0, 0, 0)
    assert filled.take() == 0

    # Made again: the run is pushed again, and only what is made on it again.
    filled.put_runs(filled.positions[1:2], at=START + 60)
    assert waits.waiting(link) == (1, 0, 0)
    filled.put_verdicts(filled.positions[1:2], at=START + 61)
    assert waits.waiting(link) == (1, 3, 0)
    assert waits.waiting_evaluations(link, 10) == [], "the run that is there is another one"
    assert [filled.take(), filled.take(), filled.take()] == [1, 3, 0]


def test_a_sweep_goes_on_from_where_it_was(queue_store: Store) -> None:
    filled = Filled(queue_store, 6_000)
    waits, link, sweep = queue_store.outbox, filled.link, outbox.Sweep()

    def look(limit: int) -> tuple[list[int], list[int]]:
        with waits.along(sweep):
            runs, verdicts = waits.waiting_runs(link, limit), waits.waiting_evaluations(link, limit)
        waits.mark(link, [(run, f"there-{run.position}", None) for run in runs])
        waits.mark(link, [(verdict, None, None) for verdict in verdicts])
        return [run.position for run in runs], [verdict.position for verdict in verdicts]

    assert look(4_000) == (filled.positions[:4_000], [])
    assert sweep.is_whole
    filled.put_runs([5, 3_000], at=START + 60)  # made again
    runs, verdicts = look(4_000)
    assert not sweep.is_whole
    assert runs == [3_000, *filled.positions[4_000:]], "what is far behind is for a sweep that begins anew"
    assert set(verdicts) == set(filled.positions[:1_335]) - {5}
    assert waits.waiting_runs(link, 10)[0].position == 5, "whoever looks without a sweep sees everything"
    sweep.begin_anew()
    assert look(4_000)[0] == [5]
    assert sweep.is_whole
    while sum(map(len, look(4_000))):
        pass
    sweep.begin_anew()
    look(4_000)
    assert waits.waiting(link) == (0, 0, 0)


def test_a_refused_run_keeps_its_verdicts_waiting(queue_store: Store) -> None:
    filled = Filled(queue_store, 3)
    waits, link = queue_store.outbox, filled.link
    bad = filled.positions[0]
    filled.take(refuse=lambda item: "no\x00t this" if item.position == bad else None)
    assert filled.take() == 6
    assert waits.waiting(link) == (0, 3, 1)
    assert len(waits.refusals(link)) == 1
    assert waits.waiting_evaluations(link, 10) == []
    waits.retry_refused(link)
    assert [filled.take(), filled.take(), filled.take()] == [1, 3, 0]
    assert waits.waiting(link) == (0, 0, 0)


def test_annotations_go_the_same_way_unless_an_evaluator_has_the_name(queue_store: Store) -> None:
    filled = Filled(queue_store, 2)
    rows = [(filled.id, p, 1, name, 1.0, "good", "text", "Ann", START) for p in filled.positions for name in ("a", "z")]
    filled.write(run_annotations, rows)
    assert queue_store.outbox.waiting(filled.link) == (2, 8, 0)
    assert [filled.take(), filled.take(), filled.take()] == [2, 8, 0]


def test_two_backends_and_two_experiments_know_nothing_of_each_other(queue_store: Store) -> None:
    first, second = Filled(queue_store, 3, "one"), Filled(queue_store, 4, "two")
    other = first.linked("phoenix http://elsewhere")
    assert [first.take(), first.take()] == [3, 9]
    assert queue_store.outbox.waiting(other) == (3, 9, 0)
    assert queue_store.outbox.waiting(second.link) == (4, 12, 0)


def test_the_first_of_two_that_link_an_experiment_wins(queue_store: Store) -> None:
    filled = Filled(queue_store, 1)
    again = queue_store.links.link_experiment(
        filled.id,
        filled.link.target,
        remote_id="another",
        remote_dataset_id="D",
        remote_version_id="V",
        project_name=None,
        url=None,
    )
    assert again == filled.link


def rows_of(plan: dict[str, Any]) -> int:
    """How many rows the steps of a plan of PostgreSQL's have handled."""
    handled = sum(
        plan.get(rows, 0) for rows in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    )
    return round(handled * plan["Actual Loops"]) + sum(map(rows_of, plan.get("Plans", ())))


def work_of(store: Store, look: Callable[[], Any]) -> int:
    """What a database does for a look: the rows that PostgreSQL handles, the instructions that SQLite carries out."""
    engine = store.database.engine
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    look()
    sa.event.remove(engine, "before_cursor_execute", note)
    asked = [(statement, parameters) for statement, parameters in asked if statement.startswith("SELECT")]
    assert asked
    with store.database.read() as connection:
        if engine.dialect.name == "postgresql":
            explained = [
                connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
                for statement, parameters in asked
            ]
            return sum(rows_of(plans[0]["Plan"]) for plans in explained)
        hundreds = itertools.count()
        sqlite: Any = connection.connection.dbapi_connection
        sqlite.set_progress_handler(lambda: next(hundreds) < 0, 100)  # true would end it
        for statement, parameters in asked:
            connection.exec_driver_sql(statement, parameters).all()
        sqlite.set_progress_handler(None, 0)
        return 100 * next(hundreds)


def looks(filled: Filled) -> dict[str, int]:
    """How much work each question is at three moments: nothing pushed, half of it, all."""
    store, waits, link = filled.store, filled.store.outbox, filled.link
    found: dict[str, int] = {}
    for share in (0.0, 0.5, 1.0):
        positions = filled.positions[: int(len(filled.positions) * share)]
        filled.write(pushed_runs, [(link.id, p, 1, f"r{p}", START + p / 1000, None) for p in positions])
        marks = [(link.id, p, 1, n, START + p / 1000, None) for p in positions for n in NAMES]
        filled.write(pushed_evaluations, marks)
        found[f"runs at {share}"] = work_of(store, lambda: waits.waiting_runs(link, 512))
        found[f"verdicts at {share}"] = work_of(store, lambda: waits.waiting_evaluations(link, 512))
        found[f"count at {share}"] = work_of(store, lambda: waits.waiting(link))
    return found


@pytest.mark.thorough
def test_looking_is_no_more_work_than_in_proportion(queue_store: Store) -> None:
    """Tables that have just been filled, of which PostgreSQL has no statistics: the worst it can be."""
    small, large = looks(Filled(queue_store, 1_000, "small")), looks(Filled(queue_store, 4_000, "large"))
    # Four times as much, and a look at every row where few were enough; what compares all with all is 16 million steps.
    more = {what: (small[what], done) for what, done in large.items() if done > 6 * small[what] + 16_000}
    assert not more, more


def test_every_step_of_a_look_finds_its_rows_by_their_keys(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'plan.db'}")
    filled = Filled(store, 100)
    c = experiment_runs.c
    queries = [
        outbox._lacking_runs(filled.link, c.position).order_by(c.position, c.repetition_number).limit(512),
        outbox._lacking_evaluations(filled.link).limit(512),
        outbox._lacking_annotations(filled.link).limit(512),
        outbox._unpushed(filled.link, evaluations, sa.func.count()),
        outbox._unpushed_annotations(filled.link, sa.func.count()),
    ]
    with store.database.read() as connection:
        for query in queries:
            compiled = query.compile(dialect=store.database.engine.dialect, compile_kwargs={"render_postcompile": True})
            values = tuple(compiled.params[name] for name in compiled.positiontup)
            plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)]
            assert plan
            # Without statistics, and none must be needed: no table is read from end to end, nothing is sorted.
            assert not [step for step in plan if step.startswith(("SCAN", "USE TEMP B-TREE")) or "AUTO" in step], plan
    store.close()
