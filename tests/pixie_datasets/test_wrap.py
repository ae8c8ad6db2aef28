"""What an application takes in and gives out by `pixie.wrap`, entry by entry, through pixie itself."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments import Client
from prefect_experiments.errors import InvalidDataset, InvalidTask
from prefect_experiments.pixie import application
from prefect_experiments.pixie.examples import Entry, Form, Named
from prefect_experiments.pixie.wrap import pixies_wrap, wrapping
from prefect_experiments.sync import run_sync
from prefect_experiments.tasks import resolve_task
from support.patience import PATIENCE_S

from .projects import dataset, entry, project, task_of

pixie = pytest.importorskip("pixie", reason="pixie-qa is not installed")

OLD_PIXIE = Path(__file__).parents[2] / ".venv-pixie-old"

HEAD = """
import asyncio, collections, threading
import pixie
from pydantic import BaseModel
"""


def runs(root: Path, body: str, example: Any, *, is_async: bool = True) -> Any:
    """What an application with this body gives for an entry; the body finds the arguments as ``a``."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    app = f"{HEAD}\n{'async ' if is_async else ''}def app(a):\n{lines}\n"
    task: Any = application("pixie_qa/scripts/run_app.py:app", str(project(root, app, my_app="")))

    async def called() -> Any:
        return await task(example)

    return run_sync(called) if is_async else task(example)


def taken(*items: tuple[str, Any], form: Form = "input_data", **arguments: Any) -> Any:
    return Entry(form=form, arguments=arguments, eval_input=tuple(Named(*item) for item in items)).to_example("e")


@pytest.mark.parametrize("form", ["input_data", "entry_kwargs"])
@pytest.mark.parametrize("place", ["value", "argument"])
def test_nothing_of_a_dataset_is_executed_or_decoded(tmp_path: Path, form: Form, place: str) -> None:
    """The same value does run its command where pixie decodes it, which is looked at first."""
    mark = tmp_path / "ran"
    harmful = {"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [str(mark)]}]}
    theirs: Any = importlib.import_module("pixie.instrumentation.wrap")
    theirs.deserialize_wrap_data(harmful)
    assert mark.is_dir(), "pixie itself is harmless by now: this test shows nothing any more"
    mark.rmdir()
    value = {"deep": [harmful, {"py/object": "collections.OrderedDict"}, {"py/set": [1]}, {"py/id": 1}]}
    example = taken(("it", value), form=form) if place == "value" else taken(("it", 1), form=form, it=value)
    body = "given = pixie.wrap(None, purpose='input', name='it')\n"
    body += "pixie.wrap([given, a], purpose='output', name='seen')"
    given_value = value if place == "value" else 1
    arguments = {} if place == "value" else {"it": value}
    assert runs(tmp_path / "p", body, example) == {"seen": [given_value, arguments]}
    assert not mark.exists()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["py/object", "py/reduce", "py/tuple", "py/set", "py/id", "py/ref", "py/type", "py/function", "py/repr",
             "py/b64", "py/bytes", "py/state", "py/seq", "py/newargs", "json://1", "name", ""]
        ),
        inner, max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@given(value=json_values)
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_a_value_goes_in_and_comes_out_as_it_is(value: Any) -> None:
    with wrapping(Entry(arguments={}, eval_input=(Named("it", value),))) as captured:
        pixie.wrap(pixie.wrap(None, purpose="input", name="it"), purpose="output", name="it")
        provider: Any = pixie.wrap(lambda: "really", purpose="input", name="it")
        assert provider() == value
    assert json.dumps(captured(None).to_output()) == json.dumps({"it": value})


def test_outside_of_an_entry_pixie_works_as_ever() -> None:
    wrap: Any = importlib.import_module("pixie.instrumentation.wrap")
    pixies_wrap()
    assert pixie.wrap("really", purpose="input", name="it") == "really"
    assert wrap.serialize_wrap_data((1, 2)) == {"py/tuple": [1, 2]}
    wrap.set_eval_input({"it": {"py/tuple": [1, 2]}})
    try:
        assert pixie.wrap(None, purpose="input", name="it") == (1, 2)
    finally:
        wrap.clear_eval_input()


