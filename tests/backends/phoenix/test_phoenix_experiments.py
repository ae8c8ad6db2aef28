"""Experiments in Phoenix: what is run here is there, value for value; finding, tagging, annotating, pushing them."""

from __future__ import annotations

import asyncio
import json
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from phoenix.client import Client as PhoenixClient
from phoenix.evals.evaluators import Score

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    AsyncClient,
    Client,
    EvaluationResult,
    Sample,
    arun_experiment,
    create_evaluator,
    evaluate_experiment,
    run_experiment,
)
from prefect_experiments.errors import (
    AmbiguousName,
    BackendUnavailable,
    InvalidDataset,
    InvalidInput,
    InvalidSetting,
    NotFound,
)
from prefect_experiments.origin import given
from support import kept_values
from support.patience import http

from .referee import (
    assert_same,
    counts,
    experiment_of,
    our_runs,
    tags,
    their_evaluator_errors,
    their_runs,
    their_verdicts,
)

quiet: dict[str, Any] = {"print_summary": False, "retries": 0}
ROWS = [
    {"id": f"e{n}", "input": {"n": n}, "output": {"n": n * n}, "splits": ["odd"] if n % 2 else []} for n in range(4)
]
OUTPUTS: dict[str, Any] = {
    "object": {"answer": "Ü — 日本語 🙂", "nested": [{"a": None}], "n": 1.5},
    "list": [1, [], {}, None, True],
    "text": 'line\n"quoted"\t\\',
    "number": 0.1 + 0.2,
    "nothing": None,
    "false": False,
    "empty": "",
}


def square(input: dict[str, int]) -> dict[str, int]:
    return {"n": input["n"] ** 2}


def echo(input: Any) -> Any:
    return input


def exact(output: Any, expected: Any) -> bool:
    return bool(output == expected)


@pytest.fixture
def dataset(client: Client, name: str) -> str:
    """The name of a dataset in Phoenix."""
    client.datasets.create_dataset(name=name, examples=ROWS)
    return name


def experiments_on(client: Client, dataset: str) -> list[str]:
    return [found.name for found in client.experiments.list(dataset=dataset).experiments]


def test_what_is_run_is_there_value_for_value(
    client: Client, official: PhoenixClient, name: str, phoenix_url: str
) -> None:
    client.datasets.create_dataset(
        name=name, examples=[{"id": key, "input": {"key": key}} for key in [*OUTPUTS, "failure"]]
    )

    def task(input: dict[str, str]) -> Any:
        if input["key"] == "failure":
            raise ValueError("cannot — do\nthis")
        return OUTPUTS[input["key"]]

    @create_evaluator(kind="LLM", name="judge — 裁")
    def judge(output: Any) -> EvaluationResult:
        return EvaluationResult(
            score=0.1 + 0.2, label="good", explanation="weil — 🙂", metadata={"deep": [{"a": None}]}
        )

    def truth(output: Any) -> bool:
        return output is None

    def label(output: Any) -> str:
        return "kind"

    def silent(output: Any) -> None:
        return None

    def broken(output: Any) -> float:
        return 1 / len(output)  # some have no length, one has length 0

    ran = client.experiments.run_experiment(
        dataset=name,
        task=task,
        evaluators=[judge, truth, label, silent, broken],
        experiment_name=f"{name} first",
        experiment_description="all sorts of values",
        experiment_metadata={"model": "m", "nested": {"t": [0.5, None]}},
        repetitions=2,
        **quiet,
    )
    assert ran.waiting == 0
    assert len(ran.task_runs) == 16
    assert_same(official, ran)
    outputs = {run.example_id: run.output for run in ran.task_runs}
    assert outputs == {**OUTPUTS, "failure": None}
    assert [run.error for run in ran.task_runs if run.error] == ["ValueError: cannot — do\nthis"] * 2
    errors = sorted((verdict.name, verdict.error) for verdict in ran.evaluation_runs if verdict.error)
    assert their_evaluator_errors(phoenix_url, ran.experiment_id) == errors
    assert {text for _, text in errors} == {
        "ZeroDivisionError: division by zero",
        *(f"TypeError: object of type '{kind}' has no len()" for kind in ("float", "NoneType", "bool")),
    }
    kinds = {key[1]: facts[0] for key, facts in their_verdicts(official, ran.experiment_id).items()}
    assert kinds == {"judge — 裁": "LLM", "truth": "CODE", "label": "CODE", "broken": "CODE"}

    told = official.experiments.get(experiment_id=ran.experiment_id)
    assert (told["name"], told["description"]) == (f"{name} first", "all sorts of values")
    origin = told["metadata"].pop("prefect_experiments")
    assert origin["flow_run_id"] in origin["flow_run_url"] == ran.flow_run_url
    assert told["metadata"] == ran.experiment_metadata == {"model": "m", "nested": {"t": [0.5, None]}}
    assert (told["repetitions"], counts(phoenix_url, ran.experiment_id)) == (2, (14, 2, 0))
    here = client.datasets.get_dataset(dataset=name)
    assert (told["dataset_id"], told["dataset_version_id"]) == (here.id, here.version_id)
    assert (ran.dataset_id, ran.dataset_version_id) == (here.id, here.version_id)
    assert (ran.project_name, ran.experiment.project_name) == (told["project_name"],) * 2
    assert all(run.trace_id for run in ran.task_runs)
    assert ran.url == f"{phoenix_url}/datasets/{here.id}/compare?experimentId={ran.experiment_id}"
    assert http.get(ran.url).status_code == 200


