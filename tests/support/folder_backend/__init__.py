"""A third backend: datasets and experiments as JSON files in a folder. It lives in the tests only.

It is what `CONTRIBUTING.md` says a backend is: this folder, and one entry point that leads to `BACKEND`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Annotated

from prefect_experiments.backends import Backend, BackendSettings, Capabilities, Env
from prefect_experiments.backends.base import AsText, Draft, PulledResults
from prefect_experiments.errors import InvalidSetting, NotFound
from prefect_experiments.models import Dataset, Experiment
from prefect_experiments.store import Link, Store

from .datasets import FolderDatasets
from .experiments import FolderExperiments
from .files import check_folder
from .pushing import FolderPusher


class FolderSettings(BackendSettings):
    """Which folder."""

    path: Annotated[str | None, AsText, Env("FOLDER_BACKEND_PATH")] = None
    """the folder, which has to be there."""


class FolderBackend:
    """See `prefect_experiments.backends.base.Remote`."""

    name = "folder"
    capabilities = Capabilities()

    def __init__(self, settings: FolderSettings) -> None:
        path = settings.path or settings.from_environment("path")
        if not path:
            raise InvalidSetting("the backend 'folder' needs a folder: pass path=, or set FOLDER_BACKEND_PATH")
        self.path = Path(path).absolute()
        self.target = f"{self.name} {self.path}"
        self.datasets = FolderDatasets(self.path / "datasets", self.path / "experiments")
        self.experiments = FolderExperiments(self.path / "experiments", self.datasets)

    def __repr__(self) -> str:
        return f"FolderBackend({str(self.path)!r})"

    def check(self) -> None:
        check_folder(self.path)

    def put_version(self, name: str, dataset: Dataset, at: tuple[str, str] | None = None) -> tuple[str, str]:
        try:
            newest = self.datasets.get(name)
        except NotFound:
            made = self.datasets.create(name, dataset.examples, description=dataset.description)
            return made.id, made.version_id
        if newest.examples == dataset.examples:
            return newest.id, newest.version_id
        return newest.id, self.datasets.write(newest.id, dataset.examples)

    def newest_version(self, dataset_id: str) -> str:
        return self.datasets.info(dataset_id).version_id

    def begin(self, draft: Draft) -> Experiment:
        return self.experiments.begin(draft)

    def pull(self, experiment: Experiment) -> PulledResults:
        return self.experiments.pull(experiment)

    def pusher(self, store: Store, link: Link) -> AbstractAsyncContextManager[FolderPusher]:
        return nullcontext(FolderPusher(self.experiments, store, link))

    def page_url(self, experiment: Experiment) -> None:
        return None

    def trace_export(self) -> None:
        return None


BACKEND = Backend("folder", FolderSettings, FolderBackend, address="path")
