"""What a notebook shows of results, and the document on notebooks as a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Dataset, Example, RanExperiment, Verdict
from prefect_experiments.pages import ExampleList, ExperimentList, Pagination
from prefect_experiments.store import Store
from support.patience import PATIENCE_S
from tests.store.samples import new_experiment

from . import hostile
from .made import made

ROOT = Path(__file__).resolve().parents[2]
MADE = made(60)


class Page(HTMLParser):
    """The tags, the attributes that lead elsewhere, and the text of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.cells = 0
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.cells += tag == "td"
        self.links += [value or "" for name, value in attrs if name in ("href", "src") or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(thing: Any) -> Page:
    return Page(thing._repr_html_())


def test_a_comparison_has_its_verdict_its_metrics_and_what_got_worse() -> None:
    page = page_of(MADE.comparison)
    for said in ("Failed", "The candidate does not meet the gate: correctness.", "-16 points [-32, 1]", "✔ → ✗"):
        assert said in page.text
    assert page.links == ["https://phoenix.example.com/experiments/compare?id=2"]
    assert page.tags <= {"div", "span", "a", "bdi", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_an_experiment_says_its_verdict_once() -> None:
    """Its own, of a first run; else that of what it is compared with."""
    store = Store("sqlite://")
    ran = RanExperiment(store, new_experiment(store, name="first"))
    ran.verdict = Verdict(status="failed", reasons=("nothing was right",))
    text = page_of(ran).text
    assert (text.count("Failed"), text.count("nothing was right")) == (1, 1)
    ran.comparison, ran.verdict = MADE.comparison, MADE.comparison.verdict
    beside, alone = page_of(ran).text, page_of(MADE.comparison).text
    assert MADE.comparison.verdict.reasons[0] in alone
    for said in ("Failed", MADE.comparison.verdict.reasons[0]):
        assert beside.count(said) == alone.count(said)
    store.close()


def test_numbers_stand_at_the_right_and_words_at_the_left() -> None:
    aligned = re.findall(r'<th style="text-align:(\w+)[^>]*>([^<]+)<', MADE.comparison._repr_html_())
    assert {name: side for side, name in aligned[:8]} == {
        **dict.fromkeys(("metric", "verdict"), "left"),
        **dict.fromkeys(("baseline", "candidate", "difference", "better", "worse", "p"), "right"),
    }


def test_a_long_dataset_is_not_shown_whole() -> None:
    rows = tuple(Example(id=f"e{n}", input="x" * 10_000, output=n) for n in range(5_000))
    for thing, more in ((Dataset(name="long", examples=rows), "and 4,995 more"), (ExampleList(rows), "and 4,980 more")):
        assert len(thing._repr_html_()) < 20_000
        assert more in page_of(thing).text


def test_texts_of_rows_are_shown_as_texts() -> None:
    rows = [Example(id=hostile.EXAMPLE, input={hostile.IMAGE: hostile.SCRIPT}, output=hostile.OUTPUT)]
    page = page_of(Dataset(name=hostile.SCRIPT, description=hostile.IMAGE, examples=tuple(rows)))
    assert page.tags.isdisjoint({"script", "img", "style"})
    assert not page.links
    assert hostile.SCRIPT in page.text


def test_what_has_nothing_to_show_says_so() -> None:
    assert "0 experiments" in page_of(ExperimentList([], Pagination())).text
    verdict = Verdict(status="inconclusive", reasons=("too few",))
    assert "Inconclusive" in page_of(verdict).text
    assert "too few" in page_of(verdict).text


RUN = """
import sys, nbformat
from nbclient import NotebookClient
text = sys.stdin.read()
cells = [nbformat.v4.new_code_cell(code) for code in text.split("\\n---\\n")]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
print(nbformat.writes(notebook))
"""


@pytest.mark.slow
def test_the_document_runs_as_a_notebook(prefect_api: str, tmp_path: Path) -> None:
    """With its pages and a bar in its cells; and a cell can run twice."""
    pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    import nbformat

    document = (ROOT / "docs/notebooks.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
    environment = {
        **os.environ,
        "PREFECT_API_URL": prefect_api,
        "PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{tmp_path / 'experiments.db'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n---\n".join([blocks[0], *blocks]),
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    first, again, ran, better, printed, listed = nbformat.reads(done.stdout, 4).cells
    assert _plain(first) == _plain(again)
    assert "triage: run 4/4, 4/4 evaluations" in _plain(ran)
    assert "triage: run" not in _plain(better), "print_summary=False shows no progress"
    assert [output.output_type for output in printed.outputs] == ["stream"]
    assert "Worse, worst first (1 of 1 example)" in printed.outputs[0].text
    assert "2 experiments" in listed.outputs[0].data["text/html"]


def _plain(cell: Any) -> str:
    return "\n".join(output.data["text/plain"] for output in cell.outputs if "data" in output)
