"""Experiments in AX (a stand-in): run, logged, pushed, pulled, managed; the official client is the referee."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    Client,
    EvaluationResult,
    EvaluationResultFieldNames,
    ExperimentTaskFieldNames,
    arun_experiment,
    create_evaluator,
    run_experiment,
)
from prefect_experiments.errors import (
    AlreadyExists,
    AmbiguousName,
    BackendRefused,
    ExperimentStopped,
    InvalidInput,
    NotFound,
)
from support import kept_values
from support.arize import KEY, Official, OfficialError, StandIn
from support.patience import PATIENCE_S, wait_for

from .conftest import ours
from .referee import assert_same, ax_ids

ROWS = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": 2 * n}} for n in range(8)]
OUTPUTS: list[Any] = ["text", {"x": 7, "ü": [1.5]}, True, False, None, 7, 0.5, [1, "a"], '{"x": 7}', "7", "", "True"]


async def double(input: Any) -> Any:
    await asyncio.sleep(0)
    if input["n"] == 7:
        raise ValueError('not "this" one')
    return {"n": 2 * input["n"], "text": "Ü — 日本語"}


def right(output: Any, expected: Any) -> bool:
    if output["n"] == 6:
        raise ZeroDivisionError("cannot say")
    return bool(output["n"] == expected["n"])


def near(output: Any, input: Any) -> EvaluationResult:
    n = input["n"]
    return EvaluationResult(score=n / 3, label="near", explanation="why", metadata={"judge": "m", "n": n, "deep": [n]})


options: dict[str, Any] = {"task": double, "evaluators": [right, near], "print_summary": False, "retries": 0}


@pytest.mark.usefixtures("prefect")
def test_a_run_is_in_ax_value_for_value(arize: StandIn, client: Client, official: Official) -> None:
    client.datasets.create_dataset(name="doubles", examples=ROWS)
    ran = run_experiment(dataset="doubles", experiment_name="first", client=client, **options)
    assert (ran.waiting, len(ran.task_runs), ran.url) == (0, 8, None)
    assert_same(official, ran)
    (made,) = arize.bodies("/v2/experiments$")
    assert (
        len(made["experiment_runs"])
        + sum(len(body["experiment_runs"]) for body in arize.bodies("/v2/experiments/[^/]+/runs$"))
        == 8
    )
    there = arize.experiment("first")
    assert (there["id"], there["dataset_id"]) == (ran.experiment_id, ran.dataset_id)
    failed = next(run for run in there["runs"] if run["execution_status"] == "FAILED")
    assert (failed["output"], failed["error"]) == ("", 'ValueError: not "this" one')
    odd = next(run for run in there["runs"] if run["output"].startswith('{"n": 6,'))
    assert (odd["eval.right.score"], odd["eval.right.metadata.error"]) == (None, "ZeroDivisionError: cannot say")
    assert json.loads(odd["eval.near.metadata.deep"]) == [3]
    found = official("result = client.experiments.get(experiment='first', dataset='doubles', space='default')")
    assert found["id"] == ran.experiment_id


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_the_columns_are_those_of_the_official_run(arize: StandIn, client: Client, official: Official) -> None:
    rows = [{"question": "2 + 2?", "answer": "4"}]
    official("client.datasets.create(name='sums', space='default', examples=rows)", rows=rows)
    official("""
from arize.experiments.evaluators.types import EvaluationResult
def task(dataset_row):
    return {"said": dataset_row["answer"]}
def right(output, dataset_row):
    return EvaluationResult(score=1.0, label="right", explanation="so it is", metadata={"judge": "m"})