@pytest.mark.thorough
def test_everything_that_can_be_run_on(
    client: Client, local: Client, official: PhoenixClient, dataset: str, tmp_path: Path, phoenix_url: str
) -> None:
    first = client.datasets.get_dataset(dataset=dataset)
    newest = client.datasets.add_examples_to_dataset(dataset=dataset, examples=[{"id": "e4", "input": {"n": 4}}])

    def run(source: Any, **options: Any) -> tuple[Any, list[str]]:
        ran = client.experiments.run_experiment(dataset=source, task=square, **options, **quiet)
        made = len(ran.task_runs)
        assert ran.waiting == 0
        assert counts(phoenix_url, ran.experiment_id) == (made, 0, 0)
        assert their_runs(official, ran.experiment_id) == our_runs(ran)
        return ran, [run.example_id for run in ran.task_runs]

    every = [f"e{n}" for n in range(5)]
    for source, version, ids in ((dataset, newest, every), (newest.id, newest, every), (first, first, every[:4])):
        ran, found = run(source)
        assert ((ran.dataset_id, ran.dataset_version_id), found) == ((version.id, version.version_id), ids)
    ran, found = run(dataset, dataset_version="1")
    assert (ran.dataset_version_id, found) == (first.version_id, every[:4])
    odd = ["e1", "e3"]
    assert run(dataset, splits="odd")[1] == odd
    assert run(client.datasets.get_dataset(dataset=dataset, splits=["odd"]))[1] == odd
    assert run(newest, splits="odd")[1] == odd
    with pytest.raises(InvalidDataset, match="no split 'even'; it has odd"):
        run(dataset, splits="even")
    path = tmp_path / f"{dataset}-file.csv"
    pd.DataFrame({"n": [1, 2]}).rename(columns={"n": "input"}).to_csv(path, index=False)
    names = set()
    for source in (path, [{"input": {"n": 1}}], pd.DataFrame({"input": [{"n": 3}]})):
        ran = client.experiments.run_experiment(dataset=source, task=echo, **quiet)
        names.add(ran.experiment.dataset_name)
        assert official.datasets.get_dataset(dataset=ran.dataset_id).name == ran.experiment.dataset_name
        assert their_runs(official, ran.experiment_id) == our_runs(ran)
    assert path.stem in names
    assert len(names) == 3
    assert local.datasets.get_info(dataset=dataset).version_count == 2


@pytest.mark.thorough
def test_a_dataset_of_the_store(
    client: Client, local: Client, official: PhoenixClient, name: str, phoenix_url: str
) -> None:
    made = local.datasets.create_dataset(name=name, examples=ROWS, description="local")
    odd = local.datasets.get_dataset(dataset=name, splits=["odd"])
    assert made.id == odd.id
    for source, ids in ((name, 4), (odd, 2)):
        ran = client.experiments.run_experiment(dataset=source, task=square, evaluators=exact, **quiet)
        assert counts(phoenix_url, ran.experiment_id) == (ids, 0, 0)
        assert_same(official, ran)
    told = official.datasets.get_dataset(dataset=name)
    assert (told.id, told.description) == (ran.dataset_id, "local")
    assert [(e["id"], e["input"], e["output"]) for e in told.examples] == [
        (row["id"], row["input"], row["output"]) for row in ROWS
    ]
    assert len(official.datasets.get_dataset_versions(dataset=name)) == 1


@pytest.mark.slow
def test_odd_names(client: Client, elsewhere: Client, official: PhoenixClient, name: str) -> None:
    for odd in ("a/b?c=d#e&f %2F..%2F", 'latest tag:x "quoted" \\back'):
        dataset = experiment = split = f"{name} {odd}"
        rows = [{"id": f"{odd} {n}", "input": {odd: n}, "splits": [split]} for n in range(2)]
        made = client.datasets.create_dataset(name=dataset, examples=rows)
        ran = client.experiments.run_experiment(
            dataset=dataset, splits=split, task=echo, experiment_name=experiment, **quiet
        )
        assert [(run.example_id, run.output) for run in ran.task_runs] == [(row["id"], row["input"]) for row in rows]
        assert elsewhere.datasets.get_dataset(dataset=dataset).version_id == made.version_id
        found = elsewhere.experiments.get_results(experiment=experiment, dataset=dataset)
        assert our_runs(found) == our_runs(ran) == their_runs(official, ran.experiment_id)


