"""Logging experiments that were run elsewhere: what is understood, what is refused, what comes back."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prefect_experiments import (
    Client,
    EvaluationResultFieldNames,
    ExperimentTaskFieldNames,
    alog_experiment,
    evaluate_experiment,
    log_experiment,
    resume_experiment,
    run_experiment,
)
from prefect_experiments.errors import AmbiguousName, InvalidDataset, InvalidEvaluator, InvalidInput, InvalidSetting
from prefect_experiments.store.ingest import IngestStore
from support.flow_runs import flow_run_of

quiet: dict[str, Any] = {"print_summary": False}
CORRECT = {"correct": EvaluationResultFieldNames(score="correct_score", label="correct_label")}
ROWS = [
    {"example_id": "e0", "output": "zero", "correct_score": 1.0, "correct_label": "yes", "model": "m-1"},
    {"example_id": "e1", "output": "one", "correct_score": 0.25, "correct_label": "no", "model": "m-1"},
    {"example_id": "e2", "output": "two", "correct_score": 1.0, "correct_label": "yes", "model": "m-2"},
]


@pytest.fixture
def dataset(client: Client) -> str:
    """Three examples, e0 to e2."""
    examples = [{"id": f"e{n}", "input": {"n": n}, "output": word} for n, word in enumerate(["zero", "one", "two"])]
    client.datasets.create_dataset(name="numbers", examples=examples)
    return "numbers"


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, each with what is to be changed of it."""
    return [{**row, **change} for row, change in zip(ROWS, [*changes, {}, {}, {}], strict=False)]


def runs_of(client: Client, experiment: Any) -> dict[tuple[str, int], Any]:
    return {
        (run.example_id, run.repetition_number): run
        for run in client.experiments.list_runs(experiment=experiment, all=True)
    }


# What is understood


def test_every_column_that_is_understood(client: Client, dataset: str) -> None:
    given = [
        {
            "example_id": "e0",
            "repetition_number": 2,
            "output": {"answer": [1, None, "ü"]},
            "latency_ms": 1500,
            "end_time": "2025-03-01T12:00:00+02:00",
            "token_count": 12.0,
            "total_cost": 0.002,
            "trace_id": "0AF76519-16CD-43DD-8448-EB211C80319C",
            "eval.judge.score": True,
            "eval.judge.explanation": "because",
            "eval.judge.metadata.prompt": {"version": 3},
            "annotation.tone.label": "kind",
            "annotation.tone.text": "very",
            "metadata": {"model": "m-1"},
            "metadata.temperature": 0.5,
            "prompt": "say it",
        },
        {"example_id": "e0", "output": "first"},
        {"example_id": "e1", "status": "FAILED", "output": "half", "eval.judge.score": 0.0, "annotation.tone.score": 1},
        {"example_id": "e2", "error": "ValueError: no", "start_time": datetime(2025, 3, 1, tzinfo=UTC)},
        {"example_id": "e2", "repetition_number": 2, "eval.judge.error": "TimeoutError", "eval.judge.score": 1.0},
        {"example_id": "e1", "repetition_number": 2, "output": np.array([1, 2]), "eval.judge.label": 7},
    ]
    for row in given:
        row.setdefault("repetition_number", 1)
    before = time.time()
    made = client.experiments.create(
        name="all", dataset=dataset, experiment_runs=given, description="of all sorts", metadata={"run": 7}
    )
    assert (made.description, made.metadata, made.repetitions) == ("of all sorts", {"run": 7}, 2)
    assert (made.evaluators, made.example_count) == (("judge",), 3)
    runs = runs_of(client, made)
    full = runs["e0", 2]
    assert (full.output, full.error, full.status) == ({"answer": [1, None, "ü"]}, None, "ok")
    assert full.latency_ms == pytest.approx(1500)
    assert full.end_time == datetime(2025, 3, 1, 10, tzinfo=UTC)
    assert (full.token_count, full.total_cost) == (12, 0.002)
    assert full.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert full.metadata == {"model": "m-1", "temperature": 0.5, "prompt": "say it"}
    plain = runs["e0", 1]
    assert (plain.output, plain.latency_ms, plain.metadata, plain.token_count) == ("first", None, {}, None)
    assert before - 1 <= plain.end_time.timestamp() <= time.time()
    failed = runs["e1", 1]
    assert (failed.status, failed.output) == ("error", None)
    assert failed.error == "failed; the results give no reason"
    assert failed.metadata == {"output": "half"}
    assert (runs["e2", 1].error, runs["e2", 1].start_time) == ("ValueError: no", datetime(2025, 3, 1, tzinfo=UTC))
    assert (runs["e2", 2].output, runs["e2", 2].status) == (None, "ok")  # a task that gives None has succeeded
    assert runs["e1", 2].output == [1, 2]

    ran = client.experiments.get_results(experiment="all")
    names = {run.id: (run.example_id, run.repetition_number) for run in ran.task_runs}
    verdicts = {names[verdict.run_id]: verdict for verdict in ran.evaluation_runs}
    assert verdicts.keys() == {("e0", 2), ("e2", 2), ("e1", 2)}  # none on what has failed
    judged = verdicts["e0", 2]
    assert (judged.score, judged.label, judged.explanation) == (1.0, None, "because")
    assert (judged.metadata, judged.annotator_kind) == ({"prompt": {"version": 3}}, "CODE")
    assert (verdicts["e2", 2].error, verdicts["e2", 2].score) == ("TimeoutError", None)
    assert verdicts["e1", 2].label == "7"
    frame = client.experiments.list_runs(experiment="all", all=True).to_df()
    assert frame["metadata.prompt"].tolist() == [None, "say it", None, None, None, None]
    assert frame["annotation.tone.label"].tolist()[1] == "kind"
    assert frame["annotation.tone.score"].tolist()[2] == 1
    assert "metadata.temperature" in ran.to_dataframe()


