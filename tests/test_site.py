"""The documentation as a site: it builds with nothing to complain of, and a link that leads nowhere is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import prefect_experiments
from prefect_experiments.in_json import InJson
from prefect_experiments.options import Options
from support.browser import CHROMIUM, Browser
from support.patience import PATIENCE_S

pytest.importorskip("mkdocs", reason="installed by make setup")

ROOT = Path(__file__).resolve().parents[1]


def copied(folder: Path) -> Path:
    """What a clone has of the documentation, with the caches that Python leaves in it."""
    for name in ("docs", "examples", "deployments"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml"]:
        shutil.copy(file, folder)
    (folder / "docs/__pycache__").mkdir()
    (folder / "docs/__pycache__/flat_calls.cpython-311.pyc").write_bytes(b"bytecode")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once: it takes as long as importing everything."""
    folder = copied(tmp_path_factory.mktemp("project"))
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def build(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.slow
def test_it_builds_and_needs_no_network(site: Path) -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in site.glob("*.html")}
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"README"}
    assert pages.keys() >= {f"{name}.html" for name in documents}
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert not [name for name in documents if f"({name}.md)" not in index]
    assert "Is the new prompt better?" in pages["index.html"]
    assert 'href="comparing.html"' in pages["index.html"]
    for name, page in pages.items():
        assert not re.findall(r'<(?:script|img)[^>]+src="http[^"]*"', page), name
        assert not re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]*href="http[^"]*"', page), name


@pytest.mark.slow
def test_it_has_pages_and_what_they_show_and_nothing_else(site: Path) -> None:
    kinds = {path.suffix for path in site.rglob("*") if path.is_file() and "assets" not in path.parts}
    assert kinds == {".html", ".css", ".svg", ".json", ".xml", ".gz"}
    assert not list(site.rglob("__pycache__"))


@pytest.mark.slow
def test_all_documents_have_a_page_of_their_own(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    [there] = re.findall(r'<a href="([^"]*)">all documents</a>', start)
    assert there == "documents.html"
    listed = (site / there).read_text(encoding="utf-8")
    links = set(re.findall(r'<a href="([\w-]+\.html)">', listed))
    assert links >= {"cost.html", "reference.html", "contributing.html"}
    assert '<a href="index.html">the first hour</a>' in listed


@pytest.mark.slow
def test_the_reference_has_all_public_names(site: Path) -> None:
    reference = (site / "reference.html").read_text(encoding="utf-8")
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
def test_the_reference_has_nothing_but_public_names(site: Path) -> None:
    reference = (site / "reference.html").read_text(encoding="utf-8")
    found = re.findall(r'<h4 id="([\w.]+)\.(\w+)" class="doc doc-heading"', reference)
    members: dict[str, list[str]] = {}
    for owner, name in found:
        members.setdefault(owner.rsplit(".", 1)[1], []).append(name)
    as_mapping = {"get", "keys", "to_dict"}
    assert set(members["Gate"]) == {"parse", "judge", "judge_alone", *as_mapping}
    assert set(members["Metric"]) == set(members["Sample"]) == as_mapping
    assert members["PhoenixCredentials"] == members["ArizeCredentials"] == ["get_client"]
    assert "Client" not in members, "what it gives are its attributes"
    machinery = {*dir(BaseModel), *dir(InJson), *vars(Options)} - as_mapping
    assert [(owner, name) for owner, name in found if name.startswith("_") or name in machinery] == []
    headings = re.findall(r'<h3 id="[\w.]+" class="doc doc-heading">(.*?)</h3>', reference, flags=re.DOTALL)
    assert not [heading for heading in headings if "compat" in re.sub(r"<[^>]+>", "", heading)]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
def test_the_diagram_is_read_on_a_phone_and_in_the_dark(site: Path) -> None:
    picture = "document.querySelector('img[src$=svg]').getBoundingClientRect()"
    drawn = site / "one-example.svg"
    smallest = min(map(int, re.findall(r"(\d+)px", drawn.read_text(encoding="utf-8"))))
    with Browser() as browser:
        with browser.page(site / "architecture.html", width=390) as page:
            shown = page.evaluate(f"{picture}.width / document.querySelector('img[src$=svg]').naturalWidth")
            assert smallest * shown > 11
            assert page.evaluate("document.documentElement.scrollWidth") == 390
        fills = {}
        for dark in (False, True):
            with browser.page(drawn, dark=dark) as page:
                for kind in ("rect", "text"):
                    colour = page.evaluate(f"getComputedStyle(document.querySelector('{kind}')).fill")
                    fills[kind, dark] = sum(map(int, re.findall(r"\d+", colour)))
    assert fills["rect", False] > 600 > 300 > fills["text", False]
    assert fills["rect", True] < 300 < 500 < fills["text", True]


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
