"""References: what ``package.module:name`` or ``path/to/file.py:name`` leads to, in the state that the files have now.

A module is loaded once, and again only when its file has changed since, or that of a module of the user's own that it
imports: then those that have changed, and those that import them, are loaded anew, and nothing else is. What was made
of them before (a task that is running, a class that somebody has imported) stays as it was. Installed packages and
Python's own modules are left alone, and so is what is no module: a prompt's file, say. What is imported within a
function is loaded with the rest, so that it is found, and is the same, whenever that is called.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from prefect_experiments import keys
from prefect_experiments.allowed import Allowed, allowed_references
from prefect_experiments.contexts import importing
from prefect_experiments.errors import InvalidReference, current_directory, from_here, nearest_file
from prefect_experiments.import_statements import as_module
from prefect_experiments.local_modules import (
    AsItIs,
    Extra,
    Modules,
    Watch,
    closure,
    file_of,
    has_changed,
    lacks_late,
    load_late,
)
from prefect_experiments.reference_calls import reference_call

_PACKAGE = __name__.partition(".")[0]
# What a text or a folder lacks, it lacks in a new process too.
_THE_SAME_IN_ANY_PROCESS = (SyntaxError, ModuleNotFoundError, NameError, ArithmeticError, FileNotFoundError)

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a reference has led to.

    Attributes:
        module: as it was loaded.
        parts: the user's modules that it imports, by name, as it got them: under those names there may be others
            by now, such as the neighbours of another file.
    """

    module: ModuleType
    parts: Modules

    def everything(self) -> list[ModuleType]:
        """The module and its parts, those that were added meanwhile included."""
        name = self.module.__name__
        parts = closure({name: self.module}, _extra, self.parts).modules
        return [self.module, *(part for part in parts.values() if part is not self.module)]

    def is_current(self) -> bool:
        """Whether no file has changed since."""
        return sys.modules.get(self.module.__name__) is self.module and not any(map(has_changed, self.everything()))

    def is_complete(self) -> bool:
        """Whether nothing is to be found any more of what its functions import."""
        return not any(map(lacks_late, self.everything()))


_lock = threading.RLock()  # what is imported may itself follow a reference
_known: dict[str, _Loaded] = {}  # by a module's name, or a file's path
_extra: Extra = {}  # what modules import by other means than a statement


def load_reference(reference: str) -> Any:
    """The object that ``package.module:name`` or ``path/file.py:name`` leads to, as its file is now.

    A path is taken from the current directory. A module is loaded once; once more where its file, or that of a module
    of the user's own that it imports, has changed since. ``package.module:factory('literal')`` is what the factory
    gives, where that may be called by references (`makes_references`).

    Raises:
        InvalidReference: with what was looked for, and what there is instead; or it is not allowed (`allowed`).
    """
    if (call := reference_call(reference)) is not None:
        # What of this package makes references checks by itself what it leads to.
        is_ours = call.factory.partition(":")[0].split(".")[0] == _PACKAGE
        return call.made_by(_found(call.factory, None if is_ours else allowed_references()))
    return _found(reference, allowed_references())


def _found(reference: str, allowed: Allowed | None) -> Any:
    where, colon, name = reference.rpartition(":")
    if not colon or not where or not name:
        raise InvalidReference(
            f"{reference!r} is not a reference; write 'package.module:name' or 'path/to/file.py:name'"
        )
    if allowed is not None:
        allowed.check_place(reference, where)
    with _lock, importing():
        module = _load_file(where, reference) if where.endswith(".py") else _load_module(where, reference)
    return _in_module(module, name, reference, allowed)


def load_from_file(
    file: Path,
    name: str,
    reference: str,
    folders: Sequence[Path],
    check: Callable[[Any, ModuleType], None] | None = None,
) -> Any:
    """What a file has by a name, loaded as `load_reference` does it.

    Args:
        file: the file.
        name: of what is looked for in it.
        reference: as it is written, for messages.
        folders: where what the file imports is looked for first, before its neighbours.
        check: refuses what it leads to, and what is on the way there; it gets each with the file's module.

    Raises:
        InvalidReference: it has none, does not load, or is not allowed.
    """
    if (allowed := allowed_references()) is not None:
        allowed.check_place(reference, str(file))
    with _lock, importing():
        module = _load_file(str(file), reference, folders)
    return _in_module(module, name, reference, allowed, check)


def _in_module(
    module: ModuleType,
    name: str,
    reference: str,
    allowed: Allowed | None,
    check: Callable[[Any, ModuleType], None] | None = None,
) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
            where = reference.rpartition(":")[0]
            raise InvalidReference(
                f"reference {reference!r}: {where} has no {name!r}. It has: {', '.join(public[:20]) or 'nothing'}"
            )
        found = getattr(found, part)
        if allowed is not None:
            allowed.check_found(reference, part, found, module)
        if check is not None:
            check(found, module)
    return found


