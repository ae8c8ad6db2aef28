"""Completion for shells, and help that fits the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App
from rich.console import Console

from prefect_experiments.cli.app import app


def said(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect_experiments.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.thorough
def test_completion_is_installed_for_the_shell_and_completes(tmp_path: Path) -> None:
    out = said("--install-completion", "--shell", "bash", HOME=str(tmp_path))
    script = tmp_path / ".local/share/bash-completion/completions/prefect-experiments"
    assert str(script) in out
    assert str(script.parent) in (tmp_path / ".bashrc").read_text()
    # What bash does at the tab: the words so far, and the answer in COMPREPLY.
    tab = (
        f'source "{script}"; COMP_WORDS=(prefect-experiments doc); COMP_CWORD=1; '
        "$(complete -p prefect-experiments | sed -E 's/.*-F ([^ ]+).*/\\1/'); echo \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", tab], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["doctor"], done.stderr


def commands(parent: App, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in parent.resolved_commands().items():
        if not name.startswith("-"):
            yield (*names, name)
            yield from commands(command, (*names, name))


@pytest.mark.parametrize("names", [(), *commands(app)], ids=" ".join)
def test_paragraphs_of_the_help_are_as_wide_as_the_terminal(names: tuple[str, ...]) -> None:
    shown = {}
    for width in (60, 200):
        printed = io.StringIO()
        app.help_print([*names], console=Console(file=printed, width=width))
        shown[width] = printed.getvalue()
        assert max(len(line.rstrip()) for line in shown[width].splitlines()) <= width
    above = shown[200].split("╭")[0]
    for paragraph in above.split("\n\n")[1:]:
        lines = paragraph.strip("\n").splitlines()
        if not paragraph.startswith(" "):
            assert all(len(line) > 170 for line in lines[:-1]), f"broken by hand:\n{paragraph}"
