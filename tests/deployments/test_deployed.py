"""Every flow as a deployment, on a real Prefect server with a real worker: what starts what, and how it ends."""

from __future__ import annotations

import json
import shlex
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.settings import PREFECT_API_URL, temporary_settings

from .stack import ROOT, Stack

pytestmark = pytest.mark.slow  # a server, a worker, and for each run a process that imports everything

NIGHTLY = "regression/nightly"
ON_PROMPT = "regression/on-prompt-promoted"
ON_MODEL = "deployment-evaluation/on-model-deployed"
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]


def names() -> list[str]:
    flows = {"meta_evaluation": "meta-evaluation", "curate_dataset": "curate-dataset"}
    functions = [(d["entrypoint"].rpartition(":")[2], d["name"]) for d in DEPLOYMENTS]
    return [f"{flows.get(function, function.replace('_', '-'))}/{name}" for function, name in functions]


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
    assert "answer_found 0.766 over 77 of 77" in run["state"]["message"]
    artifacts = stack.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    data = {a["key"]: a["data"] for a in artifacts if a["type"] == "markdown"}
    assert set(data) == {None, "history-questions"}
    assert data[None].startswith("# Passed")
    [nested] = stack.post("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}})
    assert nested["state_name"] == "GatePassed"
    assert stack.client.experiments.get(experiment=baseline).metadata["prefect_flow_run_id"] == run["id"]


def test_a_report_and_a_limit_that_flows_share(stack: Stack, baseline: str) -> None:
    """Both with one run: what takes time is to start it."""
    stack.prefect("gcl", "create", "llm", "--limit", "2")
    limits = {"concurrency": 4, "concurrency_limit": "llm"}
    asked: dict[str, Any] = {"report": "reports", "report_url": "https://reports.example.com", "limits": limits}
    run = stack.final(stack.run(NIGHTLY, promote=False, **asked))
    assert run["state_name"] == "GatePassed", run["state"]
    artifacts = stack.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    [link] = [a["data"] for a in artifacts if a["description"] == "HTML report on questions"]
    [written] = (stack.tree / "reports").glob("*.html")
    assert link == f"[{written.name}](https://reports.example.com/{written.name})"
    [nested] = stack.post("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}})

    def said() -> list[str]:
        found = [log["message"] for log in stack.post("logs/filter", logs={"flow_run_id": {"any_": [nested["id"]]}})]
        return found if "Holding 2 slots of the limit 'llm'." in found else []

    said_so = stack.wait_for(said, "the slots' log")  # logs arrive a little later
    assert "concurrency is 2 and not 4: the limit 'llm' has no more slots." in said_so


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
    broken = stack.final(stack.run(NIGHTLY, task="flows/nowhere.py:answer"))
    assert (broken["state_type"], broken["state_name"]) == ("FAILED", "Failed")
    told_of = stack.wait_for(lambda: [s for s in told.heard if "is Failed" in s["subject"]], "what people are told")
    assert told_of[0]["subject"] == "regression: answer on questions is Failed"
    assert "nowhere.py" in told_of[0]["body"]


def test_what_waits_its_turn_and_what_does_not_begin(stack: Stack, baseline: str) -> None:
    began = datetime.now(UTC)
    for version in ("1", "2"):
        stack.emit("prompt.promoted", {"prompt": "greeting", "version": version})
    runs = stack.finished(ON_PROMPT, began, 2)
    assert [r["state_name"] for r in runs] == ["GatePassed", "GatePassed"]
    assert {r["parameters"]["experiment_name"] for r in runs} == {"prompt greeting 1", "prompt greeting 2"}
    spans = sorted((datetime.fromisoformat(r["start_time"]), datetime.fromisoformat(r["end_time"])) for r in runs)
    assert spans[0][1] <= spans[1][0], "two ran at once"


def test_the_other_flows(stack: Stack, baseline: str) -> None:
    """Those that call nothing: together, because what takes time is to start them."""
    started = {
        name: stack.run(name)
        for name in (
            "compare/latest-beside-baseline",
            "curate-dataset/smoke-test",
            "meta-evaluation/overlap-against-answer-found",
        )
    }
    ended = {name: stack.final(run_id) for name, run_id in started.items()}
    logged = stack.final(stack.run("log-results/from-a-file"))  # afterwards, for what it logs is the latest then
    assert logged["state_name"] == "GateFailed", logged["state"]
    assert "significantly worse" in logged["state"]["message"]
    assert "Logged 77 runs" in logged["state"]["message"]
    assert {name: run["state_type"] for name, run in ended.items()} == dict.fromkeys(started, "COMPLETED"), ended
    assert "on 77 examples that both ran" in ended["compare/latest-beside-baseline"]["state"]["message"]
    assert "19 of 19 examples were new" in ended["curate-dataset/smoke-test"]["state"]["message"]
    assert "77 of 77 runs compared" in ended["meta-evaluation/overlap-against-answer-found"]["state"]["message"]
    assert len(stack.client.datasets.get_dataset(name="questions-smoke-test")) == 19


def test_a_worker_that_clones_needs_no_folder(stack: Stack) -> None:
    """The other pull step that prefect.yaml speaks of: what is run comes from the repository alone."""
    origin = stack.tree.parent / "origin"
    shutil.copytree(stack.tree / "flows", origin / "flows")
    shutil.copytree(stack.tree / "deployments", origin / "deployments")
    stack.shell(
        f"cd {shlex.quote(str(origin))} && git init --quiet --initial-branch main && git add . && "
        "git -c user.name=Tests -c user.email=tests@example.com commit --quiet --message all"
    )
    content = yaml.safe_load((stack.tree / "deployments/prefect.yaml").read_text())
    del content["build"]
    clone = {"repository": origin.as_uri(), "branch": "main"}
    content["pull"] = [{"prefect.deployments.steps.git_clone": clone}]
    nightly = content["deployments"][0]
    content["deployments"] = [{**nightly, "name": "cloned", "schedules": []}]
    (stack.tree / "deployments/cloned.yaml").write_text(yaml.safe_dump(content))
    stack.prefect("deploy", "--prefect-file", "deployments/cloned.yaml", "--all")
    run = stack.final(stack.run("regression/cloned", baseline=None, promote=False))
    assert run["state_name"] == "GatePassed", run["state"]


def script_of(stack: Stack, workflow: str, word: str) -> str:
    """The step of a workflow that has a word in it, as its runner would execute it."""
    jobs = yaml.safe_load((stack.tree / "deployments/ci" / workflow).read_text())["jobs"].values()
    [script] = [step["run"] for job in jobs for step in job["steps"] if word in step.get("run", "")]
    return str(script)


def test_the_gate_of_a_pull_request(stack: Stack, baseline: str) -> None:
    script = script_of(stack, "pull-request.yml", "prefect-experiments run")
    said = stack.shell(script, NAME="pull request 7, abc")
    assert "passed" in said.lower()
    comment = (stack.tree / "comment.md").read_text()
    assert comment.splitlines()[0].endswith("**Passed**: `pull request 7, abc` against " + name_of(stack, baseline))
    assert (stack.tree / "report.html").stat().st_size > 10_000
    assert "<testsuites" in (stack.tree / "results.xml").read_text()
    worse = script.replace("answer_by_bm25", "answer_by_keywords")
    stack.shell(worse, code=1, NAME="pull request 8, def")
    assert "**Failed**" in (stack.tree / "comment.md").read_text()


def name_of(stack: Stack, experiment: str) -> str:
    return stack.client.experiments.get(experiment=experiment).name


@pytest.mark.skipif(shutil.which("jq") is None, reason="GitHub's machines have jq, this one has not")
def test_what_a_deployment_says_starts_an_evaluation(stack: Stack, baseline: str) -> None:
    began = datetime.now(UTC)
    script = script_of(stack, "deployed.yml", "event emit")
    stack.shell(script, MODEL="bm25", VERSION="a1b2c3", GITHUB_REPOSITORY="your-org/your-project")
    [run] = stack.finished(ON_MODEL, began, 1)
    assert (run["parameters"]["model"], run["parameters"]["version"]) == ("bm25", "a1b2c3")
    assert run["state_name"] == "GatePassed"


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
    assert "right_document 0.896 over 77 of 77" in ends[0][0]
