"""Phoenix's JSON on one side, our values on the other."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from prefect_experiments.backends.marks import marked_metadata
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example, Experiment
from prefect_experiments.origin import parts_of
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.times import to_datetime

_RUN_IN_TEXT = re.compile(r"Experiment run (\S+) already exists")


def is_id(text: str, kind: str) -> bool:
    """Whether a text is one of Phoenix's ids: base64 of such as ``Dataset:1``."""
    try:
        return base64.b64decode(text, validate=True).startswith(f"{kind}:".encode())
    except (binascii.Error, ValueError):
        return False


def number_of(node_id: str) -> int:
    """The number that one of Phoenix's ids says: the later made, the larger. Base64 has another order."""
    return int(base64.b64decode(node_id).rpartition(b":")[2])


def own_id(example_id: str) -> str:
    """The id that an example gets in a dataset that does not have it yet.

    Phoenix makes ids, such as base64 of ``DatasetExample:7``, for examples that bring none, and takes
    none of those in another dataset: there it is called by what the id says.
    """
    if not is_id(example_id, "DatasetExample"):
        return example_id
    return base64.b64decode(example_id).decode(errors="replace")


def id_among(present: Collection[str], example_id: str) -> str:
    """The id that an example of ours has, or will get, in a dataset with these ids."""
    return example_id if example_id in present else own_id(example_id)


def as_object(value: Any, name: str) -> dict[str, Any]:
    """Phoenix takes objects only: anything else goes under a name, such as ``{"input": "text"}``."""
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {name: value}


def upload_body(
    name: str,
    action: str,
    examples: Sequence[Example],
    *,
    present: Collection[str] = (),
    description: str | None = None,
) -> dict[str, Any]:
    """What ``POST /v1/datasets/upload`` takes; `present` are the ids that the dataset has."""
    body: dict[str, Any] = {
        "action": action,
        "name": name,
        "inputs": [as_object(e.input, "input") for e in examples],
        "outputs": [as_object(e.output, "output") for e in examples],
        "metadata": [dict(e.metadata) for e in examples],
        "splits": [list(e.splits) for e in examples],
        "example_ids": [id_among(present, e.id) or None for e in examples],
    }
    if description is not None:
        body["description"] = description
    if any(e.span_id for e in examples):
        body["span_ids"] = [e.span_id for e in examples]
    return body


def to_example(row: Mapping[str, Any], splits: Sequence[str] = ()) -> Example:
    """An example from its JSON; an empty output is none."""
    return Example(
        id=row["id"],
        input=row["input"],
        output=row["output"] or None,
        metadata=row.get("metadata") or {},
        splits=tuple(splits),
        span_id=(row.get("source") or {}).get("span_id"),
    )


def content_key(example: Example) -> bytes:
    """The same for examples that Phoenix would have the same content and splits of."""
    content = (
        as_object(example.input, "input"),
        as_object(example.output, "output"),
        dict(example.metadata),
        sorted(example.splits),
    )
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def to_dataset(head: Mapping[str, Any], version_id: str, examples: Sequence[Example], splits: Sequence[str]) -> Dataset:
    """A dataset from the JSON of its head."""
    return Dataset(
        id=head["id"],
        name=head["name"],
        description=head.get("description") or None,
        metadata=head.get("metadata") or {},
        version_id=version_id,
        examples=tuple(examples),
        splits=tuple(splits),
        created_at=to_time(head.get("created_at")),
    )


def to_info(head: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> DatasetInfo:
    """A dataset without its examples; `versions` newest first."""
    created = to_time(head["created_at"]) or datetime.fromtimestamp(0, UTC)
    return DatasetInfo(
        id=head["id"],
        name=head["name"],
        version_id=versions[0]["version_id"] if versions else "",
        version_count=len(versions),
        example_count=head.get("example_count") or 0,
        description=head.get("description") or None,
        metadata=head.get("metadata") or {},
        created_at=created,
        updated_at=to_time(head.get("updated_at")) or created,
    )


def to_version(row: Mapping[str, Any], dataset_id: str, number: int, example_count: int) -> DatasetVersion:
    """A version from its JSON."""
    created = to_time(row["created_at"]) or datetime.fromtimestamp(0, UTC)
    return DatasetVersion(
        id=row["version_id"], dataset_id=dataset_id, number=number, example_count=example_count, created_at=created
    )


def to_experiment(row: Mapping[str, Any], *, dataset_name: str = "", tags: Sequence[str] = ()) -> Experiment:
    """An experiment from its JSON."""
    return Experiment(
        id=row["id"],
        name=row.get("name") or row["id"],
        description=row.get("description"),
        **parts_of(row.get("metadata") or {}),
        dataset_id=row["dataset_id"],
        dataset_name=dataset_name,
        dataset_version_id=row["dataset_version_id"],
        repetitions=row.get("repetitions") or 1,
        example_count=row.get("example_count") or 0,
        project_name=row.get("project_name"),
        tags=tuple(tags),
        created_at=to_time(row.get("created_at")),
        updated_at=to_time(row.get("updated_at")),
    )


def run_body(run: RunRecord, node_id: str) -> dict[str, Any]:
    """What ``POST /v1/experiments/{id}/runs`` takes.

    It has no place for the latency but the time between start and end, to the microsecond: where an end was given as
    well and says otherwise, the latency counts.
    """
    start, end = to_datetime(run.start_time), to_datetime(run.end_time)
    if run.latency_ms is not None:
        end = start + timedelta(milliseconds=run.latency_ms)
    return {
        "dataset_example_id": node_id,
        "output": None if run.output_json is None else orjson.Fragment(run.output_json.encode()),
        "repetition_number": run.repetition_number,
        "start_time": start.isoformat(),
        "end_time": end.isoformat(),
        "trace_id": run.trace_id,
        "error": run.error,
    }


def evaluation_body(evaluation: EvaluationRecord, run_id: str, task_fingerprint: str | None) -> dict[str, Any]:
    """What ``POST /v1/experiment_evaluations`` takes."""
    body: dict[str, Any] = {
        "experiment_run_id": run_id,
        "name": evaluation.name,
        "annotator_kind": evaluation.annotator_kind,
        "start_time": to_datetime(evaluation.start_time).isoformat(),
        "end_time": to_datetime(evaluation.end_time).isoformat(),
        "metadata": marked_metadata(evaluation, task_fingerprint) or None,
        "trace_id": evaluation.trace_id,
    }
    if evaluation.error is not None:
        body["error"] = evaluation.error
    else:
        body["result"] = {"score": evaluation.score, "label": evaluation.label, "explanation": evaluation.explanation}
    return body


def existing_run(said: str) -> str | None:
    """The id of the run that is there already, from what Phoenix says to a second one."""
    found = _RUN_IN_TEXT.search(said)
    return found[1] if found else None


def to_time(text: str | None) -> datetime | None:
    """A time from Phoenix."""
    return None if text is None else datetime.fromisoformat(text)