@pytest.mark.thorough
def test_a_name_that_no_header_can_hold(client: Client, elsewhere: Client, dataset: str, phoenix_url: str) -> None:
    """Phoenix's endpoint for results fails for such experiments (and with it its own client)."""
    name = f"{dataset} — 実験 🙂"
    ran = client.experiments.run_experiment(
        dataset=dataset, task=square, evaluators=[exact], experiment_name=name, **quiet
    )
    assert http.get(f"{phoenix_url}/v1/experiments/{ran.experiment_id}/json").status_code == 500
    run = ran.task_runs[0].id
    note = AnnotationInput(name="tone", text="mm — 良い")
    client.experiments.annotate_runs(annotations=[AnnotateRecordInput(record_id=run, values=[note])])
    read = elsewhere.experiments.get_results(experiment=name)
    assert our_runs(read) == our_runs(ran)
    facts = [(v.run_id, v.name, v.score, v.label, v.start_time, v.end_time, v.trace_id) for v in read.evaluation_runs]
    assert facts == [
        (v.run_id, v.name, v.score, v.label, v.start_time, v.end_time, v.trace_id) for v in ran.evaluation_runs
    ]
    frame = elsewhere.experiments.list_runs(experiment=name).to_df()
    assert frame["annotation.tone.text"].tolist() == ["mm — 良い", None, None, None]


