"""Counts what says how clear the structure is, of this source tree or of another one.

usage: python tests/structure.py [ROOT_OF_A_CHECKOUT ...]
"""

from __future__ import annotations

import ast
import collections
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "prefect_experiments"
CALL_OPTIONS = ("concurrency", "timeout", "retries", "rate_limit_errors", "exit_on_error", "batch_size")
# Where the words of the public calls stand.
PUBLIC = ("client", "async_client", "orchestration/runs", "orchestration/log_flow", "orchestration/comparing")


def modules(root: Path) -> dict[str, Path]:
    """The modules of a checkout by their dotted names."""
    found = {}
    for path in sorted((root / "src" / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / "src").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the package that one imports: at its top, in a function, or for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {full if (full := f"{node.module}.{a.name}") in known else node.module for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known.keys()


def circles(root: Path) -> list[list[str]]:
    """The groups of modules that import each other, directly or by way of others (Tarjan's algorithm)."""
    known = modules(root)
    graph = {name: imports(path, known) - {name} for name, path in known.items()}
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], order[other])
        if lowest[name] == order[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in order:
            visit(name)
    return found


def spelled(tree: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
    """Each place that declares or hands on a parameter of one of these names."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.keyword(arg=str(name)) | ast.AnnAssign(target=ast.Name(id=name)):
                if name in names:
                    yield name


def untyped(tree: ast.AST) -> Iterator[str]:
    """Each parameter or result of a public function or method whose type has `Any` in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            for kind in [node.returns, *(a.annotation for a in arguments if a is not None)]:
                if kind is not None and any(isinstance(part, ast.Name) and part.id == "Any" for part in ast.walk(kind)):
                    yield node.name


def counted(root: Path) -> dict[str, object]:
    """The figures of a checkout."""
    known = modules(root)
    trees = {name: ast.parse(path.read_text()) for name, path in known.items()}
    source = root / "src" / PACKAGE
    is_public = {name: str(path.relative_to(source)).startswith(PUBLIC) for name, path in known.items()}
    names = collections.Counter(path.name for path in known.values() if path.name != "__init__.py")
    verdicts = sum(
        "verdict" in line.lower() and "gate" not in line.lower()
        for name, path in known.items()
        if name.split(".")[1:2] in (["engine"], ["store"], ["backends"], ["evaluators"], ["tracing"], ["results"])
        for line in path.read_text().splitlines()
    )
    groups = circles(root)
    return {
        "lines of src": sum(len(path.read_text().splitlines()) for path in known.values()),
        "modules": len(known),
        "places that spell a call option": sum(len(list(spelled(tree, CALL_OPTIONS))) for tree in trees.values()),
        "places that spell exit_on_error": sum(len(list(spelled(tree, ("exit_on_error",)))) for tree in trees.values()),
        "Any in public signatures": sum(len(list(untyped(trees[name]))) for name in known if is_public[name]),
        "import circles": f"{len(groups)} ({sum(map(len, groups))} modules)",
        "repeated base names": sum(number > 1 for number in names.values()),
        "evaluations called verdicts, lines": verdicts,
    }


if __name__ == "__main__":
    trees = [Path(argument) for argument in sys.argv[1:]] or [Path(__file__).parents[1]]
    columns = [counted(tree) for tree in trees]
    for figure in columns[0]:
        print(f"{figure:36}", *(f"{column[figure]!s:>20}" for column in columns))
