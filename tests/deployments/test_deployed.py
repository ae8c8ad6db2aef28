"""Every flow as a deployment, on a real Prefect server with a real worker: what starts what, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.settings import PREFECT_API_URL, temporary_settings

from .slow import HALTS_AT
from .stack import FINISHES_WITHIN_S, ROOT, Stack

pytestmark = pytest.mark.slow  # a server, a worker, and for each run a process that imports everything

NIGHTLY = "regression/nightly"
ON_PROMPT = "regression/on-prompt-promoted"
ON_MODEL = "deployment-evaluation/on-model-deployed"
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]
EXAMPLES = 40
CONCURRENCY = 2


def names() -> list[str]:
    flows = {"meta_evaluation": "meta-evaluation", "curate_dataset": "curate-dataset"}
    functions = [(d["entrypoint"].rpartition(":")[2], d["name"]) for d in DEPLOYMENTS]
    return [f"{flows.get(function, function.replace('_', '-'))}/{name}" for function, name in functions]


@pytest.fixture(scope="package")
def baseline(stack: Stack) -> str:
    """The nightly run, once: what it makes is the baseline of what follows."""
    run = stack.final(stack.run(NIGHTLY))
    assert (run["state_name"], run["state_type"]) == ("GatePassed", "COMPLETED"), run["state"]
    return stack.client.experiments.get(experiment="tag:baseline", dataset="questions").id


def test_every_flow_is_deployed_as_the_file_says(stack: Stack) -> None:
    assert {f"flows/{path.name}" for path in (ROOT / "flows").glob("*.py")} == {
        d["entrypoint"].rpartition(":")[0] for d in DEPLOYMENTS
    }
    for name, said in zip(names(), DEPLOYMENTS, strict=True):
        found = stack.deployment(name)
        assert (found["work_pool_name"], found["work_queue_name"]) == ("evals", said["work_pool"]["work_queue_name"])
        assert found["tags"] == said["tags"]
        assert found["description"] == said["description"]
        assert [s["schedule"].get("cron") for s in found["schedules"]] == [s["cron"] for s in said.get("schedules", [])]
        limit = said.get("concurrency_limit")
        if limit:
            assert found["global_concurrency_limit"]["limit"] == limit["limit"]
            assert found["concurrency_options"]["collision_strategy"] == limit["collision_strategy"]
    nightly = stack.deployment(NIGHTLY)
    assert nightly["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize("name", names())
def test_every_field_of_the_form_says_what_it_is_for(stack: Stack, name: str) -> None:
    schema = stack.deployment(name)["parameter_openapi_schema"]
    fields = {field: found.get("description") for field, found in schema["properties"].items()}
    for form in schema.get("definitions", {}).values():
        fields.update(
            {f"{form['title']}.{field}": found.get("description") for field, found in form["properties"].items()}
        )
    assert len(fields) > 5
    assert not [field for field, description in fields.items() if not description]


def test_a_schedule_makes_runs(stack: Stack) -> None:
    began = datetime.now(UTC).replace(year=2000)
    runs = stack.wait_for(lambda: stack.flow_runs(NIGHTLY, began, auto=True), "scheduled runs")
    starts = [datetime.fromisoformat(run["expected_start_time"]) for run in runs]
    assert len(starts) >= 3
    assert {start.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") for start in starts} == {"02:00"}
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}


def test_what_the_nightly_run_shows(stack: Stack, baseline: str) -> None:
    [run] = stack.finished(NIGHTLY, datetime.now(UTC).replace(year=2000), 1)[:1]
    assert run["name"] == "answer_by_bm25 on questions"
    assert "answer_found 0.77 over 77 of 77" in run["state"]["message"]
    artifacts = stack.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    assert [a["type"] for a in artifacts] == ["markdown"]
    assert artifacts[0]["data"].startswith("# Passed")
    [nested] = stack.post("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}})
    assert nested["state_name"] == "GatePassed"
    assert stack.client.experiments.get(experiment=baseline).metadata["prefect_flow_run_id"] == run["id"]


def test_one_deployment_is_evaluated_once(stack: Stack, baseline: str) -> None:
    began = datetime.now(UTC)
    payload = {"model": "bm25", "version": 7}  # a number, as a registry may count
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda who: stack.emit("model.deployed", payload, who), ["app.chat", "release-tool"]))
    stack.emit("model.deployed", {"model": "bm25"})  # says too little, and starts nothing
    runs = stack.finished(ON_MODEL, began, 2)
    assert len(runs) == 2
    assert {(r["parameters"]["model"], r["parameters"]["version"]) for r in runs} == {("bm25", "7")}
    assert Counter(r["state_name"] for r in runs) == {"GatePassed": 1, "AlreadyBegun": 1}
    first = next(r for r in runs if r["state_name"] == "GatePassed")
    second = next(r for r in runs if r["state_name"] == "AlreadyBegun")
    assert first["id"] in second["state"]["message"]
    made = [e for e in stack.client.experiments.list() if e.metadata.get("version") == "7"]
    assert sorted((e.name, e.example_count) for e in made) == [("bm25@7", 77), ("bm25@7 quick", 20)]
    assert {e.metadata["prefect_flow_run_id"] for e in made} == {first["id"]}
    stack.emit("model.deployed", payload, "somebody.later")
    third = stack.finished(ON_MODEL, began, 3)[2]
    assert third["state_name"] == "AlreadyBegun"
    assert "has done it: GatePassed" in third["state"]["message"]
    assert len([e for e in stack.client.experiments.list() if e.metadata.get("version") == "7"]) == 2


class Told:
    """A web server that hears what people are told."""

    def __init__(self) -> None:
        told = self.heard = list[dict[str, Any]]()

        class Hears(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Hears)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def told() -> Iterator[Told]:
    hears = Told()
    yield hears
    hears.server.shutdown()


def test_a_failing_gate_is_the_final_state_and_people_are_told(stack: Stack, baseline: str, told: Told) -> None:
    with temporary_settings({PREFECT_API_URL: stack.api}):
        CustomWebhookNotificationBlock(
            name="evals", url=told.url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
        ).save("evals")
    files = [str(path) for path in sorted((stack.tree / "deployments/automations").glob("notify-*.yaml"))]
    for said in ("made", "updated"):  # twice changes nothing
        assert stack.python("deployments/automate.py", "--notify", "custom-webhook/evals", *files).count(said) == 4
    began = datetime.now(UTC)
    stack.emit("model.deployed", {"model": "keywords", "version": "1"})
    [run] = stack.finished(ON_MODEL, began, 1)
    assert (run["state_type"], run["state_name"]) == ("FAILED", "GateFailed")
    assert "significantly worse" in run["state"]["message"]
    assert run["run_count"] == 1
    heard = stack.wait_for(lambda: told.heard, "what people are told")
    assert heard[0]["subject"].startswith("Regression: keywords@1")
    assert "significantly worse" in heard[0]["body"]
    assert not [said for said in heard if not said["subject"].startswith("Regression")]  # a verdict is no trouble


def test_what_waits_its_turn_and_what_does_not_begin(stack: Stack, baseline: str) -> None:
    began = datetime.now(UTC)
    for version in ("1", "2"):
        stack.emit("prompt.promoted", {"prompt": "greeting", "version": version})
    runs = stack.finished(ON_PROMPT, began, 2)
    assert [r["state_name"] for r in runs] == ["GatePassed", "GatePassed"]
    assert {r["parameters"]["experiment_name"] for r in runs} == {"prompt greeting 1", "prompt greeting 2"}
    spans = sorted((datetime.fromisoformat(r["start_time"]), datetime.fromisoformat(r["end_time"])) for r in runs)
    assert spans[0][1] <= spans[1][0], "two ran at once"


def test_a_killed_run_is_started_again_and_repeats_nothing(stack: Stack, baseline: str) -> None:
    shutil.copy(Path(__file__).with_name("slow.py"), stack.tree / "flows")
    rows = [json.dumps({"id": f"e{n}", "input": n}) for n in range(EXAMPLES)]
    (stack.tree / "numbers.jsonl").write_text("\n".join(rows))
    automations = yaml.safe_load((stack.tree / "deployments/automations/restart-crashed.yaml").read_text())
    again = next(a for a in automations["automations"] if "again" in a["name"])
    again["trigger"]["within"] = 10  # two minutes are long for a test
    (stack.tree / "again.yaml").write_text(yaml.safe_dump(again))
    stack.prefect("automation", "create", "--from-file", "again.yaml")
    slow = {
        "dataset": "numbers.jsonl",
        "columns": None,
        "task": "flows/slow.py:slow",
        "evaluators": ["flows/slow.py:same"],
        "gate": {"metrics": [{"name": "same", "min": 1.0}]},
        "gate_file": None,
        "promote": False,
        "limits": {"concurrency": CONCURRENCY, "timeout": None},
    }
    run_id = stack.run(NIGHTLY, **slow)
    log = stack.tree / "flows/calls.log"

    def calls() -> list[list[int]]:
        return [[int(number) for number in line.split()] for line in log.read_text().splitlines()]

    stack.wait_for(lambda: log.exists() and len(calls()) >= HALTS_AT + CONCURRENCY, "calls")
    second = stack.run(NIGHTLY, **slow)  # while the first is under way
    assert stack.final(second)["state_type"] == "CANCELLED"
    os.kill(calls()[-1][0], signal.SIGKILL)
    (stack.tree / "flows/go").touch()
    stack.wait_for(lambda: stack.flow_run(run_id)["state_name"] == "Crashed", "the crash")
    stack.wait_for(lambda: stack.flow_run(run_id)["run_count"] == 2, "its second life")
    run = stack.final(run_id)
    assert run["state_name"] == "GatePassed", run["state"]
    lives = list(dict.fromkeys(pid for pid, _ in calls()))
    assert len(lives) == 2
    first, second_life = ({n for pid, n in calls() if pid == life} for life in lives)
    assert first | second_life == set(range(EXAMPLES))
    assert first & second_life == {HALTS_AT, HALTS_AT + 1}, "what was finished was called for again"
    [experiment] = [e for e in stack.client.experiments.list() if e.dataset_name == "numbers"]
    assert experiment.metadata["prefect_flow_run_id"] == run_id
    ran = stack.client.experiments.get_results(experiment=experiment.id)
    assert [r.output for r in ran.task_runs] == list(range(EXAMPLES))


def test_the_other_flows(stack: Stack, baseline: str) -> None:
    """Those that run nothing: together, because what takes time is to start them."""
    started = {
        name: stack.run(name)
        for name in (
            "compare/latest-beside-baseline",
            "curate-dataset/smoke-test",
            "meta-evaluation/overlap-against-answer-found",
        )
    }
    ended = {name: stack.final(run_id) for name, run_id in started.items()}
    assert {name: run["state_type"] for name, run in ended.items()} == dict.fromkeys(started, "COMPLETED"), ended
    assert "on 77 examples that both ran" in ended["compare/latest-beside-baseline"]["state"]["message"]
    assert "19 of 19 examples were new" in ended["curate-dataset/smoke-test"]["state"]["message"]
    assert "77 of 77 runs compared" in ended["meta-evaluation/overlap-against-answer-found"]["state"]["message"]
    assert len(stack.client.datasets.get_dataset(name="questions-smoke-test")) == 19


REGRESSION = """
import asyncio, sys
sys.path.insert(0, "flows")
from regression import regression

state = asyncio.run(regression(
    dataset="flows/demo/questions.csv",
    columns={"input": ["question"], "output": ["answer", "document"], "metadata": ["topic"], "id": "id"},
    task="flows/demo/application.py:answer_by_bm25",
    evaluators=["flows/demo/evaluators.py:right_document"],
    baseline=None,
    gate={"metrics": [{"name": "right_document", "min": 0.8}]},
    return_state=True,
))
print(state.name, "|", state.message)
"""


def test_only_the_url_is_different(stack: Stack) -> None:
    """The same flow with a server that Prefect starts for the process, and with a real one."""
    (stack.tree / "once.py").write_text(REGRESSION)
    said = [stack.python("once.py", PREFECT_API_URL=url).splitlines() for url in ("", stack.api)]
    ends = [[line for line in lines if line.startswith("GatePassed |")] for lines in said]
    assert ends[0] == ends[1]
    assert "right_document 0.90 over 77 of 77" in ends[0][0]


assert FINISHES_WITHIN_S < 300, "the tests' own timeout"
