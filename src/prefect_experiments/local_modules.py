"""The user's own modules: which they are, what of them a module imports, whether their files have changed since."""

from __future__ import annotations

import builtins
import functools
import hashlib
import importlib
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

from prefect_experiments.import_statements import as_module, full_name, names_in

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
        outside = None if module.__package__ else as_module(Path(self.path), late=True)
        if outside or any(_may_be_own(name) for name in _late_names(module) if "." not in name):
            vars(module)["__builtins__"] = _Builtins(outside[0] if outside else None)
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
        spec = _spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader) and spec.origin and _is_local(name, spec.origin):
            spec.loader.__class__ = _as_it_is(type(spec.loader))
            self.loaded.append(name)
        return spec


def _spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
    """What the other finders find."""
    for finder in sys.meta_path:
        find = None if isinstance(finder, Watch) else getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name, path, target)
        if spec is not None:
            return spec
    return None


class _Builtins(dict[str, Any]):
    """Python's builtins, as they are at any moment, for a module whose functions import others of the user's own.

    Those were loaded with it. When a function is called, another module may be there under the same name, or none:
    it gets its own all the same, or the error with which that failed.

    Attributes:
        own: what was loaded for it, or what went wrong, by name.
    """

    __missing__ = staticmethod(vars(builtins).__getitem__)

    def __init__(self, outside: str | None) -> None:
        """With the name that a file has in its package, where it is run without that and imports relatively."""
        super().__init__(__import__=self._import)
        self.own: dict[str, ModuleType | BaseException] = {}
        self._outside = outside

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level and self._outside:
            raise ImportError(f"a file that is run by its path cannot import relatively; name it {self._outside!r}")
        full = full_name(name, level, (globals or {}).get("__package__") or "")
        first = full.partition(".")[0]
        own, top = self.own.get(full), self.own.get(first)
        if isinstance(own, BaseException) and full not in sys.modules:
            raise own
        known = isinstance(own, ModuleType) and isinstance(top, ModuleType)
        if known and (_is_displaced(full, own) or _is_displaced(first, top)):
            return own if fromlist else top
        return builtins.__import__(name, globals, locals, fromlist or (), level)


def _is_displaced(name: str, module: Any) -> bool:
    """Whether there is another module of the user's by its name now, or none; what a test puts there is meant."""
    there = sys.modules.get(name)
    if there is module or not isinstance(there, ModuleType | None):
        return False
    return there is None or is_own(vars(there))


def _own_of(scope: Mapping[str, Any]) -> dict[str, ModuleType | BaseException]:
    known = scope.get("__builtins__")
    return known.own if isinstance(known, _Builtins) else {}


def load_own(name: str) -> ModuleType | BaseException | None:
    """A module, loaded now if it is one of the user's own; what went wrong; ``None`` where it is neither."""
    there = sys.modules.get(name)
    if there is not None:
        return there if isinstance(there, ModuleType) else None
    parent, _, last = name.rpartition(".")
    path = None
    if parent:
        above = load_own(parent)
        path = getattr(above, "__path__", None)
        if path is None or last in vars(above):
            return above if isinstance(above, BaseException) else None
    try:
        spec = _spec(name, path)
        return importlib.import_module(name) if spec is not None and _leads_to_own(spec) else None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of whatever the user's module does; its call's to raise
        return error.with_traceback(None)


def load_late(module: ModuleType) -> None:
    """Load what the functions of a module import when they are called, as far as it is the user's own."""
    own = _own_of(vars(module))
    for name in sorted(_late_names(module)):  # a package before its modules
        if not isinstance(own.get(name), ModuleType):
            found = load_own(name)
            own.pop(name, None)
            if isinstance(found, BaseException) or (found is not None and is_own(vars(found))):
                own[name] = found


def lacks_late(module: ModuleType) -> bool:
    """Whether something that the functions of a module import is not loaded, so that it is worth looking for."""
    own = _own_of(vars(module))

    def there(name: str) -> Any:
        return own.get(name) or sys.modules.get(name)

    for name in _late_names(module):
        parent, _, last = name.rpartition(".")
        package = there(parent)
        if isinstance(there(name), ModuleType) or (parent and not hasattr(package, "__path__")):
            continue
        if not parent or last not in vars(package):
            return True
    return False


def _late_names(module: ModuleType) -> frozenset[str]:
    loader = getattr(module, "__loader__", None)
    file = loader.path if isinstance(loader, AsItIs) else file_of(module)
    return frozenset() if file is None else _late_names_in(file, getattr(module, "__package__", None) or "")


def _late_names_in(file: str, package: str) -> frozenset[str]:
    try:
        names = names_in(Path(file).read_bytes(), package, late=True)
    except OSError:
        return frozenset()
    return frozenset(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names)


def imported_by(scope: Mapping[str, Any], name: str, level: int) -> ModuleType | None:
    """The module of the user's own that a function of theirs imports by this name when it is called."""
    package, file = scope.get("__package__") or "", scope.get("__file__")
    full = full_name(name, level, package)
    if isinstance(file, str) and full not in _late_names_in(file, package):  # only type checkers read it
        return None
    found = _own_of(scope).get(full) or load_own(full)
    return found if isinstance(found, ModuleType) and is_own(vars(found)) else None


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


def is_own(scope: Mapping[str, Any]) -> bool:
    """Whether the globals are those of code of the user's own: a module, a package without a file, a script, a cell."""
    name, file = scope.get("__name__"), scope.get("__file__")
    if name == "__main__" or not isinstance(name, str):
        return True
    if isinstance(file, str):
        return _is_local(name, file)
    places = scope.get("__path__")
    return name not in sys.modules if places is None else any(map(_is_outside, places))


def _may_be_own(name: str) -> bool:
    """Whether a module that is not in a package is the user's own, or may come to be: nothing is known of it yet."""
    there = sys.modules.get(name)
    if isinstance(there, ModuleType):
        return is_own(vars(there))
    spec = _spec(name, None)
    return spec is None or _leads_to_own(spec)


def _leads_to_own(spec: ModuleSpec) -> bool:
    if spec.origin is None:  # a package without a file
        return any(map(_is_outside, spec.submodule_search_locations or ()))
    return _is_local(spec.name, spec.origin)


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
        names = names_in(file.read_bytes(), package)
    except OSError:
        names = frozenset()
    found = {name: first.get(name) or sys.modules.get(name) for name in names.union(extra)}
    return {name: module for name, module in found.items() if module is not None and file_of(module) is not None}


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
