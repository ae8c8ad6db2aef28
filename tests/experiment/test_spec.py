"""The description of an experiment that travels: to another process, as JSON or pickled, without a secret."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments import Client, Dataset, Example, Gate
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import (
    InvalidDataset,
    InvalidEvaluator,
    InvalidInput,
    InvalidReference,
    InvalidSetting,
    InvalidTask,
)
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.experiment.steps import run_spec
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.store.urls import parse_url, portable
from prefect_experiments.sync import run_sync

ROWS = [{"input": number, "output": number * 2} for number in range(12)]

APP = """
import os, pathlib
CALLS = pathlib.Path(__file__).with_name("calls")

class Slow(Exception): ...

def double(input):
    with CALLS.open("a") as calls:
        calls.write(f"{os.getpid()} {input}\\n")
    return input * 2

def right(output, expected):
    return output == expected
"""

ELSEWHERE = """
import sys
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.experiment.steps import run_spec
from prefect_experiments.sync import run_sync
spec = ExperimentSpec.from_json(sys.stdin.read())
done = run_sync(lambda: run_spec(spec))
print(done.runs, done.evaluations, "prefect" in sys.modules)
"""


def begun(client: Client, **given: Any) -> RunWork:
    """An experiment that is made and planned, of which nothing is run."""
    work = RunWork(plan_new(RunArguments(dataset=given.pop("dataset", ROWS), **given), client))
    work.load_dataset()
    return work


def pickled(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value)).decode()


def elsewhere(spec: ExperimentSpec, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The calls of a spec, made by a process that has the package and what is in the folder."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]), **environment}
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=spec.to_json(), capture_output=True, text=True, env=env
    )


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "its_app.py").write_text(APP)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "its_app", raising=False)
    return folder


def test_another_process_makes_the_calls(client: Client, app: Path, tmp_path: Path) -> None:
    work = begun(
        client,
        task="its_app:double",
        evaluators=["exact_match", "its_app:right"],
        rate_limit_errors=["its_app:Slow"],
        concurrency=3,
    )
    done = elsewhere(work.session.spec, app)
    assert done.stdout.split() == ["12", "24", "False"], done.stderr
    calls = (app / "calls").read_text().split()
    assert len(set(calls[0::2])) == 1
    assert str(os.getpid()) not in calls
    ran = client.experiments.resume_experiment(experiment=work.record.experiment.id, print_summary=False)
    assert (app / "calls").read_text().split() == calls
    assert [run.output for run in ran.task_runs] == [row["output"] for row in ROWS]
    assert {name: metric.mean for name, metric in ran.summary.metrics.items()} == {"exact_match": 1.0, "right": 1.0}


@pytest.mark.thorough
def test_what_has_no_reference_travels_as_itself(client: Client, tmp_path: Path) -> None:
    more = 3
    work = begun(client, task=lambda value: value * 2 + more, evaluators={"odd": lambda output: output % 2 == 1})
    assert json.loads(work.session.spec.to_json())["task"]["pickled"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_EXPERIMENTS_REFERENCES", "its_app")
        with pytest.raises(InvalidReference, match="it has come pickled, and such code is not limited by"):
            Session.open(ExperimentSpec.from_json(work.session.spec.to_json()))
    done = elsewhere(work.session.spec, tmp_path)
    assert done.stdout.split() == ["12", "12", "False"], done.stderr


def test_a_built_in_and_a_reference_are_not_pickled(client: Client, app: Path) -> None:
    looks_like_a_file = "regex(pattern='app.py:f')"
    spec = begun(client, task="its_app:double", evaluators=["exact_match", looks_like_a_file]).session.spec
    assert spec.evaluators[1].reference == looks_like_a_file
    sent = json.loads(spec.to_json())
    assert [sent["task"]["pickled"], sent["evaluators"][0]["pickled"]] == [None, None]


def test_a_spec_pickles_and_is_the_same_as_its_json(client: Client, app: Path) -> None:
    work = begun(client, task="its_app:double", evaluators=["its_app:right"], timeout=None, retries=0)
    spec = work.session.spec
    for again in (pickle.loads(pickle.dumps(spec)), ExperimentSpec.from_json(spec.to_json())):
        assert again == spec
        session = Session.open(again)
        assert session.spec.options.timeout is None
        assert session.task is not None
        assert session.task.fingerprint == spec.task.fingerprint  # type: ignore[union-attr]
        assert session.to_run == len(ROWS)


def test_what_cannot_be_pickled_is_said_to_be_so(client: Client) -> None:
    lock = threading.Lock()

    def task(input: int) -> bool:
        return lock.locked()

    work = begun(client, task=task)
    with pytest.raises(InvalidInput, match=r"'task' cannot be sent to another process.*reference"):
        work.session.spec.to_json()
    assert run_sync(lambda: run_spec(work.session.spec)).runs == len(ROWS)  # here it is what it is


def test_a_backend_is_the_one_of_the_process_that_opens_it(
    folder_installed: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "another"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("FOLDER_BACKEND_PATH", str(tmp_path / "kept"))
    work = begun(Client(backend="folder", store_url=store_url), task=lambda value: value)
    remote, link = work.session.spec.open_remote(work.store)
    assert remote is not None
    assert link is not None
    assert remote.experiments.find(link.remote_id).name == work.record.experiment.name
    monkeypatch.setenv("FOLDER_BACKEND_PATH", str(tmp_path / "another"))
    with pytest.raises(
        InvalidSetting, match=f"is kept in folder {tmp_path / 'kept'}, and the settings of this process"
    ):
        work.session.spec.open_remote(work.store)
    here = begun(Client(backend="local", store_url=store_url), task=lambda value: value).session.spec
    with pytest.raises(
        InvalidSetting, match="is kept in the store alone, and the settings of this process lead to fold"
    ):
        here.model_copy(update={"backend": "folder"}).open_remote(work.store)


def test_a_store_in_memory_stays_here() -> None:
    work = begun(Client(store_url="sqlite://"), task=lambda value: value)
    with pytest.raises(InvalidSetting, match="spec is of a store in memory, which only the process that made it has"):
        Session.open(work.session.spec)


def test_a_module_that_is_not_there(client: Client, app: Path) -> None:
    spec = begun(client, task="its_app:double").session.spec
    sent = json.loads(spec.to_json())
    sent["task"]["reference"] = "nowhere_app:double"
    with pytest.raises(InvalidReference, match="nowhere_app"):
        Session.open(ExperimentSpec.model_validate(sent))


@pytest.mark.thorough
def test_a_spec_means_one_state_and_one_version(client: Client, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(app)
    spec = begun(client, task="its_app.py:double", evaluators=["its_app.py:right"]).session.spec
    monkeypatch.chdir("/")  # the reference leads to the file from wherever
    assert Session.open(ExperimentSpec.from_json(spec.to_json())).to_run == len(ROWS)
    sent = json.loads(spec.to_json())
    task, evaluator = ({**one, "reference": None} for one in (sent["task"], sent["evaluators"][0]))
    for change, error, message in (
        ({"dataset_version_id": "dsv-nope"}, InvalidSetting, "the spec says dsv-nope"),
        ({"task": {**sent["task"], "fingerprint": "f" * 64}}, InvalidTask, "not in the state here"),
        ({"evaluators": [{**sent["evaluators"][0], "fingerprint": "e" * 64}]}, InvalidEvaluator, "not in the state"),
        (
            {"store": "sqlite:////nowhere/x.db"},
            InvalidSetting,
            "there is no store at sqlite:////nowhere/x.db, where it says that the experiment is",
        ),
        ({"task": {**task, "pickled": pickled(3)}}, InvalidTask, "the spec of task 'double' leads to a int"),
        (
            {"evaluators": [{**evaluator, "pickled": pickled(3)}]},
            InvalidEvaluator,
            "the spec of evaluator 'right' leads to a int",
        ),
        ({"task": task}, InvalidInput, "the spec says neither where 'double' is, nor what it is"),
        ({"task": {**task, "pickled": "gA=="}}, InvalidInput, r"'double' cannot be read from the spec \(Unpickling"),
    ):
        with pytest.raises(error, match=message):
            Session.open(ExperimentSpec.from_json(json.dumps({**sent, **change})))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"store": 1}', '{"nothing": "known"}'])
def test_what_is_no_spec(text: str) -> None:
    with pytest.raises(InvalidInput, match="this is no spec of an experiment") as caught:
        ExperimentSpec.from_json(text)
    assert len(str(caught.value).splitlines()) == 1


# Made of what is printable: of texts of any characters so many would be left out that it is an error at times.
PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")


@given(password=st.text(PRINTABLE, min_size=6), query=st.booleans())
def test_a_password_does_not_travel(password: str, query: bool) -> None:
    url = parse_url("postgresql://team@db.example/experiments").set(password=password)
    if query:
        url = url.update_query_dict({"sslpassword": password})
    shown = portable(url)
    assert shown == "postgresql+psycopg://team@db.example/experiments"
    assert portable(parse_url(shown)) == shown


@pytest.mark.thorough
def test_a_store_with_a_password(postgres_url: str, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = parse_url(postgres_url).password
    assert secret
    work = begun(Client(store_url=postgres_url), task="its_app:double")
    for sent in (work.session.spec.to_json(), repr(work.session.spec), repr(pickle.dumps(work.session.spec))):
        assert secret not in sent
    done = elsewhere(work.session.spec, app, PREFECT_EXPERIMENTS_STORE_URL=postgres_url)
    assert done.stdout.split() == ["12", "0", "False"], done.stderr


class TestWhatADatasetBrings:
    """A task and evaluators of its own, and for each example its evaluators."""

    def dataset(self) -> Dataset:
        examples = tuple(Example(id=f"e{number}", input=number, output=number * 2) for number in range(4))
        return Dataset(
            name="brings",
            examples=examples,
            task="its_app:double",
            evaluators=("exact_match", "its_app:right"),
            only_evaluators={"e0": ("exact_match",), "e1": (), "e2": ("right", "exact_match")},
        )

    @pytest.mark.usefixtures("app")
    def test_they_are_used(self, client: Client) -> None:
        work = begun(client, dataset=self.dataset())
        assert run_sync(lambda: run_spec(work.session.spec)).evaluations == 5
        ran = work.result
        examples = {run.id: run.example_id for run in ran.task_runs}
        given = sorted((examples[e.run_id], e.name) for e in ran.evaluation_runs)
        both = ["exact_match", "right"]
        assert given == [("e0", "exact_match"), *(("e2", name) for name in both), *(("e3", name) for name in both)]

    @pytest.mark.usefixtures("app")
    def test_going_on_asks_no_others(self, client: Client) -> None:
        work = begun(client, dataset=self.dataset())
        ran = client.experiments.resume_experiment(experiment=work.record.experiment.id, print_summary=False)
        assert len(ran.evaluation_runs) == 5
        again = client.experiments.resume_experiment(experiment=work.record.experiment.id, print_summary=False)
        assert len(again.evaluation_runs) == 5
        assert again.evaluated == 0

    @pytest.mark.usefixtures("app")
    def test_what_the_call_names_comes_first(self, client: Client) -> None:
        work = begun(client, dataset=self.dataset(), task=lambda value: value, evaluators=["exact_match"])
        assert run_sync(lambda: run_spec(work.session.spec)).evaluations == 3
        assert [run.output for run in work.result.task_runs] == [0, 1, 2, 3]

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize(
        "only",
        [
            {"e0": ("exact_mach",)},
            {"zz": ("right",)},
            {0: ("right",)},
            {"e0": "right"},
            {"e0": None},
            [("e0", ("right",))],
            {"e0": ("contains",)},
        ],
        ids=repr,
    )
    def test_what_it_cannot_mean_is_refused(self, client: Client, only: Any) -> None:
        with pytest.raises(InvalidDataset, match="only_evaluators"):
            begun(client, dataset=replace(self.dataset(), only_evaluators=only))

    @pytest.mark.usefixtures("app")
    def test_names_of_no_evaluator_given_are_refused(self, client: Client) -> None:
        given = replace(self.dataset(), evaluators=(), only_evaluators={"e0": ("exact_match",), "e1": ("nosuch",)})
        with pytest.raises(InvalidDataset, match=r"only_evaluators\['e1'\].*nosuch"):
            begun(client, dataset=given, evaluators=["exact_match"])

    @pytest.mark.usefixtures("app")
    def test_an_example_of_whose_evaluators_none_is_used_is_refused(self, client: Client) -> None:
        own = replace(self.dataset(), only_evaluators={"e0": ("exact_match",), "e1": ("right",)})
        with pytest.raises(InvalidDataset, match=r"only_evaluators\['e1'\] names right, and of these none"):
            begun(client, dataset=own, evaluators=["exact_match"])

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize("own", [True, False])
    @pytest.mark.parametrize("without", [1, 4])
    def test_an_empty_list_is_no_evaluator(self, client: Client, own: bool, without: int) -> None:
        given = replace(self.dataset(), only_evaluators={f"e{n}": () for n in range(without)})
        given = given if own else replace(given, evaluators=())
        work = begun(client, dataset=given, evaluators=["exact_match"])
        assert run_sync(lambda: run_spec(work.session.spec)).evaluations == 4 - without
        verdict = Gate(pass_threshold=0).judge_alone(result_table(work.result))
        assert (verdict.status == "failed") is (without == 4)
        whole = {1: "1 of 4 entries not judged, without evaluators", 4: "no entry has evaluators"}[without]
        assert whole in " ".join(verdict.reasons)