def whole_path(reference: str) -> str:
    """The reference, with the whole path where it is to a file: it leads there from whatever folder.

    What else may have a colon, such as a built-in evaluator's options or a factory's, is left as it is.
    """
    if (call := reference_call(reference)) is not None:
        return f"{whole_path(call.factory)}{call.arguments}"
    where, colon, name = reference.rpartition(":")
    is_file = where.endswith(".py") and Path(where).is_file()
    return f"{Path(where).absolute()}{colon}{name}" if is_file else reference


def path_within(reference: str, folder: Path) -> str:
    """The reference, with the path from a folder where it is to a file in it: it leads there from a copy of the folder.

    What is elsewhere, or no file's, is left as it is.
    """
    if (call := reference_call(reference)) is not None:
        return f"{path_within(call.factory, folder)}{call.arguments}"
    where, colon, name = reference.rpartition(":")
    if not where.endswith(".py") or not Path(where).is_relative_to(folder):
        return reference
    return f"{Path(where).relative_to(folder).as_posix()}{colon}{name}"


def _load_module(name: str, reference: str) -> ModuleType:
    loaded = sys.modules.get(name)
    stale: set[str] = set()
    if loaded is not None:
        known = _known.get(name)
        if known is None or known.module is not loaded:  # others have imported it
            known = _known[name] = _Loaded(loaded, closure({name: loaded}, _extra).modules)
        if file_of(loaded) is None or (known.is_current() and known.is_complete()):
            return loaded
        stale = set() if known.is_current() else {name} | closure({name: loaded}, _extra).stale()
    here = current_directory()
    # As `python -m` does: a module beside the caller is found.
    beside = [] if here is None or str(here) in sys.path or "" in sys.path else [here]
    with _loading(reference, f"importing {name}", _there(stale), again=loaded is not None, folders=beside) as watch:
        try:
            module = importlib.import_module(name)  # or what is there and lacks something that its functions import
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise InvalidReference(
                    f"reference {reference!r}: there is no module {error.name!r}. "
                    f"Is it installed, or the current directory its parent? {from_here()}"
                ) from None
            raise
        _known[name] = _noted(module, watch)
    return module


