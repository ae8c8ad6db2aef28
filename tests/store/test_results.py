"""Reading results: what is missing, what came out, annotations."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidInput, NotFound
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput
from prefect_experiments.records import RunIds, RunRecord
from prefect_experiments.store import ExperimentRecord, Store
from support import kept_values

from .samples import example, examples, failed_row, new_experiment, record, run_row, verdict

CURRENT = {"exact": "a" * 64, "judge": "b" * 64}


@pytest.fixture
def made(store: Store) -> ExperimentRecord:
    """Six examples, two repetitions: some runs ok, some failed, some missing."""
    made = new_experiment(store, 6, repetitions=2)
    rows = [run_row(0), run_row(0, 2), run_row(1), failed_row(1, 2), failed_row(2), run_row(4), run_row(5, 2)]
    record(store, made.experiment.id, rows)
    return made


def missing(store: Store, made: ExperimentRecord, positions: Any = range(6), **fingerprints: str) -> list[Any]:
    items = store.results.evaluation_items(made.experiment.id, made.version, positions, fingerprints or CURRENT)
    return [(item.run.position, item.run.repetition_number, *item.evaluators) for item in items]


def test_finished_runs(store: Store, made: ExperimentRecord) -> None:
    assert store.results.finished_runs(made.experiment.id) == {(0, 1), (0, 2), (1, 1), (4, 1), (5, 2)}
    assert store.results.finished_runs("exp-unknown") == set()


def test_run_items(store: Store, made: ExperimentRecord) -> None:
    items = store.results.run_items(made.version, {(5, 1), (1, 2), (2, 1), (2, 2)})
    assert [(item.position, item.repetition_number) for item in items] == [(1, 2), (2, 1), (2, 2), (5, 1)]
    item = items[0]
    assert (item.example_id, item.input_json) == ("ex-1", '{"question":"question 1"}')
    assert (item.expected_json, item.metadata_json, item.splits) == ('{"answer":1}', '{"topic":"odd"}', ("train",))
    assert store.results.run_items(made.version, []) == []


def test_run_items_are_of_the_pinned_version(store: Store, made: ExperimentRecord) -> None:
    newer = store.datasets.put("dataset", [example(0), example(1, input="changed"), example(2, output=None)])
    keys = [(1, 1), (2, 1), (5, 1)]
    assert [(item.input_json, item.expected_json) for item in store.results.run_items(newer, keys)] == [
        ('"changed"', '{"answer":1}'),
        ('{"question":"question 2"}', None),
    ]
    assert [item.input_json for item in store.results.run_items(made.version, keys)] == [
        f'{{"question":"question {number}"}}' for number in (1, 2, 5)
    ]


def test_evaluation_items_are_the_ok_runs_that_lack_verdicts(store: Store, made: ExperimentRecord) -> None:
    both = ("exact", "judge")
    assert missing(store, made) == [(0, 1, *both), (0, 2, *both), (1, 1, *both), (4, 1, *both), (5, 2, *both)]
    given = [
        verdict(0), verdict(0, "judge", fingerprint="b" * 64),  # complete
        verdict(0, repetition=2, fingerprint="old"),  # stale
        verdict(1, error="E", score=None), verdict(1, "judge", fingerprint="b" * 64),  # one failed
        verdict(4, "multi", name="exact"),  # a name is not an evaluator
        verdict(5, "judge", 2, name="relevance", fingerprint="b" * 64),
    ]  # fmt: skip
    record(store, made.experiment.id, verdicts=given)
    assert missing(store, made) == [(0, 2, *both), (1, 1, "exact"), (4, 1, *both), (5, 2, "exact")]
    assert missing(store, made, [4, 1]) == [(1, 1, "exact"), (4, 1, *both)]
    assert missing(store, made, [0, 5]) == [(0, 2, *both), (5, 2, "exact")]  # a split: 1 to 4 are not of it
    assert missing(store, made, [2, 3]) == missing(store, made, []) == []
    assert missing(store, made, [0], judge="b" * 64, exact="a" * 64) == [(0, 2, "judge", "exact")]
    assert missing(store, made, [0], exact="new") == [(0, 1, "exact"), (0, 2, "exact")]


def test_evaluation_items_carry_what_an_evaluator_needs(store: Store, made: ExperimentRecord) -> None:
    record(store, made.experiment.id, [run_row(3, trace_id="c" * 32, output_json="null")])
    (item,) = store.results.evaluation_items(made.experiment.id, made.version, [3], CURRENT)
    assert (item.output_json, item.trace_id) == ("null", "c" * 32)
    assert (item.run.example_id, item.run.input_json) == ("ex-3", '{"question":"question 3"}')
    assert (item.run.expected_json, item.run.splits) == ('{"answer":3}', ("test",))


def test_has_evaluations(store: Store, made: ExperimentRecord) -> None:
    assert store.results.has_evaluations(made.experiment.id) == set()
    record(store, made.experiment.id, verdicts=[verdict(0, "multi", name="x"), verdict(1, "judge", error="E")])
    assert store.results.has_evaluations(made.experiment.id) == {"multi", "judge"}


def test_runs_come_in_pages(store: Store, made: ExperimentRecord) -> None:
    ids = RunIds(made.experiment.id)
    every, pagination = store.results.runs(made.experiment.id)
    assert [(run.example_id, run.repetition_number, run.view(ids).status) for run in every] == [
        ("ex-0", 1, "ok"), ("ex-0", 2, "ok"), ("ex-1", 1, "ok"), ("ex-1", 2, "error"),
        ("ex-2", 1, "error"), ("ex-4", 1, "ok"), ("ex-5", 2, "ok"),
    ]  # fmt: skip
    assert (pagination.has_more, pagination.next_cursor) == (False, None)
    for limit in (1, 2, 7, 100):
        found: list[RunRecord] = []
        cursor = None
        while len(found) < 7:
            page, pagination = store.results.runs(made.experiment.id, limit=limit, cursor=cursor)
            found += page
            cursor = pagination.next_cursor
            assert pagination.has_more == (len(found) < 7) == (cursor is not None)
        assert found == every


def test_evaluations_of_all_or_some_runs(store: Store, made: ExperimentRecord) -> None:
    experiment_id = made.experiment.id
    given = [verdict(5, "b", 2), verdict(0, "b"), verdict(0, "a"), verdict(0, "a", 2), verdict(1, "a")]
    record(store, experiment_id, verdicts=given)
    every = [(e.key, e.name) for e in store.results.evaluations(experiment_id)]
    assert every == [((0, 1), "a"), ((0, 1), "b"), ((0, 2), "a"), ((1, 1), "a"), ((5, 2), "b")]
    some = store.results.evaluations(experiment_id, [(5, 2), (0, 2)])
    assert [(e.key, e.name) for e in some] == [((0, 2), "a"), ((5, 2), "b")]
    assert store.results.evaluations(experiment_id, []) == []


def annotation(run_id: str, *values: AnnotationInput) -> AnnotateRecordInput:
    return AnnotateRecordInput(record_id=run_id, values=values)


def test_annotations_are_replaced_by_name(store: Store, made: ExperimentRecord) -> None:
    run = f"{made.experiment.id}.0.1"
    records = [
        annotation(run, AnnotationInput(name="tone", score=1), AnnotationInput(name="note", text="fine")),
        annotation(f"{made.experiment.id}.2.1", AnnotationInput(name="tone", label="rude")),
    ]
    assert store.results.annotate(records, "ada") == 3
    assert store.results.annotate([annotation(run, AnnotationInput(name="tone", label="kind"))], "bob") == 1
    ids = RunIds(made.experiment.id)
    found = [note.annotation(ids) for note in store.results.annotations(made.experiment.id)]
    assert [(a.run_id, a.name, a.score, a.label, a.text, a.annotator) for a in found] == [
        (run, "note", None, None, "fine", "ada"),
        (run, "tone", None, "kind", None, "bob"),
        (f"{made.experiment.id}.2.1", "tone", None, "rude", None, "ada"),
    ]
    assert found[1].updated_at
    assert found[0].updated_at
    assert found[1].updated_at >= found[0].updated_at
    some = store.results.annotations(made.experiment.id, [(0, 1)])
    assert [note.annotation(ids) for note in some] == found[:2]
    assert store.results.annotate([]) == 0


def test_annotating_an_unknown_run_writes_nothing(store: Store, made: ExperimentRecord) -> None:
    mine = made.experiment.id
    good = annotation(f"{mine}.0.1", AnnotationInput(name="tone", score=1))
    for run_id in (f"{mine}.3.1", f"{mine}.0.3", "exp-unknown.0.1", f"{mine}.{'9' * 30}.1"):
        with pytest.raises(NotFound, match="1 of the runs to annotate are not in the store: "):
            store.results.annotate([good, annotation(run_id, AnnotationInput(name="tone", score=1))])
    for run_id in (f"{mine}.0", "x", "", f"{mine}.a.b"):
        with pytest.raises(NotFound, match="is not the id of an experiment run; list_runs gives them"):
            store.results.annotate([good, annotation(run_id, AnnotationInput(name="tone", score=1))])
    assert store.results.annotations(mine) == []


def test_annotations_that_cannot_be_kept(store: Store, made: ExperimentRecord) -> None:
    run = f"{made.experiment.id}.0.1"
    with pytest.raises(InvalidInput, match="the annotation's name must be"):
        store.results.annotate([annotation(run, AnnotationInput(name="", score=1))])
    with pytest.raises(InvalidInput, match="an annotation's label must be text, got int"):
        store.results.annotate([annotation(run, AnnotationInput(name="tone", label=5))])  # type: ignore[arg-type]
    assert store.results.annotations(made.experiment.id) == []
    store.results.annotate([annotation(run, AnnotationInput(name="tone", score=True, text="a\x00b\udc80"))], "x\x00")
    (found,) = [note.annotation(RunIds(made.experiment.id)) for note in store.results.annotations(made.experiment.id)]
    assert (found.score, found.text, found.annotator) == (1.0, "a\u2400b\\udc80", "x\u2400")


def test_examples_of(store: Store, made: ExperimentRecord) -> None:
    store.datasets.put("dataset", examples(2))
    assert store.results.examples_of(made.version) == {e.id: e for e in examples(6)}
    assert list(store.results.examples_of(made.version)) == [f"ex-{number}" for number in range(6)]
    assert store.results.examples_of(made.version, ["ex-4", "ex-1", "no"]) == {"ex-1": example(1), "ex-4": example(4)}
    assert store.results.examples_of(made.version, []) == {}


def test_run_figures(store: Store) -> None:
    experiment_id = new_experiment(store, 4).experiment.id
    none = store.results.run_figures(experiment_id)
    assert none == (0, 0, [], None, None)
    rows = [
        run_row(0, end_time=1_800_000_002.0, token_count=2**30, total_cost=0.25),
        run_row(1, end_time=1_800_000_001.5, token_count=2**30, total_cost=0.5),
        run_row(2, token_count=2**30),
        failed_row(3),
    ]
    record(store, experiment_id, rows)
    figures = store.results.run_figures(experiment_id)
    assert (figures.made, figures.failed) == (4, 1)
    assert figures.latencies_ms == [250.0, 500.0, 2000.0]
    assert (figures.token_count, figures.total_cost) == (3 * 2**30, 0.75)
    assert all(type(value) is int for value in (figures.made, figures.failed, figures.token_count))


def test_evaluation_figures(store: Store, made: ExperimentRecord) -> None:
    given = [verdict(4, "multi", name="b", label="x"), verdict(0), verdict(1, score=None, error="E")]
    record(store, made.experiment.id, verdicts=given)
    found = [tuple(row) for row in store.results.evaluation_figures(made.experiment.id)]
    assert found == [
        (0, "exact", "exact", 1.0, None, False, False),
        (1, "exact", "exact", None, None, True, False),
        (4, "multi", "b", 1.0, "x", False, False),
    ]


def test_values_come_back_as_they_were_logged(store_url: str) -> None:
    client = Client(backend="local", store_url=store_url)
    client.datasets.create_dataset(name="odd", examples=kept_values.EXAMPLES)
    client.experiments.create(name="odd", dataset="odd", experiment_runs=kept_values.ROWS)
    kept_values.assert_kept(client.experiments.get_results(experiment="odd"))
    client.store.close()


@pytest.mark.thorough
def test_verdicts_in_a_state_that_is_not_known(store: Store) -> None:
    """Those of evaluators that were passed are stale, those of others stand."""
    made = new_experiment(store, 2)
    rows = [verdict(n, name, fingerprint=known) for n in range(2) for name, known in (("a", ""), ("b", "b" * 64))]
    record(store, made.experiment.id, [run_row(n) for n in range(2)], [*rows, verdict(0, "c", fingerprint="c" * 64)])
    asked = {"a": "a" * 64, "b": "b" * 64, "c": "other"}
    for passed, missing in (((), [["c"], ["c"]]), (("a", "b"), [["a", "c"], ["a", "c"]])):
        items = store.results.evaluation_items(made.experiment.id, made.version, [0, 1], asked, passed=passed)
        assert [item.evaluators for item in items] == missing
    assert store.results.of_unknown_state(made.experiment.id) == {"a": 2}


def test_calls_of_unknown_cost_are_counted_over_all_runs_and_evaluations(store: Store) -> None:
    experiment_id = new_experiment(store).experiment.id
    runs = [run_row(position, unpriced_json='{"m": 2}') for position in range(3)]
    record(store, experiment_id, runs, [verdict(position, unpriced_json='{"m": 1, "n": 5}') for position in range(2)])
    assert store.results.spending(experiment_id).unpriced == {"n": 10, "m": 8}
