"""How far an experiment is, below a notebook's cell: a bar of HTML that is written anew, without any widget."""

from __future__ import annotations

import sys
from html import escape
from typing import Any

from prefect_experiments.experiment.counts import Progress

_MIME_TEXT, _MIME_HTML = "text/plain", "text/html"


def in_notebook() -> bool:
    """Whether this is a cell of a notebook, and no script or terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class NotebookBar:
    """Shows progress in the cell that runs: a bar, or a line where a page shows no HTML.

    Args:
        name: of the experiment.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        if not progress.began:
            return
        said = f"{self._name}: {progress}"
        bar = f'<progress value="{progress.share:.4f}" max="1" style="width:16em;vertical-align:middle"></progress>'
        page = {_MIME_TEXT: said, _MIME_HTML: f"<div>{bar} {escape(said)}</div>"}
        if self._handle is None:
            display = sys.modules["IPython.display"].display  # there is one: this is a notebook
            self._handle = display(page, raw=True, display_id=True)
        else:
            self._handle.update(page, raw=True)
