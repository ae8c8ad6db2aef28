"""Runs read page by page: the same whatever a page holds."""

from __future__ import annotations

import pytest

from prefect_experiments.models import AnnotateRecordInput, AnnotationInput
from prefect_experiments.store import Store, run_pages
from prefect_experiments.store.run_pages import RunPages

from .samples import example, failed_row, new_experiment, record, run_row, verdict

KEYS = [(0, 1), (0, 2), (1, 1), (2, 2), (4, 1), (4, 2)]


@pytest.fixture
def experiment(store: Store) -> str:
    found = new_experiment(store, 6, repetitions=2).experiment.id
    runs = [run_row(*key, total_cost=0.5) for key in KEYS[:-1]]
    told = [verdict(0, "b", explanation="why", score=None)]
    told += [verdict(n, name, repetition, explanation="why") for n, repetition in KEYS[1:-1] for name in ("b", "a")]
    record(store, found, [*runs, failed_row(4, 2)], [*told, verdict(4, "a", 2, score=None, error="E: no")])
    note = AnnotationInput(name="note", score=1, text="fine")
    store.results.annotate([AnnotateRecordInput(record_id=f"{found}.4.1", values=[note])], "ada")
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
@pytest.mark.thorough
def test_all_pages_together_hold_everything_once_and_in_order(
    store: Store, experiment: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(run_pages, "PAGE_SIZE", size)
    monkeypatch.setattr(run_pages, "_MANY", size)
    pages, version = RunPages(store.database), store.experiments.get(experiment).version
    found = list(pages.each(experiment, version))
    assert [len(page.runs) for page in found] == [size] * (6 // size) + [6 % size] * bool(6 % size)
    assert [run for page in found for run in page.runs] == store.results.runs(experiment)[0]
    assert [one for page in found for one in page.evaluations] == store.results.evaluations(experiment)
    assert [one for page in found for one in page.annotations] == store.results.annotations(experiment)
    for page in found:
        keys = {run.key for run in page.runs}
        assert {one.key for one in [*page.evaluations, *page.annotations]} <= keys
        assert page.examples == {f"ex-{position}": example(position) for position, _ in keys}
    bare = list(pages.without_texts(experiment))
    assert [[run.key for run in page.runs] for page in bare] == [[run.key for run in page.runs] for page in found]
    assert list(pages.positions(experiment)) == [(f"ex-{position}", position) for position, _ in KEYS]
    assert pages.count(experiment) == 6
    assert pages.examples(version, [0, 1, 3, 5]) == {f"ex-{n}": example(n) for n in (0, 1, 3, 5)}
    some = pages.at(experiment, version, [1, 4])
    assert [run.key for run in some.runs] == [(1, 1), (4, 1), (4, 2)]
    assert sorted(some.examples) == ["ex-1", "ex-4"]


def test_without_texts_an_error_is_there_as_an_empty_one(store: Store, experiment: str) -> None:
    [page] = RunPages(store.database).without_texts(experiment)
    assert [(run.output_json, run.error, run.total_cost) for run in page.runs] == [
        *[(None, None, 0.5)] * 5,
        (None, "", None),
    ]
    assert {one.explanation for one in page.evaluations} == {None}
    assert [one.error for one in page.evaluations] == [*[None] * 9, ""]
    assert [(one.score, one.explanation) for one in page.annotations] == [(1.0, None)]
    assert page.examples == {}
    assert list(RunPages(store.database).without_texts("exp-none")) == []


def test_the_names_of_evaluations_as_they_first_come_and_which_say_something(store: Store, experiment: str) -> None:
    assert RunPages(store.database).names(experiment) == [("b", "b", True), ("a", "a", True)]
    empty = new_experiment(store, 2).experiment.id
    given = [
        verdict(1, "first", name="x", score=None, error="E"),
        verdict(0, "second", name="z", score=None, label="good"),
        verdict(0, "second", name="y", score=None),
        verdict(1, "second", name="y", score=0.0),
    ]
    record(store, empty, [run_row(0), run_row(1)], given)
    assert RunPages(store.database).names(empty) == [
        ("second", "y", True),
        ("second", "z", True),
        ("first", "x", False),
    ]
