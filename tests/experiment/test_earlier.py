"""Which experiments stand beside a baseline: those after it that were made alike and that a gate has judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.earlier import between, refuse_pool, since
from prefect_experiments.origin import GATE
from prefect_experiments.store import Store, TaskRecord
from tests.analysis.tables import table
from tests.store.samples import START, TASK, examples, failed_row, record, run_row

MONTHLY = Gate.parse({"alarms": {"per": "month"}})


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.close()


def made(store: Store, night: int, gate: str | None = "passed", *, dataset: str = "dataset", **how: Any) -> str:
    """An experiment of that night; its id."""
    version = store.datasets.put(dataset, examples(how.pop("count", 3)))
    given: dict[str, Any] = {"task": TASK, "now": START + 86_400 * night, **how}
    found = store.experiments.create(f"night {night}", version, **given).experiment.id
    if gate is not None:
        store.experiments.note(found, **{GATE: gate})
    return found


def ran(store: Store, experiment_id: str) -> RanExperiment:
    return RanExperiment(store, store.experiments.get(experiment_id))


def beside(store: Store, baseline: str, *, pooled: int = 1, gate: Gate | None = MONTHLY) -> list[str]:
    return [one.id for one in since(ran(store, baseline), gate, store, pooled).runs]


def test_those_after_it_that_were_made_alike_in_their_order(store: Store) -> None:
    made(store, 0)
    baseline = made(store, 1, None)
    alike = [made(store, 2), made(store, 3, "inconclusive")]
    made(store, 4, None)
    alike.append(made(store, 4, "failed"))
    alike.append(made(store, 5, task=TaskRecord("guess", TASK.fingerprint, TASK.reference)))  # by whatever task
    made(store, 6, repetitions=2)
    made(store, 7, positions=[0, 1])
    made(store, 8, positions=[0, 1, 2], splits=["train"])
    made(store, 9, dataset="other")
    alike.append(made(store, 10, task=TaskRecord(TASK.name, "e" * 64, TASK.reference)))  # the application changes
    assert beside(store, baseline) == alike
    assert beside(store, alike[0]) == alike[1:]
    assert beside(store, alike[-1]) == []


@pytest.mark.parametrize(("pooled", "gate", "are_looked_at"), [(1, MONTHLY, True), (2, None, True), (2, Gate(), True),
                                                               (1, Gate(), False), (1, None, False)])  # fmt: skip
def test_they_are_looked_for_where_somebody_asks(
    store: Store, pooled: int, gate: Gate | None, are_looked_at: bool
) -> None:
    baseline, after = made(store, 0), made(store, 1)
    assert beside(store, baseline, pooled=pooled, gate=gate) == [after] * are_looked_at
    assert since(table(x=[1.0]), gate, store, pooled).runs == ()
    assert since(None, gate, store, pooled).runs == ()


def test_between_two_experiments_is_what_was_made_before_the_second_and_is_whole(store: Store) -> None:
    baseline, *nights = [made(store, night) for night in range(6)]
    for number, night in enumerate(nights):
        runs = [run_row(0), run_row(1), failed_row(2)]
        record(store, night, runs[: 2 if number == 1 else 3])

    def found(candidate: str) -> list[str]:
        return [run.date for run in between(ran(store, baseline), ran(store, candidate), None, lambda: store, 5).runs]

    dates = [f"{store.experiments.get(night).experiment.created_at:%Y-%m-%d}" for night in nights]
    assert found(nights[4]) == [dates[0], dates[2], dates[3]], "a run that failed was made; one that is missing was not"
    assert found(nights[2]) == [dates[0]]
    assert found(nights[0]) == []
    assert between(ran(store, baseline), table(x=[1.0]), None, lambda: store, 3).runs == ()


def test_a_table_of_results_is_not_pooled() -> None:
    refuse_pool(table(x=[1.0]), 1)
    refuse_pool(None, 2)
    with pytest.raises(InvalidSetting, match=r"pooled=2 .*is a table of results"):
        refuse_pool(table(x=[1.0]), 2)
