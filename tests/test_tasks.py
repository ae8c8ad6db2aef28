"""References to tasks, and what is known of a task before it is called."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from prefect_experiments.errors import InvalidReference, InvalidTask
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.tasks import Fields, callable_name, load_reference, resolve_task

FIELDS = Fields("ex-1", '{"q": 1}', None, "{}")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    path = list(sys.path)
    yield tmp_path
    assert sys.path == path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def refusal(reference) -> str:
    with pytest.raises(InvalidReference) as caught:
        load_reference(reference)
    return str(caught.value)


def module_level(input):
    return input


class Holder:
    @staticmethod
    def static(input):
        return input

    def method(self, input):
        return input


# --- references that lead somewhere -----------------------------------------------------------


def test_a_module_in_the_current_directory(folder):
    write(folder, "my_app/__init__.py", "")
    write(folder, "my_app/tasks.py", "def answer(input):\n    return ['answered', input]\n")
    task = resolve_task("my_app.tasks:answer")
    assert task.call(FIELDS) == ["answered", {"q": 1}]
    assert (task.name, task.reference) == ("answer", "my_app.tasks:answer")


@pytest.mark.parametrize("absolute", [False, True])
def test_a_file(folder, absolute):
    path = write(folder, "flows/answer it.py", "def answer(input):\n    return 'answered'\n")
    reference = f"{path if absolute else 'flows/answer it.py'}:answer"
    task = resolve_task(reference)
    assert task.call(FIELDS) == "answered"
    assert task.reference == reference


def test_what_stands_inside_a_class(folder):
    write(
        folder, "inside.py", "class App:\n    @staticmethod\n    def answer(input):\n        return 'from the class'\n"
    )
    assert resolve_task("inside.py:App.answer").call(FIELDS) == "from the class"
    assert resolve_task("inside:App.answer").call(FIELDS) == "from the class"


def test_a_files_neighbours_can_be_imported(folder):
    write(folder, "apps/helper_of_it.py", "ANSWER = 42\n")
    write(folder, "apps/main.py", "from helper_of_it import ANSWER\n\ndef task(input):\n    return ANSWER\n")
    assert resolve_task("apps/main.py:task").call(FIELDS) == 42


def test_a_file_with_dataclasses(folder):
    write(
        folder,
        "with_dataclass.py",
        """
        from __future__ import annotations
        import dataclasses

        @dataclasses.dataclass
        class Answer:
            text: str

        def task(input):
            return Answer("x")
        """,
    )
    assert resolve_task("with_dataclass.py:task").call(FIELDS).text == "x"


@pytest.mark.parametrize("reference", ["counted.py:task", "counted:task"])
def test_a_module_is_imported_once(folder, reference):
    write(folder, "counted.py", "import pathlib\nwith open('log', 'a') as f:\n    f.write('x')\ndef task(x): pass\n")
    first = load_reference(reference)
    assert load_reference(reference) is first
    assert load_reference(f"{folder / 'counted.py'}:task") is load_reference(f"{folder}/./counted.py:task")
    assert (folder / "log").read_text() in {"x", "xx"}  # once as a module, once as a file


def test_two_files_of_one_name_are_two_modules(folder):
    for name in ("a", "b"):
        write(folder, f"{name}/app.py", f"def task(x):\n    return {name!r}\n")
    assert [resolve_task(f"{name}/app.py:task").call(FIELDS) for name in "ab"] == ["a", "b"]


def test_a_windows_path_keeps_its_colon():
    assert "there is no file C:" in refusal(r"C:\apps\main.py:task")


def test_the_current_directory_is_looked_at_when_it_is_not_on_the_path(tmp_path):
    (tmp_path / "beside.py").write_text("def task(x): return 'found'\n")
    script = "from prefect_experiments.tasks import resolve_task; print(resolve_task('beside:task').name)"
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("task\n", "")


# --- references that lead nowhere -------------------------------------------------------------


@pytest.mark.parametrize("reference", ["answer", "my_app.answer", ":answer", "my_app:", "", ":", "app.py"])
def test_what_is_no_reference(reference):
    assert "is not a reference; write 'package.module:name' or 'path/to/file.py:name'" in refusal(reference)


def test_a_module_that_is_not_there(folder):
    assert refusal("no_such_module:task") == (
        "reference 'no_such_module:task': there is no module 'no_such_module'. "
        f"Is it installed, or the current directory its parent? (current directory: {Path.cwd()})"
    )
    write(folder, "package_here/__init__.py", "")
    assert "there is no module 'package_here.missing'" in refusal("package_here.missing:task")


def test_a_module_whose_own_import_is_missing(folder):
    write(folder, "needs_more.py", "import not_installed_here\n")
    text = refusal("needs_more:task")
    assert "importing needs_more failed with ModuleNotFoundError: No module named 'not_installed_here'" in text
    write(folder, "longer_name.py", "import longer\n")
    assert "importing longer_name failed with ModuleNotFoundError: No module named 'longer'" in refusal(
        "longer_name:task"
    )


def test_a_file_that_is_not_there(folder):
    said = "reference 'flows/missing.py:task': there is no file flows/missing.py (current directory: "
    assert refusal("flows/missing.py:task").startswith(said)
    (folder / "folder.py").mkdir()
    assert "there is no file folder.py" in refusal("folder.py:task")


def test_a_name_that_is_not_there_and_those_that_are(folder):
    write(folder, "app.py", "def answer(x): pass\ndef other(x): pass\n_hidden = 3\nNUMBER = 3\n")
    assert refusal("app.py:anwser") == "reference 'app.py:anwser': app.py has no 'anwser'. It has: answer, other"
    write(folder, "empty_module.py", "")
    assert "It has: nothing" in refusal("empty_module:task")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('no key set')", "ValueError: no key set"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def task(x:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_raises_when_it_is_imported(folder, text, said):
    write(folder, "raises_on_import.py", text)
    for reference, doing in (
        ("raises_on_import:t", "importing raises_on_import"),
        ("raises_on_import.py:t", "running"),
    ):
        for _ in range(2):  # and nothing half made is left behind
            found = refusal(reference)
            assert doing in found
            assert f"failed with {said}" in found


def test_a_module_that_was_mended_is_taken(folder):
    path = write(folder, "mended.py", "raise ValueError")
    assert "ValueError" in refusal("mended.py:task")
    path.write_text("def task(x): return 'mended'\n")
    assert resolve_task("mended.py:task").call(FIELDS) == "mended"


def test_a_reference_to_what_is_no_task(folder):
    write(folder, "things.py", "NUMBER = 3\nclass Thing: pass\n")
    for name in ("NUMBER", "Thing"):
        with pytest.raises(InvalidTask, match="a task must be a function or another callable"):
            resolve_task(f"things.py:{name}")


# --- what is known of a task ------------------------------------------------------------------


def test_a_function_that_can_be_found_again_has_a_reference():
    task = resolve_task(module_level)
    assert task.reference == f"{__name__}:module_level"
    assert load_reference(task.reference) is module_level
    assert resolve_task(Holder.static).reference == f"{__name__}:Holder.static"


def test_others_have_none():
    def local(x):
        pass

    for function in (
        local,
        lambda x: x,
        Holder().method,
        functools.partial(module_level),
        functools.wraps(module_level)(local),
    ):
        assert resolve_task(function).reference is None


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (module_level, "module_level"),
        (functools.partial(functools.partial(module_level)), "module_level"),
        (Holder().method, "method"),
        (lambda x: x, "lambda"),
        (len, "len"),
        (type("Judge", (), {"__call__": lambda self, x: x})(), "Judge"),
    ],
)
def test_names(function, name):
    assert resolve_task(function).name == callable_name(function) == name


def test_prefect_tasks_and_flows_are_taken_for_their_functions():
    import prefect

    task = resolve_task(prefect.task(module_level))
    assert (task.name, task.function) == ("module_level", module_level)
    assert task.fingerprint == resolve_task(module_level).fingerprint

    @prefect.flow
    async def application(input):
        return input

    assert resolve_task(application).is_async


@pytest.mark.parametrize("name", ["Task", "Flow"])
def test_a_class_of_ones_own_may_be_called_as_prefects_are(name):
    own = type(name, (), {"__call__": lambda self, example: example, "fn": None})()
    assert resolve_task(own).function is own
    assert resolve_evaluators(type(name, (), {"__call__": lambda self, output: 1.0})())


def test_fields_are_decoded_anew_for_each_call():
    assert FIELDS.input() == FIELDS.input()
    assert FIELDS.input() is not FIELDS.input()
    assert FIELDS.expected() is None
    assert FIELDS.output() is None


def test_generators_are_tasks_whose_stream_is_read():
    def streams(input):
        yield input

    async def streams_too(input):
        yield input

    assert not resolve_task(streams).is_async
    assert resolve_task(streams_too).is_async  # it belongs in the event loop
