"""What references, and paths in the parameters of deployed flows, may lead to where that is limited.

``PREFECT_EXPERIMENTS_REFERENCES=my_app,flows/`` limits it: to the modules of a package, by the beginning of their
dotted names, and to the files in a folder. Without it, whoever may say what a task is may have any function called that
can be imported, `os.system` included. Where it is set and names nothing, nothing is followed.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from prefect_experiments.errors import InvalidReference, InvalidSetting, current_directory
from prefect_experiments.settings import Settings

logger = logging.getLogger("prefect_experiments")

SETTING = "PREFECT_EXPERIMENTS_REFERENCES"
WITH_A_HOME = (FunctionType, BuiltinFunctionType, MethodType, type)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be referred to.

    Attributes:
        said: as it is set, for messages.
        modules: names, each of which stands for what is below it, too.
        folders: and files; what links lead to is resolved.
    """

    said: str
    modules: frozenset[str]
    folders: tuple[Path, ...]

    def has_module(self, name: str | None) -> bool:
        """Whether a module is one of these, by its name or by where its file is."""
        above = (name or "").split(".")
        if any(".".join(above[: length + 1]) in self.modules for length in range(len(above))):
            return True
        file = getattr(sys.modules.get(name or ""), "__file__", None)
        return isinstance(file, str) and self.has_file(file)

    def has_file(self, path: str | Path) -> bool:
        """Whether a file is in one of the folders."""
        return _is_in(path, self.folders)

    def refuse(self, reference: str, why: str) -> InvalidReference:
        """The error for a reference that leads elsewhere."""
        return InvalidReference(f"reference {reference!r:.200} is not allowed here: {why} {SETTING}={self.said!r:.200}")

    def check_place(self, reference: str, where: str) -> None:
        """Refuse a module or a file before it is run.

        Raises:
            InvalidReference: it is not among what is allowed.
        """
        if where.endswith(".py"):
            if not self.has_file(where):
                raise self.refuse(reference, "its file is in no folder of")
        elif not any(where == name or where.startswith(f"{name}.") for name in self.modules):
            raise self.refuse(reference, "its module is not among those of")

    def check_found(self, reference: str, name: str, found: Any, home: ModuleType) -> None:
        """Refuse what is of another module, such as what an allowed one has imported.

        Raises:
            InvalidReference: it is.
        """
        if name.startswith("__"):
            raise self.refuse(reference, f"{name} is Python's own, and not limited by")
        if isinstance(found, ModuleType):
            owner: str | None = found.__name__
        elif isinstance(found, WITH_A_HOME) and not (isinstance(found, type) and issubclass(found, BaseException)):
            owner = getattr(found, "__module__", None)
        else:
            return
        if owner != home.__name__ and not self.has_module(owner):
            raise self.refuse(reference, f"{name} is of the module {owner}, which is not among those of")


def allowed_references() -> Allowed | None:
    """What may be referred to; ``None`` for anything.

    Raises:
        InvalidSetting: the setting is no list of modules and folders, or an empty one.
    """
    said = Settings().references
    if said is None:
        return None
    said = said.strip()
    entries = [entry for part in said.split(",") if (entry := part.strip())]
    if not entries:
        raise InvalidSetting(
            f"{SETTING} is set and names nothing ({said!r:.20}), so nothing may be referred to; name modules such as "
            "my_app and folders such as flows/, or unset it to allow everything"
        )
    modules, folders = set(), []
    for entry in entries:
        if "/" in entry or os.sep in entry or entry in (".", "..") or entry.endswith(".py"):
            folders.append(_resolved(entry))
            if not folders[-1].exists():
                _say_missing(entry, folders[-1])
        elif all(part.isidentifier() for part in entry.split(".")):
            modules.add(entry)
        else:
            raise InvalidSetting(
                f"{SETTING} takes modules such as my_app and folders such as flows/ with commas between them, "
                f"got {entry!r:.100}"
            )
    return Allowed(said, frozenset(modules), tuple(folders))


def check_path(path: str) -> str:
    """A path of a deployed flow's parameter, as it is, if it may be used.

    Where references are limited, that is one inside the project (the current directory) or a folder that is named.

    Raises:
        InvalidSetting: it is elsewhere.
    """
    allowed = allowed_references()
    if allowed is not None and not _is_in(path, (_resolved("."), *allowed.folders)):
        raise InvalidSetting(
            f"the path {path!r:.200} is not allowed here: it leads out of the project, and into no folder of "
            f"{SETTING}={allowed.said!r:.200}"
        )
    return path


@functools.cache  # once in a process
def _say_missing(entry: str, folder: Path) -> None:
    logger.warning("%s names %s, which is not there: nothing in it can be used (%s).", SETTING, entry, folder)


def _is_in(path: str | Path, folders: tuple[Path, ...]) -> bool:
    found = _resolved(path)
    return any(found == folder or folder in found.parents for folder in folders)


def _resolved(path: str | Path) -> Path:
    """Where a path leads in the end, links followed, from the current directory."""
    try:
        return ((current_directory() or Path(os.devnull)) / path).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL: it leads nowhere
        return Path(os.devnull, "nowhere")
