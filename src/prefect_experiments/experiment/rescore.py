"""An experiment's kept outputs beside the examples as they are now, to be scored again. The task is not called."""

from __future__ import annotations

import dataclasses
import time

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.experiment.dataset_source import DatasetSource
from prefect_experiments.options import Selection
from prefect_experiments.results import fingerprint_of
from prefect_experiments.store import ExperimentRecord, Store, TaskRecord

NEWEST = "latest"


def outputs_on(
    record: ExperimentRecord, version: str, store: Store, remote: Remote | None
) -> tuple[ExperimentRecord, list[str]]:
    """An experiment of its own that has the outputs of another one, on another version of the dataset.

    Outputs, errors, latencies and costs are those that were made; evaluations are not taken along. Examples whose input
    is not the same, or that are no longer there, are left out: their outputs answer another question. What is made
    twice is there once.

    Args:
        record: whose outputs.
        version: id or number of a version of its dataset, or ``latest``.
        store: where it is kept.
        remote: the backend that has it, if it is not the store.

    Returns:
        The experiment, which is the one given where that is on this version already; and what is to be said.

    Raises:
        NotFound: no such version.
        InvalidDataset: no output belongs to an example of it.
    """
    experiment = record.experiment
    selection = Selection(dataset_version=None if version == NEWEST else version)
    pin = DatasetSource(experiment.dataset_name, store, selection, remote).pin(store)
    if pin.version.id == record.version.id:
        return record, []
    ran = RanExperiment(store, record)
    before, after = ran.examples, store.results.examples_of(pin.version)
    same = {name for name, example in before.items() if name in after and after[name].input == example.input}
    runs = [dataclasses.replace(run, evaluations={}) for run in ran.results.runs if run.example_id in same]
    what = f"experiment {experiment.name!r} ({experiment.id}) and version {pin.version.number} of its dataset"
    if not runs:
        raise InvalidDataset(f"{what} share no example with the same input, so no output can be scored again")
    places = {example_id: position for position, example_id, _ in store.datasets.outline(pin.version)}
    used = sorted({places[run.example_id] for run in runs})
    now = round(time.time(), 6)
    made, _ = store.ingest.put(
        f"{experiment.name} (scored on version {pin.version.number})",
        pin.version,
        [run.dated(now).placed(places[run.example_id]) for run in runs],
        fingerprint=fingerprint_of(runs, experiment.id),
        task=TaskRecord(record.task.name, None, None),
        evaluators=[],
        repetitions=experiment.repetitions,
        positions=None if len(used) == pin.version.example_count else tuple(used),
        splits=pin.splits,
        description=experiment.description,
        metadata={**experiment.metadata, "outputs of": experiment.id},
        now=now,
    )
    notes = [f"The outputs of experiment {experiment.id} are scored as experiment {made.experiment.id}."]
    if left := len(before) - len(same):
        notes.append(f"{left} of {len(before)} examples are left out: their input is not the same, or they are gone.")
    return made, notes