def test_each_call_of_wrap_has_a_value_of_its_own(tmp_path: Path) -> None:
    body = """
for number in (1, 2):
    given = pixie.wrap([], purpose="input", name="it")
    given.append(number)
    pixie.wrap(given, purpose="output", name=f"seen {number}")
    given.append("later")
"""
    assert runs(tmp_path, body, taken(("it", [0]))) == {"seen 1": [0, 1], "seen 2": [0, 2]}


def test_the_last_of_two_values_of_one_name_counts(tmp_path: Path) -> None:
    body = "return pixie.wrap(None, purpose='input', name='it')"
    assert runs(tmp_path, body, taken(("it", 1), ("it", 2))) == {"output": 2}


def test_the_arguments_are_an_input_as_pixie_has_it(tmp_path: Path) -> None:
    """Since pixie 0.7 they are, in 0.6 they were not."""
    body = "return pixie.wrap(None, purpose='input', name='input_data')"
    assert runs(tmp_path, body, taken(("it", 1), message="a")) == {"output": {"message": "a"}}
    assert runs(tmp_path, body, taken(("input_data", 1), message="a")) == {"output": 1}
    with pytest.raises(InvalidDataset, match=r"'input_data' in its input data\. It has: 'it'"):
        runs(tmp_path, body, taken(("it", 1), form="entry_kwargs", message="a"))


@pytest.mark.thorough
def test_a_missing_input_is_that_entrys_error_and_no_retry_helps(client: Client, tmp_path: Path) -> None:
    ran = client.experiments.run_experiment(
        dataset=dataset(project(tmp_path), [entry("a"), entry("b", hours=1, days=2)]), retries=5, print_summary=False
    )
    fine, failed = ran.task_runs
    assert fine.error is None
    assert failed.attempts == 1
    assert failed.error == (
        "InvalidDataset: wrap(name='profile', purpose='input') not found in eval registry. Ensure the dataset entry "
        "has a value for 'profile' in its input data. It has: 'input_data', 'hours', 'days'"
    )


def test_captures_keep_their_order_and_their_doubles(tmp_path: Path) -> None:
    ordered = """
pixie.wrap(1, purpose="state", name="z")
pixie.wrap(2, purpose="output", name="a")
pixie.wrap(3, purpose="input", name="given")
pixie.wrap(4, purpose="state", name="m")
return "not this"
"""
    example = taken(("given", 0))
    assert list(runs(tmp_path, ordered, example).items()) == [("z", 1), ("a", 2), ("m", 4)]
    twice = ordered.replace('"m"', '"z"')
    assert runs(tmp_path, twice, example) == {
        "eval_output": [{"name": "z", "value": 1}, {"name": "a", "value": 2}, {"name": "z", "value": 4}]
    }


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("returned", ["'text'", "{'a': [1]}", "None", "[]"])
def test_without_captures_the_output_is_what_was_returned(tmp_path: Path, is_async: bool, returned: str) -> None:
    found = runs(tmp_path, f"return {returned}", taken(), is_async=is_async)
    assert found == {"output": eval(returned)}


def test_what_is_captured_is_readable_json(tmp_path: Path) -> None:
    """jsonpickle would say ``py/set`` and ``py/object``, and ``py/id`` of what stands in it twice."""
    body = """
class Reply(BaseModel):
    text: str
twice = ["same"]
pixie.wrap({"set": {1}, "tuple": (1, 2), "model": Reply(text="a"), "twice": [twice, twice]},
           purpose="output", name="it")
"""
    assert runs(tmp_path, body, taken()) == {
        "it": {"set": [1], "tuple": [1, 2], "model": {"text": "a"}, "twice": [["same"], ["same"]]}
    }


