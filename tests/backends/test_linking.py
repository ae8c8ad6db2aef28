"""What is taken to be the same here and in a backend: versions that change, ids given again, two who begin at once."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_experiments.backends import Capabilities
from prefect_experiments.backends.base import Draft
from prefect_experiments.backends.linking import (
    _evaluators,
    begin_remotely,
    ensure_remote_version,
    mirror_version,
)
from prefect_experiments.models import Example, Experiment
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Store, TaskRecord
from support.folder_backend import FolderBackend, FolderSettings, datasets, files
from tests.store.samples import START, verdict

ONE, TWO = (Example(id="e1", input={"n": n}) for n in (1, 2))


class Changeable(FolderBackend):
    """A backend whose versions others change in place, as they can in AX."""

    capabilities = Capabilities(versions_stay=False)

    def change(self, dataset_id: str, *examples: Example) -> None:
        place = self.path / "datasets" / dataset_id / "versions" / "1.json"
        files.write(place, {**files.read(place), "examples": [example.to_dict() for example in examples]})


class Crowded(FolderBackend):
    """A backend where, whenever an experiment is begun, another process begins the same one just before."""

    def __init__(self, settings: FolderSettings, store: Store, record: ExperimentRecord) -> None:
        super().__init__(settings)
        self._another = lambda: begin_remotely(store, FolderBackend(settings), record)

    def begin(self, draft: Draft) -> Experiment:
        begun = super().begin(draft)
        self.first = self._another()
        return begun


@pytest.fixture
def settings(tmp_path: Path) -> FolderSettings:
    (tmp_path / "kept").mkdir()
    return FolderSettings(path=str(tmp_path / "kept"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


@pytest.fixture
def ids_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new dataset gets the id of one that was deleted, as in Phoenix on SQLite."""
    always = types.SimpleNamespace(uuid4=lambda: types.SimpleNamespace(hex="1"))
    monkeypatch.setattr(datasets, "uuid", always)


def test_a_version_that_was_changed_in_place_is_read_again(store: Store, settings: FolderSettings) -> None:
    remote = Changeable(settings)
    made = remote.datasets.create("mine", [ONE])
    first = mirror_version(store, remote, made.id, made.version_id)
    assert store.datasets.get(first.dataset_id, version=first.id).examples == (ONE,)
    remote.change(made.id, TWO)
    second = mirror_version(store, remote, made.id, made.version_id)
    assert store.datasets.get(second.dataset_id, version=second.id).examples == (TWO,)


def test_a_version_that_was_changed_in_place_has_the_dataset_no_more(store: Store, settings: FolderSettings) -> None:
    remote = Changeable(settings)
    version = store.datasets.put("mine", [ONE])
    before = ensure_remote_version(store, remote, version, "mine")
    assert ensure_remote_version(store, remote, version, "mine") == before
    remote.change(before[0], TWO)
    dataset_id, version_id = ensure_remote_version(store, remote, version, "mine")
    assert remote.datasets.get(dataset_id, version=version_id).examples == (ONE,)


@pytest.mark.usefixtures("ids_given_again")
def test_another_dataset_of_the_name_and_id_is_not_the_deleted_one(store: Store, settings: FolderSettings) -> None:
    remote = FolderBackend(settings)
    version = store.datasets.put("mine", [ONE])
    before = ensure_remote_version(store, remote, version, "mine")
    remote.datasets.delete(before[0])
    made = remote.datasets.create("mine", [TWO])
    assert (made.id, made.version_id) == before
    dataset_id, version_id = ensure_remote_version(store, remote, version, "mine")
    assert remote.datasets.get(dataset_id, version=version_id).examples == (ONE,)


@pytest.mark.usefixtures("ids_given_again")
def test_the_mirror_of_a_deleted_dataset_is_not_used_for_the_one_that_has_its_id(
    store: Store, settings: FolderSettings
) -> None:
    remote = FolderBackend(settings)
    made = remote.datasets.create("deleted", [ONE])
    first = mirror_version(store, remote, made.id, made.version_id)
    assert mirror_version(store, remote, made.id, made.version_id) == first
    remote.datasets.delete(made.id)
    again = remote.datasets.create("another", [TWO])
    assert (again.id, again.version_id) == (made.id, made.version_id)
    second = mirror_version(store, remote, again.id, again.version_id)
    found = store.datasets.get(second.dataset_id, version=second.id)
    assert (found.name, found.examples) == ("another", (TWO,))


def test_of_two_who_begin_an_experiment_at_once_one_is_there(store: Store, settings: FolderSettings) -> None:
    version = store.datasets.put("mine", [ONE])
    record = store.experiments.create("at once", version, task=TaskRecord("task", "1", None), repetitions=1)
    remote = Crowded(settings, store, record)
    link = begin_remotely(store, remote, record)
    assert link == remote.first
    there, _ = remote.experiments.page(dataset=None, limit=10, cursor=None)
    assert [experiment.id for experiment in there] == [link.remote_id]


def test_of_an_evaluator_that_has_changed_the_newest_state_is_kept() -> None:
    """In whatever order a backend gives what it said."""
    states = [("b", 2.0), ("c", 3.0), ("a", 1.0)]
    said = [verdict(n, fingerprint=letter * 64, end_time=START + at) for n, (letter, at) in enumerate(states)]
    assert _evaluators(said, {"exact": EvaluatorRecord("exact", "CODE", "0" * 64, "app:exact")}) == [
        EvaluatorRecord("exact", "CODE", "c" * 64, "app:exact")
    ]
