"""Whatever the way to AX (a stand-in) does to requests: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, RanExperiment, run_experiment
from prefect_experiments.backends.arize import taken
from prefect_experiments.errors import BackendRefused, BackendUnavailable, InvalidSetting
from support.arize import KEY, Official, StandIn
from support.patience import PATIENCE_S, wait_for

from .conftest import ours
from .referee import assert_same

PUSHES = r"/v2/experiments(/[^/]+/runs)?$"
COUNT = 260  # three requests

pytestmark = pytest.mark.usefixtures("hasty")


def log(local: Client, count: int = COUNT) -> str:
    """An experiment in the store, ready to be pushed; every third run has failed, and half look like another one."""
    local.datasets.create_dataset(name="many-first", examples=[{"id": f"e{n}", "input": n} for n in range(count)])
    rows = [
        {
            "example_id": f"e{n}",
            "output": None if n % 3 == 0 else n // 2,
            "error": "ValueError: boom" if n % 3 == 0 else None,
            "eval.right.score": None if n % 3 == 0 else 1.0,
        }
        for n in range(count)
    ]
    return str(local.experiments.create(name="first", dataset="many-first", experiment_runs=rows).id)


def assert_whole(arize: StandIn, client: Client, experiment: str, count: int = COUNT) -> None:
    there = arize.experiment("first")["runs"]
    assert max(Counter(run["example_id"] for run in there).values()) == 1
    assert len(there) == count
    assert sum(1 for run in there if run["error"]) == len(range(0, count, 3))
    kept = client.experiments.list_runs(experiment=experiment, all=True)
    assert {run.id for run in kept} == {run["id"] for run in there}


def pushed_at_last(client: Client, experiment: str) -> RanExperiment:
    """Pushed, as somebody would who tries again where a lookup fails before anything is pushed."""
    for _ in range(30):
        try:
            return client.experiments.push(experiment=experiment)
        except (BackendUnavailable, InvalidSetting):
            continue
    raise AssertionError("never")


FAULTS: dict[str, list[dict[str, Any]]] = {
    "429, for all": [{"times": 12, "status": 429, "headers": {"Retry-After": "0.1"}}],
    "429 storm": [{"chance": 0.5, "times": 40, "status": 429, "headers": {"Retry-After": "0.1"}}],
    "503 without a word": [{"times": 6, "status": 503}],
    "500 though it was done": [{"method": "POST", "path": PUSHES, "times": 3, "status": 500, "applied": True}],
    "502 now and then": [{"chance": 0.4, "seed": 3, "times": 20, "status": 502}],
    "cut before": [{"method": "POST", "path": PUSHES, "times": 3, "cut": "before"}],
    "cut after": [{"method": "POST", "path": PUSHES, "times": 3, "cut": "after"}],
    "cut within the answer": [{"method": "POST", "path": PUSHES, "times": 3, "cut": "middle"}],
    "cut after, once it has begun": [{"method": "POST", "path": "/runs$", "times": 3, "cut": "after"}],
    "garbage though it was done": [
        {"method": "POST", "path": PUSHES, "times": 2, "garbage": "<html>", "applied": True}
    ],
    "odd JSON though it was done": [
        {
            "method": "POST",
            "path": PUSHES,
            "times": 2,
            "garbage": '{"a": 1}',
            "type": "application/json",
            "applied": True,
        }
    ],
    "garbage everywhere": [{"chance": 0.3, "seed": 1, "times": 12, "garbage": "??", "applied": True}],
    "all sorts": [
        {"method": "POST", "path": PUSHES, "skip": 1, "times": 2, "cut": "after"},
        {"method": "GET", "path": "/runs$", "times": 3, "status": 500},
        {"chance": 0.2, "seed": 5, "times": 10, "cut": "middle"},
        {"chance": 0.2, "seed": 6, "times": 10, "status": 504, "applied": True},
    ],
}


QUICK = {"500 though it was done", "cut after", "cut within the answer", "odd JSON though it was done"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("fault", "lists"),
    [
        pytest.param(fault, lists, marks=() if fault in QUICK and lists == "get" else pytest.mark.slow)
        for fault in FAULTS
        for lists in ("get", "post")
    ],
)
def test_trouble_on_the_way(arize: StandIn, local: Client, client: Client, hasty: int, fault: str, lists: str) -> None:
    experiment = log(local, hasty)
    arize.set(lists=lists)
    client.datasets.list_datasets()
    arize.fail(*FAULTS[fault])
    assert pushed_at_last(client, experiment).waiting == 0
    arize.fail()
    assert_whole(arize, client, experiment, hasty)


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    "fault",
    [*(pytest.param(f, marks=pytest.mark.slow) for f in ("429 storm", "cut after", "garbage everywhere")), "all sorts"],
)
def test_trouble_while_an_experiment_runs(arize: StandIn, client: Client, official: Official, fault: str) -> None:
    async def double(input: Any) -> Any:
        await asyncio.sleep(0.01)
        if input["n"] % 7 == 6:
            raise ValueError("not this one")
        return {"n": 2 * input["n"]}

    def right(output: Any, expected: Any) -> bool:
        return bool(output == expected)

    rows = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": 2 * n}} for n in range(300)]
    client.datasets.create_dataset(name="doubles", examples=rows)
    arize.fail(*({"path": PUSHES, "method": "POST", **rule} for rule in FAULTS[fault]))
    ran = run_experiment(
        dataset="doubles", experiment_name="first", task=double, evaluators=[right], client=client, retries=0
    )
    assert ran.waiting == 0
    arize.fail()
    assert_same(official, ran)


def test_a_version_whose_answer_is_lost_is_found_again(arize: StandIn, client: Client) -> None:
    first = client.datasets.create_dataset(name="kept", examples=[{"id": name, "input": name} for name in "abc"])
    arize.fail({"method": "PATCH", "path": "/examples$", "times": 1, "cut": "after"})
    second = client.datasets.update_examples(
        dataset="kept", examples=[{"id": "b", "input": "B"}, {"id": "d", "input": "d"}]
    )
    inputs = {
        version.number: [
            example.input for example in client.datasets.list_examples(dataset="kept", version_id=version.id)
        ]
        for version in client.datasets.list_versions(dataset="kept")
    }
    assert {number: sorted(found) for number, found in inputs.items()} == {1: [*"abc"], 2: [*"Bacd"]}
    assert second.version_id != first.version_id


def test_what_is_deleted_though_the_answer_was_lost_is_gone(arize: StandIn, client: Client) -> None:
    client.datasets.create_dataset(name="kept", examples=[{"input": 1}])
    arize.fail({"method": "DELETE", "times": 1, "cut": "after"})
    client.datasets.delete(dataset="kept")
    assert client.datasets.list_datasets().datasets == []


@pytest.mark.thorough
def test_a_request_that_is_answered_too_late(
    arize: StandIn, local: Client, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is carried out after we have given up on it: what is not there is not sent again at once."""
    from prefect_experiments.backends.arize import api

    experiment = log(local)
    monkeypatch.setattr(api, "UPLOAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr(taken, "SHORTEST_DOUBT_S", 5.0)
    client = ours(arize, store_url=store_url)
    arize.fail({"method": "POST", "path": "/runs$", "skip": 1, "times": 1, "delay": 1.3})
    assert client.experiments.push(experiment=experiment).waiting == 0
    wait_for(lambda: all("status" in request for request in arize.requests()), "the late one, too, to be carried out")
    assert_whole(arize, client, experiment)


def test_one_row_that_is_refused_does_not_keep_back_the_others(arize: StandIn, local: Client, client: Client) -> None:
    ids = [f"e{n}" for n in range(150)]
    client.datasets.create_dataset(name="many", examples=[{"id": i, "input": i} for i in ids])
    rows: list[dict[str, Any]] = [
        {"example_id": i, "output": "x" * 400_000 if i == "e70" else "x", "eval.right.score": 1.0} for i in ids
    ]
    experiment = local.experiments.create(name="first", dataset=_mirrored(client, local), experiment_runs=rows).id
    arize.set(most_bytes=300_000)
    with pytest.raises(
        BackendRefused, match=r"refused 2 results \(Arize AX at [^;]*too large \(HTTP 413\)\); 298 were pushed, 0 wait"
    ):
        client.experiments.push(experiment=experiment)
    assert len(arize.experiment("first")["runs"]) == 149
    arize.set(most_bytes=10_000_000)
    assert client.experiments.push(experiment=experiment).waiting == 0
    assert len(arize.experiment("first")["runs"]) == 150


def _mirrored(client: Client, local: Client) -> str:
    """The name of a dataset with the content that AX's `many` has, in the store."""
    local.datasets.create_dataset(name="many", examples=client.datasets.get_dataset(name="many").examples)
    return "many"


def test_the_key_is_taken_back(arize: StandIn, local: Client, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = log(local)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PUSH_PATIENCE", "1")
    client.datasets.list_datasets()
    arize.fail({"method": "POST", "path": "/runs$", "skip": 1, "status": 401, "text": "the key test-key is gone"})
    pushed = client.experiments.push(experiment=experiment)
    assert 0 < pushed.waiting < 2 * COUNT
    arize.fail()
    assert client.experiments.push(experiment=experiment).waiting == 0
    assert_whole(arize, client, experiment)
    arize.set(api_key="another")
    with pytest.raises(InvalidSetting, match="refused the key"):
        client.experiments.push(experiment=experiment)


def test_the_experiment_of_a_lost_answer_is_known_again(arize: StandIn, local: Client, client: Client) -> None:
    """Killed after AX had made the experiment and before that was known here: it is found, not made twice."""
    experiment = log(local)
    arize.fail({"method": "POST", "path": "/v2/experiments$", "cut": "after"}, {"path": "/runs", "status": 503})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_EXPERIMENTS_PUSH_PATIENCE", "1")
        assert client.experiments.push(experiment=experiment).waiting == 2 * COUNT - len(range(0, COUNT, 3))
    arize.fail()
    assert client.experiments.push(experiment=experiment).waiting == 0
    assert_whole(arize, client, experiment)
    assert [one["name"] for one in arize.state()["experiments"]] == ["first"]


def test_somebody_elses_experiment_of_the_name_is_left_alone(
    arize: StandIn, local: Client, client: Client, official: Official
) -> None:
    """Made between our look and our first request: ours gets another name, and nothing goes into theirs."""
    experiment = log(local, count=10)
    remote = client.remote
    assert remote is not None
    begin = remote.begin

    def begin_and_be_overtaken(draft: Any) -> Any:
        begun = begin(draft)
        official(
            "client.experiments.create(name='first', dataset=d, experiment_runs=[{'example_id': 'x', 'output': 'y'}], "
            "task_fields=field_names(example_id='example_id', output='output'))",
            d=draft.dataset_id,
        )
        return begun

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "begin", begin_and_be_overtaken)
        pushed = client.experiments.push(experiment=experiment)
    assert pushed.waiting == 0
    assert len(arize.experiment("first")["runs"]) == 1
    assert len(arize.experiment(f"first ({experiment})")["runs"]) == 10


PUSH = """
import sys
from prefect_experiments import Client
from prefect_experiments.backends.arize import datasets, pushing
pushing.MOST_ROWS = datasets.MOST_ROWS = pushing.ArizePusher.lanes = 100
datasets.SETTLED_S = 0.1  # so that one of two goes on while the other has not filled the dataset yet
url, store_url, experiment = sys.argv[1:]
client = Client(backend="arize", api_key="test-key", base_url=url, space="default", store_url=store_url)
client.experiments.push(experiment=experiment)
"""


def push_elsewhere(arize: StandIn, store_url: str, experiment: str) -> subprocess.Popen[bytes]:
    """Push in a process of its own, a hundred rows a request."""
    return subprocess.Popen([sys.executable, "-c", PUSH, arize.url, store_url, experiment])


@pytest.mark.thorough
def test_two_processes_push_the_same_experiment(arize: StandIn, local: Client, client: Client, store_url: str) -> None:
    experiment = log(local)
    arize.fail(*({"method": "POST", "path": path, "delay": 0.2} for path in (PUSHES, "/v2/datasets")))
    both = [push_elsewhere(arize, store_url, experiment) for _ in range(2)]
    assert [process.wait(PATIENCE_S) for process in both] == [0, 0]
    assert_whole(arize, client, experiment)


@pytest.mark.thorough
@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_while_pushing(arize: StandIn, local: Client, client: Client, store_url: str, after: int) -> None:
    """`kill -9` while a request is under way that AX then carries out; the next push sends what is missing."""
    experiment = log(local)
    arize.fail({"method": "POST", "path": PUSHES, "skip": after, "times": 1, "delay": 0.8})
    process = push_elsewhere(arize, store_url, experiment)
    while len(arize.requests(PUSHES, "POST")) <= after:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.2)
    assert client.experiments.push(experiment=experiment).waiting == 0
    assert_whole(arize, client, experiment)


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_ax_is_away_for_a_while(arize: StandIn, client: Client, official: Official) -> None:
    """The experiment goes on; what was made meanwhile follows."""
    client.datasets.create_dataset(name="doubles", examples=[{"id": f"e{n}", "input": n} for n in range(100)])

    async def task(input: Any) -> Any:
        await asyncio.sleep(0.05)
        return input

    threading.Timer(1.5, arize.fail).start()
    arize.fail({"method": "POST", "path": PUSHES, "status": 503})
    ran = run_experiment(dataset="doubles", experiment_name="first", task=task, client=client, concurrency=10)
    assert (ran.waiting, len(ran.task_runs)) == (0, 100)
    assert_same(official, ran)


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_ax_stays_away(arize: StandIn, client: Client, official: Official, monkeypatch: pytest.MonkeyPatch) -> None:
    client.datasets.create_dataset(name="doubles", examples=[{"id": f"e{n}", "input": n} for n in range(20)])
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PUSH_PATIENCE", "1")
    arize.fail({"method": "POST", "path": PUSHES, "status": 503})
    ran = run_experiment(dataset="doubles", experiment_name="first", task=lambda number: number, client=client)
    assert ran.waiting == 20
    assert ran.experiment_id.startswith("exp-")  # until AX has it, it goes by its id here
    arize.fail()
    pushed = client.experiments.push(experiment=ran.experiment_id)
    assert (pushed.waiting, len(arize.experiment("first")["runs"])) == (0, 20)
    assert_same(official, pushed)


