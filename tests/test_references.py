"""References to files that change: what runs is what the file says now, and what has not changed stays as it is."""

from __future__ import annotations

import builtins
import importlib
import logging
import os
import pickle
import shutil
import sys
import textwrap
import threading
import traceback
import types
import typing
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.errors import InvalidReference
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.keys import callable_fingerprint
from prefect_experiments.references import load_reference
from prefect_experiments.tasks import resolve_task
from support.modules import folder

__all__ = ["folder"]

FIRST_MOMENT = 1_700_000_000


def write(path: Path, text: str) -> Path:
    """Always at the same moment: no edit is told by its time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    os.utime(path, (FIRST_MOMENT, FIRST_MOMENT))
    return path


def answer(reference: str) -> Any:
    return load_reference(reference)("question")


@pytest.mark.parametrize("reference", ["app.py:answer", "app:answer", "{folder}/app.py:answer"])
def test_a_file_is_run_as_it_is_now(folder: Path, reference: str) -> None:
    reference = reference.format(folder=folder)
    for number in (1, 2, 3):  # of one size, at one moment
        write(folder / "app.py", f"def answer(input):\n    return {number}\n")
        assert answer(reference) == number
        assert answer(reference) == number


def test_an_editor_that_writes_beside_and_renames(folder: Path) -> None:
    for number in (1, 2):
        write(folder / "app.py~", f"def answer(input):\n    return {number}\n").replace(folder / "app.py")
        assert answer("app.py:answer") == number


def test_what_has_not_changed_stays_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what somebody has patched."""
    write(folder / "helper.py", "def ask():\n    return 'really'\n")
    write(
        folder / "app.py",
        "import helper\nseen = []\ndef answer(input):\n    seen.append(input)\n    return helper.ask()\n",
    )
    import helper  # type: ignore[import-not-found]

    monkeypatch.setattr(helper, "ask", lambda: "in a test")
    for _ in range(2):
        assert answer("app.py:answer") == "in a test"
    assert load_reference("app.py:seen") == ["question"] * 2
    assert sys.modules["helper"] is helper
    os.utime(folder / "app.py")  # saved, and nothing else
    assert load_reference("app.py:seen") == ["question"] * 2


HELPERS = {
    "import": ("helper", "import helper\ndef answer(input): return helper.VALUE\n"),
    "from": ("helper", "from helper import VALUE\ndef answer(input): return VALUE\n"),
    "within": ("helper", "import helper\ndef answer(input):\n    from helper import VALUE\n    return VALUE\n"),
    "over another": ("helper", "from between import VALUE\ndef answer(input): return VALUE\n"),
    "in a package": ("lib.parts.deep", "from lib.parts import deep\ndef answer(input): return deep.VALUE\n"),
    "as a name of a package": ("lib.parts.deep", "from lib import VALUE\ndef answer(input): return VALUE\n"),
    "dotted": ("lib.parts.deep", "import lib.parts.deep\ndef answer(input): return lib.parts.deep.VALUE\n"),
    "by call": ("helper", "import importlib as i\nm = i.import_module('helper')\ndef answer(input): return m.VALUE\n"),
}


@pytest.mark.mostly_slow(quick=8)
@pytest.mark.parametrize("reference", ["app.py:answer", "app:answer", "place/app.py:answer"])
@pytest.mark.parametrize("how", HELPERS)
def test_a_module_that_it_imports_has_changed(folder: Path, how: str, reference: str) -> None:
    module, text = HELPERS[how]
    place = folder / "place" if reference.startswith("place") else folder
    write(place / "app.py", text)
    write(place / "between.py", "from helper import VALUE\n")
    write(place / "lib/__init__.py", "from .parts.deep import VALUE\n")
    write(place / "lib/parts/__init__.py", "from . import deep\n")
    for number in (1, 2, 3):
        write(place / f"{module.replace('.', '/')}.py", f"VALUE = {number}\n")
        assert answer(reference) == number
        assert answer(reference) == number
    write(place / "app.py", text.replace("def answer(input)", "def answer(input, other=None)"))
    assert answer(reference) == 3


