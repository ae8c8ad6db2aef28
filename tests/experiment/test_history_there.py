"""The history of a dataset that a backend has: what the store knows of it, and the names of what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.backends.base import Draft
from prefect_experiments.errors import BackendUnavailable, NotFound
from prefect_experiments.experiment import history
from prefect_experiments.experiment.history import history_at
from prefect_experiments.store import Store
from support.folder_backend import FolderBackend, FolderSettings
from tests.store.samples import examples, new_experiment, record, run_row


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.fixture
def there(tmp_path: Path) -> Any:
    (tmp_path / "folder").mkdir()
    return FolderBackend(FolderSettings(path=str(tmp_path / "folder")))


def begin(there: Any, name: str) -> Any:
    kept = there.datasets.get("dataset")
    return there.experiments.begin(Draft(name, kept.id, kept.version_id, 1))


def kept(store: Store, there: Any, name: str, project: str | None = None) -> str:
    """An experiment that is here and there."""
    mine = new_experiment(store, name=name).experiment.id
    record(store, mine, [run_row(0)])
    far = begin(there, name)
    store.links.link_experiment(
        mine, there.target, remote_id=far.id, project_name=project, url=None, remote_dataset_id="D",
        remote_version_id="V",
    )  # fmt: skip
    return mine


def test_what_only_the_backend_has_is_named(store: Store, there: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there.datasets.create("dataset", examples(3))
    kept(store, there, "here and there")
    begin(there, "only there")
    kept(store, there, "another's by now", "a project of its own")  # the id leads to something else
    found = history_at(store, there, "dataset")
    assert [entry.name for entry in found.entries] == ["here and there", "another's by now"]
    assert (found.only_at_backend, found.notes) == (("another's by now", "only there"), ())
    by_id = history_at(store, there, there.datasets.get("dataset").id)
    assert by_id == found
    assert [entry.name for entry in history_at(store, there, "dataset", last=1).entries] == ["another's by now"]
    monkeypatch.setattr(history, "_MOST_LOOKED_AT", 2)
    few = history_at(store, there, "dataset")
    assert few.only_at_backend == ("another's by now", "only there")
    assert few.notes == ("Only the newest 2 experiments in folder were looked at",)
    assert history_at(store, None, "dataset").only_at_backend == ()


def test_a_dataset_that_is_only_there_has_no_entries(store: Store, there: Any) -> None:
    there.datasets.create("dataset", examples(3))
    begin(there, "only there")
    found = history_at(store, there, "dataset")
    assert (found.dataset, found.entries, found.only_at_backend) == ("dataset", (), ("only there",))


def test_a_dataset_that_is_nowhere_is_not_found(store: Store, there: Any) -> None:
    there.datasets.create("dataset", examples(3))
    new_experiment(store, dataset="here")
    with pytest.raises(NotFound, match="unknown dataset 'nowhere'"):
        history_at(store, there, "nowhere")
    with pytest.raises(NotFound, match="metric"):
        kept(store, there, "night")
        history_at(store, there, "dataset", metrics=["metric"])
    assert [entry.name for entry in history_at(store, there, "here").entries] == ["experiment"]


def test_a_backend_that_is_away_is_not_asked_and_that_is_said(
    store: Store, there: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_experiment(store, name="here")

    def away(*_: Any, **__: Any) -> Any:
        raise BackendUnavailable("folder does not answer")

    monkeypatch.setattr(there.datasets, "info", away)
    found = history_at(store, there, "dataset")
    assert (found.only_at_backend, found.notes) == (
        (),
        ("folder was not asked what the store does not have: folder does not answer",),
    )