def test_no_request_is_larger_than_it_may_be(
    arize: StandIn, store_url: str, local: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of examples nor of results; the first results make the experiment, the others are appended."""
    monkeypatch.setenv("ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB", "1")
    text = "x" * 200_000
    client = ours(arize, store_url=store_url)
    local.datasets.create_dataset(name="large", examples=[{"id": f"e{n}", "input": f"{n}{text}"} for n in range(20)])
    rows = [{"example_id": f"e{n}", "output": f"{n}{text}"} for n in range(20)]
    made = local.experiments.create(name="first", dataset="large", experiment_runs=rows)
    assert client.experiments.push(experiment=made.id).waiting == 0
    assert len(arize.experiment("first")["runs"]) == 20
    for path in (r"/datasets", PUSHES):
        sizes = [len(request["raw"]) for request in arize.requests(path, "POST")]
        assert max(sizes) <= 2**20
        assert sum(sizes) > 20 * len(text)


@pytest.mark.thorough
@pytest.mark.parametrize("text", [f"what is {KEY}?", KEY])
def test_nothing_secret_is_said(
    arize: StandIn, local: Client, client: Client, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that says the key: neither errors nor the log nor the store, which keeps why it was refused, do."""
    arize.fail({"status": 400, "text": text})
    with pytest.raises(BackendRefused, match="400") as refused:
        client.datasets.get_dataset(dataset="RGF0YXNldDo5OTk5OnhYWA==")
    assert KEY not in str(refused.value)
    arize.fail()
    experiment = log(local)
    arize.fail({"method": "POST", "path": PUSHES, "status": 400, "text": text})
    with pytest.raises(BackendRefused, match="400") as refused:
        client.experiments.push(experiment=experiment)
    assert KEY not in "".join(traceback.format_exception(refused.value))
    assert KEY not in caplog.text
    kept = {file.name: file.read_bytes() for file in tmp_path.glob("experiments.db*")}
    assert kept
    assert not [name for name, content in kept.items() if KEY.encode() in content]
