"""A record comes back from wherever it goes: the store, its queue for backends, another store, a table of results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments import keys
from prefect_experiments.jsonable import dumps_strict
from prefect_experiments.records import (
    UNKNOWN_FINGERPRINT,
    EvaluatedRun,
    EvaluationRecord,
    RunIds,
    RunRecord,
    annotation_record,
)
from prefect_experiments.results import read_results, result_frame, results_of
from prefect_experiments.store import EvaluatorRecord, Link, Store
from prefect_experiments.store.rows import EVALUATION_COLUMNS, RUN_COLUMNS
from prefect_experiments.texts import plain_text

from .samples import TASK, examples, failed_row, new_experiment, record, run_row, verdict

COUNT = 3
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(max_size=20)
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=10)
moments = st.floats(1e9, 2e9).map(lambda seconds: round(seconds, 6))
errors = st.none() | texts.map("ValueError: {}".format)
amounts = st.floats(0, 1e6)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.none() | st.dictionaries(words, values, min_size=1, max_size=3).map(dumps_strict)
traces = st.none() | st.text("0123456789abcdef", min_size=32, max_size=32)


def optional(strategy: Any) -> Any:
    return st.none() | strategy


@st.composite
def run_records(draw: Any, position: int) -> RunRecord:
    error = draw(errors)
    return RunRecord(
        position,
        1,
        f"ex-{position}",
        None if error is not None else dumps_strict(draw(values)),
        error,
        draw(moments),
        draw(moments),
        draw(st.integers(1, 5)),
        draw(optional(st.integers(0, 2**31 - 1))),
        draw(optional(amounts)),
        draw(traces),
        draw(objects),
        draw(optional(amounts)),
    )


@st.composite
def evaluation_records(draw: Any, run: RunRecord, name: str) -> EvaluationRecord:
    error = draw(errors)
    result = (None, None, None) if error is not None else (draw(amounts), draw(optional(texts)), draw(optional(texts)))
    who = (draw(words), draw(st.sampled_from(["CODE", "LLM"])), draw(st.sampled_from([UNKNOWN_FINGERPRINT, "f" * 64])))
    times = (draw(moments), draw(moments))
    return EvaluationRecord(*run.key, name, *who, *result, draw(objects), error, *times, draw(traces))


@st.composite
def evaluated_runs(draw: Any) -> list[EvaluatedRun]:
    """One of each example, with the evaluations of two evaluators where it is ok, and somebody's annotation."""
    found = []
    for position in range(COUNT):
        run = draw(run_records(position))
        names = ["a", "b"] if run.error is None else []
        evaluations = [draw(evaluation_records(run, name)) for name in names if draw(st.booleans())]
        if draw(st.booleans()):
            said = (draw(amounts), draw(optional(texts)), draw(optional(texts)), draw(optional(words)), draw(moments))
            evaluations.append(annotation_record(*run.key, "note", *said))
        found.append(EvaluatedRun(run, tuple(evaluations)))
    return found


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'records.db'}")
    yield store
    store.close()


def kept(given: list[EvaluatedRun]) -> list[EvaluatedRun]:
    """The same as a database keeps it."""

    def text(value: str | None) -> str | None:
        return value and plain_text(value)

    return [
        EvaluatedRun(
            each.run._replace(error=text(each.run.error)),
            tuple(
                one._replace(label=text(one.label), explanation=text(one.explanation), error=text(one.error))
                for one in each.evaluations
            ),
        )
        for each in given
    ]


def all_of(store: Store, experiment_id: str) -> list[EvaluatedRun]:
    runs = store.results.runs(experiment_id)[0]
    said = [*store.results.evaluations(experiment_id), *store.results.annotations(experiment_id)]
    return [EvaluatedRun(run, tuple(one for one in said if one.key == run.key)) for run in runs]


def linked(store: Store, experiment_id: str) -> Link:
    ids = {"remote_dataset_id": "D", "remote_version_id": "V"}
    return store.links.link_experiment(
        experiment_id, "somewhere", remote_id=f"R{experiment_id}", project_name=None, url=None, **ids
    )


def test_a_records_fields_are_the_columns_in_their_order() -> None:
    for record_type, columns in ((RunRecord, RUN_COLUMNS), (EvaluationRecord, EVALUATION_COLUMNS)):
        assert [name.removesuffix("_json") for name in record_type._fields] == [column.name for column in columns]