def test_a_module_whose_name_no_text_says_has_changed(folder: Path) -> None:
    """That it was imported was seen when the file was loaded before."""
    write(
        folder / "app.py",
        "import importlib as i\nm = i.import_module('hel' + 'per')\ndef answer(input): return m.VALUE\n",
    )
    for number in (1, 2, 3):
        write(folder / "helper.py", f"VALUE = {number}\n")
        assert answer("app.py:answer") == number


def test_only_what_depends_on_the_change_is_loaded_anew(folder: Path) -> None:
    log = folder / "log"
    note = f"with open({str(log)!r}, 'a') as file: file.write(__name__[-4:] + ' ')\n"
    write(folder / "leaf.py", note + "VALUE = 1\n")
    write(folder / "idle.py", note)
    write(folder / "over.py", note + "from between import VALUE\n")
    write(folder / "between.py", note + "from leaf import VALUE\n")
    write(folder / "app.py", note + "import idle, over\ndef answer(input): return over.VALUE\n")
    assert answer("app.py:answer") == 1
    assert log.read_text() == "_app idle over ween leaf "
    log.write_text("")
    write(folder / "leaf.py", note + "VALUE = 2\n")
    assert answer("app.py:answer") == 2
    assert log.read_text().split() == ["pp_2", "over", "ween", "leaf"]


