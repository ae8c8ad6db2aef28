"""Runs the tests that could notice them on mutants of the package, and says which mutants none has noticed.

usage: python tests/mutants/run.py MUTANTS.jsonl RESULTS.jsonl [--processes 2]

MUTANTS comes from `made.py` or `listed.py`. Which tests reach which line is read from the data of `make coverage`
(.coverage), and how long each takes from the JUnit file beside it (coverage.xml); without these the tests of the folder
that mirrors the module's are run. Each mutant is tried in a copy of the package of its own. RESULTS is written as it
goes: what stands there already is not tried again, so that a run that was ended goes on.

Killed is a mutant that fails a test, or makes one hang. What survives and cannot be told from the original by anybody
is argued in survivors.md, by its id.
"""

from __future__ import annotations

import argparse
import ast
import bisect
import collections
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from support.sharing import servers  # noqa: E402

PACKAGE = ROOT / "src" / "prefect_experiments"
SECONDS, MOST_TESTS = 60.0, 80  # of the tests that a mutant meets first, as long as they take unchanged
MORE_SECONDS, MORE_TESTS = 240.0, 1000  # of those that one meets which these let through
HANGS_S = 3000.0  # a test that hangs is ended by its own timeout; these tests take as long where others use the machine
MIRRORS = {"callables": "test_callables.py", "pixie": "pixie_datasets", "flows": "deployments", "testing": "testing"}


