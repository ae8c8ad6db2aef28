"""The stand-in itself: what the official client of AX says of it."""

from __future__ import annotations

from typing import Any

import pytest

from support.arize import Official, OfficialError, StandIn

ROWS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n), "topic": "sums"} for n in range(5)]


def make_dataset(official: Official, name: str = "sums", rows: list[dict[str, Any]] = ROWS) -> dict[str, Any]:
    made = official("result = client.datasets.create(name=name, space='default', examples=rows)", name=name, rows=rows)
    return dict(made)


def test_datasets(arize: StandIn, official: Official) -> None:
    made = make_dataset(official)
    listed = official("result = client.datasets.list(space='default')")
    assert [row["id"] for row in listed["datasets"]] == [made["id"]]
    assert official("result = client.datasets.get(dataset='sums', space='default')")["versions"][0]["name"] == "v1"
    page = official("result = client.datasets.list_examples(dataset=d, limit=2)", d=made["id"])
    assert page["pagination"]["has_more"]
    rest = official(
        "result = client.datasets.list_examples(dataset=d, limit=500, cursor=c)",
        d=made["id"],
        c=page["pagination"]["next_cursor"],
    )
    rows = page["examples"] + rest["examples"]
    assert {row["question"] for row in rows} == {row["question"] for row in ROWS}
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)  # made at one moment
    more = official("result = client.datasets.append_examples(dataset=d, examples=[{'question': 'x'}])", d=made["id"])
    version = more["dataset_version_id"]
    changed = official(
        "result = client.datasets.update_examples(dataset=d, examples=[{'id': i, 'answer': '!'}], new_version='v2')",
        d=made["id"],
        i=rows[0]["id"],
    )
    assert (changed["example_ids"], version == changed["dataset_version_id"]) == ([rows[0]["id"]], False)
    listed = "client.datasets.list_examples(dataset=d, dataset_version_id=v, limit=500).examples"
    find = f"result = {{e.id: e.additional_properties for e in {listed}}}"
    old, new = (official(find, d=made["id"], v=v) for v in (version, changed["dataset_version_id"]))
    assert (len(old), len(new)) == (6, 6)
    assert new[rows[0]["id"]] == {**old[rows[0]["id"]], "answer": "!"}
    official("client.datasets.update(dataset=d, name='renamed')", d=made["id"])
    assert official("result = client.datasets.get(dataset='renamed', space='default')")["id"] == made["id"]
    official("client.datasets.delete(dataset=d)", d=made["id"])
    with pytest.raises(OfficialError, match="404"):
        official("client.datasets.get(dataset=d)", d=made["id"])


def test_experiments(arize: StandIn, official: Official) -> None:
    dataset = make_dataset(official)["id"]
    examples = arize.state()["datasets"][0]["versions"][0]["examples"]
    runs = [{"example_id": e["id"], "output": e["answer"], "eval.right.score": 1.0} for e in examples]
    create = """
result = client.experiments.create(name=name, dataset=dataset, experiment_runs=runs,
    task_fields=field_names(example_id='example_id', output='output'),
    evaluator_columns={'right': result_names(score='eval.right.score')})
"""
    made = official(create, name="first", dataset=dataset, runs=runs[:3])
    assert (made["dataset_id"], made["dataset_version_id"]) == (
        dataset,
        arize.state()["datasets"][0]["versions"][0]["id"],
    )
    again = official(
        "result = client.experiments.append_runs(experiment=e, experiment_runs=pd.DataFrame(runs))",
        e=made["id"],
        runs=[*runs[3:], runs[0]],
    )
    assert len(again["run_ids"]) == 3
    there = official.runs(made["id"])
    assert len(there) == 6  # the same run twice is two
    assert {run["example_id"] for run in there} == {run["example_id"] for run in runs}
    assert {run["eval.right.score"] for run in there} == {1.0}
    assert [row["name"] for row in official("result = client.experiments.list(space='default')")["experiments"]] == [
        "first"
    ]
    assert official("result = client.experiments.get(experiment='first', space='default')")["id"] == made["id"]
    arize.allow_annotation("quality")
    annotate = """
from arize._generated.api_client.models import AnnotateRecordInput, AnnotationInput
values = [AnnotationInput(name=name, label='good')]
client.experiments.annotate_runs(experiment=e, annotations=[AnnotateRecordInput(record_id=r, values=values)])
"""
    official(annotate, e=made["id"], r=there[0]["id"], name="quality")
    noted = next(run for run in official.runs(made["id"]) if run["id"] == there[0]["id"])
    assert [(note["name"], note["label"]) for note in noted["annotations"]] == [("quality", "good")]
    with pytest.raises(OfficialError, match="'grammar' not found"):
        official(annotate, e=made["id"], r=there[0]["id"], name="grammar")
    official("client.experiments.delete(experiment=e)", e=made["id"])
    assert arize.state()["experiments"] == []


