"""Running experiments as a Prefect flow: what comes back, what Prefect is shown, what the store keeps."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun

from prefect_experiments import (
    AsyncClient,
    Client,
    EvaluationResult,
    Evaluator,
    Sample,
    arun_experiment,
    run_experiment,
)
from prefect_experiments.errors import ExperimentStopped, InvalidSetting
from prefect_experiments.orchestration.deployed.recovery import arun_for_flow_run
from support.flow_runs import flow_run_of, task_runs_of, until_recorded
from support.patience import PATIENCE_S

ROWS = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": n * n}, "metadata": {"odd": bool(n % 2)}} for n in range(30)]
quiet: dict[str, Any] = {"print_summary": False}


def square(input: dict[str, int]) -> dict[str, int]:
    return {"n": input["n"] ** 2}


def exact(output: Any, expected: Any) -> bool:
    return bool(output == expected)


class Closeness(Evaluator):
    def evaluate(self, output: Any, expected: Any, **kwargs: Any) -> EvaluationResult:
        distance = abs(output["n"] - expected["n"])
        return EvaluationResult(score=1 / (1 + distance), label="near" if distance < 2 else "far", explanation="why")


def task_run_names(flow_run: FlowRun) -> list[str]:
    return sorted(run.name for run in task_runs_of(flow_run.id))


def test_what_comes_back(client: Client) -> None:
    ran = client.experiments.run_experiment(
        dataset=ROWS,
        task=square,
        evaluators=[exact, Closeness()],
        experiment_name="squares",
        experiment_description="squares of numbers",
        experiment_metadata={"model": "arithmetic"},
        repetitions=2,
        **quiet,
    )
    assert ran["experiment_id"] == ran.experiment_id == ran.experiment.id
    assert ran.experiment_metadata == {"model": "arithmetic"}
    assert len(ran["task_runs"]) == 60
    assert len(ran.evaluation_runs) == 120
    run = ran.task_runs[3]
    assert (run.example_id, run.repetition_number, run.output, run.status, run.error) == ("e1", 2, {"n": 1}, "ok", None)
    assert run.attempts == 1
    assert run.latency_ms is not None
    assert run.latency_ms >= 0
    metric = ran.summary.metrics["exact"]
    assert (metric.n, metric.n_expected, metric.mean, metric.labels) == (60, 60, 1.0, {"True": 60})
    frame = ran.to_dataframe()
    assert list(frame.columns[:9]) == [
        "id", "example_id", "repetition_number", "input", "expected", "output", "status", "error", "latency_ms",
    ]  # fmt: skip
    assert frame["eval.Closeness.label"].tolist() == ["near"] * 60
    assert frame["eval.exact.score"].tolist() == [1.0] * 60
    experiment = client.experiments.get(experiment="squares")
    assert (experiment.description, experiment.repetitions) == ("squares of numbers", 2)
    assert client.datasets.get_dataset(dataset=ran.dataset_id).version_id == ran.dataset_version_id


def test_errors_stay_in_sight(client: Client) -> None:
    def fails_on_some(input: dict[str, int]) -> dict[str, int]:
        if input["n"] % 10 == 3:
            raise ValueError("cannot do three")
        return square(input)

    def fails_on_four(output: dict[str, int]) -> float:
        return 1 / (output["n"] - 16)

    ran = client.experiments.run_experiment(
        dataset=ROWS, task=fails_on_some, evaluators=[exact, fails_on_four], retries=0, **quiet
    )
    failed = [run for run in ran.task_runs if run.status == "error"]
    assert [run.example_id for run in failed] == ["e3", "e13", "e23"]
    assert {run.error for run in failed} == {"ValueError: cannot do three"}
    assert {run.output for run in failed} == {None}
    assert not {v.run_id for v in ran.evaluation_runs} & {run.id for run in failed}
    assert ran.summary.n_errors == 3
    assert str(ran.summary.metrics["exact"]) == (
        "1.00 over 27 of 30; 3 task errors; between 0.90 and 1.00 if the others had scored 0 or 1"
    )
    verdict = next(v for v in ran.evaluation_runs if v.name == "fails_on_four" and v.error)
    assert verdict.error == "ZeroDivisionError: division by zero"
    assert "3 task errors, 1 evaluator error" in str(ran.summary.metrics["fails_on_four"])
    assert ran.to_dataframe()["eval.exact.score"].isna().sum() == 3


def test_exit_on_error_keeps_what_finished(client: Client) -> None:
    secret, name = "the row's own content", f"stops {uuid.uuid4().hex}"

    def fails_late(input: dict[str, int]) -> int:
        if input["n"] == 20:
            raise RuntimeError(secret)
        return input["n"]

    with pytest.raises(ExperimentStopped, match="RuntimeError on example 'e20'") as caught:
        client.experiments.run_experiment(
            dataset=ROWS,
            task=fails_late,
            experiment_name=name,
            exit_on_error=True,
            retries=0,
            concurrency=1,
            **quiet,
        )
    assert f"RuntimeError: {secret}. Everything finished is kept" in str(caught.value)
    runs = client.experiments.list_runs(experiment=caught.value.experiment_id, all=True).experiment_runs
    assert [run.example_id for run in runs if run.status == "ok"] == [f"e{n}" for n in range(20)]
    assert flow_run_of(name).state_type == "FAILED"


def test_what_prefect_is_shown(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    marker = "row-content-5a1f"
    rows = [{"input": f"{marker} {n}", "output": "x"} for n in range(10)]

    def raises_content(input: str) -> str:
        if input.endswith("3"):
            raise ValueError(f"about {input}")
        return f"{input} out"

    name = f"shown {uuid.uuid4().hex}"
    client.experiments.run_experiment(
        dataset=rows, task=raises_content, evaluators=exact, experiment_name=name, batch_size=4, retries=0, **quiet
    )
    run = flow_run_of(name)
    assert run.name.startswith(f"{name} on dataset-")
    assert run.state is not None
    assert run.state.message is not None
    assert run.state.message.startswith("Ran 10; 1 of 10 failed. exact 0.00 over 9 of 10; 1 task error")
    assert run.parameters["experiment"] == name
    names = task_run_names(run)
    assert [n for n in names if n.startswith(("run", "evaluate"))] == [
        "evaluate 0000-0003", "evaluate 0004-0007", "evaluate 0008-0009",
        "run 0000-0003", "run 0004-0007", "run 0008-0009",
    ]  # fmt: skip
    assert {"log to local"} < set(names)
    until_recorded()

    async def everything() -> str:
        async with get_client() as api:
            mine = {"flow_run_id": {"any_": [str(run.id)]}}
            artifacts = (await api.request("POST", "/artifacts/filter", json={"artifacts": mine})).json()
            logs = (await api.request("POST", "/logs/filter", json={"logs": mine})).json()
            task_runs = await api.request(
                "POST", "/task_runs/filter", json={"flow_runs": {"id": {"any_": [str(run.id)]}}}
            )
            assert sorted(artifact["type"] for artifact in artifacts) == ["markdown", "progress"]
            assert next(a["data"] for a in artifacts if a["type"] == "progress") == 100.0
            assert "| exact | 0.00 | 9 of 10 |" in next(a["data"] for a in artifacts if a["type"] == "markdown")
            return repr([run, task_runs.json(), artifacts, logs])

    shown = asyncio.run(everything()) + "".join(capfd.readouterr())
    assert marker not in shown


@pytest.mark.thorough
def test_few_prefect_task_runs(client: Client) -> None:
    rows = [{"input": n, "output": n} for n in range(2000)]

    async def same(input: int) -> int:
        return input

    name = f"many {uuid.uuid4().hex}"
    client.experiments.run_experiment(dataset=rows, task=same, evaluators=[exact], experiment_name=name, **quiet)
    assert len(task_run_names(flow_run_of(name))) < 150


def test_concurrency_holds_over_all_batches(client: Client) -> None:
    lock = threading.Lock()
    now = most = 0
    together = threading.Barrier(10)

    def blocks(input: dict[str, int]) -> int:
        """Returns when ten calls have come together."""
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(PATIENCE_S)
        with lock:
            now -= 1
        return 1

    rows = [{"input": {"n": n}} for n in range(100)]
    ran = client.experiments.run_experiment(
        dataset=rows, task=blocks, concurrency=10, batch_size=13, timeout=None, retries=0, **quiet
    )
    assert ran.summary.n_errors == 0, "ten at a time, across the batches' borders as well"
    assert most == 10


def test_resume_makes_only_what_is_missing(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    broken = True
    calls: list[int] = []
    judged: list[int] = []

    def sometimes(input: dict[str, int]) -> dict[str, int]:
        calls.append(input["n"])
        if broken and input["n"] >= 20:
            raise ConnectionError("down")
        return square(input)

    def judge(output: dict[str, int]) -> bool:
        judged.append(output["n"])
        return True

    first = client.experiments.run_experiment(
        dataset=ROWS, task=sometimes, evaluators=[judge], retries=0, experiment_name="resumed", **quiet
    )
    assert first.summary.n_errors == 10
    broken = False
    calls.clear()
    judged.clear()
    second = client.experiments.resume_experiment(experiment=first, task=sometimes, evaluators=[judge])
    assert sorted(calls) == list(range(20, 30))
    assert len(judged) == 10
    assert (second.reused, second.ran, second.experiment_id) == (20, 10, first.experiment_id)
    assert "Reused 20 runs, ran 10" in capsys.readouterr().out
    assert str(second.summary.metrics["judge"]) == "1.00 over 30 of 30"
    calls.clear()
    third = client.experiments.resume_experiment(experiment="resumed", task=sometimes, evaluators=[judge], **quiet)
    assert (calls, judged[10:], third.ran, len(third.task_runs)) == ([], [], 0, 30)


@pytest.mark.thorough
def test_a_task_that_has_changed_is_said(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    def fails(input: dict[str, int]) -> int:
        return 1 // (input["n"] % 2)

    first = client.experiments.run_experiment(dataset=ROWS, task=fails, retries=0, **quiet)
    assert first.summary.n_errors == 15
    client.experiments.resume_experiment(experiment=first, task=fails, retries=0, **quiet)
    assert "has changed" not in caplog.text
    client.experiments.resume_experiment(experiment=first, task=square, **quiet)
    assert "15 outputs of the former one are kept beside the 15" in caplog.text


def test_an_evaluator_added_later_and_a_changed_one(client: Client) -> None:
    calls: list[str] = []

    def task(input: dict[str, int]) -> int:
        calls.append("task")
        return input["n"]

    class Judge(Evaluator):
        name = "judge"

        def __init__(self, limit: int) -> None:
            self.limit = limit

        def evaluate(self, output: int, **kwargs: Any) -> bool:
            calls.append("judge")
            return output < self.limit

    first = client.experiments.run_experiment(dataset=ROWS, task=task, evaluators=[Judge(10)], **quiet)
    calls.clear()
    added = client.experiments.evaluate_experiment(experiment=first, evaluators={"added": exact}, **quiet)
    assert calls == []
    assert set(added.summary.metrics) == {"judge", "added"}
    kept = client.store.experiments.get(first.experiment_id).evaluators
    assert [evaluator.name for evaluator in kept] == ["judge", "added"]
    again = client.experiments.evaluate_experiment(experiment=first.experiment_id, evaluators=[Judge(10)], **quiet)
    assert (calls, again.evaluated) == ([], 0)
    changed = client.experiments.evaluate_experiment(experiment=first, evaluators=[Judge(15)], **quiet)
    assert calls == ["judge"] * 30
    assert changed.summary.metrics["judge"].mean == 0.5
    assert changed.summary.metrics["judge"].n == 30


def test_a_changed_evaluator_leaves_none_of_the_names_that_it_no_longer_gives(client: Client) -> None:
    class Parts(Evaluator):
        name = "parts"

        def __init__(self, *names: str) -> None:
            self.names = names

        def evaluate(self, output: int, **kwargs: Any) -> list[EvaluationResult]:
            return [EvaluationResult(name=name, score=1.0) for name in self.names]

    first = client.experiments.run_experiment(
        dataset=ROWS[:5], task=square, evaluators=[Parts("form", "tone"), exact], **quiet
    )
    assert set(first.summary.metrics) == {"form", "tone", "exact"}
    changed = client.experiments.evaluate_experiment(experiment=first, evaluators=[Parts("tone", "length")], **quiet)
    assert set(changed.summary.metrics) == {"tone", "length", "exact"}
    assert {metric.n for metric in changed.summary.metrics.values()} == {5}


@pytest.mark.thorough
def test_inside_other_flows_and_running_loops(client: Client) -> None:
    run = functools.partial(run_experiment, dataset=ROWS, task=square, evaluators=exact, client=client, **quiet)
    inner, async_inner = f"inner {uuid.uuid4().hex}", f"inner {uuid.uuid4().hex}"

    @flow
    def outer() -> int:
        return len(run(experiment_name=inner).task_runs)

    @flow
    async def async_outer() -> int:
        first = await arun_experiment(dataset=ROWS, task=square, client=client, **quiet)
        return len(first.task_runs) + len(run(experiment_name=async_inner).task_runs)

    async def notebook() -> int:
        return len(run().task_runs)

    assert outer() == 30
    assert flow_run_of(inner).parent_task_run_id is not None
    assert asyncio.run(async_outer()) == 60
    assert flow_run_of(async_inner).parent_task_run_id is not None
    assert asyncio.run(notebook()) == 30


def test_a_client_that_belongs_to_a_loop_lives_from_call_to_call(client: Client) -> None:
    loops = []

    async def task(input: dict[str, int]) -> int:
        loops.append(asyncio.get_running_loop())
        return 1

    for _ in range(2):
        client.experiments.run_experiment(dataset=ROWS[:2], task=task, **quiet)
    assert len(set(loops)) == 1


@pytest.mark.thorough
def test_selection(client: Client) -> None:
    rows = [{**row, "splits": ["test"] if row["metadata"]["odd"] else ["train"]} for row in ROWS]
    dataset = client.datasets.create_dataset(name="selected", examples=rows)
    client.datasets.add_examples_to_dataset(dataset="selected", examples=[{"id": "new", "input": {"n": 1}}])

    def ids(**selection: Any) -> list[str]:
        ran = client.experiments.run_experiment(task=square, **{"dataset": "selected", **selection}, **quiet)
        return [run.example_id for run in ran.task_runs]

    assert len(ids()) == 31
    assert ids(dataset_version="1") == [f"e{n}" for n in range(30)]
    assert ids(splits="test", dataset_version=dataset.version_id) == [f"e{n}" for n in range(1, 30, 2)]
    assert ids(sample=Sample(n=3, method="head")) == ["e0", "e1", "e2"]
    assert ids(sample=Sample(n=4, seed=1)) == ids(sample=Sample(n=4, seed=1))
    assert len(ids(dataset=dataset)) == 30
    assert ids(dataset=client.datasets.get_dataset(dataset="selected", splits=["train"])) == [
        f"e{n}" for n in range(0, 30, 2)
    ]


@pytest.mark.thorough
def test_content_becomes_a_dataset_of_the_store(client: Client, tmp_path: Any) -> None:
    path = tmp_path / "numbers.csv"
    pd.DataFrame({"input": [1, 2], "output": [1, 4]}).to_csv(path, index=False)
    types = {"input": "number", "output": "number"}

    def run(dataset: Any) -> Any:
        return client.experiments.run_experiment(
            dataset=dataset, task=lambda n: n * n, evaluators="exact_match", types=types, **quiet
        )

    first, second = run(path), run(str(path))
    assert first.experiment.dataset_name == "numbers"
    assert first.dataset_version_id == second.dataset_version_id
    assert first.summary.metrics["exact_match"].mean == 1.0
    path.write_text("input,output\n1,1\n2,5\n")
    third = run(path)
    assert third.dataset_id == first.dataset_id
    assert third.dataset_version_id != first.dataset_version_id
    assert third.summary.metrics["exact_match"].mean == 0.5
    frame = run(pd.DataFrame({"input": [3], "output": [9]}))
    assert frame.experiment.dataset_name.startswith("dataset-")


def test_the_asynchronous_client(store_url: str) -> None:
    async def go() -> None:
        client = AsyncClient(store_url=store_url)
        await client.datasets.create_dataset(name="squares", examples=ROWS)
        ran = await client.experiments.run_experiment(dataset="squares", task=square, evaluators=exact, **quiet)
        assert (await client.experiments.get(experiment="latest")).id == ran.experiment_id
        assert len(await client.experiments.list_runs(experiment="latest", limit=7)) == 7
        await client.experiments.tag(experiment="latest", tag="baseline")
        assert (await client.experiments.get(experiment="tag:baseline")).tags == ("baseline",)
        await client.experiments.delete(experiment="tag:baseline")
        assert len(await client.experiments.list()) == 0

    asyncio.run(go())


def test_an_event_that_cannot_be_emitted_costs_no_result(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(**_: Any) -> None:
        raise RuntimeError("no queue")

    monkeypatch.setattr("prefect_experiments.orchestration.events.emit_event", fails)
    ran = client.experiments.run_experiment(dataset=[{"input": 1}], task=lambda given: given, **quiet)
    assert ran.summary.n_runs == 1
    assert "No event was emitted (RuntimeError: no queue)." in caplog.text


def test_what_belongs_into_a_flow_is_refused_outside() -> None:
    with pytest.raises(InvalidSetting, match="this belongs into a flow; elsewhere, call run_experiment"):
        asyncio.run(arun_for_flow_run(dataset="d"))


COLLECTOR = """
import gc
from prefect_experiments import run_experiment

def frozen(input):
    return gc.get_freeze_count() > 0

def run():
    [run] = run_experiment(dataset=[{"input": 1}], task=frozen, print_summary=False).task_runs
    return run["output"], gc.get_freeze_count() > 0

gc.unfreeze()
print(run(), run())
gc.freeze()
print(run(), run())
"""


@pytest.mark.thorough
def test_the_garbage_collector_is_as_it_was_afterwards(tmp_path: Path) -> None:
    """Also where somebody has frozen what is in memory, as servers do before they fork."""
    environment = os.environ | {"PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{tmp_path / 'experiments.db'}"}
    done = subprocess.run([sys.executable, "-c", COLLECTOR], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["(True, False) (True, False)", "(True, True) (True, True)"], done.stderr
