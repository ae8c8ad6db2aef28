"""A baseline and a gate on `run_experiment`: the verdict, what Prefect shows of it, and what is refused beforehand."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun, StateType

from prefect_experiments import Client, Gate, Metric, RanExperiment, arun_experiment, run_experiment
from prefect_experiments.analysis.numbers import score
from prefect_experiments.errors import (
    AmbiguousName,
    ExperimentsError,
    ExperimentStopped,
    InvalidDataset,
    InvalidInput,
    NotFound,
)
from support.flow_runs import flow_run_of
from support.patience import PATIENCE_S, wait_for

N = 40
ROWS = [{"id": f"e{n}", "input": n, "output": n} for n in range(N)]


def correct(output: int, expected: int) -> bool:
    return output == expected


def echo(input: int) -> int:
    return input


def wrong_on(count: int) -> Callable[[int], int]:
    """A task that is wrong on so many of the examples."""

    def task(input: int) -> int:
        return input if input >= count else -1

    return task


@dataclass
class Bench:
    """Experiments on one dataset, in one store, under names that nobody else on the server has."""

    client: Client
    dataset: Any

    def run(self, task: Any = echo, **arguments: Any) -> RanExperiment:
        return run_experiment(
            **{
                "client": self.client,
                "dataset": self.dataset,
                "task": task,
                "evaluators": [correct],
                "experiment_name": f"exp {uuid.uuid4().hex[:8]}",
                "print_summary": False,
                **arguments,
            }
        )

    def made(self) -> list[str]:
        """The experiments on this dataset: other tests use the backend at the same time."""
        return [found.id for found in self.client.experiments.list() if found.dataset_name == self.dataset]

    def refused(self, error: type[ExperimentsError] = InvalidInput, **arguments: Any) -> str:
        """What is said when this is refused, which is before the task is called once or anything is written."""
        calls: list[int] = []
        before = self.made()
        with pytest.raises(error) as caught:
            self.run(calls.append, **arguments)
        assert calls == []
        assert self.made() == before
        return str(caught.value)


@pytest.fixture
def bench(client: Client) -> Bench:
    dataset = client.datasets.create_dataset(name=f"numbers-{uuid.uuid4().hex[:8]}", examples=ROWS)
    return Bench(client, dataset.name)


def asked(ask: Callable[[Any], Any]) -> Any:
    """What Prefect's server says."""

    async def read() -> Any:
        async with get_client() as api:
            return await ask(api)

    return asyncio.run(read())


def of_flow_run(kind: str, run: FlowRun) -> list[dict[str, Any]]:
    async def read(api: Any) -> list[dict[str, Any]]:
        found = await api.request("POST", f"/{kind}/filter", json={kind: {"flow_run_id": {"any_": [str(run.id)]}}})
        return found.json()

    return asked(read)


def states_of(run: FlowRun) -> list[str]:
    async def read(api: Any) -> list[str]:
        found = await api.request("GET", "/flow_run_states/", params={"flow_run_id": str(run.id)})
        return [state["name"] for state in sorted(found.json(), key=lambda state: state["timestamp"])]

    return asked(read)


def events_of(ran: RanExperiment, expected: int) -> list[dict[str, Any]]:
    """The events about an experiment, oldest first; the server gets them a little later."""
    about = {"resource": {"id": [f"prefect-experiments.experiment.{ran.experiment_id}"]}}

    async def read(api: Any) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = (await api.request("POST", "/events/filter", json={"filter": about})).json()["events"]
            if len(found) >= expected or time.monotonic() > deadline:
                return sorted(found, key=lambda event: event["occurred"])
            await asyncio.sleep(0.2)

    return asked(read)


CLOSE = {"metrics": {"correct": {"max_regression": 0.1}}}


