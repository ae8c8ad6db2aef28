"""Going on with experiments that are in Phoenix, whoever began them: what is there is kept, only the rest is made."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import AsyncClient, Client, EvaluationResult, RanExperiment, create_evaluator
from prefect_experiments.errors import InvalidEvaluator, InvalidTask

from .referee import assert_same, counts, experiment_of, our_runs, our_verdicts, their_runs, their_verdicts

quiet: dict[str, Any] = {"print_summary": False, "retries": 0}
START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ROWS = [
    {"id": f"e{n}", "input": {"n": n}, "output": {"n": n * n}, "splits": ["test"] if n < 4 else ["train"]}
    for n in range(6)
]


class Tasks:
    """A task that fails on some examples, and evaluators; their calls are noted."""

    def __init__(self, *failing: int) -> None:
        ran: list[int] = []
        judged: list[str] = []

        def task(input: dict[str, int]) -> dict[str, int]:
            ran.append(input["n"])
            if input["n"] in failing:
                raise ConnectionError("down")
            return {"n": input["n"] ** 2}

        def exact(output: Any, expected: Any) -> bool:
            judged.append("exact")
            return bool(output == expected)

        def size(output: Any) -> float:
            judged.append("size")
            return float(output["n"])

        self.task, self.evaluators = task, [exact, size]
        self.ran, self.judged = ran, judged


def begin(client: Client, name: str, tasks: Tasks) -> RanExperiment:
    client.datasets.create_dataset(name=name, examples=ROWS)
    return client.experiments.run_experiment(
        dataset=name, task=tasks.task, evaluators=tasks.evaluators, experiment_name=name, **quiet
    )


def kept(before: dict[Any, Any], after: dict[Any, Any]) -> bool:
    """Whether the runs that were ok are as they were."""
    return all(after[key] == facts for key, facts in before.items() if facts[2] is None)


@pytest.mark.thorough
@pytest.mark.parametrize("where", ["here", "elsewhere", pytest.param("asynchronously", marks=pytest.mark.slow)])
def test_one_of_ours(
    client: Client,
    elsewhere: Client,
    official: PhoenixClient,
    name: str,
    phoenix_url: str,
    where: str,
) -> None:
    first = begin(client, name, Tasks(1, 4))
    assert counts(phoenix_url, first.experiment_id) == (4, 2, 0)
    before = their_runs(official, first.experiment_id)
    tasks = Tasks()
    resume: dict[str, Any] = {"experiment": name, "task": tasks.task, "evaluators": tasks.evaluators, **quiet}
    if where == "asynchronously":
        aclient = AsyncClient(backend="phoenix", base_url=phoenix_url, store_url=elsewhere.store.shown_url)
        second = asyncio.run(aclient.experiments.resume_experiment(**resume))
    else:
        by = client if where == "here" else elsewhere
        second = by.experiments.resume_experiment(**resume)
    assert sorted(tasks.ran) == [1, 4]
    assert len(tasks.judged) == 4
    assert (second.experiment_id, second.reused, second.ran) == (first.experiment_id, 4, 2)
    assert counts(phoenix_url, first.experiment_id) == (6, 0, 0)
    assert kept(before, their_runs(official, first.experiment_id))
    assert_same(official, second)
    assert str(second.summary.metrics["exact"]) == "1.00 over 6 of 6"
    for by in (client, elsewhere):
        tasks = Tasks()
        third = by.experiments.resume_experiment(
            experiment=first.experiment_id, task=tasks.task, evaluators=tasks.evaluators, **quiet
        )
        assert (tasks.ran, tasks.judged, third.ran, third.reused) == ([], [], 0, 6)
        assert_same(official, third)


def graded(mark: str, calls: list[str]) -> Any:
    """An evaluator of two named results, of which there are states that differ in the mark."""

    @create_evaluator(kind="LLM", name="grades", version=mark)
    def grades(output: Any) -> list[EvaluationResult]:
        calls.append(mark)
        metadata = {"of": mark, "deep": {"z": 1.0, "a": [2**53 + 1, -0.0, 1e22]}}
        return [
            EvaluationResult(name=part, score=0.1 + 0.2, label=mark, metadata=metadata) for part in ("form", "tone")
        ]

    return grades


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("way", ["resume", "evaluate"])
def test_a_mended_evaluator_runs_again_on_another_machine(
    client: Client, elsewhere: Client, phoenix_url: str, tmp_path: Path, name: str, way: str
) -> None:
    calls: list[str] = []

    def broken(output: Any, expected: Any) -> bool:
        return False

    def mended(output: Any, expected: Any) -> bool:
        calls.append("mended")
        return bool(output == expected)

    client.datasets.create_dataset(name=name, examples=ROWS)
    first = client.experiments.run_experiment(
        dataset=name,
        task=Tasks().task,
        evaluators={"exact": broken, "grades": graded("1", calls)},
        experiment_name=name,
        **quiet,
    )
    assert str(first.summary.metrics["exact"]) == "0.00 over 6 of 6"
    calls.clear()

    def go_on(by: Client, **evaluators: Any) -> RanExperiment:
        if way == "evaluate":
            return by.experiments.evaluate_experiment(experiment=name, evaluators=evaluators, print_summary=False)
        return by.experiments.resume_experiment(experiment=name, task=Tasks().task, evaluators=evaluators, **quiet)

    second = go_on(elsewhere, exact=mended, grades=graded("1", calls))
    assert calls == ["mended"] * 6  # and nothing of what has not changed
    assert str(second.summary.metrics["exact"]) == "1.00 over 6 of 6"
    third = Client(backend="phoenix", base_url=phoenix_url, store_url=f"sqlite:///{tmp_path / 'third.db'}")
    for by in (third, elsewhere, client):
        calls.clear()
        again = go_on(by, exact=mended, grades=graded("1", calls))
        assert (calls, again.ran) == ([], 0)
        assert str(again.summary.metrics["exact"]) == "1.00 over 6 of 6"
    for by in (third, client):
        calls.clear()
        changed = go_on(by, grades=graded("2", calls))
        assert calls == (["2"] * 6 if by is third else [])
    kinds = {(e.name, e.annotator_kind, e.score, e.label) for e in changed.evaluation_runs if e.name != "exact"}
    assert kinds == {(part, "LLM", 0.1 + 0.2, "2") for part in ("form", "tone")}
    for verdict in changed.evaluation_runs:  # nothing of ours among what is the user's
        wanted = {} if verdict.name == "exact" else {"of": "2", "deep": {"z": 1.0, "a": [2**53 + 1, -0.0, 1e22]}}
        assert json.dumps(verdict.metadata) == json.dumps(wanted)


@pytest.mark.thorough
def test_a_task_that_has_changed_is_noticed_on_another_machine(
    client: Client, elsewhere: Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    begin(client, name, Tasks(1))
    same = Tasks()
    elsewhere.experiments.get_results(experiment=name)
    elsewhere.experiments.resume_experiment(
        experiment=name, task=lambda given: {"n": 1}, evaluators=same.evaluators, **quiet
    )
    assert "The task has changed since experiment" in caplog.text


@pytest.mark.slow
def test_one_that_its_own_client_left_half_done(
    client: Client,
    elsewhere: Client,
    official: PhoenixClient,
    name: str,
    phoenix_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dataset = official.datasets.create_dataset(
        name=name,
        inputs=[row["input"] for row in ROWS],  # type: ignore[misc]
        outputs=[row["output"] for row in ROWS],  # type: ignore[misc]
    )
    # Splits, which its client cannot give with examples of this sort.
    client.datasets.update_examples(
        dataset=name,
        examples=[
            {"id": e["id"], "input": e["input"], "output": e["output"], "splits": row["splits"]}
            for e, row in zip(dataset.examples, ROWS, strict=True)
        ],
    )
    begun = official.experiments.create(
        dataset_id=dataset.id,
        experiment_name=name,
        experiment_description="begun there",
        experiment_metadata={"by": "them"},
        splits=["test"],
        repetitions=2,
    )
    made: dict[tuple[int, int], str] = {}
    for n, repetition, error in ((0, 1, None), (0, 2, None), (1, 1, None), (1, 2, "ValueError: no"), (2, 2, None)):
        run = official.experiments.log_run(
            experiment_id=begun["id"],
            dataset_example_id=dataset.examples[n]["node_id"],
            output=None if error else {"n": n * n},
            error=error,
            repetition_number=repetition,
            start_time=START,
            end_time=START + timedelta(seconds=1.5, microseconds=1),
            trace_id=f"{n}{repetition}" * 16,
        )
        made[n, repetition] = run["id"]
    log = official.experiments.log_evaluation
    log(experiment_run_id=made[0, 1], name="exact", score=1, label="True", explanation="as before", metadata={"a": [1]})
    log(experiment_run_id=made[0, 1], name="size", error="RuntimeError: broken", annotator_kind="LLM")
    log(experiment_run_id=made[2, 2], name="tone", label="kind", annotator_kind="HUMAN")
    before = their_runs(official, begun["id"])
    assert counts(phoenix_url, begun["id"]) == (4, 1, 3)

    read = elsewhere.experiments.get_results(experiment=name)
    assert our_runs(read) == before
    assert our_verdicts(read).items() < their_verdicts(official, begun["id"]).items()
    assert (read.experiment.name, read.experiment.description) == (name, "begun there")
    assert (read.experiment.example_count, read.experiment.repetitions) == (4, 2)
    assert read.experiment_metadata == {"by": "them"}
    assert (read.summary.n_runs, read.summary.n_expected, read.summary.n_errors) == (5, 8, 1)
    with pytest.raises(InvalidTask, match="pass task="):
        elsewhere.experiments.resume_experiment(experiment=name, evaluators=Tasks().evaluators, **quiet)
    with pytest.raises(InvalidEvaluator, match=r"exact, size; pass evaluators="):
        elsewhere.experiments.resume_experiment(experiment=name, task=Tasks().task, **quiet)

    tasks = Tasks()
    ran = client.experiments.resume_experiment(
        experiment=begun["id"], task=tasks.task, evaluators=tasks.evaluators, **quiet
    )
    assert sorted(tasks.ran) == [1, 2, 3, 3]
    assert (ran.reused, ran.ran) == (4, 4)
    # Which state of `exact` has judged there, nobody knows; and this one was passed.
    assert (tasks.judged.count("exact"), tasks.judged.count("size")) == (8, 8)
    assert "it is not known whether the evaluators have changed since: 1 evaluations of exact are made again" in (
        caplog.text
    )
    assert counts(phoenix_url, begun["id"]) == (8, 0, 0)
    after = their_runs(official, begun["id"])
    assert kept(before, after)
    assert our_runs(ran) == after
    verdicts = their_verdicts(official, begun["id"])
    assert verdicts[made[0, 1], "exact"][:5] == ("CODE", 1, "True", None, {})
    assert verdicts[made[0, 1], "size"][:3] == ("CODE", 0, None)
    assert verdicts[made[2, 2], "tone"][:3] == ("HUMAN", None, "kind")
    assert our_verdicts(ran) == {key: facts for key, facts in verdicts.items() if facts[0] != "HUMAN"}
    theirs: list[Any] = []
    official.experiments.resume_experiment(experiment_id=begun["id"], task=theirs.append, print_summary=False)
    assert theirs == []
    tasks = Tasks()
    again = elsewhere.experiments.resume_experiment(
        experiment=name, task=tasks.task, evaluators=tasks.evaluators, **quiet
    )
    assert (tasks.ran, tasks.judged, again.ran) == ([], [], 0)
    assert_in_order(again)


def assert_in_order(ran: RanExperiment) -> None:
    places = [(run.example_id, run.repetition_number) for run in ran.task_runs]
    assert [repetition for _, repetition in places] == [1, 2] * (len(places) // 2)
    assert len(set(places)) == len(places)


def test_one_that_its_own_client_ran(
    client: Client, local: Client, official: PhoenixClient, name: str, phoenix_url: str, tmp_path: Path
) -> None:
    dataset = official.datasets.create_dataset(
        name=name,
        inputs=[row["input"] for row in ROWS],  # type: ignore[misc]
        outputs=[row["output"] for row in ROWS],  # type: ignore[misc]
    )

    def task(input: Any) -> Any:
        if input["n"] == 5:
            raise ValueError("five")
        return {"n": input["n"] ** 2}

    def exact(output: Any, expected: Any) -> bool:
        return bool(output == expected)

    theirs = official.experiments.run_experiment(
        dataset=dataset,
        task=task,
        evaluators=[exact],
        experiment_name=name,
        experiment_metadata={"m": 1},
        retries=0,
        print_summary=False,
    )
    read = client.experiments.get_results(experiment=name)
    assert read.experiment_id == theirs["experiment_id"]
    assert our_runs(read) == their_runs(official, read.experiment_id)
    # Its client has evaluators judge the output of a failed run, which is none: that is shown, and not counted.
    assert our_verdicts(read) == their_verdicts(official, read.experiment_id)
    assert len(read.evaluation_runs) == 6
    assert read.url == f"{phoenix_url}/datasets/{dataset.id}/compare?experimentId={read.experiment_id}"
    assert (read.summary.n_runs, read.summary.n_errors) == (6, 1)
    assert read.summary.metrics["exact"].mean == 1
    frame = read.to_dataframe()
    assert frame["expected"].tolist() == [row["output"] for row in ROWS]
    assert frame["output"].tolist()[:5] == frame["expected"].tolist()[:5]
    assert frame["latency_ms"].notna().all()
    path = client.experiments.export(experiment=name, path=tmp_path / "runs.csv")
    assert len(path.read_text().splitlines()) == 7
    [found] = local.experiments.list()
    assert (found.name, found.metadata) == (name, {"m": 1})
    assert len(local.experiments.get_results(experiment=name).task_runs) == 6
    assert experiment_of(phoenix_url, read.experiment_id)["failed_run_count"] == 1


@pytest.mark.thorough
def test_one_on_a_split_that_no_example_belongs_to(
    client: Client, official: PhoenixClient, name: str, phoenix_url: str
) -> None:
    client.datasets.create_dataset(name=f"{name}-other", examples=[{"input": {"n": 1}, "splits": [name]}])
    dataset = client.datasets.create_dataset(name=name, examples=ROWS)
    begun = official.experiments.create(dataset_id=dataset.id, experiment_name=name, splits=[name])
    assert begun["example_count"] == 0
    tasks = Tasks()
    ran = client.experiments.resume_experiment(experiment=begun["id"], task=tasks.task, **quiet)
    assert (tasks.ran, ran.ran, len(ran.task_runs)) == ([], 0, 0)
    assert counts(phoenix_url, begun["id"]) == (0, 0, 0)


@pytest.mark.thorough
def test_a_task_and_evaluators_are_found_again_by_reference(
    client: Client, elsewhere: Client, name: str, phoenix_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"app_{name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(
        "import os\n\n"
        "def task(input):\n"
        "    if input['n'] > 3 and not os.environ.get('REPAIRED'):\n"
        "        raise ValueError('later')\n"
        "    return input['n']\n\n"
        "def judge(output):\n"
        "    return output < 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    client.datasets.create_dataset(name=name, examples=ROWS)
    first = client.experiments.run_experiment(
        dataset=name, task=f"{module}:task", evaluators=f"{module}:judge", experiment_name=name, **quiet
    )
    assert counts(phoenix_url, first.experiment_id) == (4, 2, 0)
    monkeypatch.setenv("REPAIRED", "1")
    second = client.experiments.resume_experiment(experiment=name, **quiet)
    assert (second.ran, second.summary.metrics["judge"].n) == (2, 6)
    assert counts(phoenix_url, first.experiment_id) == (6, 0, 0)
    sys.modules.pop(module, None)


@pytest.mark.slow
def test_two_machines_take_turns(
    client: Client, elsewhere: Client, official: PhoenixClient, name: str, phoenix_url: str
) -> None:
    first = begin(client, name, Tasks(1, 2, 3))
    tasks = Tasks(2, 3)
    elsewhere.experiments.resume_experiment(experiment=name, task=tasks.task, evaluators=tasks.evaluators, **quiet)
    assert sorted(tasks.ran) == [1, 2, 3]
    tasks = Tasks(3)
    client.experiments.resume_experiment(experiment=name, task=tasks.task, evaluators=tasks.evaluators, **quiet)
    assert sorted(tasks.ran) == [2, 3]
    tasks = Tasks()
    last = elsewhere.experiments.resume_experiment(
        experiment=name, task=tasks.task, evaluators=tasks.evaluators, **quiet
    )
    assert tasks.ran == [3]
    assert counts(phoenix_url, first.experiment_id) == (6, 0, 0)
    assert_same(official, last)
    assert our_runs(client.experiments.get_results(experiment=name)) == our_runs(last)
    assert len(their_verdicts(official, first.experiment_id)) == 12