@QUICK
@given(given=evaluated_runs())
def test_recorded_read_and_queued_as_they_were(here: Store, given: list[EvaluatedRun]) -> None:
    experiment_id = new_experiment(here, COUNT).experiment.id
    evaluations = [[one for one in each.evaluations if not one.is_annotation] for each in given]
    record(here, experiment_id, [each.run for each in given], [one for some in evaluations for one in some])
    wanted = kept([EvaluatedRun(each.run, tuple(some)) for each, some in zip(given, evaluations, strict=True)])
    assert all_of(here, experiment_id) == wanted
    link = linked(here, experiment_id)
    queued = here.outbox.waiting_rows(link, None, complete=False)
    assert queued == wanted
    assert here.outbox.waiting_runs(link, COUNT) == [each.run for each in wanted]
    here.outbox.mark(link, [(each, f"there-{each.position}", None) for each in queued])
    assert here.outbox.waiting(link) == (0, 0, 0)
    assert here.links.run_ids(experiment_id, link).remote == {each.run.key: f"there-{each.position}" for each in wanted}


@pytest.mark.thorough
@QUICK
@given(given=evaluated_runs())
def test_what_another_store_had_is_taken_in_as_it_was(here: Store, given: list[EvaluatedRun]) -> None:
    """As logged results, and as what a backend has of an experiment that was begun here; then nothing waits for it."""
    wanted = kept(given)
    version = here.datasets.put("dataset", examples(COUNT))
    made, is_new = here.ingest.put(keys.new_id("log"), version, given, fingerprint="x", task=TASK)
    assert is_new
    assert all_of(here, made.experiment.id) == wanted
    pulled = new_experiment(here, COUNT).experiment.id
    link = linked(here, pulled)
    there = [each.placed(-1)._replace(remote_id=f"there-{each.position}") for each in given]
    taken = here.ingest.take(link, [each.placed(position) for position, each in enumerate(there)])
    assert len(taken) == sum(not one.is_annotation for each in given for one in each.evaluations)
    assert all_of(here, pulled) == wanted
    assert here.outbox.waiting(link) == (0, 0, 0)
    assert here.ingest.take(link, [each.placed(position) for position, each in enumerate(there)]) == []


@pytest.mark.thorough
@QUICK
@given(given=evaluated_runs())
def test_a_frame_is_read_as_it_was_made(given: list[EvaluatedRun]) -> None:
    """But for what a frame does not have: times, attempts, who gave an evaluation, and its metadata."""
    runs = [each.run for each in given]
    said = [one for each in given for one in each.evaluations]
    evaluations, notes = [one for one in said if not one.is_annotation], [one for one in said if one.is_annotation]
    example_of = {example.id: example for example in examples(COUNT)}
    made = results_of("here", RunIds("exp"), runs, evaluations, example_of, notes, ["a", "b"])
    read = read_results(result_frame(made))
    assert [run.example_id for run in read.runs] == [run.example_id for run in runs]
    for before, after in zip(made.runs, read.runs, strict=True):
        one, other = before.record, after.record
        assert (one.output, one.error is None, one.latency_ms) == (other.output, other.error is None, other.latency_ms)
        assert (one.token_count, one.total_cost, one.trace_id) == (other.token_count, other.total_cost, other.trace_id)
        assert math.isnan(other.start_time)
        assert (before.input, before.expected) == (after.input, after.expected)
        scores = {name: one.score for name, one in before.evaluations.items() if one.error is None}
        assert {name: one.score for name, one in after.counted.items() if one.error is None}.items() >= scores.items()
        assert {name: one.score for name, one in after.annotations.items()} == {
            name: one.score for name, one in before.annotations.items()
        }
        placed = after.dated(5.0).placed(one.position)
        assert placed.run.key == one.key
        assert {evaluation.key for evaluation in placed.evaluations} <= {one.key}


def test_a_run_is_complete_when_every_evaluator_has_spoken_however_many_scores_one_gives(here: Store) -> None:
    """An append-only backend takes each row once: what comes later never gets there."""
    both = [EvaluatorRecord("judge", "CODE", "a" * 64, None), EvaluatorRecord("exact", "CODE", "a" * 64, None)]
    experiment_id = new_experiment(here, COUNT, dataset="several", evaluators=both).experiment.id
    link = linked(here, experiment_id)
    two_of_one = [verdict(0, "judge", name=name) for name in ("judge.tone", "judge.length")]
    record(here, experiment_id, [run_row(0), run_row(1), failed_row(2)], [*two_of_one, verdict(1, "judge")])
    assert [row.position for row in here.outbox.waiting_rows(link, None, complete=True)] == [2]
    record(here, experiment_id, [], [verdict(0, "exact")])
    assert [row.position for row in here.outbox.waiting_rows(link, None, complete=True)] == [0, 2]