def test_one_content_from_every_source(client: Client, dataset: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    files = [tmp_path / f"rows.{suffix}" for suffix in ("csv", "parquet", "json", "jsonl")]
    made = client.experiments.create(
        name="one", dataset=dataset, experiment_runs=ROWS, evaluator_columns=CORRECT, metadata={"a": 1}
    )
    shuffled = frame.sample(frac=1, random_state=1).set_index(pd.Index(list("xyz")))
    indexed = frame.set_index("example_id")
    columns = {name: frame[name].tolist() for name in frame}
    for source in (frame, shuffled, indexed, columns, iter(ROWS), *files, str(files[0])):
        again = client.experiments.create(
            name="one", dataset=dataset, experiment_runs=source, evaluator_columns=CORRECT, metadata={"a": 1}
        )
        assert again == made
    assert len(client.experiments.list()) == 1
    assert [run.metadata for run in runs_of(client, made).values()] == [{"model": row["model"]} for row in ROWS]


def test_columns_under_other_names(client: Client, dataset: str) -> None:
    given = [
        {"key": f"e{n}", "said": {"n": n}, "j": n / 2, "why": "so", "model": "m", "prompt": "p", "output": "not this"}
        for n in range(3)
    ]
    for metadata, expected in (
        ("model", {"model": "m"}),
        (["model", "prompt"], {"model": "m", "prompt": "p"}),
        ({"by": "model", "prompt": None}, {"by": "m", "prompt": "p"}),
        (None, {}),
    ):
        columns = EvaluationResultFieldNames(score="j", explanation="why", metadata=metadata, annotator_kind="LLM")
        made = client.experiments.create(
            name=str(metadata),
            dataset=dataset,
            experiment_runs=pd.DataFrame(given),
            task_fields=ExperimentTaskFieldNames(example_id="key", output="said"),
            evaluator_columns={'the "judge" \\ of.score': columns},
        )
        ran = client.experiments.get_results(experiment=made.id)
        assert [run.output for run in ran.task_runs] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert ran.task_runs[0].metadata["output"] == "not this"
        assert {"model", "prompt"} - ran.task_runs[0].metadata.keys() == set(expected.values()) - {"m", "p"} | {
            name for name in ("model", "prompt") if name[0] in expected.values()
        }
        verdict = ran.evaluation_runs[1]
        assert (verdict.name, verdict.score, verdict.explanation) == ('the "judge" \\ of.score', 0.5, "so")
        assert (verdict.annotator_kind, verdict.metadata) == ("LLM", expected)


def test_a_persons_verdicts_become_annotations(client: Client, dataset: str) -> None:
    columns = {"tone": EvaluationResultFieldNames(label="correct_label", annotator_kind="HUMAN")}
    made = client.experiments.create(name="p", dataset=dataset, experiment_runs=ROWS, evaluator_columns=columns)
    assert made.evaluators == ()
    frame = client.experiments.list_runs(experiment=made, all=True).to_df()
    assert frame["annotation.tone.label"].tolist() == ["yes", "no", "yes"]


def test_the_table_of_axs_client_is_understood(client: Client, dataset: str) -> None:
    frame = pd.DataFrame(
        {
            "example_id": ["e0", "e1", "e2"],
            "output": ["a", None, "c"],
            "error": [None, "ValueError('boom')", None],
            "result.trace.id": ["0" * 31 + "1", "", None],
            "result.trace.timestamp": [1_750_000_000_000, 1_750_000_001_000, 1_750_000_002_000],
            "latency": [120.5, np.nan, 80.0],
            "token_count": [10, 20, 30],
            "execution_status": ["COMPLETED", "FAILED", "COMPLETED"],
            "exceptions": [None, "ValueError('boom')", None],
            "eval.right.score": [1.0, np.nan, 0.0],
            "eval.right.trace.id": ["0" * 31 + "2", None, None],
            "eval.right.metadata.k": ["v", None, None],
        }
    )
    made = client.experiments.create(name="ax", dataset=dataset, experiment_runs=frame)
    runs = runs_of(client, made)
    assert [run.latency_ms for run in runs.values()] == [pytest.approx(120.5), None, pytest.approx(80)]
    assert runs["e0", 1].start_time == datetime.fromtimestamp(1_750_000_000, UTC)
    assert runs["e0", 1].trace_id == "0" * 31 + "1"
    assert runs["e1", 1].error == "ValueError('boom')"
    assert {len(run.metadata) for run in runs.values()} == {0}
    verdict = client.experiments.get_results(experiment=made).evaluation_runs[0]
    assert (verdict.trace_id, verdict.metadata) == ("0" * 31 + "2", {"k": "v"})


def test_latency_alone_is_only_metadata(client: Client, dataset: str) -> None:
    made = client.experiments.create(
        name="l", dataset=dataset, experiment_runs=rows({"latency": 2}, {"latency": 3, "trace_id": "of our own"})
    )
    runs = runs_of(client, made)
    assert (runs["e0", 1].latency_ms, runs["e0", 1].metadata["latency"]) == (None, 2)
    assert (runs["e1", 1].trace_id, runs["e1", 1].metadata["trace_id"]) == (None, "of our own")
    assert client.experiments.get_results(experiment=made).summary.latency_ms == {}


# Ids that do not fit


def test_ids_that_do_not_fit_are_named_and_nothing_is_written(client: Client, dataset: str) -> None:
    given = [*ROWS[:1], {"example_id": "e9", "output": 1}, {"example_id": "e0", "output": "again"}]
    with pytest.raises(InvalidDataset) as refused:
        client.experiments.create(name="x", dataset=dataset, experiment_runs=given)
    for part in (
        "do not fit dataset 'numbers'",
        "1 row has an unknown id: 'e9' (row 2)",
        "1 example stands in several rows: 'e0' (rows 1, 3)",
        "2 examples have no result: 'e1', 'e2'",
        "The ids of the dataset are such as 'e0', 'e1'",
        "Is it the right dataset, and the right column of ids? Correct it, or allow it: ",
        "allow='unknown' leaves such rows out",
        "allow='doubled'",
        "allow='missing'",
    ):
        assert part in str(refused.value)
    for allow in ("unknown", ("unknown", "doubled"), ["doubled", "missing"]):
        with pytest.raises(InvalidDataset):
            client.experiments.create(name="x", dataset=dataset, experiment_runs=given, allow=allow)
    assert len(client.experiments.list()) == 0
    with pytest.raises(InvalidDataset, match=r"\d unknown|unknown id"):
        client.experiments.create(name="x", dataset=[{"id": "a", "input": 1}], experiment_runs=ROWS)
    assert [found.name for found in client.datasets.list_datasets()] == ["numbers"]


def test_what_is_allowed_is_counted(client: Client, dataset: str, caplog: pytest.LogCaptureFixture) -> None:
    given = [*ROWS[:1], {"example_id": "e9", "output": 1}, {"example_id": "e0", "output": "again"}]
    with caplog.at_level(logging.WARNING, "prefect_experiments"):
        made = client.experiments.create(
            name="x", dataset=dataset, experiment_runs=given, allow=["unknown", "doubled", "missing"]
        )
    assert "1 row of unknown ids left out" in caplog.text
    assert "1 row doubled, of which the last was taken" in caplog.text
    assert "2 examples without a result" in caplog.text
    assert [run.output for run in runs_of(client, made).values()] == ["again"]
    assert (made.example_count, client.experiments.get_results(experiment=made).summary.n_expected) == (3, 3)
    ran = client.experiments.log_experiment(
        name="y", dataset=dataset, experiment_runs=given, allow=["unknown", "doubled", "missing"], **quiet
    )
    assert ran.report.to_dict() == {
        "rows": 3, "runs": 1, "failed": 0, "unknown": ["e9"], "doubled": ["e0"], "missing": ["e1", "e2"],
        "unscored": 0, "metadata": ["correct_score", "correct_label", "model"], "already_logged": False,
    }  # fmt: skip


def test_nothing_that_fits_is_an_error_whatever_is_allowed(client: Client, dataset: str) -> None:
    with pytest.raises(
        InvalidDataset, match=r"no row belongs to it.*Is it the right dataset, and the right column of ids"
    ):
        client.experiments.create(
            name="x", dataset=dataset, experiment_runs=[{"example_id": "z", "output": 1}], allow=("unknown", "missing")
        )
    with pytest.raises(InvalidSetting, match="unknown misfit 'mising'; did you mean 'missing'"):
        client.experiments.create(name="x", dataset=dataset, experiment_runs=ROWS, allow="mising")


def test_repetitions_are_told_apart(client: Client, dataset: str) -> None:
    given = [{**row, "repetition_number": n} for n in (1, 2) for row in ROWS][:-1]
    with pytest.raises(InvalidDataset, match=r"1 example has no result: 'e2 \(repetition 2\)'"):
        client.experiments.create(name="x", dataset=dataset, experiment_runs=given)
    made = client.experiments.create(name="x", dataset=dataset, experiment_runs=given, allow="missing")
    assert (made.repetitions, len(runs_of(client, made))) == (2, 5)


def test_numbers_as_ids(client: Client) -> None:
    client.datasets.create_dataset(name="n", examples=[{"id": n, "input": n} for n in (1, 2)])
    for source in ([{"example_id": 1, "output": 1}, {"example_id": "2", "output": 2}], pd.DataFrame({
        "example_id": [1.0, 2.0], "output": [1, 2]
    })):  # fmt: skip
        made = client.experiments.create(name="x", dataset="n", experiment_runs=source)
        assert set(runs_of(client, made)) == {("1", 1), ("2", 1)}


def test_versions_and_splits(client: Client) -> None:
    first = client.datasets.create_dataset(
        name="v", examples=[{"id": "a", "input": 1, "splits": ["s"]}, {"id": "b", "input": 2}]
    )
    client.datasets.add_examples_to_dataset(dataset="v", examples=[{"id": "c", "input": 3}])
    two = [{"example_id": "a", "output": 1}, {"example_id": "b", "output": 2}]
    made = client.experiments.create(name="x", dataset="v", experiment_runs=two, dataset_version="1")
    assert made.dataset_version_id == first.version_id
    assert client.experiments.create(name="x", dataset=first, experiment_runs=two) == made
    with pytest.raises(InvalidDataset, match="no result: 'c'"):
        client.experiments.create(name="x", dataset="v", experiment_runs=two)
    part = client.experiments.create(name="x", dataset="v", experiment_runs=two[:1], splits="s")
    assert (part.splits, part.example_count) == (("s",), 1)


# What is refused


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "the results: no rows"),
        (pd.DataFrame({"example_id": [], "output": []}), "DataFrame: no rows"),
        ("missing.csv", "there is no file missing.csv"),
        (7, "a value of type int"),
        ({"example_id": "e0"}, "must give a list for each column, all as long"),
        ([1], "row 1 must be a mapping of column to value, got a value of type int"),
        ([{"id": "e0", "output": 1}], "the id of the example: unknown column 'example_id'. Known: id, output"),
        ([{"example_id": "e0", "outptu": 1}], "the output: unknown column 'output'; did you mean 'outptu'"),
        (rows({"example_id": None}), "column 'example_id', row 1 is empty"),
        (rows({}, {"example_id": " "}), "column 'example_id', row 2 is empty"),
        (rows({}, {"example_id": ["e1"]}), "'example_id', row 2: the id must be text or a whole number, got a"),
        (rows({"output": {"a": [float("nan")]}}), "column 'output', row 1: nan at ['a'][0] is not JSON"),
        (rows({"output": object()}), "column 'output', row 1: object is not JSON"),
        (rows({"eval.a.score": float("inf")}), "column 'eval.a.score', row 1: inf is infinite"),
        (rows({}, {"eval.a.score": "-Infinity"}), "column 'eval.a.score', row 2: '-Infinity' is infinite"),
        (rows({"eval.a.score": "high"}), "column 'eval.a.score', row 1: 'high' is not a number"),
        (rows({"eval.a.label": ["x"]}), "column 'eval.a.label', row 1 must be text, got a value of type list"),
        (rows({"latency_ms": -1}), "column 'latency_ms', row 1 must be milliseconds from 0 on, got -1"),
        (rows({"token_count": 1.5}), "column 'token_count', row 1 must be a whole number from 0 to"),
        (rows({"token_count": 2**31}), "column 'token_count', row 1 must be a whole number"),
        (rows({"total_cost": "1 $"}), "column 'total_cost', row 1: '1 $' is not a number"),
        (rows({"status": "passed"}), "column 'status', row 1: unknown status 'passed'"),
        (rows({"error": 0.5}), "column 'error', row 1: 0.5 is a number; an error is a text, blank"),
        (rows({"start_time": 17}), "column 'start_time', row 1: 17 is no time; write it as"),
        (rows({"end_time": "noon"}), "column 'end_time', row 1: 'noon' is no time"),
        (rows({"start_time": "2025-01-02", "end_time": "2025-01-01"}), "row 1: the start_time is after the end_time"),
        (rows({"repetition_number": 0}), "column 'repetition_number', row 1 must be a whole number from 1"),
        (rows({"repetition_number": 1}), "column 'repetition_number', row 2 is empty"),
        (rows({"metadata": "text"}), "column 'metadata', row 1 must be an object, or the JSON text of one"),
        (rows({"metadata.model": "x"}), "columns 'model' and 'metadata.model' would both be the metadata 'model'"),
        (rows({"metadata": {"model": "x"}}), "column 'metadata', row 1 has the field 'model', and there is a column"),
        ([{1: "a", "1": "b"}], "row 1, two columns have the same name once their names are text"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(client: Client, dataset: str, given: Any, said: str) -> None:
    with pytest.raises(InvalidDataset, match=re.escape(said)):
        client.experiments.create(name="x", dataset=dataset, experiment_runs=given)
    assert len(client.experiments.list()) == 0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"c": EvaluationResultFieldNames(score="corect_score")}, "unknown column 'corect_score'; did you mean 'corr"),
        ({"c": EvaluationResultFieldNames(label="l")}, "evaluator_columns['c'].label: unknown column 'l'"),
        (
            {"c": EvaluationResultFieldNames(score="correct_score", explanation="why")},
            "evaluator_columns['c'].explanation: unknown column 'why'",
        ),
        (
            {"c": EvaluationResultFieldNames(score="correct_score", metadata={"k": "nope"})},
            "evaluator_columns['c'].metadata: unknown column 'nope'",
        ),
        ({"c": {"score": "correct_score"}}, "evaluator_columns['c'] must be EvaluationResultFieldNames, got dict"),
        ({"": CORRECT["correct"]}, "an evaluator's name must be text of 1 to 255 characters"),
        ({"n" * 256: CORRECT["correct"]}, "an evaluator's name must be text of 1 to 255 characters"),
        ([CORRECT], "evaluator_columns must map the name of an evaluator"),
    ],
)
def test_a_named_column_that_is_not_there_is_an_error(client: Client, dataset: str, columns: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        client.experiments.create(name="x", dataset=dataset, experiment_runs=ROWS, evaluator_columns=columns)
    assert len(client.experiments.list()) == 0


def test_field_names_need_a_score_or_a_label() -> None:
    with pytest.raises(ValueError, match="needs score= or label="):
        EvaluationResultFieldNames(explanation="why")
    with pytest.raises(ValueError, match="unknown annotator kind 'ROBOT'"):
        EvaluationResultFieldNames(score="s", annotator_kind="ROBOT")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ExperimentTaskFieldNames("output", "example_id")  # type: ignore[misc]  # AX has them the other way round


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "the experiment's name must be"),
        ({"metadata": {"x": float("nan")}}, "metadata must be a JSON object"),
        ({"task_fields": "output"}, "task_fields must be ExperimentTaskFieldNames, got str"),
        ({"dataset": "nmbers"}, "unknown dataset 'nmbers'; did you mean 'numbers'"),
        ({"space": 7}, "space must be the name or the id of a space"),
    ],
)
def test_other_wrong_use(client: Client, dataset: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=re.escape(said)):
        client.experiments.create(**{"name": "x", "dataset": dataset, "experiment_runs": ROWS, **changes})
    assert len(client.experiments.list()) == 0


