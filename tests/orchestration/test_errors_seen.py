"""What failed is seen by whoever made the call, and Prefect is told nothing of a row."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import uuid
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun

from prefect_experiments import Client, Sample, run_experiment
from prefect_experiments.errors import ExperimentsError, ExperimentStopped, InvalidInput, NotFound
from support.flow_runs import flow_run_of, until_recorded

SECRET = "row-content-77c1"
ROWS = [{"id": f"e{n}", "input": n, "output": n} for n in range(20)]
quiet: dict[str, Any] = {"print_summary": False}


def breaks(input: int) -> int:
    if input % 4 == 0:
        raise ValueError(f"cannot do {input} of '{SECRET}'")
    if input == 7:
        raise KeyError("gone")
    return input


def odd(output: int) -> float:
    if output % 2:
        raise TypeError(f"[red]no odd ones[/red] {SECRET}")
    return 1.0


def fresh(word: str) -> str:
    return f"{word} {uuid.uuid4().hex}"


def told_to_prefect(run: FlowRun) -> str:
    """Everything that the server has of a flow run: states, artifacts, log lines, those of its Prefect tasks too."""
    until_recorded()

    async def read() -> str:
        mine = {"flow_run_id": {"any_": [str(run.id)]}}
        of_run = {"flow_runs": {"id": {"any_": [str(run.id)]}}}
        async with get_client() as api:
            asked = [
                await api.request("POST", "/artifacts/filter", json={"artifacts": mine}),
                await api.request("POST", "/logs/filter", json={"logs": mine}),
                await api.request("POST", "/flow_runs/filter", json=of_run),
                await api.request("POST", "/task_runs/filter", json=of_run),
                await api.request("GET", "/flow_run_states/", params={"flow_run_id": str(run.id)}),
            ]
        assert all(answer.is_success for answer in asked)
        return "\n".join(answer.text for answer in asked)

    return asyncio.run(read())


# --- the text of the error that stopped it ------------------------------------------------------


def stopped(client: Client, name: str) -> ExperimentStopped:
    with pytest.raises(ExperimentStopped) as caught:
        run_experiment(
            dataset=ROWS[:1], task=breaks, experiment_name=name, exit_on_error=True, retries=0, client=client, **quiet
        )
    return caught.value


def test_what_stops_an_experiment_tells_its_text_and_prefect_is_told_the_type(client: Client) -> None:
    name = fresh("stops")
    error = stopped(client, name)
    assert "ValueError: cannot do 0 of 'row-content-77c1'. Everything finished is kept" in str(error)
    assert error.error == "ValueError: cannot do 0 of 'row-content-77c1'"
    assert f"prefect-experiments resume {error.experiment_id}" in str(error)
    told = told_to_prefect(flow_run_of(name))
    assert "the task raised ValueError on example 'e0'" in told
    assert SECRET not in told
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.error, again.experiment_id) == (str(error), error.error, error.experiment_id)


@pytest.mark.thorough
def test_inside_a_flow_the_text_stays_out_of_its_state(client: Client) -> None:
    outer_name, inner_name = fresh("outer"), fresh("inner")
    caught: list[ExperimentStopped] = []

    @flow(flow_run_name=f"{outer_name} on nothing")
    def outer() -> None:
        try:
            stopped_here = {"exit_on_error": True, "retries": 0, "client": client, **quiet}
            run_experiment(dataset=ROWS[:1], task=breaks, experiment_name=inner_name, **stopped_here)
        except ExperimentStopped as error:
            caught.append(error)
            raise

    with pytest.raises(ExperimentStopped):
        outer()
    assert SECRET in caught[0].error
    for name in (outer_name, inner_name):
        told = told_to_prefect(flow_run_of(name))
        assert "the task raised ValueError" in told
        assert SECRET not in told


def test_a_dry_run_tells_the_text_too() -> None:
    with pytest.raises(ExperimentStopped, match=SECRET):
        run_experiment(dataset=ROWS[:1], task=breaks, dry_run=True, exit_on_error=True, retries=0, **quiet)


# --- the commonest errors -----------------------------------------------------------------------


def test_the_commonest_errors_are_printed_and_prefect_sees_their_types(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    name = fresh("seen")
    ran = run_experiment(
        dataset=ROWS, task=breaks, evaluators=[odd], experiment_name=name, retries=0, concurrency=1, client=client
    )
    printed = capsys.readouterr().out
    assert "  task errors, 6 of 20 (30%) runs:" in printed
    assert f"    5 times, such as: ValueError: cannot do 0 of '{SECRET}' (example e0)" in printed
    assert "    once: KeyError: 'gone' (example e7)" in printed
    assert "  evaluator errors, odd 9 of 14 (64.3%) evaluations:" in printed
    assert f"    odd 9 times: TypeError: [red]no odd ones[/red] {SECRET} (example e1)" in printed
    assert "Every call" not in printed
    data = ran.to_dict()
    assert data["every_call_failed"] is None
    assert [(e["evaluator"], e["type"], e["count"], e["example_id"]) for e in data["errors"]] == [
        (None, "ValueError", 5, "e0"),
        (None, "KeyError", 1, "e7"),
        ("odd", "TypeError", 9, "e1"),
    ]
    told = told_to_prefect(flow_run_of(name))
    assert "- task: ValueError 5, KeyError 1" in told
    assert "- evaluator odd: TypeError 9" in told
    assert SECRET not in told


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("task", "evaluators", "said", "who"),
    [
        (lambda n: 1 / 0, [odd], "Every call of the task failed.", "task"),
        (lambda n: 1, [odd], "Every call of the evaluators failed.", "evaluators"),
        (lambda n: 1, [odd, "json_valid"], "", None),
        (lambda n: 1, [], "", None),
    ],
)
def test_where_every_call_failed_the_summary_says_so(
    task: Any, evaluators: list[Any], said: str, who: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_experiment(dataset=ROWS[:3], task=task, evaluators=evaluators, retries=0, dry_run=3)
    printed = capsys.readouterr().out
    assert [line.strip() for line in printed.splitlines() if "Every call" in line] == ([said] if said else [])
    assert ran.to_dict()["every_call_failed"] == who


@pytest.mark.thorough
def test_causes_and_sub_exceptions_are_told_and_equal_ones_counted_together(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def connects(input: int) -> int:
        raise ConnectionError("no connection") from OSError(f"port {input} refused")

    def several(output: int) -> float:
        raise ExceptionGroup("both", [ValueError(f"bad {output}"), TypeError("t"), TypeError("t")])

    name = fresh("caused")
    kept: dict[str, Any] = {"retries": 0, "concurrency": 1, "client": client}
    run_experiment(dataset=ROWS[:3], task=connects, experiment_name=name, **kept)
    printed = capsys.readouterr().out
    assert "    3 times, such as: ConnectionError: no connection (caused by OSError: port 0 refused)" in printed
    told = told_to_prefect(flow_run_of(name))
    assert "task: ConnectionError 3" in told
    assert "refused" not in told
    run_experiment(dataset=ROWS[:3], task=lambda n: n, evaluators=[several], **kept)
    inner = "ExceptionGroup: both (3 sub-exceptions): ValueError: bad 0; TypeError: t"
    assert f"    several 3 times, such as: {inner} (example e0)" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_summary_that_cannot_be_printed_loses_no_result(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = open("/dev/full", "w")  # noqa: SIM115, PTH123 - closing it raises
    monkeypatch.setattr("sys.stdout", full)
    ran = run_experiment(dataset=ROWS[:2], task=lambda n: n, dry_run=2)
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        full.close()
    assert ran.summary.n_runs == 2
    assert "The summary could not be printed (No space left on device)." in caplog.text


def test_no_secret_of_ours_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOENIX_API_KEY", "key-of-ours")

    def leaks(input: int) -> int:
        raise PermissionError("401 for key-of-ours at postgresql://me:hidden-word@host/name")

    with pytest.raises(ExperimentStopped) as caught:
        run_experiment(dataset=ROWS[:1], task=leaks, retries=0, dry_run=1, exit_on_error=True, **quiet)
    ran = run_experiment(dataset=ROWS[:1], task=leaks, retries=0, dry_run=1)
    for shown in (capsys.readouterr().out, str(caught.value), str(ran.to_dict()["errors"])):
        assert "401 for *** at postgresql://me:***@host/name" in shown


def test_runs_that_failed_are_those_of_the_task_and_of_evaluators(client: Client) -> None:
    ran = run_experiment(dataset=ROWS, task=breaks, evaluators=[odd], retries=0, repetitions=2, client=client, **quiet)
    wanted = [f"e{n}" for n in range(20) if n % 4 == 0 or n % 2]
    listed = client.experiments.list_runs(experiment=ran, failed=True, all=True)
    assert [run.example_id for run in listed.experiment_runs] == [name for name in wanted for _ in range(2)]
    rows = listed.to_df()
    broken = ("e0", "e4", "e7", "e8", "e12", "e16")
    assert rows["error"].notna().tolist() == [name in broken for name in rows["example_id"]]
    assert (rows["error"].notna() ^ rows["eval.odd.error"].notna()).all()
    assert [run.status for run in ran.failed] == ["error"] * 12, "which are made again, is another question"
    assert ran.summary.metrics["odd"].n_task_errors == 12


# --- names --------------------------------------------------------------------------------------

NO_NAMES = ["latest", "Latest", " LATEST ", "tag:production", "TAG:x", "tag:", "", "  ", "a\x00b", "a\nb", "x" * 256]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused_before_anything(name: str, client: Client) -> None:
    calls: list[int] = []
    results = [{"example_id": "e0", "output": 1}]
    ways: list[Any] = [
        lambda: client.experiments.run_experiment(dataset=ROWS, task=calls.append, experiment_name=name, **quiet),
        lambda: client.experiments.run_experiment(dataset=ROWS, task=calls.append, idempotency_key=name, **quiet),
        lambda: client.experiments.run(name=name, dataset=ROWS, task=calls.append),
        lambda: client.experiments.log_experiment(name=name, dataset=ROWS[:1], experiment_runs=results, **quiet),
        lambda: client.experiments.create(name=name, dataset=ROWS[:1], experiment_runs=results),
    ]
    for way in ways:
        with pytest.raises(InvalidInput) as refused:
            way()
        assert name[:20] in str(refused.value) or repr(name)[1:-1][:20] in str(refused.value)
    assert not calls
    assert not len(client.experiments.list())
    assert not len(client.datasets.list_datasets())


def test_what_is_no_tag_is_refused(client: Client) -> None:
    ran = client.experiments.run_experiment(dataset=ROWS[:1], task=repr, **quiet)
    for tag in NO_NAMES:
        with pytest.raises(InvalidInput):
            client.experiments.tag(experiment=ran, tag=tag)
    assert client.experiments.get(experiment=ran).tags == ()


# --- refusals name the dataset ------------------------------------------------------------------


def test_refusals_name_the_dataset(client: Client, tmp_path: Path) -> None:
    client.datasets.create_dataset(name="kept", examples=ROWS[:2])
    file = tmp_path / "rows.csv"
    file.write_text("input,output\n1,1\n")
    run: dict[str, Any] = {"task": repr, "client": client, **quiet}
    for dataset, name in (("kept", "kept"), (str(file), "rows"), (file, "rows")):
        for wrong in (
            {"sample": Sample(n=1, method="stratified", by="nothing")},
            {"splits": ["nothing"]},
            {"baseline": "nothing"},
            *([{"dataset_version": "9"}] if dataset == "kept" else []),
        ):
            with pytest.raises(ExperimentsError) as refused:
                run_experiment(dataset=dataset, **wrong, **run)
            text = str(refused.value)
            assert text.count(f"dataset {name!r}") == 1, text
    with pytest.raises(NotFound, match=r"^unknown experiment 'nothing'.* \(dataset 'kept'\)$"):
        client.experiments.resume_experiment(experiment="nothing", dataset="kept", **quiet)
    with pytest.raises(NotFound, match=r"^no experiment has the tag 'nothing'.* \(dataset 'kept'\)$"):
        client.experiments.get(experiment="tag:nothing", dataset="kept")
    with pytest.raises(InvalidInput, match=r"^dataset 'kept': .*ids that the dataset has already"):
        client.datasets.add_examples_to_dataset(dataset="kept", examples=ROWS[:1])
    with pytest.raises(NotFound, match=r"^unknown dataset version '9'.* \(dataset 'kept'\)$"):
        client.datasets.get_dataset(dataset="kept", version_id="9")
    assert not len(client.experiments.list())
