"""What the commands find out by themselves: columns by their names, a task, Python's version, the time zone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.cli import doctor, log, prefect_yaml, project
from prefect_experiments.cli.columns import types_of
from prefect_experiments.cli.project import Columns
from prefect_experiments.errors import InvalidSetting


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["id", "question", "answer", "topic"], Columns(("question",), ("answer",), ("topic",), "id")),
        (["Expected Output", "INPUT", "ID"], Columns(("INPUT",), ("Expected Output",), (), "ID")),
        (["text", "prompt", "label", "output"], Columns(("prompt",), ("output",), ("text", "label"), None)),
        (["message", "message "], Columns(("message",), (), ("message ",), None)),
        (["a", "b"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_columns_are_told_by_what_they_are_called(names: list[str], found: Columns | None) -> None:
    assert project.guessed_columns(names) == found


@pytest.mark.parametrize(
    ("columns", "is_short"),
    [
        (Columns(("input",), ("output",), ("topic",), "id"), True),
        (Columns(("input",), ()), True),
        (Columns(("input",), ("answer",)), False),
        (Columns(("text",), ("output",)), False),
    ],
)
def test_columns_that_are_looked_for_by_themselves_are_not_named(columns: Columns, is_short: bool) -> None:
    assert project.as_short(columns) == (Columns() if is_short else columns)


def test_columns_are_said_to_python_to_a_flow_and_to_the_command_line() -> None:
    columns = Columns(("a", "b"), ("c",), ("d",), "e", json=("c",), split="f")
    assert columns.names() == ["a", "b", "c", "d", "f", "e"]
    assert columns.keys() == {
        "input_keys": ["a", "b"], "output_keys": ["c"], "metadata_keys": ["d"], "split_key": "f", "id_key": "e",
        "types": {"c": "json"},
    }  # fmt: skip
    assert columns.parameters() == {
        "input": ["a", "b"], "output": ["c"], "metadata": ["d"], "splits": "f", "id": "e", "types": {"c": "json"}
    }  # fmt: skip
    assert " ".join(columns.options()) == (
        "--input-key a --input-key b --output-key c --metadata-key d --type c=json --split-key f --id-key e"
    )
    assert (Columns().names(), Columns().parameters(), Columns().options()) == ([], {}, [])
    assert set(Columns().keys().values()) == {None}
    bare = Columns(json=("output",), id="e", split="f")
    assert bare.parameters() == {"types": {"output": "json"}}
    assert bare.options() == ["--type", "output=json"]


@pytest.mark.parametrize(
    ("cells", "is_json"),
    [
        (['{"a": 1}', ""], True),
        (["[1]", ' {"a": 1}'], True),
        (["[1]", "1"], False),
        (["{a", "[1]"], False),
        (["", ""], False),
        (['"text"'], False),
    ],
    ids=repr,
)
def test_an_expected_output_of_objects_is_json(cells: list[str], is_json: bool) -> None:
    quoted = [cell.replace('"', '""') for cell in cells]
    for name, columns in (("output", Columns()), ("answer", Columns(("input",), ("answer",)))):
        Path("rows.csv").write_text(f"input,{name}\n" + "".join(f'x,"{cell}"\n' for cell in quoted))
        assert project.with_json(Path("rows.csv"), columns).json == ((name,) if is_json else ())
    assert project.with_json(Path("rows.csv"), Columns(("input",))).json == ()


@pytest.mark.parametrize(
    ("function", "is_task"),
    [
        ("def answer(input): ...", True),
        ("async def task(question): ...", True),
        ("def reply(input, metadata): ...", True),
        ("def ask(question, model='x'): ...", True),
        ("def ask(question, model): ...", False),
        ("def answer(model='x'): ...", False),
        ("def answer(): ...", False),
        ("def helper(input): ...", False),
        ("class task: ...", False),
        ("def broken(:", False),
    ],
)
def test_a_function_is_a_task_by_its_name_and_what_it_takes(function: str, is_task: bool) -> None:
    for name in ("app.py", "test_app.py", "conftest.py", "setup.py", "evaluation.py"):
        Path(name).write_text(f"{function}\n")
    name = function.partition("(")[0].rpartition(" ")[2]
    assert project.tasks() == ([f"app.py:{name}"] if is_task else [])


HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, HERE),
        ({".python-version": "3.12.4\n"}, "3.12"),
        ({".python-version": "pypy"}, HERE),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.13.2"'}, "3.13"),
        ({"pyproject.toml": '[project]\nrequires-python = "==3.12.39"'}, "3.12"),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.11,<3.12"'}, "3.11"),
        ({"pyproject.toml": '[project]\nrequires-python = "about 3"'}, HERE),
        ({"pyproject.toml": "[project]\nrequires-python = 3"}, HERE),
        ({"pyproject.toml": "project = 3"}, HERE),
        ({"pyproject.toml": "[project"}, HERE),
        ({"pyproject.toml": '[project]\nrequires-python = "<3"'}, HERE),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value.values()),
)
def test_the_version_of_python_that_a_project_takes(files: dict[str, str], version: str) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    assert project.python_version() == version


@pytest.mark.parametrize(("zone", "name"), [("Europe/Berlin", "Europe/Berlin"), (":Asia/Tokyo", "Asia/Tokyo")])
def test_the_time_zone_of_the_environment(zone: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    assert project.time_zone() == name
    monkeypatch.setenv("TZ", "/etc/localtime")
    assert "etc" not in project.time_zone()


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("", "prefect server start --background"),
        ("http://localhost:4200/api", "prefect server start --background"),
        ("http://127.0.0.1:4201/api", "prefect server start --background --port 4201"),
        ("http://[::1]/api", "prefect server start --background"),
        ("https://prefect.example.com/api", "export PREFECT_API_URL=..."),
    ],
)
def test_the_command_that_starts_a_server_where_one_is_named(url: str, command: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url} if url else {}, restore_defaults={PREFECT_API_URL}):
        assert doctor._start_server() == command


def columns(**given: Any) -> dict[str, Any]:
    return log.Columns(**given).arguments()


def test_what_the_columns_of_results_are() -> None:
    assert columns() == {"task_fields": None, "evaluator_columns": None, "types": None}
    for given in ({"example_id": "who"}, {"output": "said"}):
        expected = ExperimentTaskFieldNames(**{"example_id": "example_id", "output": "output", **given})
        assert columns(**given)["task_fields"] == expected
    found = columns(
        score=["a=x=y", "b"], label=["a=l", "c"], explanation=["a=e"], evaluation_metadata=["a=m", "a=n", "b"],
        kind=["b=human"], cell_type=["x=number"],
    )  # fmt: skip
    assert found["types"] == {"x": "number"}
    assert found["evaluator_columns"] == {
        "a": EvaluationResultFieldNames(score="x=y", label="l", explanation="e", metadata=["m", "n"]),
        "b": EvaluationResultFieldNames(score="b", metadata=["b"], annotator_kind="HUMAN"),
        "c": EvaluationResultFieldNames(label="c"),
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"score": ["a=x", "a=y"]}, "--score is given twice for 'a'"),
        ({"score": ["=x"]}, "--score takes NAME=COLUMN, got '=x'"),
        ({"label": ["a="]}, "--label takes NAME=COLUMN, got 'a='"),
        ({"kind": ["human"]}, "--kind takes NAME=KIND, got 'human'"),
        ({"kind": ["a=human"]}, "evaluator 'a' has neither a score nor a label; give --score a=COLUMN"),
        ({"evaluation_metadata": ["a="]}, "--evaluation-metadata takes NAME=COLUMN, got 'a='"),
    ],
    ids=repr,
)
def test_columns_that_cannot_be(given: dict[str, list[str]], said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        columns(**given)
    assert str(refused.value) == said


@pytest.mark.parametrize("text", ["n", "=number", "n="])
def test_a_type_is_of_a_column(text: str) -> None:
    with pytest.raises(InvalidSetting, match="--type takes COLUMN=TYPE, such as price=number, got"):
        types_of([text])
    assert types_of(None) is types_of([]) is None


MORE = "  - name: new\n    parameters:\n\n      a: 1\n"
AGAIN = "- name: new\n  parameters:\n\n    a: 1\n"
DEEP = "    - name: new\n      parameters:\n\n        a: 1\n"
HEAD = prefect_yaml.with_only("", "p")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{HEAD}{MORE}"),
        ("# ours\n\n", f"# ours\n\n{HEAD}{MORE}"),
        ("name: a\n\n\n", f"name: a\n\ndeployments:\n{MORE}"),
        ("deployments:\n", f"deployments:\n{MORE}"),
        ("deployments: []  # none\npull: null\n", f"deployments:\n{MORE.rstrip()}  # none\npull: null\n"),
        ("deployments:\n  - name: b\n", f"deployments:\n  - name: b\n\n{MORE}"),
        ("deployments:\n- name: b\n\n# end\npull: 1\n", f"deployments:\n- name: b\n\n{AGAIN}\n# end\npull: 1\n"),
        ("deployments:\n    - name: b", f"deployments:\n    - name: b\n\n{DEEP}"),
        (
            "deployments:\n  - name: b\n    tags: [\n      x\n    ]\npull: 1\n",
            f"deployments:\n  - name: b\n    tags: [\n      x\n    ]\n\n{MORE}pull: 1\n",
        ),
        (
            "deployments:\n  - name: b\n    text: |\n      one\n\n      two\npull: 1\n",
            f"deployments:\n  - name: b\n    text: |\n      one\n\n      two\n\n{MORE}pull: 1\n",
        ),
    ],
    ids=repr,
)
def test_a_deployment_is_added_in_the_way_that_the_file_is_written(before: str, after: str) -> None:
    assert prefect_yaml.with_one_more(before, MORE, "new", "p") == after