# Again, and at once


def test_the_same_again_is_nothing_new(client: Client, dataset: str, caplog: pytest.LogCaptureFixture) -> None:
    def log(name: str = "x", given: Any = ROWS, **more: Any) -> str:
        return client.experiments.create(name=name, dataset=dataset, experiment_runs=given, **more).id

    first = log()
    with caplog.at_level(logging.WARNING, "prefect_experiments"):
        assert log() == first
    assert "these very results were logged under this name before: nothing new was written" in caplog.text
    assert log(given=list(reversed(ROWS))) == first
    others = [
        log("y"),
        log(given=rows({"output": "other"})),
        log(given=rows({"model": "other"})),
        log(given=rows({"error": "x"})),
        log(metadata={"commit": "a"}),
        log(description="d"),
        log(evaluator_columns=CORRECT),
    ]
    assert len({first, *others}) == len(others) + 1
    with pytest.raises(AmbiguousName):
        client.experiments.get(experiment="x")
    client.datasets.add_examples_to_dataset(dataset=dataset, examples=[{"id": "e3", "input": {"n": 3}}])
    assert log(allow="missing") not in {first, *others}
    client.experiments.delete(experiment=first)
    assert log(dataset_version="1") != first


def test_logged_at_once_by_several_it_is_one_experiment(client: Client, dataset: str) -> None:
    def log(_: int) -> str:
        return client.experiments.create(name="x", dataset=dataset, experiment_runs=ROWS).id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(log, range(8)))) == 1
    assert len(client.experiments.list()) == 1