client.experiments.run(name='theirs', dataset='sums', space='default', task=task, evaluators=[right], force_http=True)
""")

    def task(dataset_row: Any) -> Any:
        return {"said": dataset_row["answer"]}

    def right(output: Any, dataset_row: Any) -> EvaluationResult:
        return EvaluationResult(score=1.0, label="right", explanation="so it is", metadata={"judge": "m"})

    ran = run_experiment(
        dataset="sums",
        task=task,
        evaluators=[right],
        experiment_name="ours",
        set_global_tracer_provider=True,
        client=client,
    )
    theirs, mine = arize.bodies("/v2/experiments$")
    (their_run,), (my_run,) = theirs.pop("experiment_runs"), mine.pop("experiment_runs")
    assert {**mine, "name": ""} == {**theirs, "name": ""}
    assert my_run.pop("output.mime_type") == "application/json"  # the output was no text
    assert json.loads(my_run.pop("prefect_experiments")).keys() == {"times", "task", "evaluations"}  # no other one more
    assert list(my_run) == list(their_run)
    ours_alone = {"latency", *(name for name in my_run if ".trace." in name)}
    assert {k: v for k, v in my_run.items() if k not in ours_alone} == {
        k: v for k, v in their_run.items() if k not in ours_alone
    }
    for name in ours_alone:
        assert type(my_run[name]) is type(their_run[name]), name
    assert my_run["result.trace.id"] == ran.task_runs[0].trace_id
    assert len(my_run["eval.right.trace.id"]) == 32


def test_logged_results_are_sent_as_by_the_official_create(arize: StandIn, client: Client, official: Official) -> None:
    client.datasets.create_dataset(name="sums", examples=[{"input": f"{n}?"} for n in range(2)])
    ids = list(ax_ids(official, client.datasets.get_info(dataset="sums").id))
    rows = [
        {"example": ids[0], "said": "4", "right": 1.0, "verdict": "ok", "why": "w", "latency_ms": 12.0, "model": "a"},
        {
            "example": ids[1],
            "said": {"x": 7},
            "right": 0.0,
            "verdict": "no",
            "why": "v",
            "latency_ms": 7.5,
            "model": "b",
        },
    ]
    rows = [{**row, "by": "m"} for row in rows]
    official(
        """client.experiments.create(name='theirs', dataset='sums', space='default', experiment_runs=rows,
        task_fields=field_names(example_id='example', output='said'),
        evaluator_columns={'right': result_names(score='right', label='verdict', explanation='why',
                                                 metadata={'judge': 'by'})})""",
        rows=rows,
    )
    made = client.experiments.create(
        name="ours",
        dataset="sums",
        experiment_runs=rows,
        task_fields=ExperimentTaskFieldNames(example_id="example", output="said"),
        evaluator_columns={
            "right": EvaluationResultFieldNames(
                score="right", label="verdict", explanation="why", metadata={"judge": "by"}
            )
        },
    )
    assert made.id == arize.experiment("ours")["id"]
    theirs, mine = (
        sorted(body["experiment_runs"], key=lambda run: run["example_id"]) for body in arize.bodies("/v2/experiments$")
    )
    assert [run.pop("output.mime_type", None) for run in mine].count("application/json") == 1
    assert mine == theirs
    again = client.experiments.create(
        name="ours",
        dataset="sums",
        experiment_runs=rows,
        task_fields=ExperimentTaskFieldNames(example_id="example", output="said"),
        evaluator_columns={
            "right": EvaluationResultFieldNames(
                score="right", label="verdict", explanation="why", metadata={"judge": "by"}
            )
        },
    )
    assert again.id == made.id
    assert len(arize.experiment("ours")["runs"]) == 2


def test_outputs_of_every_type(arize: StandIn, client: Client, elsewhere: Client, official: Official) -> None:
    """AX keeps text; another machine gets back what it was, the official client text as it writes it itself."""
    client.datasets.create_dataset(name="outputs", examples=[{"id": str(n), "input": n} for n in range(len(OUTPUTS))])
    rows = [{"example_id": str(n), "output": output} for n, output in enumerate(OUTPUTS)]
    client.experiments.create(name="kinds", dataset="outputs", experiment_runs=rows, allow="missing")
    by_example = {run.example_id: run.output for run in elsewhere.experiments.list_runs(experiment="kinds", all=True)}
    assert by_example == {str(n): output for n, output in enumerate(OUTPUTS)}
    assert all(type(by_example[str(n)]) is type(output) for n, output in enumerate(OUTPUTS))
    texts = {run["output"] for run in official.runs(arize.experiment("kinds")["id"])}
    assert {'{"x": 7, "\\u00fc": [1.5]}', "True", "False", "null", "7", "0.5", '[1, "a"]'} <= texts


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_repetitions_are_further_rows(arize: StandIn, client: Client, elsewhere: Client, official: Official) -> None:
    client.datasets.create_dataset(name="doubles", examples=ROWS[:3])
    ran = run_experiment(dataset="doubles", experiment_name="thrice", repetitions=3, client=client, **options)
    assert_same(official, ran)
    assert sorted(run["repetition_number"] for run in arize.experiment("thrice")["runs"]) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    there = elsewhere.experiments.get_results(experiment="thrice")
    assert there.experiment.repetitions == 3
    assert {(r.example_id, r.repetition_number) for r in there.task_runs} == {
        (r.example_id, r.repetition_number) for r in ran.task_runs
    }


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_a_failed_row_is_made_again(arize: StandIn, client: Client, elsewhere: Client, official: Official) -> None:
    client.datasets.create_dataset(name="doubles", examples=ROWS)
    ran = run_experiment(dataset="doubles", experiment_name="first", client=client, **options)

    def forgiving(input: Any) -> Any:
        return {"n": 2 * input["n"]}

    again = client.experiments.resume_experiment(
        experiment=ran.experiment_id, task=forgiving, evaluators=[right, near], print_summary=False
    )
    assert (again.ran, again.waiting, again.experiment_id) == (1, 0, ran.experiment_id)
    runs = arize.experiment("first")["runs"]
    assert len(runs) == 9  # what failed stays in AX, which takes nothing back
    assert sorted(run.id for run in again.task_runs if run.error is None) == sorted(
        run["id"] for run in runs if run["execution_status"] == "COMPLETED"
    )
    # Another machine sees the last state, and has nothing to do but what failed here as well.
    there = elsewhere.experiments.resume_experiment(
        experiment="first", task=forgiving, evaluators=[right, near], print_summary=False
    )
    assert there.ran == 0
    assert {r.id: (r.output, r.error) for r in there.task_runs} == {r.id: (r.output, r.error) for r in again.task_runs}
    assert len(arize.experiment("first")["runs"]) == 9


@pytest.mark.usefixtures("prefect")
def test_what_the_official_client_pushed_is_read_and_gone_on_with(
    arize: StandIn, client: Client, official: Official
) -> None:
    rows = [{"question": f"{n}?", "answer": str(n)} for n in range(6)]
    made = official("result = client.datasets.create(name='sums', space='default', examples=rows)", rows=rows)
    examples = list(ax_ids(official, made["id"]))
    runs = [
        {"example_id": examples[0], "output": "0", "eval.right.score": 1.0, "eval.right.label": "yes", "latency": 3.5},
        {"example_id": examples[1], "output": '{"x": 7}', "eval.right.score": 0.0, "model": "m", "nothing": None},
        {"example_id": examples[2], "output": "", "error": "ValueError('boom')", "execution_status": "FAILED"},
    ]
    theirs = official(
        "result = client.experiments.create(name='theirs', dataset=d, experiment_runs=runs, "
        "task_fields=field_names(example_id='example_id', output='output'))",
        d=made["id"],
        runs=runs,
    )
    found = client.experiments.get(experiment="theirs", dataset="sums")
    assert (found.id, found.dataset_name, found.dataset_version_id) == (
        theirs["id"],
        "sums",
        theirs["dataset_version_id"],
    )
    listed = client.experiments.list_runs(experiment="theirs", all=True)
    assert {run.id for run in listed} == {run["id"] for run in official.runs(theirs["id"])}
    read = {run.example_id: run for run in listed}
    assert [read[e].output for e in examples[:3]] == ["0", '{"x": 7}', None]  # AX says that it is text, and it is
    assert (read[examples[2]].error, read[examples[0]].latency_ms) == (
        "ValueError('boom')",
        pytest.approx(3.5, abs=0.01),
    )
    assert dict(read[examples[1]].metadata) == {"model": "m"}
    frame = listed.to_df().set_index("example_id")
    assert (frame["eval.right.score"][examples[0]], frame["eval.right.label"][examples[0]]) == (1.0, "yes")

    def task(dataset_row: Any) -> Any:
        return dataset_row["answer"]

    def right(output: Any, dataset_row: Any) -> bool:
        return bool(output == dataset_row["answer"])

    ran = client.experiments.resume_experiment(experiment="theirs", task=task, evaluators=[right], print_summary=False)
    assert (ran.reused, ran.ran, ran.waiting) == (2, 4, 0)
    there = official.runs(theirs["id"])
    assert len(there) == 7
    assert {r["example_id"] for r in there if not r["error"]} == set(examples)


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_later_verdicts_stay_in_the_store_and_that_is_said(
    arize: StandIn, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.datasets.create_dataset(name="doubles", examples=ROWS[:3])
    ran = run_experiment(dataset="doubles", experiment_name="first", client=client, **options)
    arize.forget_requests()
    more = client.experiments.evaluate_experiment(experiment="first", evaluators=["json_valid"], print_summary=False)
    assert more.summary.metrics["json_valid"].n == 3
    assert len(arize.requests("/runs", "POST")) == 0
    with pytest.raises(BackendRefused, match=r"refused 3 results.*takes evaluations only together with their run"):
        client.experiments.push(experiment=ran.experiment_id)
    assert len(arize.experiment("first")["runs"]) == 3
    table = client.experiments.list_runs(experiment=ran.experiment_id, all=True).to_df()
    client.experiments.create(name="with all", dataset="doubles", experiment_runs=table)
    assert [run["eval.json_valid.score"] for run in arize.experiment("with all")["runs"]] == [1.0] * 3


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_stopped_half_way(arize: StandIn, client: Client, official: Official) -> None:
    """Rows wait for their verdicts, or could never get them; what is complete is there."""
    client.datasets.create_dataset(name="doubles", examples=ROWS)
    with pytest.raises(ExperimentStopped) as stopped:
        run_experiment(
            dataset="doubles", experiment_name="first", client=client, exit_on_error=True, concurrency=1, **options
        )
    there = [one for one in arize.state()["experiments"] if one["name"] == "first"]
    for run in there[0]["runs"] if there else []:
        assert run["execution_status"] == "FAILED" or "eval.near.score" in run
    whole = client.experiments.resume_experiment(
        experiment=stopped.value.experiment_id, task=lambda number: {"n": 1}, evaluators=[right, near]
    )
    assert whole.waiting == 0
    complete = [run for run in arize.experiment("first")["runs"] if run["execution_status"] == "COMPLETED"]
    assert len(complete) == 8
    assert all("eval.near.score" in run and "eval.right.score" in run for run in complete)


@pytest.mark.usefixtures("prefect")
def test_a_local_experiment_is_pushed(arize: StandIn, client: Client, local: Client, official: Official) -> None:
    ran = run_experiment(dataset=[dict(row) for row in ROWS], experiment_name="first", client=local, **options)
    pushed = client.experiments.push(experiment=ran.experiment_id)
    assert pushed.waiting == 0
    assert_same(official, pushed)
    arize.forget_requests()
    assert client.experiments.push(experiment=ran.experiment_id).experiment_id == pushed.experiment_id
    assert [request["method"] for request in arize.requests("/v2/")].count("POST") == 0
    # Deleted in AX, it is begun anew.
    official("client.experiments.delete(experiment=e)", e=pushed.experiment_id)
    anew = client.experiments.push(experiment=ran.experiment_id)
    assert anew.experiment_id != pushed.experiment_id
    assert_same(official, anew)


def test_managing(arize: StandIn, client: Client, official: Official, tmp_path: Path) -> None:
    for name in ("sums", "more"):
        client.datasets.create_dataset(name=name, examples=[{"id": "a", "input": "1"}])
    runs = [{"example_id": "a", "output": "1", "eval.right.score": 1.0}]
    made = [
        client.experiments.create(name=name, dataset=dataset, experiment_runs=runs)
        for name, dataset in (("first", "sums"), ("second", "sums"), ("first", "more"))
    ]
    assert [one.id for one in client.experiments.list()] == [one.id for one in reversed(made)]
    page = client.experiments.list(dataset="sums", limit=1)
    assert [(one.id, one.dataset_name) for one in page] == [(made[1].id, "sums")]
    rest = client.experiments.list(dataset="sums", limit=1, cursor=page.pagination.next_cursor)
    assert ([one.id for one in rest], rest.pagination.has_more) == ([made[0].id], False)
    assert client.experiments.get(experiment="latest").id == made[2].id
    assert client.experiments.get(experiment="first", dataset="sums").id == made[0].id
    with pytest.raises(AmbiguousName, match=rf"2 experiments are called 'first'.*{made[0].id}"):
        client.experiments.get(experiment="first")
    with pytest.raises(NotFound, match=r"unknown experiment 'thrid'.*Known: first, second"):
        client.experiments.get(experiment="thrid")
    with pytest.raises(NotFound, match=r"experiment .* not found"):
        client.experiments.get(experiment="RXhwZXJpbWVudDo5OTk6eA==")
    path = client.experiments.export(experiment="first", dataset="sums", path=tmp_path / "runs.csv")
    assert pd.read_csv(path)["eval.right.score"].tolist() == [1.0]
    client.experiments.delete(experiment="first", dataset="sums")
    assert {row["id"] for row in official("result = client.experiments.list()")["experiments"]} == {
        made[1].id,
        made[2].id,
    }


def test_tags_are_those_of_the_space(arize: StandIn, client: Client) -> None:
    client.datasets.create_dataset(name="sums", examples=[{"id": "a", "input": "1"}])
    runs = [{"example_id": "a", "output": "1"}]
    first, second = (client.experiments.create(name=n, dataset="sums", experiment_runs=runs) for n in ("one", "two"))
    assert client.experiments.tag(experiment="one", tag="prod").tags == ("prod",)
    assert client.experiments.get(experiment="tag:prod").id == first.id
    assert client.experiments.tag(experiment="two", tag="prod").tags == ("prod",)
    assert client.experiments.get(experiment="tag:prod").id == second.id
    assert client.experiments.get(experiment="one").tags == ()
    assert client.experiments.untag(experiment="two", tag="prod").tags == ()
    with pytest.raises(NotFound, match="no experiment has the tag 'prod'"):
        client.experiments.get(experiment="tag:prod")
    with pytest.raises(InvalidInput, match="does not tell its id"):
        client.experiments.tag(experiment="one", tag="Prod")


@pytest.mark.usefixtures("hasty")
def test_annotations(arize: StandIn, client: Client, elsewhere: Client, official: Official) -> None:
    client.datasets.create_dataset(name="many", examples=[{"id": f"e{n}", "input": n} for n in range(110)])
    runs = [{"example_id": f"e{n}", "output": str(n)} for n in range(110)]
    client.experiments.create(name="first", dataset="many", experiment_runs=runs)
    arize.allow_annotation("quality")
    ids = [run.id for run in client.experiments.list_runs(experiment="first", all=True)]
    notes = [
        AnnotateRecordInput(record_id=i, values=[AnnotationInput(name="quality", label="good", score=1)]) for i in ids
    ]
    assert client.experiments.annotate_runs(experiment="first", annotations=notes) == 110
    assert [len(body["annotations"]) for body in arize.bodies("/runs/annotate$")] == [100, 10]
    noted = {run["id"]: [(n["name"], n["label"], n["score"]) for n in run["annotations"]] for run in official.runs(
        arize.experiment("first")["id"]
    )}  # fmt: skip
    assert noted == {run_id: [("quality", "good", 1)] for run_id in ids}
    frame = elsewhere.experiments.list_runs(experiment="first", all=True).to_df()
    assert set(frame["annotation.quality.label"]) == {"good"}
    with pytest.raises(BackendRefused, match=r"'grammar' not found.*annotation config of the space"):
        client.experiments.annotate_runs(
            experiment="first",
            annotations=[AnnotateRecordInput(record_id=ids[0], values=[AnnotationInput(name="grammar", label="x")])],
        )
    unknown = AnnotateRecordInput(record_id="nobody", values=[AnnotationInput(name="quality", label="x")])
    with pytest.raises((NotFound, InvalidInput), match="nobody"):
        client.experiments.annotate_runs(experiment="first", annotations=[notes[0], unknown])


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_traces_only_when_asked(
    arize: StandIn, client: Client, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.datasets.create_dataset(name="doubles", examples=ROWS[:3])
    run_experiment(dataset="doubles", experiment_name="untraced", client=client, **options)
    assert arize.spans()["count"] == 0
    monkeypatch.setenv("ARIZE_OTLP_HOST", arize.host)
    monkeypatch.setenv("ARIZE_OTLP_PORT", str(arize.port))
    monkeypatch.setenv("ARIZE_OTLP_SCHEME", "http")
    tracing = ours(arize, store_url=store_url, traces=True)
    ran = run_experiment(dataset="doubles", experiment_name="traced", client=tracing, **options)
    wait_for(lambda: arize.spans()["count"] >= 9, "all spans")
    frame = client.spans.get_spans_dataframe(project_identifier="traced")
    assert len(frame) == 9
    tasks = client.spans.get_spans_dataframe(project_identifier="traced", span_kind="chain", root_spans_only=True)
    assert set(tasks["context.trace_id"]) == {run.trace_id for run in ran.task_runs}
    assert set(tasks["name"]) == {"Task: double"}
    assert {json.loads(text)["n"] for text in tasks["attributes.input.value"]} == {0, 1, 2}
    assert frame["start_time"].is_monotonic_decreasing
    headers = arize.spans()["spans"][0]["headers"]
    assert (headers["authorization"], headers["api_key"]) == (KEY, KEY)
    assert headers["arize-space-id"] == headers["space_id"] == arize.space_id()
    assert headers["arize-interface"] == "otel"
    there = {run["result.trace.id"] for run in arize.experiment("traced")["runs"]}
    assert there == {run.trace_id for run in ran.task_runs}
    with pytest.raises(NotFound, match="unknown project 'trased'"):
        client.spans.get_spans_dataframe(project_identifier="trased")


@pytest.mark.usefixtures("prefect")
def test_a_collector_that_does_not_answer_costs_nothing(
    arize: StandIn, client: Client, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.datasets.create_dataset(name="doubles", examples=[{"input": {"n": n}} for n in range(5)])
    monkeypatch.setenv("ARIZE_OTLP_HOST", "127.0.0.1")
    monkeypatch.setenv("ARIZE_OTLP_PORT", "1")
    monkeypatch.setenv("ARIZE_OTLP_SCHEME", "http")
    ran = run_experiment(
        dataset="doubles",
        experiment_name="traced",
        client=ours(arize, store_url=store_url, traces=True),
        **{**options, "evaluators": [near]},
    )
    assert (ran.waiting, ran.summary.n_errors, len(arize.experiment("traced")["runs"])) == (0, 0, 5)


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_names_that_ax_does_not_take_are_refused_before_anything_is_spent(
    arize: StandIn, client: Client, local: Client
) -> None:
    calls = []

    def task(input: Any) -> Any:
        calls.append(input)
        return "x"

    client.datasets.create_dataset(name="doubles", examples=ROWS[:3])
    for name in ('a "b"', "a\\b"):
        with pytest.raises(InvalidInput, match="no double quotes or backslashes"):
            run_experiment(dataset="doubles", experiment_name=name, task=task, client=client)
    run_experiment(dataset="doubles", experiment_name="first", task=task, client=client, print_summary=False)
    assert len(calls) == 3
    with pytest.raises(AlreadyExists, match="an experiment 'first' on this dataset already"):
        run_experiment(dataset="doubles", experiment_name="first", task=task, client=client)
    assert len(calls) == 3
    assert [one.name for one in local.experiments.list()] == ["first"]  # nothing is left of the others
    with pytest.raises(NotFound, match="unknown dataset 'trebles'"):
        run_experiment(dataset="trebles", task=task, client=client)


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect", "hasty")
def test_results_are_in_ax_while_the_experiment_runs(arize: StandIn, client: Client) -> None:
    client.datasets.create_dataset(name="doubles", examples=[{"id": f"e{n}", "input": n} for n in range(20)])
    seen = []

    def task(input: Any) -> Any:
        deadline = time.monotonic() + (PATIENCE_S if input == 19 else 0)  # the last one that is begun
        while time.monotonic() < deadline and not seen:
            seen.extend(len(one["runs"]) for one in arize.state()["experiments"])
            time.sleep(0.05)
        return input

    run_experiment(dataset="doubles", task=task, client=client, concurrency=2, batch_size=5, print_summary=False)
    assert len(seen) == 1
    assert 0 < seen[0] < 20


@pytest.mark.usefixtures("prefect")
def test_evaluators_of_odd_names(arize: StandIn, client: Client, elsewhere: Client) -> None:
    names = ["with.dots", "score", "a.score", "with space", 'with "quotes" \\', "日本語", "metadata"]
    client.datasets.create_dataset(name="doubles", examples=ROWS[:1])

    def judge(output: Any) -> EvaluationResult:
        return EvaluationResult(score=0.5, label="l", explanation="e", metadata={"k": "v"})

    evaluators = dict.fromkeys(names, judge)
    ran = run_experiment(dataset="doubles", task=double, evaluators=evaluators, client=client, experiment_name="first")
    (run,) = arize.experiment("first")["runs"]
    assert {(run[f"eval.{name}.score"], run[f"eval.{name}.metadata.k"]) for name in names} == {(0.5, "v")}
    verdicts = elsewhere.experiments.get_results(experiment=ran.experiment_id).evaluation_runs
    assert sorted(verdict.name for verdict in verdicts) == sorted(names)
    for verdict in verdicts:
        assert (verdict.score, verdict.label, verdict.explanation) == (0.5, "l", "e")
        assert dict(verdict.metadata) == {"k": "v"}


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_asynchronously_on_a_version_that_somebody_changes_in_place(
    arize: StandIn, client: Client, official: Official
) -> None:
    official("client.datasets.create(name='sums', space='default', examples=[{'n': 1}])")
    first = asyncio.run(arun_experiment(dataset="sums", task=lambda dataset_row: dataset_row["n"], client=client))
    official("client.datasets.append_examples(dataset='sums', space='default', examples=[{'n': 2}])")
    second = asyncio.run(arun_experiment(dataset="sums", task=lambda dataset_row: dataset_row["n"], client=client))
    assert (len(first.task_runs), len(second.task_runs)) == (1, 2)
    assert first.dataset_version_id == second.dataset_version_id
    assert_same(official, second)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
def test_the_older_official_client_reads_it(arize: StandIn, client: Client, official_old: Official) -> None:
    client.datasets.create_dataset(name="doubles", examples=ROWS)
    ran = run_experiment(dataset="doubles", experiment_name="first", client=client, **options)
    assert_same(official_old, ran)
    with pytest.raises(OfficialError):
        official_old("client.experiments.get(experiment='nothing')")


def test_logged_values_come_back_as_they_were(arize: StandIn, client: Client, elsewhere: Client) -> None:
    client.datasets.create_dataset(name="odd", examples=kept_values.EXAMPLES)
    client.experiments.create(name="odd", dataset="odd", experiment_runs=kept_values.ROWS)
    for by in (client, elsewhere):
        kept_values.assert_kept(by.experiments.get_results(experiment="odd"))


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize("way", ["resume", "evaluate"])
def test_a_mended_evaluator_runs_again_on_another_machine(
    arize: StandIn, client: Client, elsewhere: Client, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def broken(output: Any, expected: Any) -> bool:
        return False

    def mended(output: Any, expected: Any) -> bool:
        calls.append("mended")
        return bool(output == expected)

    @create_evaluator(kind="LLM", name="grades")
    def grades(output: Any) -> list[EvaluationResult]:
        calls.append("grades")
        return [EvaluationResult(name=part, score=0.5, metadata={"deep": [1.0]}) for part in ("form", "tone")]

    def task(input: Any) -> Any:
        return 2 * input["number"]

    def go_on(by: Client, task: Any, **evaluators: Any) -> Any:
        if way == "evaluate":
            return by.experiments.evaluate_experiment(experiment="first", evaluators=evaluators, print_summary=False)
        return by.experiments.resume_experiment(
            experiment="first", task=task, evaluators=evaluators, print_summary=False
        )

    examples = [{"id": f"e{n}", "input": {"number": n}, "output": 2 * n} for n in range(3)]
    client.datasets.create_dataset(name="doubles", examples=examples)
    first = client.experiments.run_experiment(
        dataset="doubles",
        experiment_name="first",
        task=task,
        evaluators={"exact": broken, "grades": grades},
        print_summary=False,
    )
    assert str(first.summary.metrics["exact"]) == "0.00 over 3 of 3"
    calls.clear()
    for expected in (["mended"] * 3, []):
        second = go_on(elsewhere, task, exact=mended, grades=grades)
        assert (calls, str(second.summary.metrics["exact"])) == (expected, "1.00 over 3 of 3")
        calls.clear()
    assert {(v.name, v.annotator_kind, json.dumps(v.metadata)) for v in second.evaluation_runs} == {
        ("exact", "CODE", "{}"),
        ("form", "LLM", '{"deep": [1.0]}'),
        ("tone", "LLM", '{"deep": [1.0]}'),
    }
    assert {run.metadata.get("prefect_experiments") for run in second.task_runs} == {None}
    assert "not known whether" not in caplog.text


@pytest.mark.usefixtures("prefect")
def test_evaluations_of_another_client_are_made_again_only_by_what_is_passed(
    arize: StandIn, client: Client, official: Official, caplog: pytest.LogCaptureFixture
) -> None:
    made = official("result = client.datasets.create(name='s', space='default', examples=[{'answer': '1'}])")
    (example,) = ax_ids(official, made["id"])
    run = {"example_id": example, "output": "1", "eval.right.score": 0.0, "eval.tone.score": 0.25}
    official(
        "client.experiments.create(name='theirs', dataset=d, experiment_runs=[run], "
        "task_fields=field_names(example_id='example_id', output='output'))",
        d=made["id"],
        run=run,
    )
    judged = client.experiments.evaluate_experiment(
        experiment="theirs", dataset="s", evaluators={"right": lambda output: output == "1"}, print_summary=False
    )
    assert {v.name: v.score for v in judged.evaluation_runs} == {"right": 1.0, "tone": 0.25}
    assert "1 evaluations of right are made again with what was passed" in caplog.text
