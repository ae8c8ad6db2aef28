"""What `init` goes by in a project: what was given, what was found, where it is, and what a run could not use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from .harness import CommandLine, Here
from .test_init import FILES, TICKETS, command, written

ANSWER = "def answer(input):\n    return 'greeting'\n"
TWO = "id,text,intent\nt1,hello,greeting\nt2,bye,farewell\n"
ODD = "Nr.,What did they write?,Note / Sterne,Channel\n1,nice,5,mail\n2,bad,1,mail\n"


def parameters() -> dict[str, object]:
    (deployment,) = yaml.safe_load(Path("prefect.yaml").read_text())["deployments"]
    return dict(deployment["parameters"])


def steps(workflow: Path) -> str:
    found = yaml.safe_load(workflow.read_text())["jobs"]["gate"]["steps"]
    return "\n".join(step.get("run", "") for step in found)


@pytest.fixture
def bare(here: Here) -> Here:
    """In a folder without a file of rows."""
    Path("rows.csv").unlink()
    return here


def test_columns_that_were_given_choose_the_file(bare: Here) -> None:
    Path("tickets.csv").write_text(TICKETS)
    Path("odd.csv").write_text(ODD)
    keys = ["--input-key", "What did they write?", "--output-key", "Note / Sterne", "--id-key", "Nr."]
    made = bare.json("init", "--yes", *keys, "--split-key", "Channel")
    assert made["dataset"] == "odd.csv"
    assert parameters()["columns"] == {
        "input": ["What did they write?"], "output": ["Note / Sterne"], "id": "Nr.", "splits": "Channel"
    }  # fmt: skip
    assert made["next"][0].endswith("--split-key Channel --id-key Nr. --dry-run")


def test_what_was_not_given_is_told_by_the_columns_names(bare: Here) -> None:
    Path("tickets.csv").write_text("id,question,intent,note,channel\nt1,hello,greeting,x,mail\n")
    made = bare.json("init", "--yes", "--output-key", "note")
    assert parameters()["columns"] == {
        "input": ["question"], "output": ["note"], "metadata": ["intent", "channel"], "id": "id"
    }  # fmt: skip
    assert made["dataset"] == "tickets.csv"


@pytest.mark.parametrize(
    ("files", "arguments", "words"),
    [
        ({"a.py": ANSWER + ANSWER.replace("answer", "classify")}, [], "There are 2: a.py:answer, a.py:classify. Say"),
        ({"a.py": ANSWER, "b.py": ANSWER}, [], "such as --task a.py:answer. Nothing was written"),
        ({"a.csv": TWO, "b c.csv": TWO}, [], "There are 2: a.csv, b c.csv. Say which, such as --dataset a.csv"),
        ({"odd.csv": ODD}, [], "odd.csv: which column is the input? Give --input-key COLUMN; columns: Nr., What did"),
        ({"a.csv": TWO}, ["--input-key", "txt"], "has the columns 'txt': found a.csv (id, text, intent). Name one"),
        ({}, ["--input-key", "text"], "has the columns 'text': found none at all"),
        (
            {"a.csv": TWO},
            ["--dataset", "a.csv", "--input-key", "txt"],
            "--input-key: unknown column 'txt'; did you mean 'text'",
        ),
        ({"a.csv": "id,text\n1,a\n1,b\n"}, [], "a.csv"),
        ({"a.py": ANSWER}, ["--task", "a.py:anwser"], "anwser"),
        ({"a.py": "class Bot:\n    def answer(self, input): ...\n"}, ["--task", "a.py:Bot.answer"], "'self'"),
        ({"n.ipynb": "{}"}, ["--task", "n.ipynb:answer"], "n.ipynb"),
        ({"a.py": f"from .b import x\n{ANSWER}"}, [], "relative import"),
        (
            {".github": "no folder"},
            [],
            ".github/workflows/evaluate.yml cannot be written: its folder is a file. Nothing was written",
        ),
    ],
)
def test_what_cannot_be_decided_or_run_is_refused(
    bare: Here, tmp_path: Path, files: dict[str, str], arguments: list[str], words: str
) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    before = written(tmp_path)
    ended = bare("init", "--yes", *arguments)
    assert ended.code == 2, ended.out + ended.err
    assert words in ended.err
    assert written(tmp_path) == before


def test_what_is_refused_is_refused_as_by_run(bare: Here) -> None:
    Path("a.csv").write_text(TWO)
    Path("a.py").write_text(ANSWER)
    for options in (["--task", "a.py:anwser"], ["--task", "a.py:answer", "--input-key", "txt"]):
        run = bare("run", "a.csv", *options)
        init = bare("init", "--yes", "--dataset", "a.csv", *options)
        assert (init.code, init.err) == (run.code, run.err)


def test_what_was_not_taken_or_not_found_is_said(bare: Here) -> None:
    Path("tickets.csv").write_text(TICKETS)
    Path("odd.csv").write_text(ODD)
    Path("src").mkdir()
    Path("src/app.py").write_text(ANSWER)
    ended = bare("init", "--yes")
    assert ended.code == 0, ended.err
    assert "No function called task, answer, respond or the like was found in the .py files of this folder" in ended.out
    assert "Put your call there, or name a function with --task FILE.py:NAME." in ended.out
    assert "Not taken" not in ended.out, "the other's columns are called like nothing that is looked for"
    ended = bare("init", "--yes", "--force", "--input-key", "text")
    assert ended.code == 0, ended.err
    Path("more.csv").write_text(TICKETS)
    Path("a.py").write_text(ANSWER)
    ended = bare("init", "--yes", "--force", "--metadata-key", "channel", "--dataset", "more.csv")
    assert ended.code == 0, ended.err
    assert "No function" not in ended.out


def test_a_file_that_was_found_beside_the_one_that_is_meant(bare: Here) -> None:
    Path("a.csv").write_text(TWO)
    Path("b.csv").write_text(TICKETS)
    made = bare.json("init", "--yes", "--metadata-key", "channel")
    assert made["dataset"] == "b.csv"
    assert made["notes"][0] == "Not taken: a.csv; `--dataset a.csv` would."


def test_what_is_left_out_of_a_file_is_said_once(bare: Here, caplog: pytest.LogCaptureFixture) -> None:
    Path("tickets.csv").write_text("id,text,intent,\nt1,hello,greeting,\n")
    ended = bare("init", "--yes")
    assert ended.code == 0, ended.err
    assert caplog.text.count("left out 1 column") == 1


def test_two_projects_have_deployments_and_datasets_of_their_own(bare: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for folder in ("shop", "my desk (2)"):
        Path(folder).mkdir()
        with monkeypatch.context() as there:
            there.chdir(folder)
            answered = bare.json("init", "--yes")
            project = yaml.safe_load(Path("prefect.yaml").read_text())
            made.append((project["deployments"][0]["name"], answered["dataset"]))
            assert f"regression/{made[-1][0]} --watch" in answered["next"][-1]
    assert made == [("nightly-shop", "questions-shop.csv"), ("nightly-my-desk-2", "questions-my-desk-2.csv")]


def test_in_a_folder_of_a_repository_github_finds_the_workflow(bare: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    Path("requirements.txt").write_text("")
    folder = Path("apps/help desk")
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    made = bare.json("init", "--yes")
    workflow = Path("../../.github/workflows/evaluate-apps-help-desk.yml")
    assert set(made["wrote"]) >= {str(workflow), "evaluation.py"}
    assert not Path(".github").exists()
    text = yaml.safe_load(workflow.read_text())
    assert text["defaults"]["run"]["working-directory"] == "apps/help desk"
    assert text[True]["push"]["paths"] == text[True]["pull_request"]["paths"] == [
        "apps/help desk/**", ".github/workflows/evaluate-apps-help-desk.yml"
    ]  # fmt: skip
    kept = text["jobs"]["gate"]["steps"][-1]["with"]["path"]
    assert kept.split("\n")[:2] == ["apps/help desk/report.html", "apps/help desk/results.xml"]
    assert "hashFiles('apps/help desk/comment.md')" in workflow.read_text()
    assert "pip install -r ../../requirements.txt" in steps(workflow)
    assert '    #         directory: "{{ clone.directory }}/apps/help desk"' in Path("prefect.yaml").read_text()
    note = "The workflow is in the repository's own folder, where GitHub looks for it; it works in apps/help desk."
    assert made["notes"][-1] == note
    # What git ignores is no part of the repository.
    Path("../../.gitignore").write_text("other/\n")
    other = Path("../../other")
    other.mkdir()
    monkeypatch.chdir(other)
    assert bare.json("init", "--yes")["wrote"] == ["questions-other.csv", *FILES]


@pytest.mark.parametrize(
    ("files", "python", "installed"),
    [
        ({"pyproject.toml": '[project]\nname = "a"\nrequires-python = ">=3.14"\n'}, "3.14", "pip install ."),
        ({"pyproject.toml": '[project]\nname = "a"\nrequires-python = "~=3.12.4"\n'}, "3.12", "pip install ."),
        ({".python-version": "3.13.1\n", "requirements.txt": ""}, "3.13", "pip install -r requirements.txt"),
    ],
)
def test_the_workflow_installs_what_the_project_says(
    bare: Here, files: dict[str, str], python: str, installed: str
) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    bare.json("init", "--yes")
    workflow = Path(FILES[2])
    assert f'python-version: "{python}"' in workflow.read_text()
    assert "pip install 'prefect-experiments[cost,postgres]'" in steps(workflow)
    assert installed in steps(workflow).splitlines()
    assert "add the packages that your task needs" not in workflow.read_text()


def test_the_workflow_says_where_packages_go_that_no_file_names(bare: Here) -> None:
    bare.json("init", "--yes")
    text = Path(FILES[2]).read_text()
    said = "# There is neither a requirements.txt nor a pyproject.toml: add the packages that your task needs.\n"
    assert f"{said}      - run: pip install 'prefect-experiments[cost,postgres]'\n" in text


@pytest.mark.slow
def test_a_first_run_of_nothing_but_0_does_not_pass(cli: CommandLine, tmp_path: Path) -> None:
    """As where `right` does not fit what the task gives: nothing could be worse than such a baseline."""
    here = CommandLine(tmp_path, cli.api)
    (tmp_path / "tickets.csv").write_text(TICKETS)
    (tmp_path / "a.py").write_text("def answer(input):\n    return {'kind': 'greeting'}\n")
    made = here("init", "--yes", "--json").json
    words = [*command(made["next"][0], "--dry-run"), "--gate", "gate.yaml", "--baseline", "tag:baseline"]
    ended = here(*words)
    assert ended.code == 1, ended.out + ended.err
    said = " ".join(ended.out.split())
    assert "right is 0.00 on all of 60 examples" in said
    assert "does its evaluator read the output as it is?" in said
    (tmp_path / "a.py").write_text("def answer(input):\n    return {'intent': 'greeting'}\n")
    assert here(*words).code == 0