def test_what_is_captured_and_is_no_json_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class_of_its_own = "class Away: pass\npixie.wrap(Away(), purpose='output', name='it')"
    assert "Away object" in runs(tmp_path, class_of_its_own, taken())["it"]
    [said] = [line for line in caplog.messages if "Away" in line]
    assert said.startswith("What the application captures by wrap() is not JSON (")
    assert said.endswith("Away is not JSON; kept as its repr).")


def test_providers_sync_and_async(tmp_path: Path) -> None:
    """pixie gives a plain function in place of a coroutine function, which cannot be awaited."""
    body = """
def sync(user): raise AssertionError("really called")
async def asynchronous(user): raise AssertionError("really called")
class Provider:
    async def __call__(self, user): raise AssertionError("really called")
    async def method(self, user): raise AssertionError("really called")
first = pixie.wrap(sync, purpose="input", name="it")
second = pixie.wrap(asynchronous, purpose="input", name="it")
third = pixie.wrap(Provider(), purpose="input", name="it")
fourth = pixie.wrap(Provider().method, purpose="input", name="it")
both = await asyncio.gather(second("u"), second("u"))
return [first("u"), first(user="u"), *both, await second("u"), await third("u"), await fourth("u")]
"""
    assert runs(tmp_path, body, taken(("it", {"a": 1}))) == {"output": [{"a": 1}] * 7}


def test_functions_are_captured_at_each_call_with_what_they_give(tmp_path: Path) -> None:
    body = """
async def later(x): return x * 2
def now(x): return x * 3
later, now = (pixie.wrap(f, purpose="output", name=f.__name__) for f in (later, now))
assert [await later(1), now(1), await later(2)] == [2, 3, 4]
"""
    assert runs(tmp_path, body, taken()) == {
        "eval_output": [
            {"name": "later", "value": 2},
            {"name": "now", "value": 3},
            {"name": "later", "value": 4},
        ]
    }


APART = """
import asyncio, threading
import pixie

barrier = asyncio.Barrier(50)
threads = threading.Barrier(50)

def inner():
    mine = pixie.wrap(None, purpose="input", name="profile")
    pixie.wrap(mine, purpose="state", name="in a thread")

async def coroutine(arguments):
    await barrier.wait()  # all are in flight
    mine = pixie.wrap(None, purpose="input", name="profile")
    await asyncio.sleep(0)
    pixie.wrap(mine, purpose="output", name="first")
    await asyncio.to_thread(inner)
    await asyncio.create_task(asyncio.to_thread(inner))
    await barrier.wait()
    pixie.wrap([arguments["message"], mine], purpose="output", name="last")

def plain(arguments):
    threads.wait()
    mine = pixie.wrap(None, purpose="input", name="profile")
    inner(), inner()
    threads.wait()
    pixie.wrap([arguments["message"], mine], purpose="output", name="last")
"""


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize(
    ("name", "traced"), [("coroutine", True), ("plain", False), ("coroutine", False), ("plain", True)]
)
def test_fifty_entries_at_once_are_kept_apart(client: Client, tmp_path: Path, name: str, traced: bool) -> None:
    messages = [f"m{number}" for number in range(50)]
    root = project(tmp_path, APART)
    ran = client.experiments.run_experiment(
        dataset=dataset(root, map(entry, messages), f"pixie_qa/scripts/run_app.py:{name}"),
        concurrency=50,
        batch_size=50,
        retries=0,
        timeout=PATIENCE_S,
        set_global_tracer_provider=traced,
        print_summary=False,
    )
    first = [("first", lambda mine: mine)] if name == "coroutine" else []
    for message, run in zip(messages, ran.task_runs, strict=True):
        assert run.error is None
        mine = {"name": f"p-{message}"}
        found = [(item["name"], item["value"]) for item in run.output["eval_output"]]
        expected = [*[(label, get(mine)) for label, get in first], *[("in a thread", mine)] * 2]
        assert found == [*expected, ("last", [message, mine])]
        assert (run.trace_id is not None) == traced


def without_pixie(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pixie"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pixie", None)


