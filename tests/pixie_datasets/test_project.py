"""A pixie project: where it is, and what its references lead to."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from prefect_experiments.errors import InvalidReference
from prefect_experiments.keys import callable_fingerprint
from prefect_experiments.pixie.project import Project
from prefect_experiments.tasks import resolve_task

from .projects import APP, MY_APP, project, task_of, write


@pytest.mark.parametrize(
    ("file", "here", "root"),
    [
        ("p/pixie_qa/datasets/x.json", ".", "p"),
        ("p/pixie_qa/datasets/x.json", "p/pixie_qa", "p"),
        ("pixie_qa/p/pixie_qa/x.json", ".", "pixie_qa/p"),  # the closest
        ("p/data/x.json", "p", "p"),
        ("p/data/x.json", ".", "."),
        ("p/data/x.json", "elsewhere", "p/data"),
    ],
)
def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, here: str, root: str) -> None:
    write(tmp_path, {file: "{}", "elsewhere/other": "", "p/pixie_qa/other": ""})
    monkeypatch.chdir(tmp_path / here)
    assert Project.of(tmp_path / file).root == (tmp_path / root).resolve()
    assert Project.of(tmp_path / file, root=tmp_path / "elsewhere").root == tmp_path / "elsewhere"


def test_the_root_comes_before_the_files_neighbours(tmp_path: Path) -> None:
    """pixie has the root alone on its path; a neighbour is found where the root has no such module."""
    write(
        tmp_path,
        {
            "pixie_qa/scripts/run.py": "import helper, beside\nfrom pixie_qa.judges import name\n"
            "def app(arguments):\n    return [helper.WHERE, beside.WHERE, name]\n",
            "pixie_qa/scripts/helper.py": "WHERE = 'beside'",
            "pixie_qa/scripts/beside.py": "WHERE = 'beside'",
            "pixie_qa/judges.py": "name = 'judges'",
            "helper.py": "WHERE = 'root'",
        },
    )
    assert Project(tmp_path).load("pixie_qa/scripts/run.py:app")({}) == ["root", "beside", "judges"]


def test_two_projects_keep_their_own_modules(tmp_path: Path) -> None:
    """Also what their functions import only when they are called."""
    for name in ("one", "two"):
        write(
            tmp_path / name,
            {
                "pixie_qa/run.py": "import my_app\ndef app(a):\n    from later import NAME\n"
                "    return my_app.NAME + NAME\n",
                "my_app.py": f"NAME = {name!r}",
                "later.py": f"NAME = {name!r}",
            },
        )
    one, two = (Project(tmp_path / name).load("pixie_qa/run.py:app") for name in ("one", "two"))
    assert (one({}), two({}), one({})) == ("oneone", "twotwo", "oneone")


def test_a_file_that_changes_is_loaded_again_and_one_that_has_not_is_not(tmp_path: Path) -> None:
    file = tmp_path / "run.py"
    for text in ("def app(a): return 1", "def app(a): return 2"):
        file.write_text(text)
        app = Project(tmp_path).load("run.py:app")
        assert app({}) == int(text[-1])
        assert Project(tmp_path).load("run.py:app") is app


@pytest.mark.parametrize(
    "reference", ["../other/run.py:app", "{outside}/run.py:app", "link.py:app", "linked/run.py:app"]
)
def test_what_is_outside_is_refused_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    root, outside = tmp_path / "project", tmp_path / "other"
    write(root, {"inside.py": "def app(a): return 'inside'"})
    write(outside, {"run.py": "open(__file__ + '.ran', 'w')\ndef app(a): return 'outside'"})
    (root / "link.py").symlink_to(outside / "run.py")
    (root / "linked").symlink_to(outside)
    reference = reference.format(outside=outside)
    with pytest.raises(
        InvalidReference,
        match=r"leads out of the project .*Move the file into the project, or allow its folder .*REFERENCES=",
    ):
        Project(root).load(reference)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", f"{root}/")
    with pytest.raises(InvalidReference, match="is not allowed here"):
        Project(root).load(reference)
    assert not (outside / "run.py.ran").exists()
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", f"{root}/,{outside}/")
    assert Project(root).load(reference)({}) == "outside"


def test_where_references_are_limited_the_project_itself_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The factory that references call need not be, and is no way around it."""
    project(tmp_path, "def app(arguments):\n    return 1\n", my_app="")
    reference = task_of(tmp_path, "pixie_qa/scripts/run_app.py:app")
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", "my_package")
    with pytest.raises(InvalidReference, match=r"is not allowed here.*my_package"):
        resolve_task(reference)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", f"{tmp_path}/pixie_qa/")
    assert resolve_task(reference).name == "app"
    with pytest.raises(InvalidReference, match="Python's own"):
        resolve_task(task_of(tmp_path, "pixie_qa/scripts/run_app.py:app.__globals__"))


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nope.py:app", r"reference .*: there is no file .*nope\.py \(project: "),
        ("run.py:nope", r"has no 'nope'\. It has: app"),
        ("run.py", "is not a reference; write 'path/to/file.py:Name'"),
        ("os:system", "is not a reference"),
        ("run.py: ", "is not a reference"),
        ("bad.py:app", "ZeroDivisionError"),
        ("\0.py:app", "there is no file"),
        ("round.py:app", "there is no file"),
        ("needs.py:app", r"imports pixie, which is not installed: pip install 'prefect-experiments\[pixie\]'"),
    ],
)
def test_what_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, said: str) -> None:
    write(tmp_path, {"run.py": "def app(a): ...", "bad.py": "1 / 0", "needs.py": "import pixie"})
    (tmp_path / "round.py").symlink_to(tmp_path / "round.py")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pixie"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    with pytest.raises(InvalidReference, match=said):
        Project(tmp_path).load(reference)


