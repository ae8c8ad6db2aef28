"""A pixie project: the folder that the references in its datasets are taken from."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from prefect_experiments.allowed import SETTING, WITH_A_HOME, allowed_references
from prefect_experiments.errors import InvalidReference, current_directory
from prefect_experiments.references import load_from_file

_PIXIES_FOLDER = "pixie_qa"
_MEANT_FOR_DATASETS = frozenset({"pixie", "autoevals", "prefect_experiments"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})

_lock = threading.Lock()
_importable: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Project:
    """A pixie project.

    Attributes:
        root: its folder. pixie itself takes references from the current directory, and is started here.
    """

    root: Path

    @classmethod
    def of(cls, dataset_file: str | Path, root: str | Path | None = None) -> Project:
        """The project that a dataset is part of.

        Args:
            dataset_file: the dataset.
            root: its folder, where that is known. Otherwise it is the one that the closest ``pixie_qa`` above the
                file stands in; else the current directory, where the file is below it; else the file's own folder.
        """
        if root is not None:
            return cls(Path(root).resolve())
        file = Path(dataset_file).resolve()
        for folder in file.parents:
            if folder.name == _PIXIES_FOLDER:
                return cls(folder.parent)
        here = current_directory()
        return cls(here.resolve() if here is not None and file.is_relative_to(here.resolve()) else file.parent)

    def load(self, reference: str) -> Any:
        """What ``path/to/file.py:Name`` leads to, from the root.

        The file can import what pixie lets it import, that is from the root, and its neighbours besides.

        Raises:
            InvalidReference: it leads out of the project (unless PREFECT_EXPERIMENTS_REFERENCES names the folder that
                it leads to) or nowhere, the file does not load, or it is not among what that setting allows.
        """
        file = self.file_of(reference)

        def check(found: Any, module: ModuleType) -> None:
            if (owner := self._stranger(found, module)) is not None:
                raise InvalidReference(
                    f"reference {reference!r:.200} leads out of the project {self.root}: to {owner}, which {file.name} "
                    "has only imported. A dataset may name what the project's own files define: write a function or a "
                    f"class of your own around it in {file.name}"
                )

        try:
            return load_from_file(file, reference.rpartition(":")[2].strip(), reference, [self.root], check)
        except InvalidReference as error:
            cause = error.__cause__
            if isinstance(cause, ModuleNotFoundError) and lacks_pixie(cause):
                raise InvalidReference(f"reference {reference!r}: {NEEDS_PIXIE}") from cause
            raise

    def _stranger(self, found: Any, module: ModuleType) -> str | None:
        """What of somebody else's a file's name leads to, as text; ``None`` of the project's own, and of pixie's.

        A file imports more than it means a dataset to call, `subprocess` for instance.
        """
        if isinstance(found, ModuleType):
            return f"the module {found.__name__}"
        if not isinstance(found, WITH_A_HOME) or "<locals>" in getattr(found, "__qualname__", ""):
            return None  # an object, or a function that a function has made: the project's code asked for it
        owner = str(getattr(found, "__module__", None) or "builtins")
        if owner == module.__name__ or owner.partition(".")[0] in _MEANT_FOR_DATASETS:
            return None
        file = getattr(sys.modules.get(owner), "__file__", None)
        where = None if file is None else Path(file).resolve()
        is_own = where is not None and (
            (where.is_relative_to(self.root.resolve()) and not _is_installed(where.relative_to(self.root.resolve())))
            or ((allowed := allowed_references()) is not None and allowed.has_module(owner))
        )
        return None if is_own else f"{owner}.{getattr(found, '__qualname__', '?')}"

    def file_of(self, reference: str) -> Path:
        """The file that a reference leads to, links followed.

        Raises:
            InvalidReference: it is none, leads out of the project, or there is no such file.
        """
        if not is_of_file(reference):
            raise InvalidReference(
                f"{reference!r:.200} is not a reference; write 'path/to/file.py:Name', with the path from {self.root}"
            )
        where = reference.strip().rpartition(":")[0]
        try:
            file = (self.root / where).resolve()
            is_there = file.is_file()
        except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL
            file, is_there = self.root / where, False
        # Where references are limited, that goes for the project's own files as well; it is looked at in loading.
        if allowed_references() is None and not file.is_relative_to(self.root.resolve()):
            raise InvalidReference(
                f"reference {reference!r:.200} leads out of the project {self.root}, to {file}. Move the file into the "
                f"project, or allow its folder (and the project's) by {SETTING}={file.parent},{self.root}"
            )
        if not is_there:
            raise InvalidReference(f"reference {reference!r:.200}: there is no file {file} (project: {self.root})")
        if allowed_references() is None and _is_installed(file.relative_to(self.root.resolve())):
            raise InvalidReference(
                f"reference {reference!r:.200} leads to {file}, which is no file of the project's own: it is in a "
                "hidden folder, or of an installed package. Write a function or a class of your own around it"
            )
        return file

    def lacks_file_of(self, reference: str) -> bool:
        """Whether the file that a reference names is not there."""
        try:
            return not (self.root / reference.strip().rpartition(":")[0]).is_file()
        except ValueError:  # a NUL
            return True

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """While this is entered, modules in the root can be imported by any means, at any moment.

        What a file imports by a statement is found anyway. This is for what looks for a module by its name later on:
        they are found behind everything else, so that no other project gets this one's.
        """
        root = str(self.root)
        with _lock:
            if root in sys.path and not _importable[root]:
                added = False
            else:
                added = True
                _importable[root] += 1
                if root not in sys.path:
                    sys.path.append(root)
        try:
            yield
        finally:
            if added:
                with _lock:
                    _importable[root] -= 1
                    if not _importable[root] and root in sys.path:
                        sys.path.remove(root)


def _is_installed(path: Path) -> bool:
    """Whether a path within a project is of an environment in its folder, or of another tool's."""
    return not _INSTALLED.isdisjoint(path.parts) or any(part.startswith(".") for part in path.parts)


def is_of_file(reference: str) -> bool:
    """Whether it is written as a reference to what a Python file defines."""
    where, _, name = reference.strip().rpartition(":")
    return where.endswith(".py") and bool(name.strip())


NEEDS_PIXIE = "it imports pixie, which is not installed: pip install 'prefect-experiments[pixie]'"


def lacks_pixie(error: ModuleNotFoundError) -> bool:
    """Whether what is missing is pixie."""
    return (error.name or "").partition(".")[0] == "pixie"