@pytest.mark.parametrize(
    ("wrong", "gate", "status", "exit_code", "state", "kind", "said"),
    [
        (0, CLOSE, "passed", 0, "GatePassed", StateType.COMPLETED, "within the allowed regression of 0.1"),
        (20, CLOSE, "failed", 1, "GateFailed", StateType.FAILED, "significantly worse (adjusted p < 0.001, one-sided)"),
        (3, CLOSE, "inconclusive", 1, "GateInconclusive", StateType.FAILED, "pairs are needed to tell"),
        (3, {**CLOSE, "on_inconclusive": "pass"}, "inconclusive", 0, "GateInconclusive", StateType.COMPLETED, "needed"),
        (20, None, None, None, "Completed", StateType.COMPLETED, "Ran 40; 0 of 40 failed"),
    ],
)
def test_the_flow_ends_in_a_state_that_says_the_verdict(
    bench: Bench, wrong: int, gate: Any, status: str | None, exit_code: int, state: str, kind: StateType, said: str
) -> None:
    base = bench.run()
    ran = bench.run(wrong_on(wrong), baseline=base, gate=gate)
    assert ran.comparison is not None
    assert ran.comparison.n_pairs == N
    assert ran.comparison.metrics["correct"].difference == pytest.approx(-wrong / N)
    assert ran.baseline is base
    run = flow_run_of(ran.experiment.name)
    assert run.state is not None
    assert (run.state.name, run.state.type) == (state, kind)
    assert said in str(run.state.message)
    assert f"correct {score(1 - wrong / N)} over 40 of 40" in str(run.state.message)
    if status is None:
        assert ran.verdict is None
    else:
        assert ran.verdict is not None
        assert (ran.verdict.status, ran.verdict.exit_code) == (status, exit_code)
        assert str(run.state.message).startswith(ran.verdict.reasons[0])
    assert states_of(run) == ["Pending", "Running", state]

    artifacts = of_flow_run("artifacts", run)
    assert sorted(artifact["type"] for artifact in artifacts) == ["markdown", "markdown", "progress", "table"]
    assert all(datetime.fromisoformat(artifact["created"]) < run.state.timestamp for artifact in artifacts)
    dataset = ran.experiment.dataset_name
    shown = {artifact["key"]: artifact["data"] for artifact in artifacts}
    word = "Compared" if status is None else status.capitalize()
    assert shown[f"comparison-{dataset}"].startswith(f"# {word}: {ran.experiment.name}")
    assert "| correct | 1.00 of" not in shown[f"experiment-{dataset}"]
    [row] = [row for row in json.loads(shown[f"metrics-{dataset}"]) if row["metric"] == "correct"]
    assert row["means"] == f"1.00 → {score(1 - wrong / N)}"


@pytest.mark.thorough
def test_datasets_in_any_script_have_artifacts_of_their_own(client: Client) -> None:
    keys = []
    for name in ("質問", "文書", "Fragen & Antworten"):
        client.datasets.create_dataset(name=f"{name} {uuid.uuid4().hex[:8]}", examples=ROWS[:2])
        bench = Bench(client, client.datasets.list_datasets().datasets[0].name)
        artifacts = of_flow_run("artifacts", flow_run_of(bench.run(baseline=bench.run()).experiment.name))
        keys += sorted(artifact["key"] for artifact in artifacts if artifact["key"])
    assert len(set(keys)) == 9
    assert all(re.fullmatch(r"(comparison|experiment|metrics)-[a-z0-9-]+", key) for key in keys)


def test_everything_about_it_is_json(bench: Bench) -> None:
    base = bench.run()
    ran = bench.run(wrong_on(20), baseline=base, gate=CLOSE)
    told = json.loads(json.dumps(ran.to_dict(), allow_nan=False))
    assert told["verdict"]["status"] == "failed"
    assert told["comparison"]["baseline"]["experiment_id"] == base.experiment_id
    assert len(told["comparison"]["regressed"]) == 20
    assert ran["verdict"] is ran.verdict