def test_modules_that_are_looked_for_by_name_are_found_while_it_is_in_use(tmp_path: Path) -> None:
    write(tmp_path, {"plugin_of_project.py": ""})
    first, second = Project(tmp_path), Project(tmp_path)
    with first.importable():
        with second.importable():
            pass
        assert importlib.import_module("plugin_of_project")
    assert str(tmp_path) not in sys.path


def test_the_fingerprint_is_of_the_code_and_not_of_the_place(tmp_path: Path) -> None:
    one, two = (resolve_task(task_of(project(tmp_path / name))) for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint
    assert one.name == two.name == "App"
    changed = {
        "the runnable": (lambda text: text.replace('note("setup")', 'note("set up")'), None),
        "its arguments": (lambda text: text.replace("times: int = 1", "times: int = 2"), None),
        "what it calls": (lambda text: text, "async def answer(message): ..."),
    }
    for name, (edit, my_app) in changed.items():
        task = resolve_task(task_of(project(tmp_path / name, edit(APP), my_app=my_app or MY_APP)))
        assert task.fingerprint != one.fingerprint, name
    assert callable_fingerprint(task.function.target) != task.fingerprint


@pytest.mark.parametrize(
    ("name", "led_to"),
    [
        ("asyncio.subprocess.subprocess.run", "the module asyncio"),
        ("sys.exit", "the module sys"),
        ("system", "posix.system"),
        ("run", "subprocess.run"),
        ("Popen", "subprocess.Popen"),
        ("App.__class__", "builtins.type"),
        ("App.__subclasses__", "builtins."),
        ("opened.write", "builtins.BytesIO.write"),
    ],
)
def test_what_a_file_has_only_imported_is_not_for_datasets_to_name(tmp_path: Path, name: str, led_to: str) -> None:
    write(
        tmp_path,
        {
            "app.py": "import asyncio, io, sys\nfrom os import system\nfrom subprocess import Popen, run\n"
            "opened = io.BytesIO()\nclass App:\n    def create(): ...\n    def run(args): ...\n"
        },
    )
    with pytest.raises(
        InvalidReference, match=f"leads out of the project .*: to {led_to}.* has only imported. A dataset may"
    ):
        Project(tmp_path).load(f"app.py:{name}")


def test_what_the_projects_files_define_or_make_may_be_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app.py": "import functools\nfrom checks.polite import Polite, wrapped\nfrom pixie import Evaluation\n"
            "class Outer:\n    class Inner:\n        def create(): ...\n        def run(args): ...\n"
            "short = functools.partial(len)\n@functools.cache\ndef cached(a): ...\nanswer = lambda a: a\n",
            "checks/polite.py": "def decorated(f):\n    def wrapper(a): return f(a)\n    return wrapper\n"
            "class Polite: ...\n@decorated\ndef wrapped(a): return a\n",
        },
    )
    load = Project(tmp_path).load
    names = ["Outer", "Outer.Inner", "Polite", "wrapped", "short", "cached", "answer", "Evaluation"]
    assert all(load(f"app.py:{name}") for name in names)


@pytest.mark.parametrize("file", [".venv/x.py", "venv/lib/python3.11/site-packages/somelib/x.py", ".git/hooks/x.py"])
def test_what_lies_in_the_project_and_is_not_its_own(tmp_path: Path, file: str) -> None:
    write(tmp_path, {file: "def run(args): ...\n", "app.py": "from x import run\n"})
    with pytest.raises(
        InvalidReference, match=r"leads to .*, which is no file of the project's own: it is in a hidden folder"
    ):
        Project(tmp_path).load(f"{file}:run")