@pytest.mark.slow
def test_the_official_run(arize: StandIn, official: Official) -> None:
    make_dataset(official)
    code = """
def task(dataset_row):
    if dataset_row['question'].startswith('What is 3'):
        raise ValueError('boom')
    return dataset_row['answer']
def right(output, dataset_row):
    return output == dataset_row['answer']
experiment, frame = client.experiments.run(
    name='ran', dataset='sums', space='default', task=task, evaluators=[right], force_http=True)
result = [experiment.id, frame]
"""
    with pytest.raises(OfficialError, match="output"):  # one failed row, and the official client loses them all
        official(code)
    made, frame = official(code.replace("raise ValueError('boom')", "pass"))
    assert len(frame) == 5
    (body,) = arize.bodies("/v2/experiments$")
    columns = (
        *("example_id", "output", "error", "result.trace.id", "result.trace.timestamp", "latency", "token_count"),
        *("total_cost", "execution_status", "exceptions"),
        *(f"eval.right.{part}" for part in ("score", "label", "explanation", "trace.id", "trace.timestamp")),
    )
    assert tuple(body["experiment_runs"][0]) == columns
    assert arize.spans()["count"] == 20  # of both: a span for each call of the task, and of the evaluator
    assert len(official.runs(made)) == 5


def test_what_it_refuses(arize: StandIn, official: Official) -> None:
    dataset = make_dataset(official)["id"]
    with pytest.raises(OfficialError, match=r"409.*'sums' already exists"):
        make_dataset(official)
    with pytest.raises(OfficialError, match=r"400.*'id' is not allowed"):
        make_dataset(official, "other", [{"id": "x", "q": 1}])
    with pytest.raises(OfficialError, match=r"400.*at least one property"):
        make_dataset(official, "other", [{}])
    with pytest.raises(OfficialError, match=r"404.*space"):
        official("client.datasets.create(name='x', space='U3BhY2U6OTk6eA==', examples=[{'a': 1}])")
    with pytest.raises(OfficialError, match=r"400.*example_id is required"):
        official(
            "client.experiments.create(name='x', dataset=d, experiment_runs=[{'output': 'x'}], "
            "task_fields=field_names(output='output'))",
            d=dataset,
        )
    arize.set(api_key="another")
    with pytest.raises(OfficialError, match="401"):
        official("client.datasets.list()")


@pytest.mark.slow
def test_the_older_official_client_reads_it(arize: StandIn, official_old: Official) -> None:
    dataset = make_dataset(official_old)["id"]
    page = official_old("result = client.datasets.list_examples(dataset=d)", d=dataset)
    assert len(page["examples"]) == 5
    runs = [{"example_id": e["id"], "output": "x"} for e in page["examples"]]
    made = official_old(
        "result = client.experiments.create(name='first', dataset=d, experiment_runs=runs, "
        "task_fields=field_names(example_id='example_id', output='output'))",
        d=dataset,
        runs=runs,
    )
    assert len(official_old.runs(made["id"])) == 5
    official_old("client.experiments.delete(experiment=e)", e=made["id"])
