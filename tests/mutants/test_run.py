"""What `make mutants` makes of its results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mutants import listed
from tests.mutants.run import is_run_once, mirror, table
from tests.mutants.run import test_of as named


def result(number: int, status: str, module: str = "engine/calls.py") -> dict[str, Any]:
    return {"id": f"{number:010x}", "module": module, "line": 3, "status": status, "before": "a", "after": "b"}


def test_survivors_are_counted_and_listed() -> None:
    results = [result(n, "killed") for n in range(8)] + [result(9, "survived", "texts.py"), result(10, "survived")]
    said = table(results)
    assert "| engine | 8 | 1 | 0 |" in said
    assert "| (the package's own) | 0 | 1 | 0 |" in said
    assert "80.0% killed" in said
    assert "- `0000000009` texts.py:3: `a` → `b`" in said


def test_a_modules_tests_are_those_that_mirror_it() -> None:
    assert mirror("engine/calls.py") == "tests/engine"
    assert mirror("keys.py") == "tests/test_keys.py"
    assert mirror("pixie/wrap.py") == "tests/pixie_datasets"
    assert mirror("nowhere.py") == "tests"


def test_a_line_is_run_by_a_test_and_by_the_processes_that_it_starts() -> None:
    assert (
        named("tests/test_keys.py::test_a[x|y]|run")
        == named("tests/test_keys.py::test_a[x|y]")
        == ("tests/test_keys.py::test_a[x|y]")
    )


def test_what_is_run_once_is_told_from_what_each_call_runs() -> None:
    source = (
        "LIMIT = 3\n\ndef f(\n    a=1,\n):\n    def g(b=2):\n        return b\n\n    return g\n\n"
        "class A:\n    x = 1\n\n"
        "@functools.cache\ndef h():\n    y = 1\n    return y\n"
    )
    assert [line for line in range(1, 18) if not is_run_once(source, line)] == [6, 7, 8, 9]


def test_the_listed_changes_can_still_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["listed.py"])
    listed.main()
    made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({one["id"] for one in made}) == len(made) >= 133
    for one in made:
        compile(one["source"], one["module"], "exec")
