"""What the store keeps for a history: what gates have said, when tags moved, and few figures of many experiments."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.analysis.summary import summarize
from prefect_experiments.errors import NotFound
from prefect_experiments.store import Judgement, Store, migrations
from prefect_experiments.store.urls import parse_url

from .samples import failed_row, new_experiment, record, run_row, verdict

SAID = Judgement(
    status="failed",
    exit_code=1,
    reasons=("worse\x00 \ud83d", "slower"),
    checks=[{"name": "exact", "status": "failed", "reason": "worse"}],
    moved={"exact": "regressed"},
    baseline_id="exp-0",
    baseline="night\x00 1",
)


def moves(store: Store) -> list[tuple[str, str | None]]:
    dataset = store.datasets.info("dataset").id
    return [(move.tag, move.experiment_id) for move in store.tag_moves.of_dataset(dataset)]


def test_a_judgement_is_kept_and_replaced_by_the_next(store: Store) -> None:
    first, second = (new_experiment(store).experiment.id for _ in range(2))
    assert store.judgements.of([first]) == {}
    store.judgements.keep(first, SAID)
    kept = store.judgements.of([first, second, "exp-none"])
    assert list(kept) == [first]
    found = kept[first]
    assert (found.status, found.exit_code, found.moved) == ("failed", 1, {"exact": "regressed"})
    assert (found.baseline_id, found.baseline) == ("exp-0", "night\u2400 1")
    assert found.reasons[0].startswith("worse\x00")
    assert found.checks[0]["reason"] == "worse"
    assert found.judged_at is not None
    assert found.judged_at.utcoffset() is not None
    store.judgements.keep(first, Judgement(status="passed", exit_code=0))
    assert store.judgements.of([first])[first].reasons == ()
    assert store.judgements.names([first, "exp-none"]) == {first: "experiment"}
    store.experiments.delete(first)
    assert store.judgements.of([first]) == {}
    with pytest.raises(NotFound, match="no longer in the store"):
        store.judgements.keep(first, SAID)


def test_tags_that_move_are_remembered(store: Store) -> None:
    first, second = (new_experiment(store).experiment.id for _ in range(2))
    other = new_experiment(store, dataset="other").experiment.id
    for experiment_id in (first, first, second, other):
        store.experiments.tag(experiment_id, "baseline")
    store.experiments.tag(second, "golden")
    store.experiments.untag(second, "golden")
    assert moves(store) == [("baseline", first), ("baseline", second), ("golden", second), ("golden", None)]
    at = [move.moved_at for move in store.tag_moves.of_dataset(store.datasets.info("dataset").id)]
    assert at == sorted(at)
    store.experiments.delete(second)
    assert moves(store)[-1] == ("baseline", None), "of a deleted experiment it is known that it had it"
    assert ("baseline", second) in moves(store)
    store.datasets.delete("dataset")
    new_experiment(store)
    assert moves(store) == []


def test_tags_of_a_backend_are_noted(store: Store) -> None:
    first, second = (new_experiment(store).experiment.id for _ in range(2))
    for _ in range(2):
        store.tag_moves.gave(first, "baseline")
    store.tag_moves.gave(second, "baseline")
    store.tag_moves.took(first, "baseline")  # has it no more
    assert moves(store)[-1] == ("baseline", second)
    store.tag_moves.took(second, "baseline")
    assert moves(store) == [("baseline", first), ("baseline", second), ("baseline", None)]
    assert store.experiments.get(second).experiment.tags == (), "its tags are the backend's"
    with pytest.raises(NotFound, match="there is no experiment 'exp-none'"):
        store.tag_moves.gave("exp-none", "baseline")


def test_a_store_that_was_made_before_has_no_verdicts_and_goes_on(store_url: str) -> None:
    engine = sa.create_engine(parse_url(store_url))
    with engine.begin() as connection:
        migrations.upgrade(connection, "0011")
        connection.exec_driver_sql("INSERT INTO datasets VALUES ('ds', 'dataset', NULL, '{}', 1.0)")
        connection.exec_driver_sql("INSERT INTO dataset_versions VALUES ('dsv', 'ds', 1, 0, 'f', 1.0)")
        columns = "id, name, metadata, dataset_id, dataset_version_id, splits, example_count, repetitions, task"
        values = "'exp-1', 'old', '{}', 'ds', 'dsv', '[]', 0, 1, 'task', 1.0, 1.0"
        connection.exec_driver_sql(f"INSERT INTO experiments ({columns}, created_at, updated_at) VALUES ({values})")
        connection.exec_driver_sql("INSERT INTO experiment_tags VALUES ('ds', 'baseline', 'exp-1')")
    engine.dispose()
    store = Store(store_url)
    assert store.experiments.get("tag:baseline").experiment.id == "exp-1"
    assert store.judgements.of(["exp-1"]) == {}
    assert moves(store) == []
    store.judgements.keep("exp-1", SAID)
    second = new_experiment(store).experiment.id
    store.experiments.tag(second, "baseline")
    assert moves(store) == [("baseline", second)]
    assert store.upkeep.faults() == []
    store.close()


def test_experiments_of_a_dataset_in_their_order(store: Store) -> None:
    ids = [new_experiment(store, now=1_000.0 * n).experiment.id for n in (3, 1, 2)]
    new_experiment(store, dataset="other")

    def found(**asked: float) -> tuple[list[str], int]:
        records, total = store.experiments.of_dataset("dataset", **asked)  # type: ignore[arg-type]
        return [each.experiment.id for each in records], total

    assert found() == (ids, 3), "in the order in which they were made, whatever the clock said"
    assert found(last=2) == (ids[1:], 3)
    assert found(since=2_000.0) == ([ids[0], ids[2]], 3)
    with pytest.raises(NotFound, match="unknown dataset 'datasets'; did you mean 'dataset'"):
        store.experiments.of_dataset("datasets")


@pytest.mark.thorough
@settings(max_examples=25)
@given(
    scores=st.lists(st.none() | st.sampled_from([0.0, 1.0, 0.5, 3.0]), min_size=1, max_size=8),
    failed=st.sets(st.integers(0, 7)),
    repetitions=st.integers(1, 2),
    cost=st.none() | st.just(0.1),
)
def test_outcomes_are_what_a_summary_says(
    scores: list[float | None], failed: set[int], repetitions: int, cost: float | None
) -> None:
    store = Store("sqlite://")
    experiment_id = new_experiment(store, len(scores), repetitions=repetitions).experiment.id
    keys = [(place, n) for place in range(len(scores)) for n in range(1, repetitions + 1)]
    runs = [
        failed_row(place, n) if place in failed and n == 1 else run_row(place, n, total_cost=cost) for place, n in keys
    ]
    given = [
        verdict(place, repetition=n, score=scores[place], total_cost=cost)
        for place, n in keys
        if scores[place] is not None
    ]
    record(store, experiment_id, runs, given)
    outcome, summary = store.outcomes.of(experiment_id), summarize(store, store.experiments.get(experiment_id))
    assert (outcome.made, outcome.failed) == (summary.n_runs, summary.n_errors)
    assert outcome.cost == summary.overall_cost
    assert len(outcome.latencies_ms) == outcome.made - outcome.failed
    found = {name: len(each) for name, each in outcome.scores.items()}
    assert found == {name: metric.n for name, metric in summary.metrics.items() if metric.n}
    store.close()
