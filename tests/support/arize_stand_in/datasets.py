"""Datasets, their versions, which can change in place, and their examples."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from problems import Problem
from wire import checked, contains, limit_of, new_id, now, page

_READ_ONLY = ("id", "created_at", "updated_at")


class Datasets:
    def __init__(self, spaces: Any) -> None:
        self._spaces = spaces
        self.heads: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}  # by dataset, oldest first
        self.examples: dict[str, dict[str, dict[str, Any]]] = {}  # by version, by id
        self.columnar = False  # whether an example has a null for each column that others have

    def list(self, query: dict[str, str]) -> dict[str, Any]:
        rows = contains(self.heads.values(), query.get("name"))
        if space := query.get("space_id"):
            rows = [row for row in rows if row["space_id"] == space]
        if name := query.get("space_name"):
            rows = [r for r in rows if name.lower() in self._spaces.get(r["space_id"])["name"].lower()]
        rows.reverse()
        return page(rows, "datasets", limit_of(query.get("limit"), 100), query.get("cursor"), lambda row: row["id"])

    def create(self, body: Any) -> dict[str, Any]:
        given = checked("CreateDatasetRequest", body)
        self._spaces.get(given["space_id"])
        self._check_name(given["name"], given["space_id"])
        _check_examples(given["examples"], ("id", *_READ_ONLY))
        head = {"id": new_id("Dataset"), "name": given["name"], "space_id": given["space_id"]}
        head["created_at"] = head["updated_at"] = now()
        self.heads[head["id"]] = head
        self.versions[head["id"]] = []
        version = self._new_version(head["id"], "v1")
        self._insert(version, given["examples"])
        return head

    def get(self, dataset_id: str) -> dict[str, Any]:
        return {**self.head(dataset_id), "versions": list(reversed(self.versions[dataset_id]))}

    def rename(self, dataset_id: str, body: Any) -> dict[str, Any]:
        head = self.head(dataset_id)
        name = checked("UpdateDatasetRequest", body)["name"]
        if not name.strip():
            raise Problem(422, "name cannot be empty")
        if name != head["name"]:
            self._check_name(name, head["space_id"])
        head.update(name=name, updated_at=now())
        return head

    def delete(self, dataset_id: str) -> None:
        self.head(dataset_id)
        for version in self.versions.pop(dataset_id):
            del self.examples[version["id"]]
        del self.heads[dataset_id]

    def list_examples(self, dataset_id: str, query: dict[str, Any]) -> dict[str, Any]:
        version = self.version(dataset_id, query.get("dataset_version_id"))
        if "filter" in query and not str(query["filter"]).strip():
            raise Problem(400, "filter must not be empty")
        if query.get("filter"):
            raise Problem(422, "this stand-in knows no filters")
        rows = sorted(self.examples[version["id"]].values(), key=lambda row: (row["created_at"], row["id"]))
        if self.columnar:
            columns = dict.fromkeys(name for row in rows for name in row)
            rows = [{name: row.get(name) for name in columns} for row in rows]
        return page(rows, "examples", limit_of(query.get("limit"), 500), query.get("cursor"), lambda row: row["id"])

    def append_examples(self, dataset_id: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        version = self.version(dataset_id, query.get("dataset_version_id"))
        given = checked("InsertDatasetExamplesRequest", body)["examples"]
        _check_examples(given, ("id", *_READ_ONLY))
        return self._with_ids(dataset_id, version, self._insert(version, given))

    def update_examples(self, dataset_id: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        version = self.version(dataset_id, query.get("dataset_version_id"))
        given = checked("UpdateDatasetExamplesRequest", body)
        _check_examples(given["examples"], ("created_at", "updated_at"))
        if given.get("new_version"):
            before = self.examples[version["id"]]
            version = self._new_version(dataset_id, given["new_version"])
            self.examples[version["id"]] = copy.deepcopy(before)
        there, changed = self.examples[version["id"]], []
        for example in given["examples"]:
            if example["id"] in there:  # what is unknown is ignored, without a word
                there[example["id"]].update(example, updated_at=now())
                changed.append(example["id"])
        self._touch(dataset_id, version)
        return self._with_ids(dataset_id, version, changed)

    def delete_examples(self, dataset_id: str, body: Any) -> dict[str, Any]:
        given = checked("DeleteDatasetExamplesRequest", body)
        version = self.version(dataset_id, given["dataset_version_id"])
        ids = given["example_ids"]
        if len(set(ids)) < len(ids) or "" in ids:
            raise Problem(422, "example_ids must not contain duplicate or empty IDs")
        there = self.examples[version["id"]]
        deleted = [example_id for example_id in ids if there.pop(example_id, None)]
        self._touch(dataset_id, version)
        left = [example_id for example_id in ids if example_id not in deleted]
        return {"completed": True, "deleted_example_ids": deleted, "not_deleted_example_ids": left}

    def annotate(self, dataset_id: str, body: Any) -> None:
        head = self.head(dataset_id)
        rows = self.examples[self.versions[dataset_id][-1]["id"]]
        self._spaces.annotate(head["space_id"], checked("AnnotateDatasetExamplesRequest", body)["annotations"], rows)

    def head(self, dataset_id: str) -> dict[str, Any]:
        if dataset_id not in self.heads:
            raise Problem(404, f"dataset {dataset_id} not found")
        return self.heads[dataset_id]

    def version(self, dataset_id: str, version_id: str | None) -> dict[str, Any]:
        self.head(dataset_id)
        versions = self.versions[dataset_id]
        if not version_id:  # the official client sends an empty one for the newest
            return versions[-1]
        for version in versions:
            if version["id"] == version_id:
                return version
        raise Problem(404, f"dataset version {version_id} not found")

    def _check_name(self, name: str, space_id: str) -> None:
        if any(head["name"] == name and head["space_id"] == space_id for head in self.heads.values()):
            raise Problem(409, f"a dataset named {name!r} already exists in this space")

    def _new_version(self, dataset_id: str, name: str) -> dict[str, Any]:
        version = {"id": new_id("DatasetVersion"), "name": name, "dataset_id": dataset_id}
        version["created_at"] = version["updated_at"] = now()
        self.versions[dataset_id].append(version)
        self.examples[version["id"]] = {}
        return version

    def _insert(self, version: dict[str, Any], given: list[dict[str, Any]]) -> list[str]:
        """All of a request's examples are made at the same moment, so their order is that of their random ids."""
        moment = now()
        made = [{"id": str(uuid.uuid4()), "created_at": moment, "updated_at": moment, **row} for row in given]
        self.examples[version["id"]].update((row["id"], row) for row in made)
        self._touch(version["dataset_id"], version)
        return [row["id"] for row in made]

    def _touch(self, dataset_id: str, version: dict[str, Any]) -> None:
        version["updated_at"] = self.heads[dataset_id]["updated_at"] = now()

    def _with_ids(self, dataset_id: str, version: dict[str, Any], ids: list[str]) -> dict[str, Any]:
        return {**self.head(dataset_id), "dataset_version_id": version["id"], "example_ids": ids}


def _check_examples(given: list[dict[str, Any]], forbidden: tuple[str, ...]) -> None:
    for example in given:
        if not example:
            raise Problem(400, "each example must contain at least one property")
        for name in forbidden:
            if name in example:
                raise Problem(400, f"system-managed field {name!r} is not allowed in an example")
