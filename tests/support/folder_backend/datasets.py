"""A dataset is a folder: ``head.json``, and a file for each version."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect_experiments.datasets import of_splits
from prefect_experiments.errors import AlreadyExists, InvalidDataset, NotFound, unknown_value
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.pages import Pagination
from prefect_experiments.store.paging import check_name

from . import files


class FolderDatasets:
    """See `prefect_experiments.backends.base.Datasets`."""

    def __init__(self, folder: Path, experiments: Path) -> None:
        self._folder, self._experiments = folder, experiments

    def create(
        self,
        name: str,
        content: Sequence[Example],
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        if any(head["name"] == check_name(name, "dataset") for head in self._heads()):
            raise AlreadyExists(f"there is a dataset {name!r} already in {self._folder.parent}; choose another name")
        head = {"id": f"D-{uuid.uuid4().hex}", "name": name, "description": description, "created_at": files.now()}
        files.write(self._folder / head["id"] / "head.json", {**head, "metadata": dict(metadata or {})})
        return self.get(name, version=self.write(str(head["id"]), content))

    def write(self, dataset_id: str, content: Sequence[Example]) -> str:
        """A new version; its id."""
        number = len(self._versions(dataset_id)) + 1
        examples = [example.to_dict() for example in content]
        version = {"id": f"{dataset_id}.{number}", "number": number, "created_at": files.now(), "examples": examples}
        files.write(self._folder / dataset_id / "versions" / f"{number}.json", version)
        return str(version["id"])

    def holding(self, name: str, content: Sequence[Example]) -> Dataset | None:
        newest = self.get(name)
        return newest if newest.examples == tuple(content) else None

    def append(self, dataset: str, content: Sequence[Example]) -> Dataset:
        found = self.get(dataset)
        if doubles := {example.id for example in content} & {example.id for example in found.examples}:
            raise InvalidDataset(f"{len(doubles)} of the ids are in the dataset already: {', '.join(sorted(doubles))}")
        return self.get(found.id, version=self.write(found.id, [*found.examples, *content]))

    def update(self, dataset: str, content: Sequence[Example]) -> Dataset:
        found = self.get(dataset)
        changed = {example.id: example for example in (*found.examples, *content)}
        return self.get(found.id, version=self.write(found.id, list(changed.values())))

    def get(self, dataset: str, *, version: str | None = None, splits: Sequence[str] = ()) -> Dataset:
        head = self._head(dataset)
        versions = self._versions(head["id"])
        asked = [one for one in versions if version in (None, one["id"], str(one["number"]))]
        if not asked:
            raise NotFound(unknown_value("dataset version", version, [one["id"] for one in versions]))
        examples = tuple(Example(**{**e, "splits": tuple(e["splits"])}) for e in asked[0]["examples"])
        found = Dataset(
            **{**head, "created_at": files.moment(head["created_at"])}, version_id=asked[0]["id"], examples=examples
        )
        return (
            replace(found, examples=tuple(of_splits(examples, splits, found.name)), splits=tuple(splits))
            if splits
            else found
        )

    def info(self, dataset: str) -> DatasetInfo:
        head = self._head(dataset)
        versions = self._versions(head["id"])
        return DatasetInfo(
            **{**head, "created_at": files.moment(head["created_at"])},
            version_id=versions[0]["id"],
            version_count=len(versions),
            example_count=len(versions[0]["examples"]),
            updated_at=files.moment(versions[0]["created_at"]),
        )

    def page(self, *, limit: int, cursor: str | None) -> tuple[list[DatasetInfo], Pagination]:
        heads, pagination = files.page(self._heads(), limit, cursor)
        return [self.info(head["id"]) for head in heads], pagination

    def versions(self, dataset: str) -> list[DatasetVersion]:
        dataset_id = self._head(dataset)["id"]
        return [
            DatasetVersion(
                id=one["id"],
                dataset_id=dataset_id,
                number=one["number"],
                example_count=len(one["examples"]),
                created_at=files.moment(one["created_at"]),
            )
            for one in self._versions(dataset_id)
        ]

    def delete(self, dataset: str) -> None:
        dataset_id = self._head(dataset)["id"]
        shutil.rmtree(self._folder / dataset_id)
        for experiment in files.every(self._experiments, "*/head.json"):
            if experiment["dataset_id"] == dataset_id:
                shutil.rmtree(self._experiments / experiment["id"])

    def _heads(self) -> list[dict[str, Any]]:
        files.check_folder(self._folder.parent)
        return files.every(self._folder, "*/head.json")

    def _head(self, dataset: str) -> dict[str, Any]:
        heads = self._heads()
        for head in heads:
            if dataset in (head["id"], head["name"]):
                return head
        raise NotFound(unknown_value("dataset", dataset, [head["name"] for head in heads[:20]]))

    def _versions(self, dataset_id: str) -> list[dict[str, Any]]:
        return files.every(self._folder / dataset_id / "versions")