class Tests:
    """Which tests reach a line: those of the folder that mirrors its module first, of these the quickest."""

    @cached_property
    def seconds(self) -> dict[str, float]:
        found: dict[str, float] = {}
        path = ROOT / "coverage.xml"
        for case in ElementTree.parse(path).iter("testcase") if path.exists() else ():
            found[f"{case.get('classname')}.{case.get('name')}"] = float(case.get("time", 1))
        return found

    @cached_property
    def database(self) -> sqlite3.Connection | None:
        path = ROOT / ".coverage"
        return sqlite3.connect(path, check_same_thread=False) if path.exists() else None

    def reaching(self, module: str, line: int) -> tuple[list[str], list[str]]:
        """The ids of the tests that run the line; where it is run once, by one test for all, of the module's.

        The first ones, and more for what these let through.
        """
        if self.database is None:
            return [mirror(module)], []
        mirrored = mirror(module)
        found = self._contexts(module, line)
        if is_run_once((PACKAGE / module).read_text(), line) or not found:
            found = self._contexts(module) | {name for name in self.there if name.startswith(mirrored)}
        left = sorted(found, key=lambda name: (not name.startswith(mirrored), self.cost(name)))
        first = self._within(left, SECONDS, MOST_TESTS)
        return first or [mirrored], self._within(left[len(first) :], MORE_SECONDS, MORE_TESTS)

    @cached_property
    def there(self) -> set[str]:
        """The ids of all tests as they are now: since coverage was measured some may be gone, or have other cases."""
        command = [sys.executable, "-m", "pytest", "--collect-only", "-m", "not slow", "-p", "no:cacheprovider"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return {line for line in said.splitlines() if line.startswith("tests/") and "::" in line}

    def _contexts(self, module: str, line: int | None = None) -> set[str]:
        """The tests that ran the module's line, or any of its lines."""
        assert self.database is not None
        query = (
            "select distinct context.context from arc join file on file.id = arc.file_id"
            " join context on context.id = arc.context_id where file.path like ? and context.context != ''"
        )
        at_line = " and (abs(arc.fromno) = ? or abs(arc.tono) = ?)"
        found = self.database.execute(
            query + ("" if line is None else at_line),
            [f"%/prefect_experiments/{module}", *([] if line is None else [line, line])],
        )
        return {test_of(name) for (name,) in found} & self.there

    def _within(self, names: list[str], seconds: float, most: int) -> list[str]:
        """The first of them that take so long together; one at least."""
        total = list(itertools.accumulate(map(self.cost, names)))
        return names[: max(1, min(most, bisect.bisect_right(total, seconds)))]

    def cost(self, name: str) -> float:
        file, _, rest = name.partition("::")
        return self.seconds.get(f"{file.removesuffix('.py').replace('/', '.')}.{rest.replace('::', '.')}", 1.0)


def is_run_once(source: str, line: int) -> bool:
    """Whether a process runs a line once: at import (a constant, a default, a field), or in a cached function."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    around = [node for node in functions if node.body[0].lineno <= line <= (node.end_lineno or 0)]
    return not around or any(ast.unparse(mark) == "functools.cache" for node in around for mark in node.decorator_list)


def test_of(context: str) -> str:
    """The test that a line was run by: its own process says when (``|run``), processes that it starts do not."""
    return re.sub(r"\|(setup|run|teardown)$", "", context)


def mirror(module: str) -> str:
    """The tests of the folder that a module stands in, or of its name."""
    folder = module.split("/")[0].removesuffix(".py")
    for name in (MIRRORS.get(folder, folder), f"test_{folder}.py"):
        if (ROOT / "tests" / name).exists():
            return f"tests/{name}"
    return "tests"


def tried(mutant: dict[str, Any], tests: Tests) -> dict[str, Any]:
    """What becomes of a mutant."""
    chosen, more = tests.reaching(mutant["module"], mutant["line"])
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        package = Path(folder) / "src" / "prefect_experiments"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / mutant["module"]).write_text(mutant["source"])
        status, said = outcome(chosen, folder)
        if status == "survived" and more:
            chosen += more
            status, said = outcome(more, folder)
    kept = {key: mutant[key] for key in ("id", "module", "line", "operator", "before", "after")}
    return {**kept, "status": status, "by": said, "tests": len(chosen), "seconds": round(time.monotonic() - began, 1)}


def outcome(tests: list[str], folder: str) -> tuple[str, str]:
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:randomly",
        "--timeout", "120", "--no-header", "--tb", "no", *tests,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(folder) / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=HANGS_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "killed", "a hang"
        finally:
            with_children_gone(process.pid)
    if process.returncode == 0:
        return "survived", ""
    if process.returncode == 5 or "no tests ran" in said:
        return "survived", "no test was found"
    first = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    return "killed", first[1] if first else (said.strip().splitlines() or ["?"])[-1][:200]


def with_children_gone(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def argued() -> set[str]:
    """The ids of mutants that are argued to be no change of meaning."""
    path = HERE / "survivors.md"
    return set(re.findall(r"`([0-9a-f]{10}|[AB]\d\d[a-z]?)`", path.read_text())) if path.exists() else set()


def table(results: list[dict[str, Any]]) -> str:
    """By folder, and the survivors."""
    equal = argued()
    folders: dict[str, collections.Counter[str]] = {}
    for one in results:
        folder = one["module"].split("/")[0] if "/" in one["module"] else "(the package's own)"
        status = "argued" if one["status"] == "survived" and one["id"] in equal else one["status"]
        folders.setdefault(folder, collections.Counter())[status] += 1
    total: collections.Counter[str] = sum(folders.values(), collections.Counter())
    lines = ["| folder | killed | survived | argued |", "|---|---|---|---|"]
    for name, count in [*sorted(folders.items()), ("together", total)]:
        lines.append(f"| {name} | {count['killed']} | {count['survived']} | {count['argued']} |")
    share = (total["killed"] + total["argued"]) / max(1, total.total())
    lines.append(f"\n{total['killed'] / max(1, total.total()):.1%} killed; with what is argued, {share:.1%}.\n")
    for one in results:
        if one["status"] == "survived":
            mark = " (argued)" if one["id"] in equal else ""
            before, after = (" ".join(one[key].split()) for key in ("before", "after"))
            lines.append(f"- `{one['id']}`{mark} {one['module']}:{one['line']}: `{before}` → `{after}`")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mutants", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    mutants = [json.loads(line) for line in options.mutants.read_text().splitlines()]
    results = (
        [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    )
    done = {one["id"] for one in results}
    tests = Tests()
    if tests.database is not None:
        tests.there  # noqa: B018 - read once, before several ask
    with servers() as urls, options.results.open("a") as file, ThreadPoolExecutor(options.processes) as pool:
        os.environ.update(urls)
        left = [pool.submit(tried, mutant, tests) for mutant in mutants if mutant["id"] not in done]
        for future in as_completed(left):
            results.append(one := future.result())
            file.write(json.dumps(one) + "\n")
            file.flush()
            where = f"{one['module']}:{one['line']}"
            print(
                f"{len(results)}/{len(mutants)} {one['status']:8} {one['seconds']:6.1f} s {where} {one['by']}",
                flush=True,
            )
    known = {one["id"] for one in mutants}
    text = table([one for one in results if one["id"] in known])
    options.results.with_suffix(".md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
