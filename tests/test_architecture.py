"""The one-way order of the modules, the public names, and what importing costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import prefect_experiments
from structure import circles

SOURCE = Path(prefect_experiments.__file__).parent
ROOT = Path(__file__).resolve().parents[1]

# A module imports only from those before it; what stands together may import each other.
ORDER = [
    {"secret_texts", "texts"},
    {"errors"},
    {
        "settings",
        "allowed",
        "backoff",
        "jsonable",
        "json_forms",
        "in_json",
        "unread",
        "contexts",
        "files",
        "keys",
        "interruptions",
        "opening",
        "sync",
        "syntax",
        "times",
        "money",
        "configuration",
        "import_statements",
        "local_modules",
        "origin",
        "callables",
        "network",
        "display",
        "garbage",
    },
    {"models", "records"},
    {"entry_forms", "flat_rows", "options", "signatures"},
    {"pages"},
    {"datasets", "reference_calls", "references", "tasks", "evaluators"},
    {"pixie"},
    {"engine", "tracing"},
    {"store"},
    {"backends"},
    {"results"},
    {"analysis"},
    {"reports"},
    {"experiment"},
    {"orchestration"},
    {"client"},
    {"blocks"},
    {"flows"},
    {"testing"},
    {"cli", "pytest_plugin"},
]
LAYER = {name: number for number, names in enumerate(ORDER) for name in names}


def modules() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def area(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The areas of this package that a module imports, and the other packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "prefect_experiments" else [
                f"prefect_experiments.{alias.name}" for alias in node.names
            ]  # fmt: skip
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found.add(f".{parts[1]}" if parts[0] == "prefect_experiments" and len(parts) > 1 else parts[0])
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    here = area(path)
    for name in imports(path):
        if name.startswith(".") and name[1:] in LAYER and name[1:] != here:
            assert LAYER[name[1:]] <= LAYER[here], f"{path.name} imports {name[1:]}, which stands after {here}"
    if here not in ("orchestration", "blocks", "flows", "cli"):
        assert "prefect" not in imports(path), "Prefect belongs into orchestration/"
    if here not in ("backends", "tracing", "network"):
        assert "httpx" not in imports(path), "HTTP belongs into backends/ and tracing/"


def test_no_modules_import_each_other() -> None:
    """Imports within functions and for type checkers count, too."""
    assert not circles(SOURCE.parents[1])


def test_every_area_has_its_place() -> None:
    assert {area(path) for path in modules()} - {"__main__"} <= set(LAYER)


def test_the_map_for_newcomers_has_every_place_in_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, source, tests = re.split(r"^\| folder.*$", text, flags=re.MULTILINE)
    rows = [re.findall(r"`([\w.]+)(?:\.py|/)`", row.split("|")[0]) for row in source.split("\n\n")[0].split("\n|")[2:]]
    assert {name for row in rows for name in row} == set(LAYER)
    layers = [sorted({LAYER[name] for name in row}) for row in rows]
    assert layers == sorted(layers), "a module stands above one that it imports"
    cells = [row.split("|")[0] for row in tests.split("\n\n")[0].split("\n|")]
    named = {name.split("/")[0] for cell in cells for name in re.findall(r"`([\w/]+)/`", cell)}
    assert named == {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "._"}


def test_modules_stay_small() -> None:
    long = {str(path.relative_to(SOURCE)): n for path in modules() if (n := len(path.read_text().splitlines())) > 420}
    assert not long


def places(kind: type[ast.AST], *but: str) -> Iterator[tuple[str, ast.AST]]:
    """Every syntax node of a kind, but of some modules, with where it stands."""
    for path in modules():
        if str(name := path.relative_to(SOURCE)) not in but:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, kind):
                    yield f"{name}:{node.lineno}", node  # type: ignore[attr-defined]


def test_texts_are_cut_in_one_place() -> None:
    """By `texts.shortened`, and lists by `display.some`."""
    by_hand = [
        where
        for where, joined in places(ast.JoinedStr, "texts.py", "display.py")
        if re.search(r"\[[^\[\]]*:[^\[\]]*\]\} ?(…|\.\.\.)|' and \{[^{}]+\} more'", ast.unparse(joined))
    ]
    assert not by_hand


def test_pauses_grow_in_one_place() -> None:
    """In `backoff`: no other module multiplies a pause."""
    by_hand = [
        where
        for where, sum_ in places(ast.BinOp, "backoff.py")
        if isinstance(sum_.op, ast.Mult | ast.Pow) and re.search("(FIRST|LONGEST)_(PAUSE|BACKOFF)", ast.unparse(sum_))  # type: ignore[attr-defined]
    ]
    assert not by_hand


def test_public_names_are_complete_and_sorted() -> None:
    assert list(prefect_experiments.__all__) == sorted(prefect_experiments.__all__)
    for name in prefect_experiments.__all__:
        assert getattr(prefect_experiments, name).__doc__, name
    assert set(prefect_experiments.__all__) <= set(dir(prefect_experiments))


def test_importing_is_cheap_and_starts_nothing() -> None:
    code = (
        "import sys, threading, prefect_experiments;"
        "print(sorted(m for m in sys.modules if m in ('prefect', 'pandas', 'sqlalchemy', 'numpy')), "
        "threading.active_count())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[] 1"


@pytest.mark.slow  # `backends/phoenix/test_blocks.py` asks for all of them
def test_the_collection_registers_the_blocks() -> None:
    code = (
        "from prefect.plugins import load_prefect_collections; from prefect.blocks.core import Block;"
        "from prefect.utilities.dispatch import get_registry_for_type;"
        "load_prefect_collections(); print('experiment-store' in get_registry_for_type(Block))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("True")
