"""The user's own modules: which they are, what of them a module imports, whether their files have changed since."""

from __future__ import annotations

import ast
import functools
import hashlib
import linecache
import site
import struct
import sys
import sysconfig
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_STARTED = time.time()
_HEADER = struct.Struct("<4sIII")  # of compiled files: magic number, flags, time and size of the source

Modules = dict[str, ModuleType]
Extra = dict[str, frozenset[str]]
"""By a module's name: what it imports that its text does not say."""

# What the file of a module held when it was loaded; of one that others have loaded, when it was first seen.
_loaded_from: weakref.WeakKeyDictionary[ModuleType, str] = weakref.WeakKeyDictionary()


class AsItIs(SourceFileLoader):
    """Loads a module from its source alone: compiled files tell an edit by its second and the file's size only."""

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        """Nothing, so that no compiled file is looked for."""
        raise OSError(f"{path} is loaded from its source")

    def get_data(self, path: str) -> bytes:
        """What a file holds."""
        source = super().get_data(path)
        if path == self.path:
            self.digest = _digest(source)
        return source

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and remember what it was made of."""
        linecache.cache.pop(self.path, None)  # for tracebacks and `inspect`, which tell an edit by time and size
        code = self.get_code(module.__name__)
        _loaded_from[module] = self.digest
        if code is not None:
            exec(code, module.__dict__)  # noqa: S102 - a module that was asked for


@functools.cache
def _as_it_is(loader: type[SourceFileLoader]) -> type[AsItIs]:
    """Libraries that check types put loaders of their own in the place of Python's: what those do is done still."""
    return AsItIs if loader is SourceFileLoader else type(f"AsItIs{loader.__name__}", (AsItIs, loader), {})


class Watch:
    """A finder of the import system: has the user's own modules loaded as they are, and takes note of them.

    Attributes:
        loaded: their names.
    """

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What the other finders find, with our loader where it is a module of the user's own."""
        if threading.get_ident() != self._thread:
            return None
        for finder in sys.meta_path:
            find = None if isinstance(finder, Watch) else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is None:
                continue
            if isinstance(spec.loader, SourceFileLoader) and spec.origin and _is_local(name, spec.origin):
                spec.loader.__class__ = _as_it_is(type(spec.loader))
                self.loaded.append(name)
            return spec
        return None


@dataclass(frozen=True, slots=True)
class Closure:
    """Modules of the user's own, by name, that some of them import, directly or not.

    Attributes:
        needs: for each of them, those that it imports itself.
    """

    modules: Modules
    needs: Mapping[str, frozenset[str]]

    def stale(self) -> set[str]:
        """Those that have changed since they were loaded, and those that import them, directly or not."""
        found = {name for name, module in self.modules.items() if has_changed(module)}
        while more := {name for name, needs in self.needs.items() if name not in found and needs & found}:
            found |= more
        return found


def closure(
    roots: Modules, extra: Extra, first: Modules | None = None, *, beginning: tuple[str, Path] | None = None
) -> Closure:
    """The user's modules that some of them import, directly or not, as far as they are loaded.

    Args:
        roots: the modules to begin with.
        extra: what modules import that their texts do not say.
        first: go before those that the process has under the same names.
        beginning: the name and the file of a module that is not loaded yet, to begin with.
    """
    waiting = dict(roots)
    if beginning is not None:
        waiting.update(_imported(beginning[1], "", extra.get(beginning[0], ()), first or {}))
    modules: Modules = {}
    needs: dict[str, frozenset[str]] = {}
    while waiting:
        name, module = waiting.popitem()
        if (file := file_of(module)) is None:
            continue
        package = getattr(module, "__package__", None) or ""
        imported = _imported(Path(file), package, extra.get(name, ()), first or {})
        modules[name], needs[name] = module, frozenset(imported)
        waiting.update((other, there) for other, there in imported.items() if other not in modules)
    return Closure(modules, needs)


def has_changed(module: ModuleType) -> bool:
    """Whether the file of a module holds something else than what was loaded."""
    file = getattr(module, "__file__", None)
    try:
        now = "" if file is None else _digest(Path(file).read_bytes())
    except OSError:
        now = ""
    if module not in _loaded_from:
        if file is not None and _is_older(module, Path(file)):
            return True
        _loaded_from[module] = now
    return now != _loaded_from[module]


def file_of(module: Any) -> str | None:
    """The source file of one of the user's own modules; ``None`` of those that are installed, Python's, or ours."""
    try:
        name, file = module.__name__, module.__file__
    except Exception:  # noqa: BLE001 - what stands among the modules may be anything
        return None
    return file if isinstance(name, str) and isinstance(file, str) and _is_local(name, file) else None


def _is_local(name: str, file: str) -> bool:
    return name != "__main__" and name.partition(".")[0] != _PACKAGE and file.endswith(".py") and _is_outside(file)


@functools.lru_cache(maxsize=10_000)
def _is_outside(file: str) -> bool:
    """Whether a file is in none of the places that packages are installed to."""
    path = Path(file)
    if not path.is_absolute() or _INSTALLED.intersection(path.parts):
        return False
    return not any(path.is_relative_to(place) for place in _places())


@functools.cache
def _places() -> frozenset[str]:
    paths = sysconfig.get_paths()
    return frozenset(
        {*(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), site.getusersitepackages()}
    )


def _imported(file: Path, package: str, extra: Iterable[str], first: Modules) -> Modules:
    """The user's modules that a file imports, as far as they are loaded."""
    try:
        names = _names_in(file.read_bytes(), package)
    except OSError:
        names = frozenset()
    found = {name: first.get(name) or sys.modules.get(name) for name in names.union(extra)}
    return {name: module for name, module in found.items() if module is not None and file_of(module) is not None}


@functools.lru_cache(maxsize=1000)
def _names_in(source: bytes, package: str) -> frozenset[str]:
    """What may be modules in the import statements of a source, with the packages that they are in."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{_base(node, package)}.{alias.name}" for alias in node.names)
    return frozenset(name.rsplit(".", up)[0] for name in names for up in range(name.count(".") + 1))


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that a statement imports from."""
    above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
    return ".".join([*above, *filter(None, [node.module])])


def _is_older(module: ModuleType, file: Path) -> bool:
    """Whether a module that somebody else has imported is known to be older than its file, by its compiled file.

    A compiled file that could not be written anew when the module was imported says nothing: the source has to have
    been written in the life of this process.
    """
    cached = getattr(module, "__cached__", None)
    if not isinstance(getattr(module, "__loader__", None), SourceFileLoader) or not cached:
        return False
    try:
        with Path(cached).open("rb") as compiled:
            _, flags, moment, size = _HEADER.unpack(compiled.read(_HEADER.size))
        state = file.stat()
    except (OSError, struct.error):
        return False
    edited = (moment, size) != (int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF)
    return edited and not flags and state.st_mtime >= _STARTED


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()
