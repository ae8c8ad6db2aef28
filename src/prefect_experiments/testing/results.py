"""Results: pushed as experiments push them, and read back by another machine."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Capabilities, Remote
from prefect_experiments.backends.base import Draft
from prefect_experiments.client import Client
from prefect_experiments.errors import BackendRefused, InvalidInput, InvalidSetting, NotFound
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput, Dataset, Experiment
from prefect_experiments.store import EvaluatorRecord, Link, Store
from prefect_experiments.store.tables import evaluations, experiment_runs
from prefect_experiments.testing.conditions import EXAMPLES, Conditions, logged

ROWS: list[dict[str, Any]] = [
    {
        "example_id": "e0",
        "output": {"text": "Ü 日本語 🦊", "nul": "\x00", "nested": [1, 1.5, None, True, {}, []]},
        "start_time": "2026-01-02T03:04:05.678901Z",
        "latency_ms": 57.3,
        "trace_id": "0123456789abcdef0123456789abcdef",
        "eval.judge.score": 0.1 + 0.2,
        "eval.judge.label": " yes ",
        "eval.judge.explanation": "ü 裁 \x00\n",
        "eval.judge.metadata.n": {"z": [1.0, None], "a": "1"},
        "eval.other.label": "null",
    },
    {
        "example_id": "e1",
        "output": None,
        "start_time": "2026-01-02T03:04:06Z",
        "latency_ms": 1.5,
        "eval.judge.score": 0,
        "eval.other.error": "KeyError: 'no such key'",
    },
    {
        "example_id": "e2",
        "output": None,
        "error": "ValueError: not this one \x00 日本語\n  at line 3",
        "start_time": "2026-01-02T03:04:07Z",
        "latency_ms": 1500,
    },
    {
        "example_id": "e3",
        "output": "x" * 300_000,
        "start_time": "2026-01-02T03:04:08Z",
        "latency_ms": 20,
        "eval.judge.score": -1e-300,
        "eval.judge.explanation": "y" * 50_000,
    },
]


class ResultSuite(Conditions):
    """See the module."""

    @pytest.fixture
    def experiment(self, client: Client, dataset: Dataset, name: str) -> Experiment:
        """An experiment with all sorts of results, in the store and in the backend."""
        return logged(client, dataset, name, rows=ROWS)

    def test_results_come_back_as_they_were(self, client: Client, elsewhere: Client, experiment: Experiment) -> None:
        """Outputs, errors, times and evaluations; of failed runs, of none, of odd letters and of long texts."""
        there = elsewhere.experiments.get_results(experiment=experiment.id)
        here = client.experiments.get_results(experiment=experiment.id)
        assert _runs(there) == _runs(here)
        assert _evaluations(there) == _evaluations(here)
        runs = {run.example_id: run for run in there.task_runs}
        assert [(runs[f"e{n}"].status, runs[f"e{n}"].output is None) for n in range(4)] == [
            ("ok", False),
            ("ok", True),
            ("error", True),
            ("ok", False),
        ]

    def test_pushing_again_changes_nothing(
        self, client: Client, elsewhere: Client, experiment: Experiment, remote: Remote
    ) -> None:
        """Also where the store has forgotten what was pushed, as after a kill between a request and its mark."""
        link = _link(client, experiment)
        assert client.experiments.push(experiment=link.experiment_id).waiting == 0
        forget(client.store, link)
        assert client.experiments.push(experiment=link.experiment_id).waiting == 0
        found = remote.pull(remote.experiments.find(experiment.id))
        runs = sorted((one.run.example_id, one.repetition_number) for one in found.runs)
        assert runs == [(f"e{n}", 1) for n in range(4)]
        given = [(evaluation.name, one.run.example_id) for one in found.runs for evaluation in one.evaluations]
        assert sorted(given) == [("judge", "e0"), ("judge", "e1"), ("judge", "e3"), ("other", "e0"), ("other", "e1")]
        assert len(elsewhere.experiments.list(dataset=experiment.dataset_name)) == 1

    def test_what_was_made_offline(self, client: Client, offline: Client, elsewhere: Client, name: str) -> None:
        """Its dataset goes there with it, and only once."""
        dataset = offline.datasets.create_dataset(name=name, examples=EXAMPLES)
        made = [logged(offline, dataset, f"{name} {n}", rows=[{**row, "output": n} for row in ROWS]) for n in (1, 2)]
        pushed = [client.experiments.push(experiment=one.id) for one in made]
        assert [one.waiting for one in pushed] == [0, 0]
        assert pushed[0].dataset_version_id == pushed[1].dataset_version_id
        assert [one.name for one in elsewhere.experiments.list(dataset=name)] == [f"{name} 2", f"{name} 1"]
        there = elsewhere.experiments.get_results(experiment=f"{name} 2", dataset=name)
        assert {run.example_id: run.output for run in there.task_runs} == {"e0": 2, "e1": 2, "e2": None, "e3": 2}

    def test_repetitions(self, client: Client, elsewhere: Client, dataset: Dataset, name: str) -> None:
        """Each run is one of its own."""
        rows = [{"example_id": f"e{n}", "repetition_number": r, "output": [n, r]} for n in range(4) for r in (1, 2, 3)]
        made = logged(client, dataset, name, rows=rows)
        there = elsewhere.experiments.get_results(experiment=made.id)
        assert len(there.task_runs) == 12
        assert all(run.output == [int(run.example_id[1]), run.repetition_number] for run in there.task_runs)

    def test_what_is_missing(self, client: Client, dataset: Dataset, name: str, remote: Remote) -> None:
        """A backend that can say which runs are missing counts the failed ones with them."""
        made = logged(client, dataset, name, rows=ROWS[:3], allow="missing")
        missing = remote.pull(remote.experiments.find(made.id)).missing
        assert missing is None or sorted(missing) == [("e2", 1), ("e3", 1)]

    def test_an_evaluation_that_comes_later(
        self, client: Client, elsewhere: Client, experiment: Experiment, can: Capabilities
    ) -> None:
        """It is taken, or refused with a sentence."""
        link = _link(client, experiment)
        evaluate(client.store, link.experiment_id, "late")
        if not can.late_evaluations:
            with pytest.raises(BackendRefused, match="only together"):
                client.experiments.push(experiment=link.experiment_id)
            return
        assert client.experiments.push(experiment=link.experiment_id).waiting == 0
        there = elsewhere.experiments.get_results(experiment=experiment.id)
        assert [e.score for e in there.evaluation_runs if e.name == "late"] == [0.5, 0.5, 0.5]

    def test_annotations(self, client: Client, elsewhere: Client, experiment: Experiment, annotation: str) -> None:
        """Written there; one of the same name replaces the former."""
        run = client.experiments.list_runs(experiment=experiment.id)[1]
        for score in (0.25, 0.75):
            value = AnnotationInput(name=annotation, score=score, label="so so", text="Ü")
            note = AnnotateRecordInput(record_id=run.id, values=[value])
            assert client.experiments.annotate_runs(experiment=experiment.id, annotations=[note]) == 1
        table = elsewhere.experiments.list_runs(experiment=experiment.id, all=True).to_df().set_index("example_id")
        parts = [f"annotation.{annotation}.{part}" for part in ("score", "label", "text")]
        assert list(table.loc[run.example_id, parts]) == [0.75, "so so", "Ü"]
        assert table[parts[0]].count() == 1

    def test_text_that_is_not_unicode(self, client: Client, dataset: Dataset, name: str, annotation: str) -> None:
        """It is refused with a sentence, or made visible; what else is there stays."""
        made = logged(client, dataset, name)
        run = client.experiments.list_runs(experiment=made.id)[0]
        note = AnnotateRecordInput(record_id=run.id, values=[AnnotationInput(name=annotation, text="lone \ud800")])
        with contextlib.suppress(InvalidInput):
            client.experiments.annotate_runs(experiment=made.id, annotations=[note])
        for look in (client.datasets.get_dataset, client.datasets.get_info):
            with pytest.raises((InvalidInput, NotFound)):
                look(dataset=f"{name} \ud800")
        with pytest.raises((InvalidInput, NotFound)):
            client.experiments.get(experiment=f"{name} \ud800")
        assert len(client.experiments.list_runs(experiment=made.id, all=True)) == 4

    def test_an_annotation_that_was_made_offline(
        self, client: Client, offline: Client, elsewhere: Client, experiment: Experiment, annotation: str
    ) -> None:
        """It is pushed as results are."""
        link = _link(client, experiment)
        run = offline.experiments.list_runs(experiment=link.experiment_id)[0]
        note = AnnotateRecordInput(record_id=run.id, values=[AnnotationInput(name=annotation, score=1)])
        offline.experiments.annotate_runs(annotations=[note])
        assert client.experiments.push(experiment=link.experiment_id).waiting == 0
        table = elsewhere.experiments.list_runs(experiment=experiment.id, all=True).to_df().set_index("example_id")
        assert table.loc[run.example_id, f"annotation.{annotation}.score"] == 1

    def test_an_experiment_that_was_deleted_there(
        self, client: Client, elsewhere: Client, experiment: Experiment, remote: Remote
    ) -> None:
        """Is begun anew by the next push, with all that it had."""
        link = _link(client, experiment)
        remote.experiments.delete(experiment.id)
        pushed = client.experiments.push(experiment=link.experiment_id)
        assert pushed.waiting == 0
        there = elsewhere.experiments.get_results(experiment=pushed.experiment_id)
        assert len(there.task_runs) == 4
        assert len(elsewhere.experiments.list(dataset=experiment.dataset_name)) == 1

    def test_an_experiment_is_begun(self, dataset: Dataset, name: str, remote: Remote, can: Capabilities) -> None:
        """At once, or with its first results."""
        draft = Draft(name, dataset.id, dataset.version_id, 2, experiment_id=f"exp-{name}")
        begun = remote.begin(draft)
        if can.empty_experiments:
            found = remote.experiments.find(begun.id)
            assert (found.name, found.dataset_id) == (name, dataset.id)
            assert found.dataset_version_id == dataset.version_id
            assert list(remote.pull(found).runs) == []
        else:
            assert begun.id == f"exp-{name}"
            with pytest.raises(NotFound):
                remote.experiments.find(name, dataset.name)

    def test_an_experiment_on_no_dataset(self, client: Client, name: str, can: Capabilities) -> None:
        """It is made where there are such, and refused before anything is written where there are none."""
        rows = [{"example_id": "a", "output": 1}]
        if can.experiments_without_dataset:
            made = client.experiments.create(name=name, experiment_runs=rows)
            assert client.experiments.get(experiment=made.id).dataset_id == ""
            return
        with pytest.raises(InvalidSetting, match="dataset"):
            client.experiments.create(name=name, experiment_runs=rows)
        assert client.store.experiments.page(dataset=None, limit=10, cursor=None)[0] == []

    def test_a_version_is_put_once(self, client: Client, dataset: Dataset, name: str, remote: Remote) -> None:
        """The same content is the same version, and other content another one."""
        content = client.datasets.get_dataset(dataset=dataset.id)
        at = remote.put_version(name, content)
        assert at == (dataset.id, dataset.version_id)
        assert remote.put_version(name, content, at) == at
        longer = client.datasets.add_examples_to_dataset(dataset=dataset, examples=[{"id": "new", "input": {"n": 1}}])
        assert remote.newest_version(dataset.id) == longer.version_id
        put = remote.put_version(name, content)
        assert put[0] == dataset.id
        found = remote.datasets.get(name, version=put[1])
        assert {example.id for example in found.examples} == {"e0", "e1", "e2", "e3"}


def forget(store: Store, link: Link) -> None:
    """Have the store forget what was pushed, but not where the experiment is."""
    store.links.unlink(link)
    store.links.link_experiment(
        link.experiment_id,
        link.target,
        remote_id=link.remote_id,
        remote_dataset_id=link.remote_dataset_id,
        remote_version_id=link.remote_version_id,
        project_name=link.project_name,
        url=link.url,
    )


def evaluate(store: Store, experiment_id: str, name: str) -> None:
    """Give the ok runs of an experiment an evaluation each, in the store alone."""
    r, now = experiment_runs.c, time.time()
    store.experiments.put_evaluators(experiment_id, [EvaluatorRecord(name, "CODE", "f" * 64)])
    ok = sa.select(r.position, r.repetition_number).where(r.experiment_id == experiment_id, r.error.is_(None))
    with store.database.write() as connection:
        rows = [
            {
                "experiment_id": experiment_id,
                "position": position,
                "repetition_number": repetition,
                "name": name,
                "evaluator": name,
                "annotator_kind": "CODE",
                "fingerprint": "f" * 64,
                "score": 0.5,
                "start_time": now,
                "end_time": now,
            }
            for position, repetition in connection.execute(ok).all()
        ]
        connection.execute(evaluations.insert(), rows)


def _link(client: Client, experiment: Experiment) -> Link:
    assert client.remote is not None
    link = client.store.links.of_remote(experiment.id, client.remote.target)
    assert link is not None
    return link


def _runs(ran: RanExperiment) -> dict[tuple[str, int], tuple[Any, ...]]:
    return {
        (run.example_id, run.repetition_number): (
            run.id,
            run.status,
            run.output,
            run.error,
            run.start_time,
            run.latency_ms,
            run.trace_id,
        )
        for run in ran.task_runs
    }


def _evaluations(ran: RanExperiment) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {
        (e.run_id, e.name): (e.annotator_kind, e.score, e.label, e.explanation, dict(e.metadata), e.error, e.trace_id)
        for e in ran.evaluation_runs
    }