def test_neighbours_of_one_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file has its own, and the process keeps the one that it has imported itself."""
    text = "import helper\ndef answer(input):\n    import helper as again\n    return helper.VALUE, again.VALUE\n"
    for place in ("a", "b"):
        write(folder / place / "app.py", text)
        write(folder / place / "helper.py", f"VALUE = {place!r}\n")
    for place in ("a", "b", "a", "b"):
        assert answer(f"{place}/app.py:answer") == (place, place)
    write(folder / "a" / "helper.py", "VALUE = 'A'\n")
    for place, value in (("b", "b"), ("a", "A"), ("b", "b"), ("a", "A")):
        assert answer(f"{place}/app.py:answer") == (value, value)


def test_a_neighbour_that_is_not_imported_takes_no_place(folder: Path) -> None:
    for place in ("a", "b"):
        write(folder / place / "helper.py", f"VALUE = {place!r}\n")
    write(folder / "a/app.py", "import helper\ndef answer(input): return helper.VALUE\n")
    write(folder / "b/app.py", "def answer(input): return 'alone'\n")
    assert answer("a/app.py:answer") == "a"
    helper = sys.modules["helper"]
    assert answer("b/app.py:answer") == "alone"
    assert sys.modules["helper"] is helper, "what is pickled of it is looked for there"


def test_what_the_process_has_imported_from_elsewhere_stays(folder: Path) -> None:
    write(folder / "tools.py", "VALUE = 'mine'\n")
    tools = importlib.import_module("tools")
    write(folder / "apps/tools.py", "VALUE = 'its own'\n")
    write(folder / "apps/app.py", "import tools\ndef answer(input): return tools.VALUE\n")
    for _ in range(2):
        assert answer("apps/app.py:answer") == "its own"
        assert sys.modules["tools"] is tools


@pytest.mark.parametrize("broken", ["app.py", "helper.py"])
@pytest.mark.parametrize("reference", ["app.py:answer", "app:answer"])
def test_a_file_that_no_longer_loads_is_refused_and_the_old_one_is_not_used(
    folder: Path, broken: str, reference: str
) -> None:
    texts = {"app.py": "from helper import VALUE\ndef answer(input): return VALUE\n", "helper.py": "VALUE = 1\n"}
    for name, text in texts.items():
        write(folder / name, text)
    assert answer(reference) == 1
    for fault in ("1 / 0\n", "def answer(:\n", "import no_such_module_at_all\n"):
        write(folder / broken, texts[broken] + fault)
        for _ in range(2):
            with pytest.raises(InvalidReference, match=r"failed with \w+Error: ") as error:
                load_reference(reference)
            assert reference in str(error.value)
            assert "process" not in str(error.value), "it would be the same in another one"
    write(folder / broken, texts[broken].replace("1", "2") + "# mended\n")
    assert answer(reference) == (2 if broken == "helper.py" else 1)
    (folder / broken).unlink()
    with pytest.raises(InvalidReference):
        load_reference(reference)


@pytest.mark.parametrize("reference", ["app.py:answer", "app:answer"])
def test_where_loading_fails_nothing_was_loaded(folder: Path, reference: str) -> None:
    write(folder / "helper.py", "VALUE = 1\n")
    write(folder / "app.py", "from helper import VALUE\n1 / 0\n")
    before = set(sys.modules)
    with pytest.raises(InvalidReference, match="ZeroDivisionError"):
        load_reference(reference)
    assert set(sys.modules) == before


def test_a_link_that_leads_elsewhere_now(folder: Path) -> None:
    for version in ("v1", "v2"):
        write(folder / version / "app.py", "from helper import VALUE\ndef answer(input): return VALUE\n")
        write(folder / version / "helper.py", f"VALUE = {version!r}\n")
    for version in ("v1", "v2", "v1"):
        (folder / "current").unlink(missing_ok=True)
        (folder / "current").symlink_to(folder / version)
        assert answer("current/app.py:answer") == version


def test_what_was_made_before_goes_on_as_it_was(folder: Path) -> None:
    """A task that runs, its classes, their pickles and type hints."""
    text = """
        from __future__ import annotations
        import dataclasses

        @dataclasses.dataclass
        class Part:
            said: Said

        class Said(str):
            number = {number}

        def answer(input):
            return Part(Said("x")), NUMBER

        NUMBER = {number}
    """
    write(folder / "app.py", text.format(number=1))
    old = load_reference("app.py:answer")
    write(folder / "app.py", text.format(number=2))
    new = load_reference("app.py:answer")
    for function, number in ((old, 1), (new, 2)):
        part, value = function("q")
        assert value == number
        assert pickle.loads(pickle.dumps(part)) == part
        assert typing.get_type_hints(type(part))["said"].number == number


def test_a_traceback_shows_the_lines_that_ran(folder: Path) -> None:
    for number in (1, 2):
        write(folder / "app.py", f"def answer(input):\n    raise ValueError({number})\n")
        with pytest.raises(ValueError) as raised:
            answer("app.py:answer")
        shown = "".join(traceback.format_exception(raised.value))
        assert f'app.py", line 2, in answer\n    raise ValueError({number})' in shown


def test_what_the_process_imported_itself_is_replaced_with_a_word(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder / "judges.py", "def exact(output): return 1\n")
    importlib.invalidate_caches()
    mine = importlib.import_module("judges").exact
    with caplog.at_level(logging.WARNING):
        assert load_reference("judges:exact") is mine
        assert caplog.text == ""
        write(folder / "judges.py", "def exact(output): return 2\n")
        assert load_reference("judges:exact")("x") == 2
    assert "judges changed since this process imported it, and was loaded anew for 'judges:exact'" in caplog.text
    assert mine("x") == 1


def test_an_edit_before_the_first_look_is_seen_by_the_compiled_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write(folder / "early.py", "VALUE = 1\ndef answer(input): return VALUE\n")
    importlib.invalidate_caches()
    importlib.import_module("early")
    (folder / "early.py").write_text("VALUE = 22\ndef answer(input): return VALUE\n")
    assert answer("early:answer") == 22


def test_what_was_written_and_imported_in_the_life_of_the_process_is_as_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (folder / "helper.py").write_text("VALUE = 1\n")
    importlib.invalidate_caches()
    helper = importlib.import_module("helper")
    helper.VALUE = 2  # by a test, say
    write(folder / "app.py", "import helper\ndef answer(input): return helper.VALUE\n")
    assert answer("app.py:answer") == 2
    assert sys.modules["helper"] is helper
    assert caplog.text == ""


def test_installed_packages_and_the_standard_library_are_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: importlib.import_module(name) for name in ("json", "numpy", "prefect_experiments.keys")}
    write(folder / "json.py", "raise RuntimeError('not this one')\n")
    for number in (1, 2):
        write(folder / "app.py", f"import json, numpy, prefect_experiments.keys\ndef answer(input): return {number}\n")
        assert answer("app.py:answer") == number
    assert all(sys.modules[name] is module for name, module in before.items())
    assert load_reference("math:sqrt")(4) == 2
    installed = write(folder / "site-packages/installed_here.py", "def answer(input): return 1\n")
    with monkeypatch.context() as path:
        path.syspath_prepend(str(installed.parent))
        assert answer("installed_here:answer") == 1
        write(installed, "def answer(input): return 2\n")
        assert answer("installed_here:answer") == 1
    assert answer(f"{installed}:answer") == 2  # a file that is named itself is run as it is
    write(installed, "def answer(input): return 3\n")
    assert answer(f"{installed}:answer") == 3


def test_many_at_once(folder: Path) -> None:
    write(folder / "app.py", "import time\ntime.sleep(0.01)\ncount = [0]\ndef answer(input): return 1\n")
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(load_reference("app.py:count"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(each is found[0] for each in found)


def test_a_new_process_is_named_where_it_may_help(folder: Path) -> None:
    text = "import builtins\nif hasattr(builtins, 'registered'): raise ValueError('registered twice')\n"
    text += "builtins.registered = True\ndef answer(input): return 1\n"
    write(folder / "app.py", text)
    try:
        assert answer("app.py:answer") == 1
        write(folder / "app.py", text + "# another\n")
        with pytest.raises(
            InvalidReference,
            match=r"^reference 'app\.py:answer': .* failed with ValueError: registered twice "
            r"\(it has changed since it was loaded.*new process",
        ):
            load_reference("app.py:answer")
    finally:
        del builtins.registered  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fault", ["def answer(:\n", "import no_such_module\n", "from helper import no_such\n", "nam\n"]
)
def test_nor_at_the_first_time(folder: Path, fault: str) -> None:
    write(folder / "helper.py", "")
    write(folder / "app.py", "def answer(input): return 1\n")
    assert answer("app.py:answer") == 1
    for name in ("app.py", "new.py"):
        write(folder / name, fault)
        with pytest.raises(InvalidReference, match=r"failed with \w+Error") as error:
            load_reference(f"{name}:answer")
        assert "process" not in str(error.value)


# --- what is imported within a function ---------------------------------------------------------

WITHIN = {
    "import": "import lazy\n    return lazy.X",
    "from": "from lazy import X\n    return X",
    "as": "import lazy as l\n    return l.X",
    "by call": "import importlib\n    return importlib.import_module('lazy').X",
    "of a package": "import lib.deep\n    return lib.deep.X",
    "from a package": "from lib import deep\n    return deep.X",
    "from a module of a package": "from lib.deep import X\n    return X",
    "of a folder": "from folder.deep import X\n    return X",
    "within another": "from between import get\n    return get()",
    "in a nested one": "def inner():\n        import lazy\n        return lazy.X\n    return inner()",
    "in a class": "class C:\n        import lazy\n    return C.lazy.X",
    "where it can be": "try: import no_such\n    except ImportError: from lazy import X\n    return X",
    "what is installed": "import json, orjson, lazy\n    return json.loads(orjson.dumps(lazy.X))",
    "in a circle": "from circle import get\n    return get()",
}


def lay_out(place: Path, value: Any) -> None:
    for name in ("lazy.py", "lib/deep.py", "folder/deep.py"):
        write(place / name, f"X = {value!r}\n")
    write(place / "lib/__init__.py", "")
    write(place / "between.py", "def get():\n    from lib import deep\n    return deep.X\n")
    write(place / "circle.py", "def get():\n    import app, lazy\n    return lazy.X\n")


@pytest.mark.mostly_slow(quick=14)
@pytest.mark.parametrize("reference", ["app.py:answer", "app:answer", "place/app.py:answer"])
@pytest.mark.parametrize("how", WITHIN)
def test_what_a_function_imports_is_found_and_is_as_it_is_now(folder: Path, how: str, reference: str) -> None:
    place = folder / "place" if reference.startswith("place") else folder
    write(place / "app.py", f"def answer(input):\n    {WITHIN[how]}\n")
    for number in (1, 2, 3):
        lay_out(place, number)
        before = load_reference(reference)
        assert before("question") == number
        assert load_reference(reference) is before
    importlib.invalidate_caches()


@pytest.mark.mostly_slow(quick=4)
@pytest.mark.parametrize("how", [how for how in WITHIN if how != "by call"])
def test_two_folders_stay_apart_at_any_time(folder: Path, how: str) -> None:
    """Also when both are called after both were loaded, and the process has a module of that name of its own."""
    lay_out(folder, "mine")
    mine = importlib.import_module("lazy")
    for place in ("a", "b"):
        lay_out(folder / place, place)
        write(folder / place / "app.py", f"def answer(input):\n    {WITHIN[how]}\n")
    for _ in range(2):
        functions = {place: load_reference(f"{place}/app.py:answer") for place in ("a", "b")}
        assert {place: function("q") for place, function in functions.items()} == {"a": "a", "b": "b"}
        assert sys.modules["lazy"] is mine
    lay_out(folder / "a", "A")
    assert answer("a/app.py:answer") == "A"
    assert {place: function("q") for place, function in functions.items()} == {"a": "a", "b": "b"}, "as they were"


def test_what_fails_is_left_to_the_call_and_tried_again(folder: Path) -> None:
    write(folder / "apps/app.py", "def answer(input):\n    import lazy\n    return lazy.X\n")
    for text, error in (("X = = 1\n", SyntaxError), ("1 / 0\n", ZeroDivisionError), (None, ModuleNotFoundError)):
        write(folder / "apps/lazy.py", text) if text else (folder / "apps/lazy.py").unlink()
        function = load_reference("apps/app.py:answer")
        for _ in range(2):
            with pytest.raises(error):
                function("q")
    write(folder / "apps/lazy.py", "X = 1\n")
    assert answer("apps/app.py:answer") == 1
    write(folder / "apps/lazy.py", "X = 2\n")
    assert answer("apps/app.py:answer") == 2


def test_what_no_call_imports_is_not_run(folder: Path) -> None:
    write(folder / "never.py", "raise SystemExit('not to be run')\nopen('ran', 'w')\n")
    write(folder / "apps/never.py", f"open({str(folder / 'ran')!r}, 'w')\n")
    text = """
        import typing
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import never
        def answer(input):
            if TYPE_CHECKING:
                import never
            if typing.TYPE_CHECKING:
                from never import x
            return 1
        if __name__ == "__main__":
            def main():
                import never
            main()
    """
    write(folder / "apps/app.py", text)
    assert answer("apps/app.py:answer") == 1
    assert not (folder / "ran").exists()


def test_builtins_are_as_ever_for_what_imports_within_a_function(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "apps/lazy.py", "X = 1\n")
    text = "class A: pass\ndef answer(input):\n    import lazy\n    return len([A]), added(lazy.X), open('f')\n"
    text += "def unknown(input):\n    return no_such_name\n"
    write(folder / "apps/app.py", text)
    function = load_reference("apps/app.py:answer")
    monkeypatch.setattr(builtins, "added", lambda x: x + 1, raising=False)
    monkeypatch.setattr(builtins, "open", lambda name: name)
    assert function("q") == (1, 2, "f")
    with pytest.raises(NameError):
        load_reference("apps/app.py:unknown")("q")
    fake = types.ModuleType("lazy")
    fake.X = 41  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lazy", fake)
    assert function("q") == (1, 42, "f"), "what a test puts there is found"
    monkeypatch.setitem(sys.modules, "lazy", types.SimpleNamespace(X=6))
    assert function("q") == (1, 7, "f"), "also where it is no module"


# --- files of a package -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "way"),
    [
        ("pkg/core.py", "from .part import X\ndef f(input): return X\n", "pkg.core:f"),
        ("pkg/core.py", "from . import part\ndef f(input): return part.X\n", "pkg.core:f"),
        ("pkg/sub/core.py", "from ..part import X\ndef f(input): return X\n", "pkg.sub.core:f"),
        ("bare/core.py", "from .part import X\ndef f(input): return X\n", "bare.core:f"),
    ],
)
def test_a_file_that_imports_relatively_is_named_as_a_module(folder: Path, path: str, text: str, way: str) -> None:
    for name in ("pkg/__init__.py", "pkg/sub/__init__.py"):
        write(folder / name, "")
    for name in ("pkg/part.py", "bare/part.py"):
        write(folder / name, "X = 1\n")
    write(folder / path, text)
    with pytest.raises(InvalidReference, match=f"relative import.*write '{way}'$"):
        load_reference(f"{path}:f")
    assert answer(way) == 1


def test_also_where_that_is_elsewhere_or_within_a_function(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "apps/pkg/__init__.py", "")
    write(folder / "apps/pkg/core.py", "from . import part\n")
    write(folder / "apps/pkg/late.py", "def f(input):\n    from . import part\n    return part.X\n")
    write(folder / "apps/pkg/part.py", "X = 1\n")
    with pytest.raises(InvalidReference, match=r"write 'pkg.core:f', with .*apps as the current directory$"):
        load_reference("apps/pkg/core.py:f")
    late = load_reference("apps/pkg/late.py:f")
    with pytest.raises(ImportError, match=r"cannot import relatively; name it 'pkg.late'"):
        late("q")
    monkeypatch.chdir(folder / "apps")
    assert answer("pkg.late:f") == 1


# --- fingerprints ------------------------------------------------------------------------------

JUDGES = """
def exact(output):
    return {value}

