"""`init` in folders of several kinds; tests/installing/test_init.py shows that what it writes deploys and passes."""

from __future__ import annotations

import difflib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefect_experiments import Gate
from prefect_experiments.cli.app import app
from prefect_experiments.orchestration.deployed.parameters import Columns, dataset_of
from prefect_experiments.references import load_reference
from support.environment import without_prefect
from support.patience import PATIENCE_S

from .harness import CommandLine, Here

FILES = ["evaluation.py", "gate.yaml", ".github/workflows/evaluate.yml", "prefect.yaml"]
TICKETS = "id,text,intent,channel\n" + "".join(f"t{n},hello {n},greeting,mail\n" for n in range(60))


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".git/" not in str(path)}


@pytest.mark.thorough
def test_an_empty_folder_gets_a_dataset_and_what_is_written_passes(cli: CommandLine, tmp_path: Path) -> None:
    here = CommandLine(tmp_path, cli.api)
    made = here("init", "--yes", "--json").json
    assert made["wrote"] == [f"questions-{tmp_path.name}.csv", *FILES]
    assert (tmp_path / made["dataset"]).read_text().splitlines()[1] == 'q1,"Which number is 1?","Which number is 1?"'
    head = (tmp_path / "prefect.yaml").read_text().splitlines()[0]
    assert head == "# The evaluation of this project as a Prefect deployment, written by `prefect-experiments init`:"
    ended = here(*command(made["next"][0], "--dry-run"), "--gate", "gate.yaml")
    assert ended.code == 0, ended.out + ended.err
    assert "answered" in ended.out
    assert "passed" in (ended.out + ended.err).lower()


@pytest.mark.parametrize(
    ("rows", "keys", "expected", "good", "bad"),
    [
        (
            "text,intent\nhello,Billing\n",
            ["--output-key", "intent"],
            {"intent": "Billing"},
            ["billing ", {"intent": "BILLING", "reply": "We look into it."}],
            ["It is about billing.", {"reply": "billing"}, None, [], ["Billing"]],
        ),
        ("text,n\nhello,42\n", ["--output-key", "n"], {"n": "42"}, [42, 42.0, "42", {"n": 42}], [4, "42 days"]),
        (
            'text,tags\nhello,"[""a"", ""b""]"\n',
            ["--output-key", "tags"],
            {"tags": ["a", "b"]},
            [["a", "B"], {"tags": ["a", "b"], "sure": True}],
            [["b", "a"], ["a"], "a, b"],
        ),
        (
            "text,intent,urgent\nhello,billing,True\n",
            ["--output-key", "intent", "--output-key", "urgent"],
            {"intent": "billing", "urgent": "True"},
            [{"intent": "Billing", "urgent": True, "reply": "yes"}],
            [{"intent": "billing"}, "billing", {"intent": "billing", "urgent": False}],
        ),
    ],
    ids=["text", "number", "list", "several columns"],
)
def test_what_the_first_evaluator_takes_for_right(
    here: Here, rows: str, keys: list[str], expected: Any, good: list[Any], bad: list[Any]
) -> None:
    Path("rows.csv").write_text(rows)
    made = here.json("init", "--yes", "--input-key", "text", *keys)
    parameters = yaml.safe_load(Path("prefect.yaml").read_text())["deployments"][0]["parameters"]
    (example,) = dataset_of("rows.csv", Columns(**parameters["columns"])).examples  # type: ignore[union-attr]
    assert example.output == expected
    bound = app.parse_args(command(made["next"][0], "--dry-run"), exit_on_error=False, print_error=False)[1].arguments
    typed = bound["selection"].arguments()["types"] if "selection" in bound else None
    assert typed == parameters["columns"].get("types"), "the command and the deployment read the same"
    right = load_reference("evaluation.py:right")
    assert [right(output, example.output).score for output in good] == [1] * len(good)
    assert [right(output, example.output).score for output in bad] == [0] * len(bad)


def test_what_is_no_answer_at_all(here: Here) -> None:
    here.json("init", "--yes")
    answered = load_reference("evaluation.py:answered")
    assert [answered(output) for output in (None, "", " \n", [], {}, "no", 0, False, [0])] == [False] * 5 + [True] * 4