@pytest.mark.thorough
def test_what_prints(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    base = bench.run()
    capsys.readouterr()
    bench.run(wrong_on(20), baseline=base, gate=CLOSE, print_summary=True)
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    assert "20 of 40" not in printed
    bench.run(gate={"metrics": {"correct": {"min": 0.9}}}, print_summary=True)
    printed = capsys.readouterr().out
    assert "PASSED" in printed
    assert "there was no baseline" in printed


@pytest.mark.thorough
def test_automations_hear_of_it(bench: Bench) -> None:
    base = bench.run()
    bad = bench.run(wrong_on(20), baseline=base, gate=CLOSE)
    good = bench.run(baseline=base, gate=CLOSE)
    unclear = bench.run(wrong_on(3), baseline=base, gate=CLOSE)

    [completed] = events_of(base, 1)
    assert completed["event"] == "experiment.completed"
    assert (completed["payload"]["verdict"], completed["payload"]["metrics"]) == (None, {"correct": 1.0})

    events = events_of(bad, 2)
    assert [event["event"] for event in events] == ["experiment.completed", "experiment.regressed"]
    for event in events:
        assert event["resource"]["prefect.resource.name"] == bad.experiment.name
        assert event["resource"]["prefect-experiments.dataset"] == bad.experiment.dataset_name
        payload = event["payload"]
        assert payload["experiment_id"] == bad.experiment_id
        assert payload["dataset_version_id"] == bad.dataset_version_id
        assert payload["baseline_id"] == base.experiment_id
        assert (payload["n_runs"], payload["n_errors"]) == (N, 0)
        assert (payload["n_regressed"], payload["n_improved"]) == (20, 0)
        assert payload["metrics"] == {"correct": 0.5}
        assert payload["differences"] == {"correct": -0.5}
        assert payload["verdict"] == "failed"
        assert payload["reasons"] == list(bad.verdict.reasons)
        related = {resource["prefect.resource.role"]: resource["prefect.resource.id"] for resource in event["related"]}
        assert related["flow-run"] == f"prefect.flow-run.{flow_run_of(bad.experiment.name).id}"

    for ran, verdict in ((good, "passed"), (unclear, "inconclusive")):
        [event] = events_of(ran, 1)
        assert (event["event"], event["payload"]["verdict"]) == ("experiment.completed", verdict)


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_flow_around_it_goes_on_and_nothing_is_run_again(bench: Bench, asynchronous: bool) -> None:
    base = bench.run()
    calls: list[int] = []
    passes: list[str] = []

    def task(input: int) -> int:
        calls.append(input)
        return -1

    arguments: dict[str, Any] = {
        "client": bench.client, "dataset": bench.dataset, "task": task, "evaluators": [correct], "baseline": base,
        "gate": Gate(), "experiment_name": f"nightly {uuid.uuid4().hex[:8]}", "print_summary": False,
    }  # fmt: skip

    @flow(retries=2, retry_delay_seconds=0)
    def nightly() -> RanExperiment:
        passes.append("begun")
        ran = run_experiment(**arguments)
        passes.append("went on")
        return ran

    @flow(retries=2, retry_delay_seconds=0)
    async def nightly_async() -> RanExperiment:
        passes.append("begun")
        ran = await arun_experiment(**arguments)
        passes.append("went on")
        return ran

    ran = asyncio.run(nightly_async()) if asynchronous else nightly()
    assert ran.verdict.status == "failed"
    assert passes == ["begun", "went on"]
    assert len(calls) == N
    run = flow_run_of(ran.experiment.name)
    assert run.parent_task_run_id is not None
    assert states_of(run)[-1] == "GateFailed"


@pytest.mark.slow
def test_a_default_of_retries_does_not_run_it_again(bench: Bench, tmp_path: Path) -> None:
    """Prefect reads that setting when the flow is made, so this takes a process of its own."""
    script = tmp_path / "nightly.py"
    script.write_text(
        "from prefect_experiments import run_experiment\n"
        f"rows = [{{'input': n, 'output': n}} for n in range({N})]\n"
        "ran = run_experiment(dataset=rows, task=lambda n: -1, evaluators='exact_match', print_summary=False,\n"
        "    gate={'metrics': {'exact_match': {'min': 0.5}}})\n"
        "print(ran.verdict.status, ran.experiment_id)\n"
    )
    environment = {**os.environ, "PREFECT_FLOWS_DEFAULT_RETRIES": "2", **store_of(bench.client)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    verdict, experiment_id = done.stdout.split()
    assert verdict == "failed"
    run = flow_run_of(bench.client.experiments.get(experiment=experiment_id).name)
    assert states_of(run) == ["Pending", "Running", "GateFailed"]


def store_of(client: Client) -> dict[str, str]:
    return {"PREFECT_EXPERIMENTS_STORE_URL": client.store.shown_url}


@pytest.mark.thorough
def test_many_reasons_fit_into_the_state(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    gate = {"metrics": {f"metric with a long name {number}": None for number in range(60)}}
    ran = bench.run(gate=gate, baseline=bench.run())
    said = "The gate asks for what no evaluator is called: unknown metric 'metric with a long name 7'"
    assert said in caplog.text
    assert len(ran.verdict.reasons) == 61
    assert ran.verdict.reasons[-1] == "not judged, because the gate does not name it: correct"
    run = flow_run_of(ran.experiment.name)
    assert run.state is not None
    assert run.state.name == "GateFailed"
    assert 1000 < len(str(run.state.message)) <= 4000


GATES: list[tuple[Any, str]] = [
    ({"metrcs": {}}, "unknown key 'metrcs'; did you mean 'metrics'"),
    ({"metrics": {"correct": {"max_regresion": 0.1}}}, "metric 'correct' of the gate: unknown key 'max_regresion'"),
    ({"metrics": {"correct": {"min": "0.8"}}}, "Metric.min must be a finite number, got '0.8'"),
    ({"metrics": {"correct": {"min": True}}}, "got True"),
    ({"metrics": {"correct": {"max_regression": -0.1}}}, "Metric.max_regression must be at least 0"),
    ({"metrics": {"correct": {"direction": "up"}}}, "unknown Metric.direction 'up'"),
    ({"metrics": {"correct": 0.8}}, "must be a mapping such as {min: 0.8}, got 0.8"),
    ({"metrics": ["correct"]}, "Gate.metrics must be a mapping"),
    ({"confidence": 95}, "confidence must be above 0.5 and below 1"),
    ({"max_error_rate": 5}, "Gate.max_error_rate must be from 0 to 1, got 5"),
    ({"on_inconclusive": "ignore"}, "unknown Gate.on_inconclusive 'ignore'"),
    ("no-such-gate.yaml", "no-such-gate.yaml cannot be read: No such file"),
    (Path("no-such-gate.json"), "no-such-gate.json cannot be read: No such file"),
    ("gate.toml", "must be a mapping"),
    ("strict", "must be a mapping"),
    ("metrics: {correct: [", "is not YAML: line 1"),
    ('{"metrics": {"correct": }}', "is not JSON: line 1"),
    (3, "must be a mapping"),
    ([], "must be a mapping"),
]


@pytest.mark.parametrize(("gate", "said"), GATES, ids=[said for _, said in GATES])
def test_a_broken_gate_is_refused_before_anything_is_run(bench: Bench, gate: Any, said: str) -> None:
    assert said in bench.refused(gate=gate)
    assert said in bench.refused(gate=gate, dry_run=True)
    assert said in bench.refused(gate=gate, baseline="latest")


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "text", "said"), [
    ("broken.yaml", "metrics:\n  correct: {min: 0.9\n", "broken.yaml is not YAML: line 3"),
    ("broken.json", "{\n  'metrics': 1}", "broken.json is not JSON: line 2"),
    ("empty.yaml", "", "empty.yaml is empty; it takes rules such as"),
    ("list.yml", "- correct\n", "got ['correct']"),
    ("latin.yaml", "metrics: {\xe9: null}", "it is not UTF-8"),
])  # fmt: skip
def test_a_broken_gate_file_is_refused_with_its_name(
    bench: Bench, tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="latin-1")
    for given in (path, str(path)):
        refusal = bench.refused(gate=given)
        assert name in refusal
        assert said in refusal


@pytest.mark.thorough
def test_a_gate_in_every_form_says_the_same(bench: Bench, tmp_path: Path) -> None:
    base = bench.run()
    text = "metrics:\n  correct:\n    max_regression: 0.1\non_inconclusive: pass\n"
    (tmp_path / "gate.yaml").write_text(text)
    (tmp_path / "gate.json").write_text('{"metrics": {"correct": {"max_regression": 0.1}}, "on_inconclusive": "pass"}')
    forms: list[Any] = [
        Gate(metrics={"correct": Metric(max_regression=0.1)}, on_inconclusive="pass"),
        {"metrics": {"correct": {"max_regression": 0.1}}, "on_inconclusive": "pass"},
        tmp_path / "gate.yaml",
        str(tmp_path / "gate.yaml"),
        str(tmp_path / "gate.json"),
        text,
        (tmp_path / "gate.json").read_text(),
    ]
    candidate = bench.run(wrong_on(3))
    compare = bench.client.experiments.compare
    verdicts = [compare(baseline=base, candidate=candidate, gate=form).verdict for form in forms]
    assert verdicts[0].status == "inconclusive"
    assert verdicts[0].exit_code == 0
    assert verdicts == [verdicts[0]] * len(forms)


@pytest.mark.thorough
def test_a_baseline_that_cannot_be_used_is_refused_before_anything_is_run(bench: Bench, tmp_path: Path) -> None:
    bench.run(experiment_name="twice")
    bench.run(experiment_name="twice")
    refused = bench.refused
    assert "there is no baseline 'exp-0': unknown experiment 'exp-0'" in refused(NotFound, baseline="exp-0")
    assert "did you mean 'twice'" in refused(NotFound, baseline="twicce")
    assert "unknown experiment 'latest-one'" in refused(NotFound, baseline="latest-one", gate={})
    assert "2 experiments are called 'twice'" in refused(AmbiguousName, baseline="twice")
    assert "there is no file none.csv" in refused(baseline="none.csv")
    assert "no column 'example_id'" in refused(baseline=[{"id": "e1", "eval.correct.score": 1}])
    assert "no rows" in refused(baseline=[])
    assert "got a value of type int" in refused(baseline=3)
    (tmp_path / "scores.csv").write_text("example_id,eval.correct.score\ne1,high\n")
    assert "row 1: 'high' is not a number" in refused(baseline=tmp_path / "scores.csv")
    assert "unknown experiment 'exp-0'" in refused(NotFound, baseline="exp-0", dry_run=True)


@pytest.mark.parametrize("baseline", ["tag:baseline", "latest"])
def test_the_first_run_has_no_baseline_and_says_so(client: Client, baseline: str) -> None:
    first = Bench(client, ROWS)
    ran = first.run(baseline=baseline, gate={"metrics": {"correct": {"min": 0.9, "max_regression": 0.1}}})
    assert ran.comparison is None
    assert ran.baseline is None
    assert ran.verdict is not None
    assert ran.verdict.status == "passed"
    assert ran.verdict.reasons[-1].startswith("there was no baseline to compare with")
    run = flow_run_of(ran.experiment.name)
    assert run.state is not None
    assert run.state.name == "GatePassed"
    assert "there was no baseline" in str(run.state.message)
    assert sorted(artifact["type"] for artifact in of_flow_run("artifacts", run)) == ["markdown", "progress"]
    assert f"no baseline '{baseline}' with results on {ran.experiment.dataset_name} yet" in logged(run)
    assert first.run(baseline="tag:another").verdict is None


def logged(run: FlowRun) -> str:
    """What a flow run has logged, to its last line; the lines arrive a little later, and not all at once."""
    deadline = time.monotonic() + PATIENCE_S
    while "Finished in state" not in (text := "\n".join(log["message"] for log in of_flow_run("logs", run))):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    return text


@pytest.mark.thorough
def test_a_first_run_fails_where_it_does_not_reach_the_minimum(bench: Bench) -> None:
    ran = bench.run(wrong_on(20), baseline="latest", gate={"metrics": {"correct": {"min": 0.9}}})
    assert ran.verdict is not None
    assert ran.verdict.exit_code == 1
    assert [event["event"] for event in events_of(ran, 2)] == ["experiment.completed", "experiment.regressed"]
    unscored = bench.run(gate={"metrics": {"another": None}})
    assert unscored.verdict is not None
    assert "unknown metric 'another'" in unscored.verdict.reasons[0]
    assert unscored.verdict.exit_code == 1


def test_latest_is_the_run_before_this_one(bench: Bench) -> None:
    bench.run(wrong_on(10))
    before = bench.run(wrong_on(5))
    ran = bench.run(baseline="latest")
    assert ran.comparison is not None
    assert ran.comparison.baseline.experiment_id == before.experiment_id
    assert ran.comparison.metrics["correct"].wins == 5


def test_a_winner_is_promoted_and_the_next_run_compares_with_it(bench: Bench) -> None:
    first = bench.run(wrong_on(20), baseline="tag:baseline", gate={})
    tag = bench.client.experiments.tag
    tag(experiment=first, tag="baseline")
    better = bench.run(wrong_on(5), baseline="tag:baseline", gate={})
    assert better.verdict is not None
    assert better.verdict.status == "passed"
    assert better.comparison.metrics["correct"].verdict == "improved"
    tag(experiment=better, tag="baseline")
    worse = bench.run(wrong_on(20), baseline="tag:baseline", gate={})
    assert worse.comparison.baseline.experiment_id == better.experiment_id
    assert worse.verdict.status == "failed"
    bench.client.experiments.untag(experiment=better, tag="baseline")
    with pytest.raises(NotFound, match=r"no baseline 'tag:baseline' .* any more: .* was deleted or has lost it"):
        bench.run(baseline="tag:baseline")
    assert bench.run(baseline="tag:baseline", first_run=True).comparison is None


@pytest.mark.thorough
def test_a_tag_of_another_dataset_is_not_meant(bench: Bench, client: Client) -> None:
    client.experiments.tag(experiment=bench.run(), tag="baseline")
    elsewhere = Bench(client, [{"id": "x", "input": 1, "output": 1}])
    assert elsewhere.run(baseline="tag:baseline", gate={}).comparison is None


@pytest.mark.thorough
def test_a_baseline_without_a_shared_example_is_refused_before_anything_is_run(bench: Bench, client: Client) -> None:
    other = Bench(client, [{"id": f"z{n}", "input": n, "output": n} for n in range(N)]).run()
    before = len(client.experiments.list())
    for baseline, gate in ((other, CLOSE), (other, None), (other.to_dataframe(), CLOSE)):
        with pytest.raises(
            InvalidDataset,
            match=r"its example ids are such as 'z0', 'z1', 'z2', and here 'e0', 'e1', 'e2'. Nothing was",
        ):
            bench.run(baseline=baseline, gate=gate)
    assert len(client.experiments.list()) == before
    same_examples = Bench(client, "copied")
    client.datasets.create_dataset(name="copied", examples=ROWS)
    kept = client.experiments.get(experiment=bench.run())
    assert same_examples.run(baseline=kept, gate=CLOSE).verdict.status == "passed"


@pytest.mark.thorough
def test_a_baseline_in_a_file_is_read_before_and_not_again(bench: Bench, tmp_path: Path) -> None:
    path = bench.client.experiments.export(experiment=bench.run(), path=tmp_path / "yesterday.csv")

    def deletes(input: int) -> int:
        path.unlink(missing_ok=True)
        return input

    ran = bench.run(deletes, baseline=str(path), gate=CLOSE)
    assert not path.exists()
    assert ran.comparison.baseline.label == "yesterday"
    assert ran.verdict.status == "passed"


@pytest.mark.thorough
def test_a_table_that_is_changed_meanwhile_stays_what_it_was(bench: Bench) -> None:
    frame = bench.run().to_dataframe()

    def changes(input: int) -> int:
        frame["eval.correct.score"] = 0.0
        return input

    ran = bench.run(changes, baseline=frame)
    assert (ran.comparison.baseline.label, ran.comparison.metrics["correct"].baseline_mean) == ("baseline", 1.0)


def stopped(bench: Bench, after: int) -> str:
    """The id of an experiment that has made so many runs and no more."""

    def task(input: int) -> int:
        if input == after:
            raise ValueError("stop")
        return input

    with pytest.raises(ExperimentStopped) as caught:
        bench.run(task, exit_on_error=True, retries=0, concurrency=1)
    return caught.value.experiment_id


@pytest.mark.thorough
def test_a_baseline_that_is_not_whole_is_told(bench: Bench) -> None:
    half = stopped(bench, after=10)
    bench.client.experiments.evaluate_experiment(experiment=half, evaluators=[correct], print_summary=False)
    ran = bench.run(baseline="latest")
    assert ran.comparison.baseline.experiment_id == half
    assert "has 11 of 40 runs only" in logged(flow_run_of(ran.experiment.name))


@pytest.mark.thorough
def test_a_latest_run_that_was_killed_at_once_does_not_block_the_next(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        "import time\n"
        "from prefect_experiments import run_experiment\n"
        f"run_experiment(dataset={bench.dataset!r}, task=lambda n: time.sleep(600), experiment_name='killed')\n"
    )
    with subprocess.Popen([sys.executable, str(script)], env={**os.environ, **store_of(bench.client)}) as process:
        wait_for(lambda: len(bench.client.experiments.list()), "the experiment")
        process.kill()
    assert "the baseline, experiment 'killed'" in bench.refused(baseline="killed")
    ran = bench.run(baseline="latest", gate={"metrics": {"correct": {"min": 0.9}}})
    assert ran.verdict.reasons[-1].startswith("there was no baseline")
    assert "no baseline 'latest' with results" in logged(flow_run_of(ran.experiment.name))


@pytest.mark.thorough
def test_stopping_at_an_error_leaves_no_verdict(bench: Bench) -> None:
    bench.run()
    name = f"stops {uuid.uuid4().hex[:8]}"

    def task(input: int) -> int:
        raise ValueError("no")

    with pytest.raises(ExperimentStopped, match="ValueError on example"):
        bench.run(task, exit_on_error=True, retries=0, baseline="latest", gate={}, experiment_name=name)
    run = flow_run_of(name)
    assert run.state is not None
    assert (run.state.name, run.state.type) == ("Failed", StateType.FAILED)
    assert not {"markdown", "table"} & {artifact["type"] for artifact in of_flow_run("artifacts", run)}


def test_errors_of_the_task_fail_the_gate(bench: Bench) -> None:
    base = bench.run()

    def fails(input: int) -> int:
        if input % 4:
            raise ValueError("no")
        return input

    ran = bench.run(fails, retries=0, baseline=base, gate={})
    assert ran.verdict.status == "failed"
    failed = {check.name for check in ran.verdict.checks if check.status == "failed"}
    assert {"error rate", "coverage", "correct"} <= failed
    assert ran.comparison.failures.candidate_only == 30

    def judge_fails(output: int) -> bool:
        if output % 4:
            raise ValueError("no")
        return True

    ran = bench.run(evaluators={"correct": judge_fails}, retries=0, baseline=base, gate={})
    assert ran.verdict.status == "failed"
    assert ran.summary.n_errors == 0


@pytest.mark.thorough
def test_less_can_be_better(bench: Bench) -> None:
    gate = {"metrics": {"length": {"direction": "minimize", "max_regression": 0.5, "min": 3}}}
    measure = {"length": lambda output: output}
    base = bench.run(lambda n: 2, evaluators=measure)
    longer = bench.run(lambda n: 2 + n % 2 * 2, evaluators=measure, baseline=base, gate=gate)
    assert longer.verdict.status == "failed"
    assert (longer.comparison.metrics["length"].losses, longer.comparison.metrics["length"].wins) == (20, 0)
    assert len(longer.comparison.regressed) == 20
    shorter = bench.run(lambda n: 1 + n % 2, evaluators=measure, baseline=base, gate=gate)
    assert shorter.verdict.status == "passed"
    assert shorter.comparison.metrics["length"].verdict == "improved"


@pytest.mark.thorough
def test_a_dry_run_looks_at_gate_and_baseline_and_judges_nothing(bench: Bench) -> None:
    bench.run()
    before = len(bench.client.experiments.list())
    first = {"gate": CLOSE, "first_run": True}
    for arguments in ({"baseline": "latest", "gate": CLOSE}, first, {"baseline": "tag:none"}):
        ran = bench.run(wrong_on(N), dry_run=3, **arguments)
        assert len(ran.task_runs) == 3
        assert (ran.comparison, ran.verdict) == (None, None)
    assert len(bench.client.experiments.list()) == before


@pytest.mark.thorough
def test_a_baseline_in_phoenix(phoenix_url: str, tmp_path: Path) -> None:
    def on(machine: str) -> Client:
        return Client(backend="phoenix", base_url=phoenix_url, store_url=f"sqlite:///{tmp_path / machine}.db")

    rows = [{**row, "input": {"n": row["input"]}, "output": {"n": row["output"]}} for row in ROWS]
    here, there = on("here"), on("there")
    dataset = here.datasets.create_dataset(name=f"gate-{uuid.uuid4().hex[:8]}", examples=rows).name

    def wrong(count: int) -> Callable[[dict[str, int]], dict[str, int]]:
        return lambda given: {"n": given["n"] if given["n"] >= count else -1}

    first = Bench(here, dataset).run(wrong(0), baseline="tag:baseline", gate={})
    assert first.verdict.reasons[-1].startswith("there was no baseline")
    here.experiments.tag(experiment=first, tag="baseline")

    dry = Bench(there, dataset).run(wrong(0), baseline="tag:baseline", gate={}, dry_run=2)
    assert (dry.comparison, dry.verdict) == (None, None)
    kept_there = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'there'}.db").experiments
    assert len(kept_there.list()) == 0

    second = Bench(there, dataset).run(wrong(20), baseline="tag:baseline", gate={})
    assert second.verdict.status == "failed"
    assert second.comparison.n_pairs == N
    assert second.comparison.baseline.experiment_id == first.experiment_id
    assert second.comparison.baseline.url == first.url
    artifacts = of_flow_run("artifacts", flow_run_of(second.experiment.name))
    assert first.url in next(a["data"] for a in artifacts if a["key"] == f"comparison-{dataset}")
    assert "there is no baseline" in Bench(there, dataset).refused(NotFound, baseline="RXhwZXJpbWVudDo5OTk5OTk=")

    compared = on("third").experiments.compare(
        baseline="tag:baseline", candidate=["latest", second.experiment.name, second], dataset=dataset
    )
    assert [found.metrics["correct"].difference for found in compared] == [-0.5] * 3
