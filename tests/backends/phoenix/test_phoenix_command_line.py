"""The command line with ``--backend phoenix``: what it makes there, what it shows of what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client
from prefect_experiments.cli.app import run as run_command

from ...cli.harness import ROWS, CommandLine, Ended, lines
from .referee import counts, tags, their_runs, their_verdicts

# In Phoenix, the text "a" is {"input": "a"}.
APPLICATION = """
import os

def answer(input):
    text = input["input"] if isinstance(input, dict) else input
    if text == "b" and not os.environ.get("WORKS"):
        raise ValueError("not today")
    return {"output": text.upper()}

def right(output, expected):
    return output == expected
"""


class Shell:
    """The command line in this process, on the Phoenix and the test's store."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str, backend: str = "phoenix") -> Ended:
        self._capfd.readouterr()
        code = run_command([*arguments, "--backend", backend])
        return Ended(code, *self._capfd.readouterr())

    def json(self, *arguments: str, backend: str = "phoenix") -> Any:
        ended = self(*arguments, "--json", backend=backend)
        assert ended.code == 0, ended.err
        return ended.json


@pytest.fixture
def shell(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phoenix_url: str
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHOENIX_BASE_URL", phoenix_url)
    monkeypatch.delenv("WORKS", raising=False)
    Path("rows.csv").write_text(ROWS)
    Path("app.py").write_text(APPLICATION)
    return Shell(capfd)


@pytest.mark.thorough
def test_from_a_file_to_a_finished_experiment(
    shell: Shell,
    name: str,
    official: PhoenixClient,
    phoenix_url: str,
    prefect_api: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = shell.json("datasets", "create", name, "rows.csv", "--description", "letters")
    assert official.datasets.get_dataset(dataset=name).id == made["id"]
    assert made["example_count"] == 4
    cli = CommandLine(tmp_path, prefect_api, {"PHOENIX_BASE_URL": phoenix_url})
    options = ["--task", "app.py:answer", "--evaluator", "app.py:right", "--name", f"{name} run", "--retries", "0"]
    ended = cli("run", name, *options, "--backend", "phoenix")
    assert ended.code == 0, ended.err
    [experiment] = shell.json("list", "--dataset", name)["experiments"]
    experiment_id = experiment["id"]
    url = f"{phoenix_url}/datasets/{made['id']}/compare?experimentId={experiment_id}"
    assert url in ended.out
    assert f"resume {experiment_id}" in ended.out
    assert counts(phoenix_url, experiment_id) == (3, 1, 0)
    assert (experiment["name"], experiment["dataset_id"]) == (f"{name} run", made["id"])

    shown = shell.json("show", f"{name} run")
    assert (shown["summary"]["n_runs"], shown["summary"]["n_errors"]) == (4, 1)
    [failed] = shell.json("runs", experiment_id, "--failed")["experiment_runs"]
    assert (failed["example_id"], failed["error"]) == ("r2", "ValueError: not today")
    rows = shell.json("runs", experiment_id)["experiment_runs"]
    assert {row["id"] for row in rows} == {facts[0] for facts in their_runs(official, experiment_id).values()}
    assert [row["eval.right.score"] for row in rows] == [1, None, 0, 1]
    assert "r2" in shell("runs", experiment_id).out
    page = shell.json("runs", experiment_id, "--limit", "3")["pagination"]
    rest = shell.json("runs", experiment_id, "--limit", "3", "--cursor", page["next_cursor"])
    assert [row["id"] for row in rest["experiment_runs"]] == [rows[3]["id"]]
    exported = shell.json("export", experiment_id, "runs.jsonl")["path"]
    assert [json.loads(line)["id"] for line in Path(exported).read_text().splitlines()] == [row["id"] for row in rows]

    ended = shell("annotate", rows[0]["id"], "--name", "tone", "--label", "kind", "--annotator", "Ada")
    assert (ended.code, ended.out) == (0, f"annotated {rows[0]['id']} with tone\n")
    facts = their_verdicts(official, experiment_id)[rows[0]["id"], "tone"]
    assert (facts[:3], facts[4]) == (("HUMAN", None, "kind"), {"annotator": "Ada"})
    assert shell.json("runs", experiment_id)["experiment_runs"][0]["annotation.tone.label"] == "kind"
    assert shell.json("tag", experiment_id, "baseline")["tags"] == ["baseline"]
    assert tags(phoenix_url, experiment_id) == ["baseline"]
    for command in ("list", "show"):
        where = ["--dataset", name] if command == "list" else ["tag:baseline", "--dataset", name]
        assert "baseline" in shell(command, *where).out
    assert shell.json("tag", "tag:baseline", "baseline", "--remove", "--dataset", name)["tags"] == []

    monkeypatch.setenv("WORKS", "1")
    # The store here is not the one that it began in: what is there is pulled, the task must be named.
    resumed = shell.json("resume", experiment_id, "--task", "app.py:answer", "--evaluator", "app.py:right")
    assert (resumed["ran"], resumed["reused"], resumed["url"]) == (1, 3, url)
    assert counts(phoenix_url, experiment_id) == (4, 0, 0)
    assert shell("delete", experiment_id, "--yes").out == f"deleted experiment {name} run ({experiment_id})\n"
    assert shell.json("list", "--dataset", name)["experiments"] == []


def test_what_was_run_offline_is_pushed(
    shell: Shell, name: str, official: PhoenixClient, phoenix_url: str, local: Client
) -> None:
    Path(f"{name}.csv").write_text(ROWS)
    arguments = ["run", f"{name}.csv", "--task", "app.py:answer", "--name", name, "--retries", "0"]
    made = shell.json(*arguments, backend="local")
    assert made["url"] is None
    shell(
        "annotate",
        local.experiments.list_runs(experiment=name)[0].id,
        "--name",
        "tone",
        "--score",
        "1",
        backend="local",
    )
    pushed = shell.json("push", name, "--to", "phoenix", backend="local")
    assert pushed["waiting"] == 0
    assert counts(phoenix_url, pushed["experiment_id"]) == (3, 1, 0)
    assert len(their_verdicts(official, pushed["experiment_id"])) == 1
    for backend in ("local", "phoenix"):
        again = shell("push", made["experiment_id"], backend=backend)
        assert again.out == f"everything is in {pushed['url']}\n", again.err
    assert len(shell.json("list", "--dataset", name)["experiments"]) == 1


@pytest.mark.thorough
def test_datasets(shell: Shell, name: str, official: PhoenixClient) -> None:
    Path("more.csv").write_text("q,a,part,key\nwhy,because,test,k1\nhow,so,train,k2\n")
    keys = ["--input-key", "q", "--output-key", "a", "--split-key", "part", "--id-key", "key"]
    made = shell("datasets", "create", name, "more.csv", *keys)
    assert made.code == 0
    assert made.out.startswith(f"created dataset {name} (")
    Path("further.csv").write_text("q,a,part,key\nwho,me,,k3\n")
    assert shell.json("datasets", "append", name, "further.csv", *keys)["example_count"] == 3
    found = {one["name"]: one for one in shell.json("datasets", "list")["datasets"]}[name]
    assert (found["example_count"], found["version_count"]) == (3, 2)
    assert name in shell("datasets", "list").out
    shown = shell.json("datasets", "show", name)
    assert shown["splits"] == {"test": 1, "train": 1}
    assert [version["number"] for version in shown["versions"]] == [2, 1]
    assert [example["id"] for example in shown["first_examples"]] == ["k1", "k2", "k3"]
    text = shell("datasets", "show", name).out
    assert "test (1), train (1)" in text
    assert official.datasets.get_dataset(dataset=name).version_id in text
    exported = shell.json("datasets", "export", name, "out.jsonl", "--version", "1")["path"]
    assert len(Path(exported).read_text().splitlines()) == 2
    sample = shell.json("datasets", "sample", name, "--n", "1", "--method", "head", "--to", f"{name}-sample")
    assert sample["example_count"] == 1
    assert shell("datasets", "delete", name, "--yes").code == 0
    with pytest.raises(ValueError, match="not found"):
        official.datasets.get_dataset(dataset=name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "NAME-not"], "unknown experiment 'NAME-not'"),
        (["show", "tag:never-given"], "tag:never-given"),
        (["runs", "RXhwZXJpbWVudDo5OTk5OTk5OQ=="], "RXhwZXJpbWVudDo5OTk5OTk5OQ=="),
        (["list", "--dataset", "NAME-not"], "unknown dataset 'NAME-not'"),
        (["list", "--cursor", "x"], "cursor"),
        (["list", "--dataset", "NAME", "--cursor", "x"], "cursor"),
        (["datasets", "show", "NAME-not"], "unknown dataset 'NAME-not'"),
        (["datasets", "create", "NAME", "rows.csv"], "there is a dataset 'NAME' already"),
        (["datasets", "append", "NAME", "rows.csv"], "ids that the dataset has already"),
        (["run", "NAME", "--task", "app.py:answer", "--split", "dev"], "no split 'dev'"),
        (["run", "NAME", "--task", "app.py:answer", "--dataset-version", "7"], "unknown dataset version '7'"),
        (["run", "NAME-not", "--task", "app.py:answer"], "unknown dataset 'NAME-not'"),
        (["resume", "NAME-not"], "unknown experiment 'NAME-not'"),
        (["push", "NAME-not"], "unknown experiment 'NAME-not'"),
        (["annotate", "exp-1.0.1", "--name", "tone", "--score", "1"], "not the id of a run in Phoenix"),
        (["tag", "NAME-not", "baseline"], "unknown experiment"),
        (["delete", "NAME-not", "--yes"], "unknown experiment"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_and_code_2(
    shell: Shell, name: str, client: Client, arguments: list[str], said: str
) -> None:
    client.datasets.create_dataset(name=name, file="rows.csv")
    ended = shell(*(argument.replace("NAME", name) for argument in arguments))
    assert ended.code == 2, ended.err
    [line] = lines(ended.err)
    assert line.startswith("error: ")
    assert said.replace("NAME", name) in line
    assert not ended.out
