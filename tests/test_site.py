"""The documentation as a site: it builds with nothing to complain of, and a link that leads nowhere is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import prefect_experiments
from support.patience import PATIENCE_S

pytest.importorskip("mkdocs", reason="installed by make setup")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What a clone has of the documentation."""
    copied = tmp_path / "project"
    for folder in ("docs", "examples", "deployments"):
        shutil.copytree(ROOT / folder, copied / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml"]:
        shutil.copy(file, copied)
    return copied


def build(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_it_builds_and_needs_no_network(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in (project / "site").glob("*.html")}
    documents = {path.stem for path in (project / "docs").glob("*.md")} - {"README"}
    assert pages.keys() >= {f"{name}.html" for name in documents}
    index = (project / "docs/README.md").read_text(encoding="utf-8")
    assert not [name for name in documents if f"({name}.md)" not in index]
    assert "Is the new prompt better?" in pages["index.html"]
    assert 'href="comparing.html"' in pages["index.html"]
    for name, page in pages.items():
        assert not re.findall(r'<(?:script|img)[^>]+src="http[^"]*"', page), name
        assert not re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]*href="http[^"]*"', page), name

    reference = pages["reference.html"]
    assert [name for name in prefect_experiments.__all__ if f">{name}<" not in reference] == []
    words = re.sub(r"<[^>]+>", "", reference)
    for said in (
        "the path of a .csv, .tsv,",
        "US dollars that the experiment may cost",
        "how much worse than the baseline the candidate may be",
    ):
        assert said.casefold() in " ".join(words.split()).casefold(), said
    assert "<p>Args:" not in reference, "a docstring that was not read as one"


@pytest.mark.slow
@pytest.mark.parametrize("link", ["[x](docs/nowhere.md)", "[x](docs/cost.md#nowhere)"])
def test_a_link_that_leads_nowhere_stops_it(project: Path, link: str) -> None:
    readme = project / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8") + f"\n{link}\n", encoding="utf-8")
    done = build(project)
    assert done.returncode != 0
    assert "nowhere" in done.stderr


def test_links_lead_to_files_also_where_the_repository_is_read() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "deployments" / "README.md"]:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
            assert link.startswith(("http", "mailto")) or (document.parent / link).exists(), f"{document.name}: {link}"
