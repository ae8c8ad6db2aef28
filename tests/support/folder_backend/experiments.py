"""An experiment is a folder: ``head.json``, a file for each run, and one for each evaluation."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect_experiments.backends.base import Draft, PulledResults
from prefect_experiments.errors import AmbiguousName, NotFound, unknown_value
from prefect_experiments.models import AnnotateRecordInput, Experiment
from prefect_experiments.pages import Pagination
from prefect_experiments.records import UNPLACED, EvaluatedRun, EvaluationRecord, RunRecord, annotation_record
from prefect_experiments.store.named import newest_of

from . import files
from .datasets import FolderDatasets


class FolderExperiments:
    """See `prefect_experiments.backends.base.Experiments`."""

    def __init__(self, folder: Path, datasets: FolderDatasets) -> None:
        self._folder, self._datasets = folder, datasets

    def begin(self, draft: Draft) -> Experiment:
        dataset = self._datasets.get(draft.dataset_id, version=draft.version_id, splits=draft.splits)
        head = {
            "id": f"E-{uuid.uuid4().hex}",
            "name": draft.name,
            "dataset_id": draft.dataset_id,
            "dataset_name": dataset.name,
            "dataset_version_id": draft.version_id,
            "description": draft.description,
            "metadata": dict(draft.metadata),
            "repetitions": draft.repetitions,
            "splits": draft.splits,
            "example_count": len(dataset),
            "tags": [],
            "created_at": files.now(),
        }
        self._write(head)
        return _experiment(head)

    def page(self, *, dataset: str | None, limit: int, cursor: str | None) -> tuple[list[Experiment], Pagination]:
        heads, pagination = files.page(self._heads(dataset), limit, cursor)
        return list(map(_experiment, heads)), pagination

    def find(self, experiment: str, dataset: str | None = None) -> Experiment:
        heads = self._heads(None)
        found = [head for head in heads if head["id"] == experiment]
        if not found:
            heads = self._heads(dataset)
            if experiment == "latest":
                found = heads[:1]
            elif (name := newest_of(experiment)) is not None:
                named = [head for head in heads if head["name"] == name]
                found = (named or [head for head in self._heads(None) if head["dataset_name"] == name])[:1]
            elif experiment.startswith("tag:"):
                found = [head for head in heads if experiment.removeprefix("tag:") in head["tags"]]
            else:
                found = [head for head in heads if head["name"] == experiment]
        if not found:
            raise NotFound(unknown_value("experiment", experiment, [head["name"] for head in heads[:20]]))
        if len(found) > 1:
            ids = ", ".join(head["id"] for head in found)
            raise AmbiguousName(f"{len(found)} experiments are called {experiment!r}; name one by its id: {ids}")
        return _experiment(found[0])

    def delete(self, experiment_id: str) -> None:
        self.find(experiment_id)
        shutil.rmtree(self._folder / experiment_id)

    def check_name(self, name: str) -> None:
        pass

    def tag(self, experiment_id: str, tag: str) -> None:
        for head in self._heads(self.find(experiment_id).dataset_id):
            head["tags"] = [*({*head["tags"]} - {tag}), *([tag] if head["id"] == experiment_id else [])]
            self._write(head)

    def untag(self, experiment_id: str, tag: str) -> None:
        head = files.read(self._folder / experiment_id / "head.json")
        if tag not in head["tags"]:
            raise NotFound(f"experiment {experiment_id} has no tag {tag!r}")
        self._write({**head, "tags": [one for one in head["tags"] if one != tag]})

    def annotate(
        self, annotations: Sequence[AnnotateRecordInput], annotator: str | None, experiment_id: str | None = None
    ) -> int:
        values = [(note.record_id, value) for note in annotations for value in note.values]
        for run_id, value in values:
            said = (value.score, value.label, value.text, annotator, time.time())
            self.put_evaluation(run_id, annotation_record(UNPLACED, 1, value.name, *said))
        return len(values)

    def put_run(self, experiment_id: str, run: RunRecord) -> str:
        """Write a run, or write it again; its id."""
        run_id = f"{experiment_id}/{files.file_name(run.example_id, run.repetition_number)}"
        if not (self._folder / experiment_id).is_dir():
            raise NotFound(f"there is no experiment {experiment_id}")
        files.write(self._folder / experiment_id / "runs" / run_id.partition("/")[2], run._asdict())
        return run_id

    def put_evaluation(self, run_id: str, evaluation: EvaluationRecord) -> None:
        experiment_id, _, name = run_id.partition("/")
        if not (self._folder / experiment_id / "runs" / name).is_file():
            raise NotFound(f"there is no run {run_id}")
        place = self._folder / experiment_id / "evaluations" / name / files.file_name(evaluation.name)
        files.write(place, evaluation._asdict())

    def pull(self, experiment: Experiment) -> PulledResults:
        folder = self._folder / experiment.id
        runs = []
        for path in sorted((folder / "runs").glob("*.json")):
            given = map(files.read, (folder / "evaluations" / path.name).glob("*.json"))
            evaluations = tuple(EvaluationRecord(**one) for one in given)
            run = RunRecord(**files.read(path))._replace(position=UNPLACED)
            runs.append(EvaluatedRun(run, evaluations, f"{experiment.id}/{path.name}"))
        dataset = self._datasets.get(
            experiment.dataset_id, version=experiment.dataset_version_id, splits=experiment.splits
        )
        wanted = {(e.id, r) for e in dataset.examples for r in range(1, experiment.repetitions + 1)}
        missing = wanted - {(one.run.example_id, one.repetition_number) for one in runs if one.run.error is None}
        return PulledResults(runs, sorted(missing))

    def _heads(self, dataset: str | None) -> list[dict[str, Any]]:
        dataset_id = None if dataset is None else self._datasets.info(dataset).id
        return [head for head in files.every(self._folder, "*/head.json") if dataset_id in (None, head["dataset_id"])]

    def _write(self, head: dict[str, Any]) -> None:
        files.write(self._folder / head["id"] / "head.json", head)


def _experiment(head: dict[str, Any]) -> Experiment:
    created_at, tags, splits = files.moment(head["created_at"]), tuple(head["tags"]), tuple(head["splits"])
    return Experiment(**{**head, "created_at": created_at, "tags": tags, "splits": splits})
