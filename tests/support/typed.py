"""Checks the types, as a hook before a commit, where anything is to be committed that they depend on.

That is more than pre-commit would tell: a module that is deleted, mypy's settings, a module that imports one which git
does not know and nobody else will have.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from structure import imports, modules  # noqa: E402

CHECKED = ("src", "flows", "deployments", "pyproject.toml", "requirements.txt", "requirements-dev.txt")


def git(command: str, *arguments: str) -> list[str]:
    # After `--`, `-z` would be a path.
    done = subprocess.run(["git", command, "-z", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in done.stdout.split("\0") if name]


def left_out() -> list[str]:
    """Modules that git does not know and others import, with one that does."""
    known = modules(ROOT)
    unknown = {ROOT / name for name in git("ls-files", "--others", "--", "src")}
    return [
        f"{known[name].relative_to(ROOT)} is not in git, and {path.relative_to(ROOT)} imports it: git add it"
        for path in known.values()
        if path not in unknown
        for name in sorted(imports(path, known))
        if known[name] in unknown
    ]


def main() -> int:
    staged = git("diff", "--cached", "--name-only", "--no-renames")
    if staged and not git("diff", "--cached", "--name-only", "--no-renames", "--", *CHECKED):
        return 0
    if missing := left_out():
        print(*missing, sep="\n")
        return 1
    return subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