def test_an_application_that_does_without_pixie_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path, "def app(arguments):\n    return arguments\n", my_app="")
    without_pixie(monkeypatch)
    task = resolve_task(task_of(root, "pixie_qa/scripts/run_app.py:app"))
    assert task.function(entry("a")) == {"output": {"message": "a"}}


def test_one_that_imports_it_later_is_told_what_to_install(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project(tmp_path, "def app(arguments):\n    import pixie\n", my_app="")
    without_pixie(monkeypatch)
    data = dataset(root, [entry("a")], "pixie_qa/scripts/run_app.py:app")
    [run] = client.experiments.run_experiment(dataset=data, retries=5, print_summary=False).task_runs
    assert "which is not installed: pip install 'prefect-experiments[pixie]'" in run.error
    assert run.attempts == 1


@pytest.mark.parametrize(
    "edit",
    [
        ("deserialized = deserialize_wrap_data(", "deserialized = jsonpickle.decode(json.dumps)(") ,
        ("deserialized = deserialize_wrap_data(input_registry[name])",
         "deserialized = jsonpickle.decode(json.dumps(input_registry[name]))"),
        ("data=serialize_wrap_data(val)", "data=json.loads(jsonpickle.encode(val))"),
        ("_emit_and_return", "_emit"),
        ("def set_eval_input", "def put_eval_input"),
        ("eval_output.append(body)", "pass"),
    ],
)  # fmt: skip
def test_a_pixie_that_works_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch, edit: tuple[str, str]) -> None:
    """A dataset's values would be decoded, or an output be lost, in silence."""
    theirs: Any = importlib.import_module("pixie.instrumentation.wrap")
    source = Path(theirs.__file__).read_text()
    assert edit[0] in source
    another = types.ModuleType("pixie.instrumentation.wrap")
    monkeypatch.setitem(sys.modules, another.__name__, another)
    exec(compile(source.replace(*edit), "another", "exec", dont_inherit=True), vars(another))
    with pytest.raises(InvalidTask, match=r"as pixie-qa 0\.6\.1 to 0\.8\.6 do.*prefect-experiments\[pixie\]"):
        pixies_wrap()
    with pytest.raises(InvalidTask), wrapping(Entry(arguments={})):  # and stays so
        pass


VERSION = """
import json, sys
from importlib.metadata import version
import pixie, pixie.harness.runner as runner
from prefect_experiments.pixie import application
from prefect_experiments.pixie.examples import Entry, Named
from prefect_experiments.sync import run_sync
task = application("pixie_qa/scripts/run_app.py:App", sys.argv[1])
value = {"name": "p", "py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [sys.argv[1] + "/ran"]}]}
entries = (Entry(form=form, arguments={"message": "a"}, eval_input=(Named("profile", value),)) for form in sys.argv[2:])
outputs = [run_sync(lambda: task(entry.to_example("e"))) for entry in entries]
print(pixie.__file__, hasattr(runner, "INPUT_DATA_KEY"), json.dumps(outputs))
"""


@pytest.mark.thorough
@pytest.mark.parametrize("old", [False, True], ids=["as installed", "0.6.1"])
def test_of_either_version_of_pixie(tmp_path: Path, old: bool) -> None:
    path = [os.environ.get("PYTHONPATH", "")]
    if old:
        [*places] = OLD_PIXIE.glob("lib/python*/site-packages/pixie")
        if not places:
            pytest.skip("there is no .venv-pixie-old: make .venv-pixie-old/.installed")
        (tmp_path / "old").mkdir()
        (tmp_path / "old/pixie").symlink_to(places[0])
        path.insert(0, str(tmp_path / "old"))
    root = project(tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "-c", VERSION, str(root), "input_data", "entry_kwargs"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    where, is_new, outputs = done.stdout.split(maxsplit=2)
    assert ("old/pixie" in where) == old
    assert (is_new == "True") == (not old)
    assert json.loads(outputs) == [{"reply": "a for p"}] * 2
    assert not (root / "ran").exists()