def command(line: str, *without: str) -> list[str]:
    words = line.split()
    assert words[0] == "prefect-experiments"
    return [word for word in words[1:] if word not in without]


def test_the_files_columns_its_task_and_the_repository_are_found(here: Here, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").unlink()
    (tmp_path / "tickets.csv").write_text(TICKETS)
    (tmp_path / "package.json").write_text('[{"input": "no data"}]')
    (tmp_path / "app.py").write_text(
        "def helper(a, b): ...\n\nasync def answer(input, model='x'):\n    return 'greeting'\n"
    )
    for words in (
        ["init", "-q", "-b", "trunk"],
        ["remote", "add", "origin", "https://user:secret@git.example/app.git"],
    ):
        subprocess.run(["git", *words], check=True)
    made = here.json("init", "--yes")
    assert (made["dataset"], made["task"]) == ("tickets.csv", "app.py:answer")
    text = Path("prefect.yaml").read_text()
    assert "repository: https://git.example/app.git" in text
    assert "secret" not in text
    (nightly,) = yaml.safe_load(text)["deployments"]
    parameters = nightly["parameters"]
    assert parameters["columns"] == {"input": ["text"], "output": ["intent"], "metadata": ["channel"], "id": "id"}
    workflow = yaml.safe_load(Path(".github/workflows/evaluate.yml").read_text())
    assert workflow[True]["push"]["branches"] == ["trunk"]
    scripts = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    assert not [script for script in scripts if "${{" in script], "what others write must not become a part of a script"
    (gate,) = [script for script in scripts if "prefect-experiments run" in script]
    words = gate.replace("\\\n", " ").replace('"$NAME"', "name").split()[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)
    assert (
        Gate.parse(Path("gate.yaml")).rules["answered"].min == 0.9
    )  # which 60 examples can show, and 0.95 they cannot
    assert "def task" not in Path("evaluation.py").read_text()


def test_nothing_is_replaced_and_nothing_half_written(here: Here, tmp_path: Path) -> None:
    Path("gate.yaml").write_text("mine")
    before = written(tmp_path)
    ended = here("init", "--yes")
    assert ended.code == 2
    assert "gate.yaml would be replaced; say so with --force. Nothing was written" in ended.err
    assert written(tmp_path) == before
    assert here("init", "--yes", "--force").code == 0
    assert Path("gate.yaml").read_text() != "mine"


MINE = """\
# what we have
name: ours

deployments:
- name: etl # nightly as well
  entrypoint: etl.py:etl
  parameters:
    words: |
      one

      two

# the end
pull: null
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    "text",
    [
        MINE,
        MINE.replace("\n- ", "\n    - ").replace("\n  ent", "\n      ent").replace("\n  par", "\n      par"),
        "name: a\n",
    ],
    ids=["no indentation", "indentation", "no deployments"],
)
def test_a_prefect_yaml_gets_one_more_deployment_and_is_as_it_was(here: Here, tmp_path: Path, text: str) -> None:
    if "    - " in text:
        text = text.replace("    words: |\n      one\n\n      two", "        words: |\n          one\n\n          two")
    Path("prefect.yaml").write_text(text)
    before = yaml.safe_load(text)
    made = here.json("init", "--yes")
    assert made["merged"] == ["prefect.yaml"]
    now = Path("prefect.yaml").read_text()
    lines = difflib.ndiff(text.rstrip().splitlines(), now.splitlines())
    assert not [line for line in lines if line.startswith("- ")], "lines are only added"
    after, name = yaml.safe_load(now), f"nightly-{tmp_path.name}"
    assert [one["name"] for one in after["deployments"]] == [*(["etl"] if "etl" in text else []), name]
    assert after["deployments"][:-1] == before.get("deployments", [])
    assert {key: after[key] for key in before if key != "deployments"} == {
        key: before[key] for key in before if key != "deployments"
    }
    ended = here("init", "--yes", "--dataset", "rows.csv")
    assert ended.code == 2
    for path in FILES[:3]:
        Path(path).unlink()
    Path("prefect.yaml").write_text(text)
    told = here("init", "--yes").out.splitlines()
    assert "added a deployment to prefect.yaml" in told
    assert told[-4] == "Next, with PREFECT_API_URL set (`prefect server start` starts a server):"


NOTHING_YET = ["", "# ours\n", "deployments:\n", "deployments: [] # none\npull: null\n", "deployments: null\nname: a\n"]


@pytest.mark.thorough
@pytest.mark.parametrize("text", NOTHING_YET)
def test_a_prefect_yaml_without_a_deployment_gets_its_first(here: Here, tmp_path: Path, text: str) -> None:
    Path("prefect.yaml").write_text(text)
    before = yaml.safe_load(text) or {}
    assert here.json("init", "--yes")["merged"] == ["prefect.yaml"]
    now = Path("prefect.yaml").read_text()
    assert all(words in now for words in ("# ours", "# none") if words in text)
    after = yaml.safe_load(now)
    (deployment,) = after["deployments"]
    assert (deployment["name"], deployment["parameters"]["promote"]) == (f"nightly-{tmp_path.name}", True)
    assert before.keys() <= after.keys()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deployments: [{name: a}]\n", "are no list with one entry a line"),
        ("deployments:\n  - name: nightly-FOLDER\n", "has a deployment called nightly-FOLDER already"),
        ("[deployments]\n", "are no list with one entry a line"),
        ("deployments:\n  a: {name: b}\n", "are no list with one entry a line"),
        ("deployments: a\n", "are no list with one entry a line"),
        ("{deployments: null, name: a}\n", "are no list with one entry a line"),
        ("deployments: [\n", "is no YAML"),
    ],
)
def test_a_prefect_yaml_that_cannot_be_added_to_is_left_alone(
    here: Here, tmp_path: Path, text: str, words: str
) -> None:
    text, words = (said.replace("FOLDER", tmp_path.name) for said in (text, words))
    Path("prefect.yaml").write_text(text)
    before = written(tmp_path)
    ended = here("init", "--yes")
    assert (ended.code, Path("prefect.yaml").read_text(), written(tmp_path)) == (2, text, before)
    assert words in ended.err


@pytest.mark.thorough
def test_what_cannot_be_found_out_is_asked(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("eins,zwei\n1,2\n")
    (tmp_path / "app.py").write_text("def answer(input): ...\n\ndef respond(input): ...\n")
    program = [sys.executable, "-m", "prefect_experiments.cli", "init"]
    terminal, child = pty.openpty()
    asked = subprocess.Popen(
        program,
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=without_prefect(os.environ),
        text=True,
    )
    os.write(terminal, b"2\n\nzwei\n")
    out, err = asked.communicate(timeout=PATIENCE_S)
    os.close(terminal)
    os.close(child)
    assert asked.returncode == 0, err
    asked_for = [
        "Which file has the examples?",
        "  1  a.csv",
        "  2  b.csv",
        "Its number [1]: Which function is the task?",
    ]
    assert err.splitlines()[:4] == asked_for
    assert err.endswith("Its number [1]: b.csv has the columns eins, zwei. Which one is the input? ")
    assert "The dataset is b.csv, the task app.py:answer." in out
    assert yaml.safe_load((tmp_path / "prefect.yaml").read_text())["deployments"][0]["parameters"]["columns"] == {
        "input": ["zwei"],
        "metadata": ["eins"],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--dataset", "nothing.csv"],
            "there is no file nothing.csv; without --dataset one is looked for, or written",
        ),
        (["--dataset", "odd.csv"], "odd.csv: which column is the input? Give --input-key COLUMN; columns: eins, zwei"),
        (["--dataset", "odd.csv", "--input-key", "drei"], "odd.csv: --input-key: unknown column 'drei'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(here: Here, arguments: list[str], words: str) -> None:
    Path("odd.csv").write_text("eins,zwei\n1,2\n")
    ended = here("init", "--yes", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert not Path("evaluation.py").exists()
