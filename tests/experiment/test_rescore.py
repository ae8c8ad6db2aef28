"""The outputs of an experiment beside the examples as they are now."""

from __future__ import annotations

import pytest

from prefect_experiments.errors import InvalidDataset, NotFound
from prefect_experiments.experiment.rescore import outputs_on
from prefect_experiments.store import ExperimentRecord, Store, TaskRecord
from tests.store.samples import TASK, example, examples, failed_row, new_experiment, record, run_row, verdict


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.fixture
def made(store: Store) -> ExperimentRecord:
    found = new_experiment(store, 4, repetitions=2, description="a night", metadata={"model": "m"})
    runs = [run_row(0, total_cost=0.5, token_count=7), run_row(0, 2), run_row(1), failed_row(2), run_row(3, 2)]
    record(store, found.experiment.id, runs, [verdict(0), verdict(3, repetition=2)])
    return found


def test_outputs_of_the_same_inputs_are_taken_along_and_nothing_else(store: Store, made: ExperimentRecord) -> None:
    changed = [example(0, output="corrected"), example(1, input="another question"), example(2), example(9)]
    version = store.datasets.put("dataset", changed)
    found, notes = outputs_on(made, "latest", store, None)
    mine = made.experiment.id
    assert notes == [
        f"The outputs of experiment {mine} are scored as experiment {found.experiment.id}.",
        "2 of 4 examples are left out: their input is not the same, or they are gone.",
    ]
    assert found.version == version
    new = found.experiment
    assert (new.name, new.description) == ("experiment (scored on version 2)", "a night")
    assert new.metadata == {"model": "m", "outputs of": mine}
    assert (new.repetitions, new.example_count, found.positions, found.evaluators) == (2, 2, (0, 2), ())
    assert (found.task, found.is_logged) == (TaskRecord(TASK.name, None, None), True)
    runs = [
        (run.example_id, run.repetition_number, run.output, run.error, run.latency_ms, run.total_cost, run.token_count)
        for run in store.results.runs(new.id)[0]
    ]
    assert runs == [
        ("ex-0", 1, {"said": 0}, None, 250.0, 0.5, 7),
        ("ex-0", 2, {"said": 0}, None, 250.0, None, None),
        ("ex-2", 1, None, "ValueError: no", 250.0, None, None),
    ]
    assert store.results.evaluations(new.id) == []
    again, _ = outputs_on(made, "2", store, None)
    assert again.experiment.id == new.id, "what is made twice is there once"
    third = store.datasets.put("dataset", examples(4))
    whole, notes = outputs_on(made, third.id, store, None)
    assert (whole.positions, whole.experiment.example_count) == (None, 4)
    assert notes == [f"The outputs of experiment {mine} are scored as experiment {whole.experiment.id}."]
    assert len(store.experiments.page()[0]) == 3


def test_on_its_own_version_it_is_the_experiment_itself(store: Store, made: ExperimentRecord) -> None:
    for version in ("latest", "1", made.version.id):
        assert outputs_on(made, version, store, None) == (made, [])
    store.datasets.put("dataset", examples(1))
    assert outputs_on(made, "1", store, None) == (made, [])


def test_where_no_output_belongs_to_an_example_nothing_is_made(store: Store, made: ExperimentRecord) -> None:
    store.datasets.put("dataset", [example(0, input="x"), example(7)])
    with pytest.raises(InvalidDataset) as refused:
        outputs_on(made, "latest", store, None)
    assert str(refused.value) == (
        f"experiment 'experiment' ({made.experiment.id}) and version 2 of its dataset share no example with the same "
        "input, so no output can be scored again"
    )
    with pytest.raises(NotFound, match="unknown dataset version '3'"):
        outputs_on(made, "3", store, None)
    assert len(store.experiments.page()[0]) == 1