def test_a_dry_run_leaves_nothing_behind(
    client: Client, local: Client, official: PhoenixClient, dataset: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{dataset}-dry.csv"
    path.write_text("input,output\n1,1\n2,4\n")
    for source, dry_run in ((dataset, True), (path, 2), ([{"input": 1}], True)):
        ran = client.experiments.run_experiment(dataset=source, task=echo, dry_run=dry_run, **quiet)
        assert len(ran.task_runs) == int(dry_run)
        assert ran.url is None
    assert experiments_on(client, dataset) == []
    with pytest.raises(NotFound):
        client.datasets.get_dataset(dataset=path.stem)
    assert len(official.datasets.get_dataset_versions(dataset=dataset)) == 1
    assert len(local.datasets.list_datasets()) == len(local.experiments.list()) == 0


@pytest.mark.thorough
def test_a_file_run_again_and_again(
    client: Client, elsewhere: Client, official: PhoenixClient, name: str, tmp_path: Path, phoenix_url: str
) -> None:
    path = tmp_path / f"{name}.json"

    def run(by: Client, rows: list[dict[str, Any]], **options: Any) -> Any:
        path.write_text(json.dumps(rows))
        ran = by.experiments.run_experiment(dataset=path, task=square, evaluators=exact, **quiet, **options)
        assert_same(official, ran)
        assert counts(phoenix_url, ran.experiment_id) == (len(ran.task_runs), 0, 0)
        return ran

    def versions() -> int:
        return len(client.datasets.list_versions(dataset=name))

    first = run(client, ROWS)
    assert run(client, ROWS).dataset_version_id == run(elsewhere, ROWS).dataset_version_id == first.dataset_version_id
    assert versions() == 1
    changed = [ROWS[0], {**ROWS[1], "input": {"n": True}}, *ROWS[3:], {"id": "new", "input": {"n": 9}}]
    second = run(client, changed)
    assert (second.dataset_id, versions()) == (first.dataset_id, 2)
    assert [run.example_id for run in second.task_runs] == ["e0", "e1", "e3", "new"]
    newest, oldest = (
        official.datasets.get_dataset(dataset=name, version_id=ran.dataset_version_id) for ran in (second, first)
    )
    assert [(e["id"], e["input"]) for e in newest.examples] == [(row["id"], row["input"]) for row in changed]
    assert newest.examples[1]["input"] == {"n": True}
    assert [(e["id"], e["input"], e["output"]) for e in oldest.examples] == [
        (row["id"], row["input"], row["output"]) for row in ROWS
    ]
    assert_same(official, client.experiments.get_results(experiment=first.experiment_id))
    # Only the splits change: the content's version stays, and an experiment on a split has the right examples.
    others = [{**row, "splits": ["late"]} if row["id"] in ("e0", "new") else row for row in changed]
    split = run(client, others, splits=["late"])
    assert [run.example_id for run in split.task_runs] == ["e0", "new"]


@pytest.mark.thorough
def test_a_dataset_that_was_deleted_in_phoenix(
    client: Client, official: PhoenixClient, name: str, phoenix_url: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(ROWS))

    def run() -> Any:
        ran = client.experiments.run_experiment(dataset=path, task=square, evaluators=exact, **quiet)
        assert counts(phoenix_url, ran.experiment_id) == (4, 0, 0)
        assert_same(official, ran)
        return ran

    first = run()
    httpx.delete(f"{phoenix_url}/v1/datasets/{first.dataset_id}").raise_for_status()
    run()
    # Phoenix on SQLite gives the ids of what was deleted to what comes next, here somebody else's.
    httpx.delete(f"{phoenix_url}/v1/datasets/{client.datasets.get_info(dataset=name).id}").raise_for_status()
    _later_second()
    other = official.datasets.create_dataset(name=f"{name}-other", inputs=[{"x": 1}], outputs=[{}])
    theirs = official.experiments.create(dataset_id=other.id, experiment_name=f"{name} theirs")
    third = run()
    assert third.dataset_id != other.id
    assert [e["input"] for e in official.datasets.get_dataset(dataset=other.id).examples] == [{"x": 1}]
    seen = client.experiments.get_results(experiment=theirs["id"])
    assert (seen.experiment.name, len(seen.task_runs)) == (f"{name} theirs", 0)
    ran = client.experiments.run_experiment(dataset=other.name, task=echo, **quiet)
    assert [run.output for run in ran.task_runs] == [{"x": 1}]


def _later_second() -> None:
    """Wait for the next second: Phoenix on SQLite notes no more of when a dataset was made."""
    import time

    time.sleep(1.1 - time.time() % 1)


@pytest.mark.thorough
def test_an_experiment_that_was_deleted_in_phoenix(
    client: Client, local: Client, official: PhoenixClient, dataset: str, phoenix_url: str
) -> None:
    ran = client.experiments.run_experiment(dataset=dataset, task=square, evaluators=exact, **quiet)
    here = local.experiments.get(experiment="latest").id
    official.experiments.delete(experiment_id=ran.experiment_id)
    assert len(client.experiments.get_results(experiment=here).task_runs) == 4
    with pytest.raises(NotFound):
        client.experiments.get(experiment=here)
    # Phoenix on SQLite gives its id to the next one.
    found = official.datasets.get_dataset(dataset=dataset)
    theirs = official.experiments.create(dataset_id=found.id, experiment_name="theirs")
    with pytest.raises(NotFound):
        client.experiments.get(experiment=here)
    assert len(client.experiments.get_results(experiment=here).task_runs) == 4
    assert len(client.experiments.get_results(experiment=theirs["id"]).task_runs) == 0
    again = client.experiments.push(experiment=here)
    assert again.experiment_id != theirs["id"]
    assert counts(phoenix_url, theirs["id"]) == (0, 0, 4)
    assert counts(phoenix_url, again.experiment_id) == (4, 0, 0)
    assert_same(official, again)


@pytest.mark.thorough
def test_two_experiments_share_a_dataset(client: Client, official: PhoenixClient, dataset: str) -> None:
    async def both() -> list[Any]:
        run = {"dataset": dataset, "task": square, "evaluators": exact, "client": client, **quiet}
        return await asyncio.gather(*(arun_experiment(experiment_name=f"{dataset} {n}", **run) for n in (1, 2)))

    for ran in asyncio.run(both()):
        assert_same(official, ran)
    assert sorted(experiments_on(client, dataset)) == [f"{dataset} 1", f"{dataset} 2"]


@pytest.mark.thorough
def test_the_backend_is_named_where_it_is_run(
    local: Client, client: Client, dataset: str, phoenix_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOENIX_ENDPOINT", "")
    monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", f"{phoenix_url}/v1/traces")
    ran = local.experiments.run_experiment(dataset=dataset, task=square, backend="phoenix", **quiet)
    assert ran.url is not None
    assert ran.url.startswith(phoenix_url)
    later = local.experiments.evaluate_experiment(experiment=ran.experiment_id, evaluators=exact, **quiet)
    assert later.url == ran.url
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND", "phoenix")
    also = run_experiment(dataset=dataset, task=square, client=None, dry_run=True, **quiet)
    assert len(also.task_runs) == 1
    assert Client().backend == "phoenix"
    monkeypatch.setenv("PHOENIX_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InvalidSetting, match="pass client=Client"):
        local.experiments.evaluate_experiment(experiment=ran.experiment_id, evaluators=exact, **quiet)
    assert_there = client.experiments.get_results(experiment=ran.experiment_id)
    assert len(assert_there.evaluation_runs) == 4


@pytest.mark.thorough
def test_in_the_loops_of_a_user(store_url: str, official: PhoenixClient, dataset: str, phoenix_url: str) -> None:
    client = AsyncClient(backend="phoenix", base_url=phoenix_url, store_url=store_url)

    async def go(n: int) -> Any:
        ran = await client.experiments.run_experiment(
            dataset=dataset, task=square, evaluators=exact, experiment_name=f"{dataset} {n}", **quiet
        )
        await client.experiments.tag(experiment=ran, tag="newest")
        assert (await client.experiments.get(experiment="tag:newest", dataset=dataset)).id == ran.experiment_id
        assert len(await client.experiments.list_runs(experiment=ran, limit=3)) == 3
        # the synchronous API inside the same loop
        synchronous = Client(backend="phoenix", base_url=phoenix_url, store_url=store_url)
        assert len(synchronous.experiments.list_runs(experiment=ran, all=True)) == 4
        return ran

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for n in range(2):
            ran = asyncio.run(go(n))
            assert_same(official, ran)
    assert len(asyncio.run(client.experiments.list(dataset=dataset))) == 2


def begun(official: PhoenixClient, dataset: str, name: str) -> str:
    """The id of an experiment without any runs."""
    found = official.datasets.get_dataset(dataset=dataset)
    return str(official.experiments.create(dataset_id=found.id, experiment_name=name)["id"])


def test_those_of_several_datasets_are_in_the_order_in_which_they_were_made(
    elsewhere: Client, official: PhoenixClient, dataset: str
) -> None:
    """Phoenix's times on SQLite are whole seconds, and the order of its ids is not that of their texts."""
    elsewhere.datasets.create_dataset(name=f"{dataset}-other", examples=ROWS)
    ids = [begun(official, of, f"{dataset} {n}") for n in range(6) for of in (dataset, f"{dataset}-other")]
    every = elsewhere.experiments.list(limit=1000)
    assert [found.id for found in every if found.id in ids] == ids[::-1]


def test_finding_experiments(
    client: Client, elsewhere: Client, official: PhoenixClient, dataset: str, phoenix_url: str
) -> None:
    names = [f"{dataset} a", f"{dataset} b", f"{dataset} b"]
    ids = [begun(official, dataset, name) for name in names]
    for by in (client, elsewhere):
        assert [found.id for found in by.experiments.list(dataset=dataset)] == ids[::-1]
        first = by.experiments.list(dataset=dataset, limit=2)
        assert [found.id for found in first] == ids[:0:-1]
        rest = by.experiments.list(dataset=dataset, limit=2, cursor=first.pagination.next_cursor)
        assert ([found.id for found in rest], rest.pagination.has_more) == (ids[:1], False)
        assert {found.id for found in by.experiments.list(limit=1000)} >= set(ids)
        assert by.experiments.get(experiment=names[0]).id == ids[0]
        assert by.experiments.get(experiment="latest", dataset=dataset).id == ids[2]
        found = by.experiments.get(experiment=ids[0])
        head = experiment_of(phoenix_url, ids[0])
        assert (found.name, found.dataset_name, found.example_count) == (names[0], dataset, 4)
        assert found.created_at is not None
        assert found.created_at.isoformat() == head["created_at"].replace("Z", "+00:00")
        with pytest.raises(AmbiguousName, match=f"2 experiments .*{ids[1]}") as caught:
            by.experiments.get(experiment=names[1])
        assert ids[2] in str(caught.value)
        for unknown in (f"{names[0]}x", "tag:nothing", "RXhwZXJpbWVudDo5OTk5OTk5OQ=="):
            with pytest.raises(NotFound):
                by.experiments.get(experiment=unknown)
        with pytest.raises(NotFound, match="did you mean"):
            by.experiments.get(experiment=f"{names[0]}x")
        with pytest.raises(NotFound, match="unknown dataset"):
            by.experiments.list(dataset=f"{dataset}-not")


def test_tags_move(client: Client, elsewhere: Client, official: PhoenixClient, dataset: str, phoenix_url: str) -> None:
    first, second = (begun(official, dataset, f"{dataset} {n}") for n in (1, 2))
    tagged = client.experiments.tag(experiment=f"{dataset} 1", dataset=dataset, tag="baseline")
    assert tagged.tags == ("baseline",)
    assert tags(phoenix_url, first) == ["baseline"]
    assert elsewhere.experiments.tag(experiment=second, tag="baseline").tags == ("baseline",)
    assert tags(phoenix_url, first) == []
    for by in (client, elsewhere):
        assert by.experiments.get(experiment="tag:baseline", dataset=dataset).id == second
        assert by.experiments.get_results(experiment="tag:baseline", dataset=dataset).experiment.tags == ("baseline",)
        assert by.experiments.get_results(experiment=first).experiment.tags == ()
    assert client.experiments.untag(experiment=second, tag="baseline").tags == ()
    assert tags(phoenix_url, second) == []
    with pytest.raises(NotFound, match="no tag 'baseline'"):
        client.experiments.untag(experiment=second, tag="baseline")
    with pytest.raises(InvalidInput, match="lower-case"):
        client.experiments.tag(experiment=second, tag="My Tag")


@pytest.mark.thorough
def test_a_pushed_experiment_brings_its_tags(
    client: Client, local: Client, name: str, phoenix_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    local.datasets.create_dataset(name=name, examples=ROWS)
    made = [
        local.experiments.run_experiment(dataset=name, task=square, experiment_name=f"{name} {n}", **quiet)
        for n in (1, 2)
    ]
    for tag in ("baseline", "My Tag"):
        local.experiments.tag(experiment=made[0], tag=tag)
    first = client.experiments.push(experiment=made[0])
    assert first.waiting == 0
    assert tags(phoenix_url, first.experiment_id) == ["baseline"]
    assert "The tag 'My Tag' was not moved in phoenix: a tag in Phoenix is made of lower-case letters" in caplog.text
    local.experiments.tag(experiment=made[1], tag="baseline")
    second = client.experiments.push(experiment=made[1])
    assert tags(phoenix_url, second.experiment_id) == ["baseline"]
    assert tags(phoenix_url, first.experiment_id) == []


@pytest.mark.thorough
def test_annotations_are_human_evaluations(
    client: Client, elsewhere: Client, official: PhoenixClient, dataset: str
) -> None:
    def fails_on_three(input: dict[str, int]) -> int:
        if input["n"] == 3:
            raise ValueError("three")
        return input["n"]

    ran = client.experiments.run_experiment(dataset=dataset, task=fails_on_three, evaluators=exact, **quiet)
    listed = [run.id for run in client.experiments.list_runs(experiment=ran).experiment_runs]
    assert listed == [run.id for run in ran.task_runs]
    good = AnnotationInput(name="tone", score=0.5, label="kind", text="mm — 良い")
    notes = [AnnotateRecordInput(record_id=run, values=[good]) for run in (listed[0], listed[3])]
    assert client.experiments.annotate_runs(annotations=notes, experiment=ran, annotator="Ada") == 2
    worse = AnnotationInput(name="tone", label="rude")
    notes = [AnnotateRecordInput(record_id=listed[0], values=[worse, AnnotationInput(name="other", score=1)])]
    assert elsewhere.experiments.annotate_runs(annotations=notes) == 2
    told = {key: facts[:5] for key, facts in their_verdicts(official, ran.experiment_id).items() if facts[0] == "HUMAN"}
    assert told == {
        (listed[0], "tone"): ("HUMAN", None, "rude", None, {}),
        (listed[0], "other"): ("HUMAN", 1, None, None, {}),
        (listed[3], "tone"): ("HUMAN", 0.5, "kind", "mm — 良い", {"annotator": "Ada"}),
    }
    for by in (client, elsewhere):
        frame = by.experiments.list_runs(experiment=ran.experiment_id, all=True).to_df()
        assert frame["id"].tolist() == listed
        assert frame["annotation.tone.label"].tolist() == ["rude", None, None, "kind"]
        assert frame["annotation.other.score"].tolist() == [1, None, None, None]
        assert frame["eval.exact.score"].tolist()[:3] == [0, 0, 0]
        assert by.experiments.get_results(experiment=ran.experiment_id).experiment.evaluators == ("exact",)
    by_kept_ids = client.experiments.annotate_runs(
        annotations=[AnnotateRecordInput(record_id=ran.task_runs[1].id, values=[worse])], experiment=ran.experiment_id
    )
    assert by_kept_ids == 1
    # Phoenix has one verdict of a name on a run: a person's would replace the evaluator's.
    taken = AnnotateRecordInput(record_id=listed[0], values=[AnnotationInput(name="exact", score=0)])
    for options in ({}, {"experiment": ran}):
        with pytest.raises(InvalidInput, match="'exact'"):
            client.experiments.annotate_runs(annotations=[taken], **options)
    # Somebody has done so by other means: the person's verdict stays there, and both are seen here.
    official.experiments.log_evaluation(
        experiment_run_id=listed[1], name="exact", annotator_kind="HUMAN", score=1, explanation="close enough"
    )
    assert client.experiments.get_results(experiment=ran).summary.metrics["exact"].mean == 0
    assert client.experiments.push(experiment=ran).waiting == 0
    assert their_verdicts(official, ran.experiment_id)[listed[1], "exact"][:4] == ("HUMAN", 1, None, "close enough")
    frame = client.experiments.list_runs(experiment=ran).to_df()
    assert (frame["annotation.exact.score"][1], frame["eval.exact.score"][1]) == (1, 0)
    for wrong in ("exp-1.0.1", "RXhwZXJpbWVudFJ1bjo5OTk5OTk5OQ=="):
        note = AnnotateRecordInput(record_id=wrong, values=[good])
        with pytest.raises(InvalidInput, match="does not belong"):
            client.experiments.annotate_runs(annotations=[note], experiment=ran)
    with pytest.raises(InvalidInput, match="not the id of a run in Phoenix"):
        client.experiments.annotate_runs(annotations=[AnnotateRecordInput(record_id="exp-1.0.1", values=[good])])
    note = AnnotateRecordInput(record_id="RXhwZXJpbWVudFJ1bjo5OTk5OTk5OQ==", values=[good])
    with pytest.raises(BackendUnavailable, match="Is RXhwZXJpbWVudFJ1bjo5OTk5OTk5OQ== the id of a run that is there"):
        client.experiments.annotate_runs(annotations=[note])


@pytest.mark.thorough
def test_runs_in_pages_and_as_a_table(
    client: Client, elsewhere: Client, official: PhoenixClient, dataset: str, tmp_path: Path
) -> None:
    ran = client.experiments.run_experiment(
        dataset=dataset, task=square, evaluators=exact, repetitions=2, experiment_name=f"{dataset} paged", **quiet
    )
    newer = begun(official, dataset, f"{dataset} newer")
    example = official.datasets.get_dataset(dataset=dataset).examples[0]
    now = datetime.now(UTC)
    logged = [
        official.experiments.log_run(
            experiment_id=newer,
            dataset_example_id=example["node_id"],
            output=n,
            start_time=now,
            end_time=now,
            repetition_number=n,
        )["id"]
        for n in range(1, 5)
    ]
    wanted = [run.id for run in ran.task_runs]
    for by in (elsewhere, client):
        for key, scope in ((ran.experiment_id, None), (f"{dataset} paged", None), (f"{dataset} paged", dataset)):
            found: list[str] = []
            cursor = None
            while True:
                page = by.experiments.list_runs(experiment=key, dataset=scope, limit=3, cursor=cursor)
                found += [run.id for run in page.experiment_runs]
                cursor = page.pagination.next_cursor
                if not page.pagination.has_more:
                    break
            assert found == wanted
        second = by.experiments.list_runs(experiment="latest", dataset=dataset, limit=3, cursor=None)
        rest = by.experiments.list_runs(
            experiment="latest", dataset=dataset, limit=3, cursor=second.pagination.next_cursor
        )
        assert [run.id for run in [*second, *rest]] == logged
    path = elsewhere.experiments.export(experiment=ran.experiment_id, path=tmp_path / "runs.json")
    rows = json.loads(path.read_text())
    assert [row["id"] for row in rows] == wanted
    assert [row["output"] for row in rows] == [run.output for run in ran.task_runs]
    assert ran.to_dataframe().equals(client.experiments.get_results(experiment=ran).to_dataframe())


def test_deleting(client: Client, local: Client, elsewhere: Client, official: PhoenixClient, dataset: str) -> None:
    ids = [begun(official, dataset, f"{dataset} {n}") for n in (1, 2)]
    for by in (client, elsewhere):
        seen = [by.experiments.get_results(experiment=experiment_id) for experiment_id in ids]
    assert len(local.experiments.list()) == 2
    client.experiments.delete(experiment=seen[0])
    assert experiments_on(client, dataset) == [f"{dataset} 2"]
    assert [found.name for found in local.experiments.list()] == [f"{dataset} 2"]
    local.experiments.delete(experiment=ids[1])
    assert len(local.experiments.list()) == 0
    assert experiments_on(client, dataset) == [f"{dataset} 2"]
    elsewhere.experiments.delete(experiment=f"{dataset} 2", dataset=dataset)
    assert experiments_on(client, dataset) == []
    with pytest.raises(NotFound):
        client.experiments.delete(experiment=ids[1])


@pytest.mark.thorough
def test_pushing_what_was_made_offline(
    local: Client,
    client: Client,
    elsewhere: Client,
    official: PhoenixClient,
    name: str,
    phoenix_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails_on_three(input: dict[str, int]) -> Any:
        if input["n"] == 3:
            raise ValueError("three")
        return [input["n"]]

    def broken(output: list[int]) -> float:
        return 1 / output[0]

    local.datasets.create_dataset(name=name, examples=ROWS)
    made = local.experiments.run_experiment(
        dataset=name,
        task=fails_on_three,
        evaluators=[exact, broken],
        experiment_name=f"{name} offline",
        experiment_description="far away",
        experiment_metadata={"a": 1},
        repetitions=2,
        **quiet,
    )
    note = AnnotationInput(name="tone", score=1, label="kind", text="good")
    local.experiments.annotate_runs(
        annotations=[AnnotateRecordInput(record_id=made.task_runs[0].id, values=[note])], annotator="Ada"
    )
    with pytest.raises(InvalidSetting, match="no backend to push to"):
        local.experiments.push(experiment=made)
    first = client.experiments.list_runs(
        experiment=made, limit=5
    )  # what is not there yet can be looked at all the same
    rest = client.experiments.list_runs(experiment=made, limit=5, cursor=first.pagination.next_cursor)
    assert [run.id for run in [*first, *rest]] == [run.id for run in made.task_runs]
    pushed = client.experiments.push(experiment=made)
    assert (pushed.waiting, len(pushed.task_runs)) == (0, 8)
    told = official.experiments.get(experiment_id=pushed.experiment_id)
    assert (told["name"], told["description"], given(told["metadata"])) == (f"{name} offline", "far away", {"a": 1})
    assert counts(phoenix_url, pushed.experiment_id) == (6, 2, 0)
    assert their_runs(official, pushed.experiment_id) == our_runs(pushed)
    verdicts = their_verdicts(official, pushed.experiment_id)
    human = {key: facts[:5] for key, facts in verdicts.items() if facts[0] == "HUMAN"}
    assert human == {(pushed.task_runs[0].id, "tone"): ("HUMAN", 1, "kind", "good", {"annotator": "Ada"})}
    assert len(their_evaluator_errors(phoenix_url, pushed.experiment_id)) == 2
    before = http.get(f"{phoenix_url}/v1/experiments/{pushed.experiment_id}/json").json()
    monkeypatch.setenv("PHOENIX_BASE_URL", phoenix_url)
    for by in (client, local):
        again = by.experiments.push(experiment=made)
        assert again.experiment_id == pushed.experiment_id
    assert http.get(f"{phoenix_url}/v1/experiments/{pushed.experiment_id}/json").json() == before
    assert experiments_on(client, name) == [f"{name} offline"]
    # Another machine sees all of it.
    read = elsewhere.experiments.get_results(experiment=pushed.experiment_id)
    assert our_runs(read) == our_runs(pushed)
    assert str(read.summary.metrics["exact"]) == str(made.summary.metrics["exact"])
    assert len(elsewhere.experiments.push(experiment=read).task_runs) == 8
    # What comes later is pushed as well: a verdict, a run that failed, an annotation.
    local.experiments.annotate_runs(annotations=[AnnotateRecordInput(record_id=made.task_runs[1].id, values=[note])])
    assert client.experiments.push(experiment=made).waiting == 0
    assert sum(facts[0] == "HUMAN" for facts in their_verdicts(official, pushed.experiment_id).values()) == 2


@pytest.mark.slow
def test_an_experiment_on_a_dataset_whose_ids_phoenix_made(
    local: Client, client: Client, official: PhoenixClient, name: str, phoenix_url: str
) -> None:
    """Its ids are those of the examples in Phoenix: after a deletion, or in another Phoenix, there are none such."""
    made = official.datasets.create_dataset(name=name, inputs=[{"n": 1}, {"n": 2}], outputs=[{"n": 1}, {"n": 4}])
    client.experiments.run_experiment(dataset=name, task=square, evaluators=exact, **quiet)
    httpx.delete(f"{phoenix_url}/v1/datasets/{made.id}").raise_for_status()
    official.datasets.create_dataset(name=f"{name}-between", inputs=[{"n": 1}], outputs=[{}])
    for _ in range(2):
        ran = client.experiments.run_experiment(dataset=name, task=square, evaluators=exact, **quiet)
        assert counts(phoenix_url, ran.experiment_id) == (2, 0, 0)
        assert [
            run["output"] for run in official.experiments.get_experiment(experiment_id=ran.experiment_id)["task_runs"]
        ]
        assert len(their_verdicts(official, ran.experiment_id)) == 2
    assert len(client.datasets.list_versions(dataset=name)) == 1


@pytest.mark.thorough
def test_evaluators_added_later(
    client: Client, elsewhere: Client, official: PhoenixClient, dataset: str, phoenix_url: str
) -> None:
    ran = client.experiments.run_experiment(dataset=dataset, task=square, evaluators=exact, **quiet)
    calls: list[Any] = []

    def small(output: dict[str, int]) -> bool:
        calls.append(output)
        return output["n"] < 5

    for by in (elsewhere, client):
        calls.clear()
        added = by.experiments.evaluate_experiment(experiment=ran.experiment_id, evaluators=small, print_summary=False)
        assert len(calls) == (4 if by is elsewhere else 0)
        assert_same(official, added)
        assert set(added.summary.metrics) == {"exact", "small"}
        assert added.summary.metrics["small"].mean == 0.75
    with pytest.raises(NotFound):
        evaluate_experiment(experiment=f"{dataset} not", evaluators=small, client=client, print_summary=False)


@pytest.mark.thorough
def test_a_sample_of_a_dataset(client: Client, dataset: str, phoenix_url: str) -> None:
    ran = client.experiments.run_experiment(dataset=dataset, task=square, sample=Sample(n=2, method="head"), **quiet)
    assert [run.example_id for run in ran.task_runs] == ["e0", "e1"]
    assert counts(phoenix_url, ran.experiment_id)[:2] == (2, 0)
    assert client.experiments.resume_experiment(experiment=ran, task=square, **quiet).ran == 0


@pytest.mark.slow
def test_two_thousand_examples_of_fifteen_thousand(
    client: Client, elsewhere: Client, official: PhoenixClient, name: str, phoenix_url: str
) -> None:
    rows = [{"input": {"n": n}, "output": {"n": n * n}, "splits": [f"part-{n // 2000}"]} for n in range(15_000)]
    client.datasets.create_dataset(name=name, examples=rows)
    ran = client.experiments.run_experiment(
        dataset=name, splits=["part-3"], task=square, evaluators=exact, concurrency=100, **quiet
    )
    assert (len(ran.task_runs), ran.waiting) == (2_000, 0)
    assert counts(phoenix_url, ran.experiment_id) == (2_000, 0, 0)
    read = elsewhere.experiments.get_results(experiment=ran.experiment_id)
    assert (read.experiment.example_count, len(read.task_runs), len(read.evaluation_runs)) == (2_000, 2_000, 2_000)
    assert our_runs(read) == our_runs(ran)


@pytest.mark.thorough
def test_logged_values_come_back_as_they_were(client: Client, elsewhere: Client, local: Client, name: str) -> None:
    client.datasets.create_dataset(name=name, examples=kept_values.EXAMPLES)
    made = client.experiments.create(name=name, dataset=name, experiment_runs=kept_values.ROWS)
    for by in (client, elsewhere):
        kept_values.assert_kept(by.experiments.get_results(experiment=name))
    resumed = elsewhere.experiments.resume_experiment(experiment=name, print_summary=False)
    assert (resumed.ran, resumed.waiting) == (0, 0)
    kept_values.assert_kept(resumed)
    kept_values.assert_kept(local.experiments.get_results(experiment=made.id))


@pytest.mark.thorough
def test_a_direction_goes_to_phoenix_and_comes_back(name: str, client: Client, elsewhere: Client) -> None:
    """What a phoenix-evals score says of which scores are better is known wherever its experiment is read."""

    def hallucination(output: Any) -> Score:
        return Score(name="hallucination", score=float(output > 1), direction="minimize")

    dataset = client.datasets.create_dataset(name=name, examples=[{"input": {"n": n}} for n in range(4)])
    ran = run_experiment(
        dataset=dataset, task=lambda row: row["n"], evaluators=[hallucination], client=client, print_summary=False
    )
    there = elsewhere.experiments.get_results(experiment=ran.experiment_id)
    assert there.directions == ran.directions == {"hallucination": ("minimize",)}
    assert there.summary.metrics["hallucination"].direction == "minimize"


@pytest.mark.thorough
def test_phoenix_says_what_ran_there_and_the_verdict(phoenix_url: str, client: Client, official: PhoenixClient) -> None:
    name = f"origin {datetime.now(UTC):%H%M%S%f}"
    client.datasets.create_dataset(name=name, examples=ROWS)
    common: dict[str, Any] = {
        "dataset": name,
        "task": lambda example: example.input,
        "evaluators": "exact_match",
        **quiet,
    }
    first = client.experiments.run_experiment(**common)
    gate = {"metrics": {"exact_match": {}}}
    second = client.experiments.run_experiment(baseline=first, gate=gate, experiment_metadata={"model": "m"}, **common)
    assert second.verdict is not None
    told = official.experiments.get(experiment_id=second.experiment_id)["metadata"]
    assert told["model"] == "m"
    assert told["prefect_experiments"]["gate"] == second.verdict.status
    assert told["prefect_experiments"]["flow_run_url"] == second.flow_run_url
    assert len(told["prefect_experiments"]["git_commit"]) == 40, "the tests run in a repository"
    assert "gate" not in official.experiments.get(experiment_id=first.experiment_id)["metadata"]["prefect_experiments"]
