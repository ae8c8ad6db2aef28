"""Experiments and their runs. Appending the same run twice makes two of it."""

from __future__ import annotations

import uuid
from typing import Any

from problems import Problem
from wire import checked, contains, limit_of, new_id, now, page


class Experiments:
    def __init__(self, spaces: Any, datasets: Any) -> None:
        self._spaces = spaces
        self._datasets = datasets
        self.heads: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, dict[str, Any]]] = {}  # by experiment, by id, in order of insertion
        self.tags: dict[str, list[str]] = {}
        self.null_failed_output = False  # whether a run with an error comes back with no output

    def list(self, query: dict[str, str]) -> dict[str, Any]:
        if query.get("dataset_id") and query.get("space_id"):
            raise Problem(400, "give dataset_id or space_id, not both")
        rows = contains(self.heads.values(), query.get("name"))
        for field in ("dataset_id", "space_id"):
            if value := query.get(field):
                rows = [row for row in rows if row[field] == value]
        rows.reverse()
        return page(rows, "experiments", limit_of(query.get("limit"), 100), query.get("cursor"), lambda row: row["id"])

    def create(self, body: Any) -> dict[str, Any]:
        given = checked("CreateExperimentRequest", body)
        dataset_id, space_id = given.get("dataset_id"), given.get("space_id")
        if bool(dataset_id) == bool(space_id):
            raise Problem(400, "give exactly one of dataset_id and space_id")
        version = None
        if dataset_id:
            space_id = self._datasets.head(dataset_id)["space_id"]
            version = self._datasets.version(dataset_id, None)["id"]
        else:
            self._spaces.get(space_id)
        _check_runs(given["experiment_runs"], dataset_id)
        for head in self.heads.values():
            if head["name"] == given["name"] and (head["dataset_id"], head["space_id"]) == (dataset_id, space_id):
                raise Problem(409, f"an experiment named {given['name']!r} already exists")
        head = {
            "id": new_id("Experiment"),
            "name": given["name"],
            "space_id": space_id,
            "dataset_id": dataset_id,
            "dataset_version_id": version,
            "created_at": now(),
            "updated_at": now(),
            "experiment_traces_project_id": None,
            "integration_id": None,
        }
        self.heads[head["id"]] = head
        self.runs[head["id"]] = {}
        self._insert(head, given["experiment_runs"])
        return head

    def head(self, experiment_id: str) -> dict[str, Any]:
        if experiment_id not in self.heads:
            raise Problem(404, f"experiment {experiment_id} not found")
        return self.heads[experiment_id]

    def delete(self, experiment_id: str) -> None:
        self.head(experiment_id)
        del self.heads[experiment_id], self.runs[experiment_id]

    def append_runs(self, experiment_id: str, body: Any) -> dict[str, Any]:
        head = self.head(experiment_id)
        given = checked("InsertExperimentRunsRequest", body)["experiment_runs"]
        _check_runs(given, head["dataset_id"])
        return {**head, "run_ids": self._insert(head, given)}

    def list_runs(self, experiment_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """In order of insertion."""
        self.head(experiment_id)
        return self._page(list(self.runs[experiment_id].values()), query)

    def search_runs(self, experiment_id: str, body: Any) -> dict[str, Any]:
        """In order of their ids."""
        self.head(experiment_id)
        query = checked("SearchExperimentRunsRequest", body)
        if "filter" in query and not str(query["filter"] or "").strip():
            raise Problem(400, "filter must not be empty")
        if query.get("filter"):
            raise Problem(422, "this stand-in knows no filters")
        return self._page(sorted(self.runs[experiment_id].values(), key=lambda run: run["id"]), query)

    def annotate(self, experiment_id: str, body: Any) -> None:
        head = self.head(experiment_id)
        given = checked("AnnotateExperimentRunsRequest", body)["annotations"]
        self._spaces.annotate(head["space_id"], given, self.runs[experiment_id])

    def _page(self, rows: list[dict[str, Any]], query: dict[str, Any]) -> dict[str, Any]:
        found = page(rows, "experiment_runs", limit_of(query.get("limit"), 500), query.get("cursor"), lambda r: r["id"])
        if self.null_failed_output:
            found["experiment_runs"] = [
                {**r, "output": None} if r.get("error") else r for r in found["experiment_runs"]
            ]
        return found

    def _insert(self, head: dict[str, Any], given: list[dict[str, Any]]) -> list[str]:
        made = [{"error": None, **run, "id": str(uuid.uuid4()), "annotations": []} for run in given]
        self.runs[head["id"]].update((run["id"], run) for run in made)
        head["updated_at"] = now()
        return [run["id"] for run in made]


def _check_runs(given: list[dict[str, Any]], dataset_id: str | None) -> None:
    for number, run in enumerate(given):
        if dataset_id and not run.get("example_id"):
            raise Problem(400, f"experiment_runs[{number}]: example_id is required")
