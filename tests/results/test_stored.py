"""Results that are read from the store page by page are those that are read at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput, Example
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord
from prefect_experiments.results import result_frame, result_rows
from prefect_experiments.results.stored import HeldRuns, StoredRuns
from prefect_experiments.store import EvaluatorRecord, Store, TaskRecord

COUNT = 700  # more than a page of the store's


def evaluation(place: int, repetition: int, evaluator: str, name: str | None = None, **more: Any) -> EvaluationRecord:
    return EvaluationRecord(
        place, repetition, name or evaluator, evaluator, "CODE", "f", start_time=1, end_time=2, **more
    )


def run(place: int, repetition: int) -> EvaluatedRun:
    """Each seventh failed; `several` gives two of its own names, and fails on the first page, before it gave any."""
    failed = place % 7 == 0
    said = (
        [] if failed else [evaluation(place, repetition, "right", score=float(place % 2), explanation=f"why {place}")]
    )
    if place == 1:
        said.append(evaluation(place, repetition, "several", error="ValueError: no", token_count=3))
    if place == 690:
        said += [evaluation(place, repetition, "several", name, label="x") for name in ("one", "two")]
        said.append(evaluation(place, repetition, "late", score=1.0, metadata_json='{"direction":"minimize"}'))
    record = RunRecord(
        place,
        repetition,
        f"e{place}",
        None if failed else json.dumps({"said": place}),
        "ValueError: not today" if failed else None,
        1.0,
        2.0,
        token_count=place if place % 2 else None,
        latency_ms=float(place),
        metadata_json='{"who":"me"}' if place == 650 else None,
    )
    return EvaluatedRun(record, tuple(said))


@pytest.fixture(scope="module", params=["whole", "some positions"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RanExperiment]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'e.db'}")
    content = [Example(id=f"e{place}", input={"q": place}, output=place) for place in range(COUNT)]
    version = store.datasets.put("d", content)
    places = range(COUNT) if request.param == "whole" else [*range(0, COUNT, 3), 1, 650]
    record, _ = store.ingest.put(
        "e",
        version,
        [run(place, repetition) for place in sorted(places) for repetition in (1, 2)],
        fingerprint="x",
        task=TaskRecord("answer", None, None),
        evaluators=[EvaluatorRecord(name, "CODE", "f") for name in ("right", "several", "silent")],
        repetitions=2,
        positions=None if request.param == "whole" else sorted(places),
    )
    noted = RanExperiment(store, record).task_runs[-1]
    store.results.annotate([AnnotateRecordInput(record_id=noted.id, values=[AnnotationInput(name="tone", score=1)])])
    yield RanExperiment(store, record)
    store.close()


def stored(ran: RanExperiment) -> StoredRuns:
    found = ran.stored
    assert found is not None
    return found


def test_rows_and_columns_are_those_of_the_whole(ran: RanExperiment) -> None:
    found = stored(ran)
    assert found.columns == list(result_frame(ran.results).columns)
    assert [{name: row.get(name) for name in found.columns} for row in found.rows()] == result_rows(ran.results)
    assert len(found) == len(ran.results.runs) == len(list(found))
    assert "eval.one.error" in found.columns
    assert "eval.several.error" not in found.columns, "it gives its evaluations other names, later on"


def test_runs_without_their_texts_have_every_score(ran: RanExperiment) -> None:
    for light, whole in zip(stored(ran).light(), ran.results.runs, strict=True):
        assert (light.example_id, light.repetition_number) == (whole.example_id, whole.repetition_number)
        assert (light.error is None, light.record.latency_ms) == (whole.error is None, whole.record.latency_ms)
        said = [
            {name: (one.score, one.label, one.error is None) for name, one in run.counted.items()}
            for run in (light, whole)
        ]
        assert said[0] == said[1]
        assert light.record.output is None


def test_some_examples_come_in_the_order_that_is_asked_for(ran: RanExperiment) -> None:
    wanted = ["e699", "none of it", "e3", *(f"e{place}" for place in range(690, 3, -3))]
    found = [(example_id, list(runs)) for example_id, runs in stored(ran).of(wanted)]
    held = [(example_id, list(runs)) for example_id, runs in HeldRuns(ran.results.runs).of(wanted)]
    assert [example_id for example_id, _ in found] == wanted
    assert [[run.content() for run in runs] for _, runs in found] == [
        [run.content() for run in runs] for _, runs in held
    ]
    assert [[(run.input, run.expected, run.id) for run in runs] for _, runs in found] == [
        [(run.input, run.expected, run.id) for run in runs] for _, runs in held
    ]
    assert found[1] == ("none of it", [])


def test_an_experiment_without_runs_has_its_columns(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'e.db'}")
    version = store.datasets.put("d", [Example(id="a", input=1)])
    record = store.experiments.create(
        "e", version, task=TaskRecord("t", None, None), evaluators=[EvaluatorRecord("right", "CODE", "f")]
    )
    ran = RanExperiment(store, record)
    assert stored(ran).columns == list(result_frame(ran.results).columns)
    assert (list(stored(ran).rows()), len(stored(ran))) == ([], 0)
    store.close()
