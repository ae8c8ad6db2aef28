"""Ten mistakes that everybody makes in the first hour: the one line that each gives, in Python and in the shell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments import Client, compare_experiments, run_experiment
from prefect_experiments.analysis import meta_evaluation
from prefect_experiments.cli.app import run
from prefect_experiments.errors import ExperimentsError, InvalidInput
from support.patience import PATIENCE_S
from support.servers import free_port

APPLICATION = """
import openai

def answer(input):
    return input.upper()

def right(output, expected):
    return output == expected

def judge(output, questoin):
    return 1.0

def down(input):
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0)
    return client.chat.completions.create(model="m", messages=[])

def keyless(input):
    return openai.OpenAI().chat.completions.create(model="m", messages=[])
"""


@dataclass
class Desk:
    """A folder with an application, files and a store; whoever asks is told something."""

    client: Client
    capfd: pytest.CaptureFixture[str]

    def run(self, **options: Any) -> Any:
        given = {"dataset": "rows.csv", "task": "app.py:answer", "retries": 0, "client": self.client, **options}
        return run_experiment(**given)

    def shell(self, *arguments: str) -> tuple[int, list[str]]:
        self.capfd.readouterr()
        code = run(list(arguments))
        out, err = self.capfd.readouterr()
        return code, [line.strip() for line in (out + err).splitlines() if line.strip()]


@pytest.fixture
def desk(
    prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    Path("app.py").write_text(APPLICATION)
    Path("rows.csv").write_text("id,input,output\nr1,a,A\nr2,b,B\n")
    Path("others.csv").write_text("id,input,output\nx1,c,C\n")
    Path("tickets.csv").write_text("id,text,intent\nr1,a,A\nr2,b,B\n")
    Path("gate.yaml").write_text("metrcs:\n  right: {min: 0.5}\n")
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", url)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_LEVEL: "CRITICAL"}):
        yield Desk(Client(store_url=url), capfd)


class Mistake(NamedTuple):
    """What is typed in either place, and how the line begins that comes of it; the shell's is another where it is said.

    All of these are refused before anything is called.
    """

    python: dict[str, Any]
    shell: tuple[str, ...]
    line: str
    in_shell: str = ""


RUN = ("run", "rows.csv", "--task", "app.py:answer")
REFUSED = {
    "misspelt column": Mistake(
        {"dataset": "tickets.csv", "input_keys": ["txt"], "output_keys": ["intent"]},
        ("run", "tickets.csv", "--task", "app.py:answer", "--input-key", "txt", "--output-key", "intent"),
        "tickets.csv: input_keys: unknown column 'txt'; did you mean 'text'? Known: text, id, intent",
        "tickets.csv: --input-key: unknown column 'txt'; did you mean 'text'? Known: text, id, intent",
    ),
    "missing keys of columns": Mistake(
        {"dataset": "tickets.csv"},
        ("run", "tickets.csv", "--task", "app.py:answer"),
        "tickets.csv: which columns are the input? Give input_keys=[...], output_keys=[...]; columns: id, text",
        "tickets.csv: which columns are the input? Give --input-key COLUMN, --output-key COLUMN; columns: id, text",
    ),
    "misspelt reference": Mistake(
        {"task": "app.py:anwser"},
        ("run", "rows.csv", "--task", "app.py:anwser"),
        "reference 'app.py:anwser': app.py has no 'anwser'. It has: answer, down, judge, keyless, right",
    ),
    "evaluator's key": Mistake(
        {"evaluators": "app.py:judge"},
        (*RUN, "--evaluator", "app.py:judge"),
        "evaluator 'judge' has parameters that no field fills: 'questoin'. Known names: input, expected, reference",
    ),
    "evaluator's name": Mistake(
        {"evaluators": "exact_mtach"},
        (*RUN, "--evaluator", "exact_mtach"),
        "unknown built-in evaluator 'exact_mtach'; did you mean 'exact_match'? Known: exact_match",
    ),
    "bad gate": Mistake(
        {"evaluators": "app.py:right", "gate": "gate.yaml"},
        (*RUN, "--evaluator", "app.py:right", "--gate", "gate.yaml"),
        "the gate gate.yaml: unknown key 'metrcs'; did you mean 'metrics'? Known: metrics",
    ),
    "wrong baseline": Mistake(
        {"evaluators": "app.py:right", "baseline": "frist"},
        (*RUN, "--evaluator", "app.py:right", "--baseline", "frist"),
        "there is no baseline 'frist': unknown experiment 'frist'; did you mean 'first'? Known: first",
    ),
}


@pytest.mark.parametrize("mistake", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_before_anything_is_called(desk: Desk, mistake: Mistake) -> None:
    desk.run(experiment_name="first", print_summary=False)
    with pytest.raises(ExperimentsError) as raised:
        options = dict(mistake.python)
        if keys := {name: options.pop(name) for name in list(options) if name.endswith("_keys")}:
            desk.client.datasets.create_dataset(name="tickets", file=options.pop("dataset"), **keys)
        desk.run(**options)
    assert str(raised.value).startswith(mistake.line)
    assert "\n" not in str(raised.value)
    code, lines = desk.shell(*mistake.shell)
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"error: {mistake.in_shell or mistake.line}")
    assert [found.name for found in desk.client.experiments.list()] == ["first"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("task", "why"),
    [
        (
            "down",
            "2 times: APIConnectionError: Connection error. (caused by ConnectError: [Errno 111] Connection refused",
        ),
        ("keyless", "2 times: OpenAIError: Missing credentials. Please pass an `api_key`,"),
    ],
    ids=["LLM down", "missing key"],
)
def test_a_model_that_cannot_be_asked(desk: Desk, task: str, why: str) -> None:
    def is_said(lines: list[str]) -> None:
        assert sum(line.startswith(why) for line in lines) == 1, lines
        assert "Every call of the task failed." in lines

    desk.capfd.readouterr()
    desk.run(task=f"app.py:{task}")
    is_said([line.strip() for line in desk.capfd.readouterr().out.splitlines()])
    code, lines = desk.shell("run", "rows.csv", "--task", f"app.py:{task}", "--retries", "0")
    assert code == 3
    is_said(lines)


@pytest.mark.thorough
def test_prefect_down(desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "1")
    monkeypatch.setenv("PREFECT_API_URL", url)
    line = rf"Prefect's server at {url} was away \(\w+Error\)\..* missing there: the flow run"

    def is_said() -> None:
        assert sum(bool(re.match(line, said)) for said in caplog.messages) == 1
        caplog.clear()

    with temporary_settings({PREFECT_API_URL: url}):
        assert desk.run(print_summary=False).summary.n_errors == 0
        is_said()
        code, _ = desk.shell(*RUN)
        is_said()
    assert code == 0


@pytest.mark.thorough
def test_the_same_name_twice(desk: Desk) -> None:
    """A dataset's is refused; an experiment's is fine until one of them is meant."""
    for _ in range(2):
        desk.run(experiment_name="nightly", print_summary=False)
    ambiguous = "2 experiments are called 'nightly'; name one by its id: exp-"
    instead = "or the newest of them as 'latest:nightly'"
    taken = "there is a dataset 'rows' already ("
    way_out = "if_exists='new_version' (--if-exists new_version)"
    said: list[Callable[[], Any]] = [
        lambda: desk.client.experiments.get(experiment="nightly"),
        lambda: desk.client.datasets.create_dataset(name="rows", file="rows.csv"),
    ]
    typed = (("show", "nightly"), ("datasets", "create", "rows", "rows.csv"))
    for ask, command, begins, holds in zip(said, typed, (ambiguous, taken), (instead, way_out), strict=True):
        with pytest.raises(ExperimentsError) as raised:
            ask()
        code, lines = desk.shell(*command)
        assert (code, len(lines)) == (2, 1)
        for line in (str(raised.value), lines[0].removeprefix("error: ")):
            assert line.startswith(begins)
            assert holds in line


@pytest.mark.thorough
def test_mixed_datasets(desk: Desk) -> None:
    mine: dict[str, Any] = {"evaluators": "app.py:right", "print_summary": False}
    desk.run(experiment_name="first", **mine)
    desk.run(dataset="others.csv", experiment_name="second", **mine)
    line = "first ran on dataset 'rows' and second on 'others'; their examples are matched by id"
    found = compare_experiments(baseline="first", candidate="second", client=desk.client)
    assert line in str(found)
    code, lines = desk.shell("compare", "first", "second")
    assert code == 0
    assert line in lines


def test_a_persons_field_that_is_an_evaluators() -> None:
    rows = pd.DataFrame({"example_id": ["a", "b"], "eval.human.label": ["x", "y"], "eval.judge.label": ["x", "x"]})
    with pytest.raises(InvalidInput) as raised:
        meta_evaluation(rows, evaluator="judge", human="human")
    assert str(raised.value) == (
        "unknown human field 'human': that name is an evaluator's; to compare with it, say human='eval.human.label'"
    )