class Judge:
    limit = {value}
    def evaluate(self, output):
        return output > self.limit

class Listed:
    words = ["a", {value}]
    def evaluate(self, output):
        return output in self.words

lambdas = [lambda output: {value}]
"""


def judged_by(module: Any) -> list[Any]:
    return [module.exact, module.lambdas[0], module.Judge().evaluate, module.Listed().evaluate]


def fingerprints(prefix: str) -> list[str]:
    judge = resolve_evaluators([f"{prefix}:exact", f"{prefix}:Judge"])
    return [resolve_task(f"{prefix}:exact").fingerprint, *(each.fingerprint for each in judge)]


@pytest.mark.parametrize("prefix", ["judges_of_it.py", "judges_of_it"])
def test_fingerprints_follow_what_runs(folder: Path, prefix: str) -> None:
    seen = []
    for value in (1, 2, 1):
        write(folder / "judges_of_it.py", JUDGES.format(value=value))
        seen.append(fingerprints(prefix))
    assert seen[0] == seen[2]
    assert all(one != other for one, other in zip(seen[0], seen[1], strict=True))


def test_a_fingerprint_describes_the_code_that_runs_not_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a function that was imported before its file was changed."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write(folder / "mine.py", JUDGES.format(value=1))
    importlib.invalidate_caches()
    old = importlib.import_module("mine")
    (folder / "mine.py").write_text(JUDGES.format(value=2) + "\n")
    stale = [callable_fingerprint(each) for each in judged_by(old)]
    sys.modules.pop("mine")
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    new = importlib.import_module("mine")
    fresh = [callable_fingerprint(each) for each in judged_by(new)]
    assert new.exact(0) == 2
    assert not set(stale) & set(fresh)


def test_what_a_long_function_imports_relatively_counts(folder: Path) -> None:
    """Of more than 256 constants, the bytecode says in two instructions which one is meant."""
    many = "\n    ".join(f"c{number} = {number}.5" for number in range(600))
    write(folder / "pkg/__init__.py", "")
    (folder / "pkg/core.py").write_text(f"def check(output):\n    {many}\n    from . import part\n    return part.X\n")
    seen = []
    for value in (1, 2, 1):
        write(folder / "pkg/part.py", f"X = {value}\n")
        [judge] = resolve_evaluators("pkg.core:check")
        seen.append(judge.fingerprint)
    assert seen[0] == seen[2] != seen[1]


def test_another_part_of_the_file_does_not_count(folder: Path) -> None:
    write(folder / "parts.py", JUDGES.format(value=1))
    before = fingerprints("parts.py")
    write(folder / "parts.py", "import math\n\n\n" + JUDGES.format(value=1) + "\ndef other(x): pass\n")
    assert fingerprints("parts.py") == before
