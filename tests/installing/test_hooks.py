"""A fresh clone with the hooks installed: what CONTRIBUTING says about committing a change."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHO = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

pytestmark = pytest.mark.slow
Commit = Callable[[str, str], "subprocess.CompletedProcess[str]"]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST"))}
    known = {"MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}  # else each commit costs a minute
    return subprocess.run(
        command, cwd=cwd, env={**environment, **WHO, **known}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """Gives a clone's file new content, or appends to what there is, and commits it."""
    clone = tmp_path / "a clone"
    assert run("git", "clone", "--quiet", str(ROOT), str(clone), cwd=tmp_path).returncode == 0
    (clone / ".venv").symlink_to(Path(sys.prefix))
    assert run(".venv/bin/pre-commit", "install", cwd=clone).returncode == 0

    def made(name: str, content: str) -> subprocess.CompletedProcess[str]:
        with (clone / name).open("a") as file:
            file.write(content)
        assert run("git", "add", name, cwd=clone).returncode == 0
        return run("git", "commit", "--quiet", "--message", name, cwd=clone)

    return made


def test_a_good_change_is_committed(commit: Commit) -> None:
    for name, content in {
        "docs/comparing.md": "\nOne sentence more.\n",
        "src/prefect_experiments/texts.py": "\n\nMORE = 1\n",
    }.items():
        done = commit(name, content)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("src/prefect_experiments/texts.py", "\n\nimport os\n", "ruff check"),
        ("src/prefect_experiments/texts.py", "\n\nMORE = [1,2]\n", "ruff format"),
        ("src/prefect_experiments/texts.py", '\n\nMORE: int = "more"\n', "mypy"),
        ("docs/comparing.md", "\nIt is in /root/somewhere.\n", "no address of a package registry"),
        ("docs/large.md", "x" * 3_000_000, "no large files"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(commit: Commit, name: str, content: str, said: str) -> None:
    done = commit(name, content)
    assert done.returncode == 1
    [failed] = [line for line in (done.stdout + done.stderr).splitlines() if line.endswith("Failed")]
    assert failed.startswith(said)