def test_all_or_nothing_is_written(client: Client, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = IngestStore._fill

    def half(self: IngestStore, connection: Any, experiment_id: str, runs: Any) -> None:
        fill(self, connection, experiment_id, runs[:2])
        raise InvalidInput("as if the disk were full")

    monkeypatch.setattr(IngestStore, "_fill", half)
    with pytest.raises(InvalidInput):
        client.experiments.create(name="x", dataset=dataset, experiment_runs=ROWS)
    assert len(client.experiments.list()) == 0
    monkeypatch.undo()
    assert len(runs_of(client, client.experiments.create(name="x", dataset=dataset, experiment_runs=ROWS))) == 3


@pytest.mark.slow
def test_twenty_five_thousand_rows(client: Client) -> None:
    n = 25_000
    client.datasets.create_dataset(name="big", examples=[{"id": f"e{i}", "input": {"n": i}} for i in range(n)])
    frame = pd.DataFrame({"example_id": [f"e{i}" for i in range(n)], "output": [{"n": i} for i in range(n)]})
    for evaluator in ("a", "b"):
        frame[f"eval.{evaluator}.score"] = np.arange(n) % 2
    made = client.experiments.create(name="big", dataset="big", experiment_runs=frame.assign(model="m"))
    found = client.experiments.list_runs(experiment=made, all=True)
    assert [run.output["n"] for run in found] == list(range(n))
    assert client.experiments.get_results(experiment=made).summary.metrics["b"].mean == 0.5


# The flow, and going on


def test_the_flow(client: Client, dataset: str, capsys: pytest.CaptureFixture[str]) -> None:
    from .test_run import task_run_names

    given = rows({"error": "ValueError: no"})
    name = f"nightly-{uuid.uuid4().hex[:8]}"
    arguments: dict[str, Any] = {
        "name": name, "dataset": dataset, "experiment_runs": given, "evaluator_columns": CORRECT, "client": client
    }  # fmt: skip
    ran = log_experiment(**arguments)
    assert (ran.id, ran.name, ran["experiment_id"]) == (ran.experiment.id, name, ran.experiment_id)
    assert (ran.description, ran.metadata, ran.created_at) == (None, {}, ran.experiment.created_at)
    assert [run.example_id for run in ran.failed] == ["e0"]
    assert ran.summary.metrics["correct"].n == 2
    printed = capsys.readouterr().out
    assert f"{name} on numbers: Logged 3 runs; 1 of 3 failed" in printed
    assert "the scores of 1 failed run left out" in printed
    assert "kept as metadata of the runs: model" in printed
    flow_run = flow_run_of(name, dataset)
    assert task_run_names(flow_run) == ["load numbers", "log to local"]
    assert flow_run.state is not None
    assert "Logged 3 runs; 1 of 3 failed. correct" in str(flow_run.state.message)
    again = asyncio.run(alog_experiment(**arguments))
    assert again.id == ran.id
    assert again.report.already_logged
    assert "nothing new was written" in capsys.readouterr().out


def test_baseline_and_gate(client: Client, dataset: str) -> None:
    many = [{"id": f"e{n}", "input": n} for n in range(60)]
    client.datasets.create_dataset(name="many", examples=many)

    def results(good: Callable[[int], float]) -> pd.DataFrame:
        return pd.DataFrame([{"example_id": f"e{n}", "output": n, "eval.right.score": good(n)} for n in range(60)])

    first = client.experiments.create(name="first", dataset="many", experiment_runs=results(lambda n: 1.0))
    client.experiments.tag(experiment=first, tag="baseline")
    name = f"second-{uuid.uuid4().hex[:8]}"
    ran = client.experiments.log_experiment(
        name=name,
        dataset="many",
        experiment_runs=results(lambda n: float(n % 3 > 0)),
        baseline="tag:baseline",
        gate={"metrics": {"right": {"max_regression": 0.05}}},
        **quiet,
    )
    assert ran.comparison is not None
    assert ran.comparison.metrics["right"].difference == pytest.approx(-1 / 3)
    assert ran.verdict is not None
    assert ran.verdict.status == "failed"
    state = flow_run_of(name, "many").state
    assert state is not None
    assert state.name == "GateFailed"


@pytest.mark.thorough
def test_failed_and_missing_runs_alone_are_made_again(client: Client, dataset: str) -> None:
    made = client.experiments.create(
        name="x",
        dataset=dataset,
        experiment_runs=rows({"error": "down"})[:2],
        evaluator_columns=CORRECT,
        allow="missing",
    )
    calls = []

    def task(input: dict[str, int]) -> str:
        calls.append(input["n"])
        return ["zero", "one", "two"][input["n"]]

    with pytest.raises(InvalidEvaluator, match="correct; pass evaluators="):
        client.experiments.resume_experiment(experiment=made, task=task, **quiet)
    ran = client.experiments.resume_experiment(
        experiment=made, task=task, evaluators={"correct": lambda output, expected: output == expected}, **quiet
    )
    assert sorted(calls) == [0, 2]
    assert [run.output for run in ran.task_runs] == ["zero", "one", "two"]
    scores = ran.to_dataframe()["eval.correct.score"].tolist()
    assert scores == [1.0, 0.25, 1.0]  # what was logged is kept
    again = client.experiments.evaluate_experiment(
        experiment=made, evaluators={"correct": lambda output, expected: output == expected}, print_summary=False
    )
    assert again.to_dataframe()["eval.correct.score"].tolist() == [1.0, 1.0, 1.0]  # asked for by themselves
    more = evaluate_experiment(experiment=made.id, evaluators=["exact_match"], client=client, **quiet)
    assert more.summary.metrics["exact_match"].n == 3
    assert more.summary.metrics["correct"].n == 3


def test_what_has_failed_is_marked_and_one_call_makes_it_again(client: Client, dataset: str) -> None:
    calls: list[int] = []
    down = {0, 2}

    def task(input: dict[str, int]) -> int:
        calls.append(input["n"])
        if input["n"] in down:
            raise ConnectionError("the model is down")
        return input["n"]

    ran = run_experiment(
        dataset=dataset, task=task, evaluators=[lambda output: True], retries=0, client=client, **quiet
    )
    assert [run.example_id for run in ran.failed] == ["e0", "e2"]
    frame = ran.to_dataframe()
    assert frame["status"].tolist() == ["error", "ok", "error"]
    assert frame["error"].tolist() == ["ConnectionError: the model is down", None, "ConnectionError: the model is down"]
    down.clear()
    calls.clear()
    again = resume_experiment(
        experiment=ran, task=task, evaluators=[lambda output: True], retries=0, client=client, **quiet
    )
    assert sorted(calls) == [0, 2]
    assert (again.failed, again.reused, again.ran) == ([], 1, 2)
