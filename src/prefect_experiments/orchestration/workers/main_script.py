"""Whether workers would run again the script that starts them: new processes of Python's import it."""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path
from types import FrameType

from prefect_experiments.garbage import without_collecting
from prefect_experiments.syntax import syntax_tree

_calling: dict[str, set[int]] = {}


def note_call() -> None:
    """Take note of the line of the script that is run at which an experiment is begun, if there is a script."""
    main = threading.main_thread().ident
    frame = _frames().get(main) if main is not None else None
    while frame is not None and not _is_of_script(frame):
        frame = frame.f_back
    if frame is not None:
        _calling.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)


def _frames() -> dict[int, FrameType]:
    """Where each thread is.

    Python holds a lock meanwhile that the end of a thread waits for: where it collects garbage then, and with it
    something that ends or starts one, no thread goes on (https://github.com/python/cpython/issues/106883).
    """
    with without_collecting():
        return sys._current_frames()


def line_without_guard() -> int | None:
    """The first line of the script that begins an experiment, and would do so in a process that imports it, too.

    None would inside ``if __name__ == "__main__":``, and where there is no script: in a notebook, in a command.
    """
    for script, lines in _calling.items():
        try:
            tree = syntax_tree(Path(script).read_bytes())
        except (OSError, SyntaxError, ValueError):  # what is run is no file of Python's, or has changed since
            continue
        if found := sorted(line for line in lines if not _is_guarded(tree, line)):
            return found[0]
    return None


def _is_of_script(frame: FrameType) -> bool:
    """Whether it is the script's own code, outside of any function."""
    found = frame.f_globals
    if found.get("__name__") != "__main__" or frame.f_code.co_name != "<module>":
        return False
    # What `python -m package` runs is not imported again.
    name = getattr(found.get("__spec__"), "name", "")
    return not name.endswith("__main__") and found.get("__file__") == frame.f_code.co_filename


def _is_guarded(tree: ast.Module, line: int) -> bool:
    for statement in tree.body:
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            return isinstance(statement, ast.If) and any(
                isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
            )
    return True  # the file is another one by now