def _load_file(path: str, reference: str, first: Sequence[Path] = ()) -> ModuleType:
    if not Path(path).is_file():
        raise InvalidReference(f"reference {reference!r}: there is no file {path}{nearest_file(path)} {from_here()}")
    file = Path(path).resolve()
    known = _known.get(str(file))
    folders = list(dict.fromkeys((*first, file.parent)))  # its neighbours are importable, as for a script
    loading = functools.partial(
        _loading,
        reference,
        f"running {path}",
        again=known is not None,
        folders=folders,
        file=file,
    )
    if known is not None and known.is_current():
        _put_back(known.parts)
        if not known.is_complete():
            with loading({}, hidden=_namesakes(folders)) as watch:
                _put_back(known.parts)
                _known[str(file)] = _noted(known.module, watch, known.parts)
        return known.module
    name = _free_name(file)
    if known is not None:
        _extra[name] = _extra.get(known.module.__name__, frozenset())
    hidden = _namesakes(folders)
    stale = closure({}, _extra, beginning=(name, file)).stale()  # others may have imported what it will import
    loader = AsItIs(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None, "a path that ends in .py has one"
    module = importlib.util.module_from_spec(spec)
    with loading(_there(stale - hidden.keys()), hidden=hidden) as watch:
        sys.modules[name] = module  # before it runs, as the import system does: dataclasses look it up
        watch.loaded.append(name)
        loader.exec_module(module)
        _known[str(file)] = _noted(module, watch)
    return module


def _free_name(file: Path) -> str:
    """A name for the next state of a file: what was made of an earlier one finds its own module under its own name."""
    name = first = f"_prefect_experiments_{keys.fingerprint(str(file))[:12]}_{file.stem}"
    number = 1
    while name in sys.modules:
        number += 1
        name = f"{first}_{number}"
    return name


def _noted(module: ModuleType, watch: Watch, parts: Modules | None = None) -> _Loaded:
    """What was loaded, with what its functions import and what was imported on the way: also what no statement says."""
    name = module.__name__
    load_late(module)
    ready = {name}
    while late := {n: m for n, m in closure({name: module}, _extra, parts).modules.items() if n not in ready}:
        for each in late.values():
            load_late(each)
        ready |= late.keys()
    if others := [other for other in watch.loaded if other not in ready]:
        _extra[name] = _extra.get(name, frozenset()).union(others)
    said = closure({name: module}, _extra, parts)
    return _Loaded(module, {part: found for part, found in said.modules.items() if part != name})


@contextlib.contextmanager
def _loading(
    reference: str,
    doing: str,
    stale: Modules,
    *,
    again: bool,
    folders: Sequence[Path],
    hidden: Mapping[str, ModuleType] | None = None,
    file: Path | None = None,
) -> Iterator[Watch]:
    """Modules of the user's own are loaded from their source as it is; where that fails, nothing was loaded.

    Args:
        reference: for messages.
        doing: for messages: what is done.
        stale: the modules to be loaded anew.
        again: whether it was loaded before.
        folders: where to look first.
        hidden: modules that are called as those of the folders, and are not meant.
        file: that is run, where it is not one of a module's.
    """
    hidden = hidden or {}
    for name, module in stale.items():
        _forget(name, module)
    for name in hidden:
        del sys.modules[name]
    watch = Watch()
    importlib.invalidate_caches()
    sys.path[:0] = map(str, folders)
    sys.meta_path.insert(0, watch)
    try:
        yield watch
    except BaseException as error:
        for name in watch.loaded:
            _forget(name, sys.modules.get(name))
        for name, module in {**hidden, **stale}.items():
            _remember(name, module)
        if isinstance(error, InvalidReference) or not isinstance(error, Exception | SystemExit):
            raise
        said = f"reference {reference!r}: {doing} failed with {type(error).__name__}: {error}"
        raise InvalidReference(said + _way_out(error, reference, file, again=again)) from error
    finally:
        sys.meta_path.remove(watch)
        for folder in folders:
            sys.path.remove(str(folder))
    for name, module in hidden.items():
        if name not in sys.modules or not _is_ours(module):
            sys.modules[name] = module
    if theirs := sorted(name for name, module in stale.items() if not _is_ours(module)):
        logger.warning(
            "%s changed since this process imported it, and was loaded anew for %r; what was imported from it before "
            "stays as it was.",
            ", ".join(theirs),
            reference,
        )


def _way_out(error: BaseException, reference: str, file: Path | None, *, again: bool) -> str:
    """What to do about a file that does not load, as far as that can be told."""
    if file is not None and "relative import" in str(error) and (found := as_module(file)):
        module, folder = found
        is_found = folder == current_directory() or str(folder) in sys.path
        there = "" if is_found else f", with {folder} as the current directory"
        name = reference.rpartition(":")[2]
        return f". It is a module of a package, as it imports relatively: write {f'{module}:{name}'!r}{there}"
    lacks_name = isinstance(error, ImportError) and str(error.path).endswith(".py")
    if not again or lacks_name or isinstance(error, _THE_SAME_IN_ANY_PROCESS):
        return ""
    return " (it has changed since it was loaded; what cannot be loaded twice needs a new process)"


def _there(stale: set[str]) -> Modules:
    """The modules of these names, and what is in those of them that are packages: it is reached over them."""
    below = tuple(f"{name}." for name in stale)
    every = {name: module for name, module in sys.modules.copy().items() if name in stale or name.startswith(below)}
    return {name: module for name, module in every.items() if name in stale or file_of(module) is not None}


def _forget(name: str, module: ModuleType | None) -> None:
    """Take a module out; also out of its package, or ``from package import module`` would find it there."""
    sys.modules.pop(name, None)
    parent, _, last = name.rpartition(".")
    if module is not None and getattr(sys.modules.get(parent), last, None) is module:
        delattr(sys.modules[parent], last)


def _remember(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, module)


def _is_ours(module: ModuleType) -> bool:
    """Whether nobody but a reference has led to the module."""
    return isinstance(getattr(module, "__loader__", None), AsItIs)


def _namesakes(folders: Sequence[Path]) -> Modules:
    """The user's modules, from elsewhere, that are called as files in these folders, of which the first counts."""
    loaded = sys.modules.copy().items()
    places = {top: _holder(top, folders) for top in {name.partition(".")[0] for name, _ in loaded}}
    tops = set()
    for name, module in loaded:
        top = name.partition(".")[0]
        folder = places[top]
        if folder is None or (file := file_of(module)) is None:
            continue
        if name == top:
            own = [each for each in (folder / f"{top}.py", folder / top / "__init__.py") if each.is_file()]
            elsewhere = own and Path(file) not in own
        else:  # a package without a file is where that is which it holds
            bare = getattr(sys.modules.get(top), "__file__", None) is None
            elsewhere = bare and (folder / top).is_dir() and not Path(file).is_relative_to(folder / top)
        if elsewhere:
            tops.add(top)
    return {name: module for name, module in loaded if name.partition(".")[0] in tops}


def _holder(top: str, folders: Sequence[Path]) -> Path | None:
    """The first of the folders that has a module or a package of this name."""
    return next((each for each in folders if (each / f"{top}.py").is_file() or (each / top).is_dir()), None)


def _put_back(parts: Modules) -> None:
    """Under their names again, where those were given to the neighbours of another file meanwhile."""
    for name, module in parts.items():
        there = sys.modules.get(name)
        if there is None or (_is_ours(there) and file_of(there) != file_of(module)):
            sys.modules[name] = module
