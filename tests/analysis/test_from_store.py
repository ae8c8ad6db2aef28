"""What is read of an experiment in the store to compare it: numbers, and the texts of what is shown alone."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from prefect_experiments import AnnotateRecordInput, AnnotationInput
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.summary import summarize
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.records import EvaluationRecord, json_text
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Store
from tests.store.samples import TASK, example, failed_row, new_experiment, record, run_row, verdict
from tests.support.large_experiments import large_dataset, large_experiment

N_EXAMPLES, N_REPETITIONS = 4, 2
KEYS = [(position, repetition) for position in range(N_EXAMPLES) for repetition in range(1, N_REPETITIONS + 1)]
# An evaluator of one name, one of labels, one of several names, which may also be another evaluator's.
GIVERS = [("exact", "exact"), ("tone", "tone"), ("several", "a"), ("several", "z"), ("several", "several")]
SAID = [
    None,
    {"direction": "minimize"},
    {"direction": " Maximize", "model": "gpt"},
    {"model": "gpt", "model_name": "other"},
    {"pending": "is it kind?"},
    {"reason": "none"},
]


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store("sqlite://")
    yield made
    made.close()


@st.composite
def judged(draw: st.DrawFn, position: int, repetition: int) -> list[EvaluationRecord]:
    """What evaluators say of one run."""
    found = []
    for evaluator, name in draw(st.lists(st.sampled_from(GIVERS), unique_by=lambda giver: giver[1])):
        error = draw(st.sampled_from([None, None, "Boom"]))
        found.append(
            verdict(
                position,
                evaluator,
                repetition,
                name=name,
                score=None if error or evaluator == "tone" else draw(st.sampled_from([None, 0.0, 0.5, 1.0])),
                label=None if error else draw(st.sampled_from([None, "kind", "rude"])),
                explanation=draw(st.sampled_from([None, "because"])),
                metadata_json=json_text(draw(st.sampled_from(SAID))),
                fingerprint=draw(st.sampled_from(["", "a" * 64, "b" * 64])),
                error=error,
            )
        )
    return found


@st.composite
def results(draw: st.DrawFn) -> tuple[list[Any], list[EvaluationRecord]]:
    """Some runs, some of them failed, and what was said of them."""
    runs, said = [], []
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1)):
        runs.append(draw(st.sampled_from([run_row(*key, token_count=7), run_row(*key), failed_row(*key)])))
        said += draw(judged(*key))
    return runs, said


def kept(store: Store, name: str, found: tuple[list[Any], list[EvaluationRecord]]) -> RanExperiment:
    runs, said = found
    evaluators = [EvaluatorRecord(name, "CODE", "a" * 64) for name in ("exact", "unused")]
    evaluators.append(EvaluatorRecord("several", "CODE", "a" * 64, positions=(0, 2)))
    made = new_experiment(store, N_EXAMPLES, name=name, repetitions=N_REPETITIONS, evaluators=evaluators)
    ok = {run.key for run in runs if run.error is None}
    record(store, made.experiment.id, runs, [one for one in said if one.key in ok])
    return RanExperiment(store, made)


def in_memory(ran: RanExperiment) -> ResultTable:
    """The same results, all of them read before they are looked at."""
    table, read = result_table(ran), result_table(ran.results, ran.experiment.name)
    known = ("expected_ids", "n_expected", "experiment_id", "dataset_id", "dataset_version_id", "dataset_name")
    return dataclasses.replace(read, **{name: getattr(table, name) for name in known})


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return np.array_equal(one, other, equal_nan=True) if isinstance(one, np.ndarray) else bool(one == other)


@pytest.mark.thorough
@given(before=results(), after=results())
@settings(max_examples=30, deadline=None)
def test_columns_from_the_store_are_those_of_the_results(before: Any, after: Any) -> None:
    store = Store("sqlite://")
    try:
        sides = [kept(store, name, found) for name, found in (("before", before), ("after", after))]
        tables, read = [result_table(ran) for ran in sides], [in_memory(ran) for ran in sides]
        for ours, theirs in zip(tables, read, strict=True):
            for field in dataclasses.fields(ResultTable):
                if field.name != "source":
                    assert same(getattr(ours, field.name), getattr(theirs, field.name)), field.name
            rows = range(len(ours.failed))
            assert ours.source.shown(rows) == theirs.source.shown(rows)
            ok = [row for row in rows if not ours.failed[row]]
            assert ours.source.remarks(ok, ours.evaluators) == theirs.source.remarks(ok, ours.evaluators)
        directions: Any = dict.fromkeys([*tables[0].scores, *tables[1].scores], "maximize")
        compared, expected = (compare_results(*pair, directions=directions) for pair in (tables, read))
        for field in dataclasses.fields(Comparison):
            if field.name not in ("baseline", "candidate", "slices"):  # a table does not know the dataset's metadata
                assert same(getattr(compared, field.name), getattr(expected, field.name)), field.name
        assert compared.candidate == expected.candidate
    finally:
        store.close()


def test_what_people_say_of_runs_is_read_of_the_store(store: Store) -> None:
    ran = kept(store, "run", ([run_row(0, 1), run_row(0, 2), run_row(3, 1)], []))
    said = {f"{ran.experiment.id}.0.2": ("kind", 1.0), f"{ran.experiment.id}.3.1": ("kind", 0.0)}
    said[f"{ran.experiment.id}.0.1"] = ("short", 1.0)
    store.results.annotate(
        [
            AnnotateRecordInput(record_id=run_id, values=[AnnotationInput(name=name, score=score)])
            for run_id, (name, score) in said.items()
        ]
    )
    found = result_table(ran).source.notes("kind")
    assert {row: note.score for row, note in found.items()} == {1: 1.0, 2: 0.0}
    assert found == in_memory(ran).source.notes("kind")
    assert result_table(ran).source.notes("long") == {}


# What is read ------------------------------------------------------------------------------------

LONG = 20_000
N_LONG = 200


def with_long_texts(store: Store, name: str, version: Any, worse: tuple[int, ...]) -> RanExperiment:
    made = store.experiments.create(name, version, task=TASK, evaluators=[EvaluatorRecord("exact", "CODE", "a" * 64)])
    text = "x" * LONG
    runs = [run_row(place, example_id=f"ex-{place}", output_json=f'"{text}"') for place in range(N_LONG)]
    remarks: dict[str, Any] = {"explanation": text, "metadata_json": json_text({"reason": text})}
    said = [verdict(place, score=0.2 if place in worse else 0.8, **remarks) for place in range(N_LONG)]
    record(store, made.experiment.id, runs, said)
    return RanExperiment(store, made)


def peak(look: Callable[[], Any]) -> int:
    """How many bytes Python needs at most while something is looked at, beside what it had before."""
    look()  # what is imported, and what is kept of a statement
    gc.collect()
    tracemalloc.start()
    look()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.slow
def test_texts_are_read_of_what_is_shown_alone(store: Store) -> None:
    """There are 16 MB of texts on either side; what is read of them is the four texts of each of two examples."""
    version = store.datasets.put("long", [example(place, input="y" * LONG) for place in range(N_LONG)])
    before, after = with_long_texts(store, "before", version, ()), with_long_texts(store, "after", version, (3, 30))
    gate = Gate.parse({"metrics": {"exact": {"max_regression": 0.1}}, "pass_threshold": 0.5, "min_pass_rate": 0.9})

    def compare() -> Comparison:
        return compare_results(result_table(copy.copy(before)), result_table(copy.copy(after)), gate=gate)

    found = compare()
    assert [(one.example_id, len(one.input), len(one.candidate_output)) for one in found.regressed] == [
        ("ex-3", LONG, LONG), ("ex-30", LONG, LONG),
    ]  # fmt: skip
    one_text = N_LONG * LONG
    assert peak(lambda: dataclasses.replace(compare(), candidate=found.candidate)) < 2 * one_text
    assert peak(lambda: gate.judge_alone(result_table(copy.copy(after))).status) < 2 * one_text
    assert peak(lambda: result_table(copy.copy(after)).side()) < one_text / 4
    assert peak(lambda: summarize(store, after.record)) < one_text / 4


# Many changes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large() -> Iterator[tuple[Store, ExperimentRecord, ExperimentRecord]]:
    store = Store("sqlite://")
    version = large_dataset(store, "large", 1_500, length=40)
    before = large_experiment(store, "before", version, seed=1, length=40)
    yield store, before, large_experiment(store, "after", version, seed=2, quality=0.6, length=40)
    store.close()


@pytest.fixture(scope="module")
def compared(large: tuple[Store, ExperimentRecord, ExperimentRecord]) -> tuple[Comparison, Comparison]:
    """From the store, and from results that were read before."""
    store, *records = large
    sides = [RanExperiment(store, made) for made in records]
    gate = Gate.parse({"pass_threshold": 0.5, "min_pass_rate": 0.1})
    return (
        compare_results(*(result_table(ran) for ran in sides), gate=gate),
        compare_results(*(in_memory(ran) for ran in sides), gate=gate),
    )


@pytest.mark.thorough
def test_many_changes_read_as_a_tuple_of_them(compared: tuple[Comparison, Comparison]) -> None:
    found, expected = (one.regressed for one in compared)
    assert len(found) == len(tuple(found)) > 700
    assert found == expected
    assert found == tuple(expected)
    assert tuple(expected) == found
    assert found != tuple(expected)[1:]
    assert found != (*expected[:-1], expected[0])
    assert found[0] == next(iter(found)) == expected[0]
    assert found[-1] == found[len(found) - 1] == tuple(expected)[-1]
    assert found[250:253] == tuple(expected)[250:253]
    assert (found[-1] in found, found.index(found[3])) == (True, 3)
    with pytest.raises(IndexError):
        found[len(found)]


def test_many_changes_travel(compared: tuple[Comparison, Comparison]) -> None:
    found = compared[0]
    assert copy.deepcopy(found).regressed == found.regressed
    assert pickle.loads(pickle.dumps(found)).regressed == found.regressed
    assert [change.to_dict() for change in found.regressed] == found.to_dict()["regressed"]
    adapter = TypeAdapter(Comparison)
    assert adapter.validate_json(adapter.dump_json(found)).regressed == found.regressed


@pytest.mark.thorough
def test_many_entries_pass_as_they_do_where_all_are_read(compared: tuple[Comparison, Comparison]) -> None:
    found, expected = (one.candidate.passing for one in compared)
    assert found is not None
    assert expected is not None
    assert found.entries == expected.entries
    assert len(found.entries) > 1_000
    assert found.of("failed") == [entry for entry in expected.entries if entry.outcome == "failed"]
    assert (found.n_pending, found.rule, found.to_dict()) == (0, expected.rule, expected.to_dict())
    assert found.entries[0].scores[0].explanation
    verdicts = [one.verdict for one in compared]
    assert verdicts[0] == verdicts[1]


# Memory ------------------------------------------------------------------------------------------

MOST_BYTES_AN_EXAMPLE = 3_000
"""The texts of an example, its runs and what was said of them are five times as much."""
COMPARE = """
import resource, sys
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.client import Client
gate = {"metrics": {"grade": {"max_regression": 0.5}}, "pass_threshold": 0.5, "min_pass_rate": 0.0}
client = Client(store_url=sys.argv[1])
found = client.experiments.compare(baseline="before", candidate="after", gate=gate, print_summary=True)
assert len(found.regressed) > 5_000
assert client.experiments.get_results(experiment="after").summary.n_runs
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_grows_by_little_with_the_examples(tmp_path: Path) -> None:
    """Compared, judged, printed and summed up in a fresh process, with texts of 15,000 characters an example."""
    peaks = []
    for n in (20_000, 40_000):
        url = f"sqlite:///{tmp_path / f'{n}.db'}"
        store = Store(url)
        version = large_dataset(store, "large", n, length=2_000)
        for seed, name in enumerate(("before", "after")):
            large_experiment(store, name, version, seed=seed, length=2_000)
        store.close()
        ran = subprocess.run([sys.executable, "-c", COMPARE, url], capture_output=True, text=True, check=True)
        peaks.append(int(ran.stdout.splitlines()[-1]) * 1024)
    assert (peaks[1] - peaks[0]) / 20_000 < MOST_BYTES_AN_EXAMPLE
