"""Experiments in Phoenix."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from prefect_experiments.backends.base import Draft, PulledResults
from prefect_experiments.backends.marks import unmarked
from prefect_experiments.backends.phoenix.api import PhoenixApi, Row, each
from prefect_experiments.backends.phoenix.datasets import find_dataset, named_dataset
from prefect_experiments.backends.phoenix.rows import is_id, number_of, to_experiment, to_time
from prefect_experiments.errors import BackendUnavailable, InvalidInput, NotFound, unknown_value
from prefect_experiments.models import AnnotateRecordInput, Experiment
from prefect_experiments.pages import Pagination
from prefect_experiments.records import (
    UNKNOWN_FINGERPRINT,
    UNPLACED,
    EvaluatedRun,
    EvaluationRecord,
    RunRecord,
    annotation_metadata,
    json_text,
)
from prefect_experiments.store.named import BY_TAG, LATEST, ambiguous, by_newest, newest_of
from prefect_experiments.store.paging import decode_cursor, encode_cursor
from prefect_experiments.sync import waited

_TAG = re.compile(r"[a-z0-9](?:[_a-z0-9-]*[a-z0-9])?")


class PhoenixExperiments:
    """``client.experiments`` for Phoenix; see `backends.base.Experiments`."""

    def __init__(self, api: PhoenixApi) -> None:
        self._api = api

    @waited
    async def page(self, *, dataset: str | None, limit: int, cursor: str | None) -> tuple[list[Experiment], Pagination]:
        """Experiments, newest first. Phoenix lists those of one dataset; for all, each dataset is asked."""
        if dataset is not None:
            head = await find_dataset(self._api, dataset)
            found = await self._api.experiments(head["id"], cursor=cursor, limit=limit)
            rows, after, names = found["data"], found.get("next_cursor") or None, {head["id"]: head["name"]}
        else:
            every, names = await self._everywhere()
            start = 0 if cursor is None else int(decode_cursor(cursor, int)[0])
            rows = every[start : start + limit]
            after = encode_cursor([start + limit]) if start + limit < len(every) else None
        tags = await self._tags(rows)
        experiments = [
            to_experiment(row, dataset_name=names.get(row["dataset_id"], ""), tags=given)
            for row, given in zip(rows, tags, strict=True)
        ]
        return experiments, Pagination(has_more=after is not None, next_cursor=after)

    async def _everywhere(self) -> tuple[list[Row], dict[str, str]]:
        """The experiments of all datasets, newest first, and the datasets' names."""
        names: dict[str, str] = {}
        cursor: str | None = None
        while True:
            found = await self._api.datasets(cursor=cursor)
            names.update((row["id"], row["name"]) for row in found["data"])
            cursor = found.get("next_cursor")
            if not cursor:
                break
        lists = await each(self._api.every_experiment, names)
        every = [row for rows in lists for row in rows]
        return sorted(every, key=lambda row: number_of(row["id"]), reverse=True), names

    @waited
    async def find(self, experiment: str, dataset: str | None = None) -> Experiment:
        """An experiment by id, name, ``tag:NAME``, ``latest`` or ``latest:NAME``."""
        if is_id(experiment, "Experiment"):
            return await self.read(await self._api.experiment(experiment))
        if dataset is None:
            rows, _ = await self._everywhere()
        else:
            rows = await self._api.every_experiment((await find_dataset(self._api, dataset))["id"])
        if experiment.startswith("tag:"):
            found = await self._tagged(rows, experiment.removeprefix("tag:"))
        elif experiment == LATEST:
            found = rows[:1]
        elif (name := newest_of(experiment)) is not None:
            found = [row for row in rows if row["name"] == name][:1]
            if not found and (head := await named_dataset(self._api, name)) is not None:
                found = (await self._api.every_experiment(head["id"]))[:1]
        else:
            found = [row for row in rows if row["name"] == experiment]
        if not found:
            names = list(dict.fromkeys(row["name"] for row in rows))[:20]
            raise NotFound(f"{self._api.http.address}: {unknown_value('experiment', experiment, names)}")
        if len(found) > 1:
            several = [(row["id"], to_time(row["created_at"])) for row in found]
            tagged = experiment.startswith(BY_TAG)
            what = "experiments have the tag" if tagged else "experiments are called"
            instead = "say dataset=" if tagged else by_newest(experiment)
            raise ambiguous(f"{what} {experiment.removeprefix(BY_TAG)!r}", several, instead=instead)
        return await self.read(found[0])

    async def _tagged(self, rows: Sequence[Row], tag: str) -> list[Row]:
        return [row for row, given in zip(rows, await self._tags(rows), strict=True) if tag in given]

    async def _tags(self, rows: Sequence[Row]) -> list[list[str]]:
        return await each(self._api.tags, [row["id"] for row in rows])

    async def read(self, row: Row) -> Experiment:
        """An experiment from its JSON, with its dataset's name and its tags."""
        head, tags = await asyncio.gather(self._api.dataset(row["dataset_id"]), self._api.tags(row["id"]))
        return to_experiment(row, dataset_name=head["name"], tags=tags)

    @waited
    async def begin(self, draft: Draft) -> Experiment:
        """A new experiment."""
        body: dict[str, Any] = {
            "name": draft.name,
            "description": draft.description,
            "metadata": dict(draft.metadata),
            "version_id": draft.version_id,
            "repetitions": draft.repetitions,
        }
        if draft.splits:
            body["splits"] = list(draft.splits)
        return to_experiment(await self._api.create_experiment(draft.dataset_id, body))

    @waited
    async def add_metadata(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Add to an experiment's metadata: what people have put there meanwhile stays."""
        known = (await self._api.experiment(experiment_id)).get("metadata") or {}
        await self._api.update_experiment(experiment_id, {"metadata": {**known, **metadata}})

    @waited
    async def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its runs and traces."""
        await self._api.delete_experiment(experiment_id)

    def check_name(self, name: str) -> None:
        """Phoenix takes every name that the store takes."""

    @waited
    async def tag(self, experiment_id: str, tag: str) -> None:
        """Give a tag.

        Raises:
            InvalidInput: one that Phoenix does not take.
        """
        if not _TAG.fullmatch(tag):
            raise InvalidInput(
                "a tag in Phoenix is made of lower-case letters, digits, '-' and '_', such as 'baseline'; "
                f"got {tag!r:.60}"
            )
        await self._api.tag(experiment_id, tag)

    @waited
    async def untag(self, experiment_id: str, tag: str) -> None:
        """Take a tag away.

        Raises:
            NotFound: the experiment does not have it.
        """
        if tag not in await self._api.tags(experiment_id):
            raise NotFound(f"experiment {experiment_id} has no tag {tag!r:.60}")
        await self._api.untag(experiment_id, tag)

    @waited
    async def annotate(
        self,
        annotations: Sequence[AnnotateRecordInput],
        annotator: str | None,
        experiment_id: str | None = None,  # noqa: ARG002
    ) -> int:
        """Write people's annotations as ``HUMAN`` evaluations, one request each."""
        for record in annotations:
            if not is_id(record.record_id, "ExperimentRun"):
                raise InvalidInput(f"{record.record_id!r:.80} is not the id of a run in Phoenix; list_runs gives them")
        now = datetime.now(UTC).isoformat()
        written = 0
        for record in annotations:
            for value in record.values:
                body = {
                    "experiment_run_id": record.record_id,
                    "name": value.name,
                    "annotator_kind": "HUMAN",
                    "start_time": now,
                    "end_time": now,
                    "result": {"score": value.score, "label": value.label, "explanation": value.text},
                    "metadata": annotation_metadata(annotator),
                }
                try:
                    await self._api.put_evaluation(body)
                except BackendUnavailable as error:  # also what Phoenix says of a run that there is not
                    raise BackendUnavailable(
                        f"{error}. Is {record.record_id} the id of a run that is there? "
                        f"{written} annotations were written before; writing those again changes nothing"
                    ) from None
                written += 1
        return written

    @waited
    async def pull(self, experiment: Experiment) -> PulledResults:
        """Everything that Phoenix has of an experiment.

        One endpoint knows the runs' ids, another their evaluations, and both call the examples by
        other ids than the datasets do.
        """
        found = await self._api.examples(experiment.dataset_id, experiment.dataset_version_id)
        example_of = {row["node_id"]: row["id"] for row in found["examples"]}
        runs, results, incomplete = await asyncio.gather(
            self._api.runs(experiment.id),
            self._api.results(experiment.id, experiment.name),
            self._api.incomplete_runs(experiment.id),
        )
        given = {(row["example_id"], row["repetition_number"]): row for row in results}
        known = [row for row in runs if row["dataset_example_id"] in example_of]
        missing = [
            (example_of[row["dataset_example"]["node_id"]], number)
            for row in incomplete
            for number in row["repetition_numbers"]
            if row["dataset_example"]["node_id"] in example_of
        ]
        made = [_run(row, example_of[row["dataset_example_id"]], _of(given, row)) for row in known]
        said = (evaluation for row in known for evaluation in _of(given, row).get("annotations") or ())
        tasks = (unmarked(evaluation.get("metadata"))[1].get("task") for evaluation in said)
        return PulledResults(made, missing, next(filter(None, tasks), None))


def _of(given: Mapping[tuple[str, int], Row], run: Row) -> Row:
    return given.get((run["dataset_example_id"], run["repetition_number"]), Row())


def _run(row: Row, example_id: str, result: Row) -> EvaluatedRun:
    start, end = _time(row, "start_time"), _time(row, "end_time")
    counts = [n for n in (result.get("prompt_token_count"), result.get("completion_token_count")) if n is not None]
    error = row.get("error")
    run = RunRecord(
        UNPLACED,
        row["repetition_number"],
        example_id,
        output_json=None if error is not None else orjson.dumps(row["output"]).decode(),
        error=error,
        start_time=start.timestamp(),
        end_time=end.timestamp(),
        token_count=sum(counts) if counts else None,
        trace_id=row.get("trace_id"),
        latency_ms=(end - start) / timedelta(milliseconds=1) or None,  # no call takes no time: it is not known
    )
    return EvaluatedRun(run, tuple(map(_evaluation, result.get("annotations") or ())), row["id"])


def _evaluation(given: Mapping[str, Any]) -> EvaluationRecord:
    row = Row(given)
    metadata, mark = unmarked(row.get("metadata"))
    return EvaluationRecord(
        UNPLACED,
        1,
        row["name"],
        mark.get("evaluator") or row["name"],
        row["annotator_kind"],
        mark.get("fingerprint", UNKNOWN_FINGERPRINT),
        score=row.get("score"),
        label=row.get("label"),
        explanation=row.get("explanation"),
        metadata_json=json_text(metadata),
        error=row.get("error"),
        start_time=_time(row, "start_time").timestamp(),
        end_time=_time(row, "end_time").timestamp(),
        trace_id=row.get("trace_id"),
    )


def _time(row: Row, name: str) -> datetime:
    found = to_time(row[name])
    assert found is not None
    return found
