"""What the source of a module imports: in its statements, and by ``import_module`` with a name that is written out."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from prefect_experiments.syntax import syntax_tree


@functools.lru_cache(maxsize=1000)
def names_in(source: bytes, package: str, late: bool = False) -> frozenset[str]:
    """What may be modules in the import statements of a source, with the packages that they are in.

    Args:
        source: of a module.
        package: that it is in.
        late: only those that its functions import when they are called.
    """
    try:
        tree = syntax_tree(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in _calls_and_imports(tree, late):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = full_name(node.module or "", node.level, package)
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            names.update(_called_for(node))
    every = frozenset(name.rsplit(".", up)[0] for name in names for up in range(name.count(".") + 1))
    return frozenset(name for name in every if name and not name.startswith("."))


def _calls_and_imports(tree: ast.AST, late: bool) -> Iterator[ast.AST]:
    """The nodes that may import something; of what only type checkers read, none where ``late``."""
    waiting = [(tree, not late)]
    while waiting:
        node, counts = waiting.pop()
        if counts and isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            yield node
        counts = counts or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        skipped = late and isinstance(node, ast.If) and _is_never_true(node.test)
        children = getattr(node, "orelse", ()) if skipped else ast.iter_child_nodes(node)
        waiting.extend((each, counts) for each in children)


def _is_never_true(test: ast.expr) -> bool:
    """``TYPE_CHECKING``, ``typing.TYPE_CHECKING``, ``__name__ == "__main__"``."""
    named = test.left if isinstance(test, ast.Compare) else test
    name = getattr(named, "attr", None) or getattr(named, "id", None)
    return name == ("__name__" if isinstance(test, ast.Compare) else "TYPE_CHECKING")


def _called_for(node: ast.Call) -> Iterator[str]:
    """The module that ``importlib.import_module("name")`` asks for."""
    name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    first = node.args[0] if node.args else None
    if name in ("import_module", "__import__") and isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value


def full_name(name: str, level: int, package: str) -> str:
    """The module that a statement with so many dots means, in a module of this package."""
    above = package.split(".")[: package.count(".") + 2 - level] if level else []
    return ".".join([*above, *filter(None, [name])])


def as_module(file: Path, *, late: bool = False) -> tuple[str, Path] | None:
    """The name of a file that imports relatively as a module of its package, and the folder that this is in.

    Args:
        file: a source.
        late: whether only what its functions import counts.
    """
    try:
        tree = syntax_tree(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    up = max((node.level for node in _calls_and_imports(tree, late) if isinstance(node, ast.ImportFrom)), default=0)
    if not up:
        return None
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while folder != folder.parent and (up > 0 or (folder / "__init__.py").is_file()):
        parts, folder, up = [folder.name, *parts], folder.parent, up - 1
    return ".".join(parts), folder
