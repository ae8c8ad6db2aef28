"""Reports and exports of many examples: memory does not grow with them, and what is not shown is said."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.models import Example
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord
from prefect_experiments.reports import page_data
from prefect_experiments.reports.chosen import chosen
from prefect_experiments.reports.figures import outline_of
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.report_model import ReportSide
from prefect_experiments.store import EvaluatorRecord, Store, TaskRecord
from support.patience import PATIENCE_S

from .made import Made, made, rows_of, side, table

TEXT = "a text of two thousand characters, or so " * 50
# The peak of the process that ends, in kB: what `resource` says would count its parent as well.
COMMAND = """
import sys
from prefect_experiments.cli.app import run
code = run(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def filled(folder: Path, count: int) -> str:
    """The URL of a store with an experiment of so many examples, of which each has 8 kB of texts."""
    url = f"sqlite:///{folder / f'{count}.db'}"
    store = Store(url)
    content = [Example(id=f"e{place}", input=f"{place} {TEXT}", output=TEXT) for place in range(count)]
    runs = []
    for place in range(count):
        score = place % 100 / 100
        said = EvaluationRecord(
            place, 1, "good", "good", "CODE", "f", score=score, explanation=TEXT, start_time=1, end_time=2
        )
        runs.append(EvaluatedRun(RunRecord(place, 1, f"e{place}", json.dumps(f"{place} {TEXT}"), None, 1, 2), (said,)))
    store.ingest.put(
        "big",
        store.datasets.put("many", content),
        runs,
        fingerprint="x",
        task=TaskRecord("answer", None, None),
        evaluators=[EvaluatorRecord("good", "CODE", "f")],
    )
    store.close()
    return url


def peak_mb(folder: Path, url: str, *command: str) -> float:
    """What a command takes at most, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, *command, "--store-url", url],
        cwd=folder,
        env={**os.environ, "PREFECT_HOME": str(folder / "home")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=10 * PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stderr
    return int(ended.stderr.split()[-1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    few, many = filled(tmp_path, 20_000), filled(tmp_path, 40_000)
    commands = (
        ["report", "big", "--report", "page.html"],
        ["export", "big", "runs.csv"],
        ["export", "big", "runs.json"],
        ["export", "big", "runs.parquet"],
        ["datasets", "export", "many", "examples.csv"],
        ["datasets", "export", "many", "examples.jsonl"],
        ["runs", "big", "--all", "--json"],
    )
    grown = {" ".join(each): peak_mb(tmp_path, many, *each) - peak_mb(tmp_path, few, *each) for each in commands}
    # The texts of 20,000 more examples are 160 MB, or 80 MB in a dataset; figures of their own are a few.
    assert {command: growth for command, growth in grown.items() if growth > 40} == {}


def sentence(document: str) -> str:
    """What a page says of the examples that it does not hold."""
    found = re.search(r'<div id="left-out".*?</div>', document, re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", found[0]).split()) if found else ""


def data_of(document: str) -> Any:
    """The examples of a page, as its script reads them."""
    return json.loads(re.findall(r'id="data">(.*?)</script>', document, re.DOTALL)[0])


def page_of(found: Made) -> str:
    return html_report(found.comparison, found.candidate, found.baseline)


def test_a_page_that_holds_all_says_nothing_of_it() -> None:
    page = page_of(made(60))
    assert sentence(page) == ""
    assert '"totals"' not in page


def test_a_page_that_does_not_hold_all_says_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 40)
    found = made(200)
    for row in (*found.before, *found.after):
        row["eval.polite.score"] = 1.0
    old, new = table(found.before, "a"), table(found.after, "b")
    comparison = compare_results(old, new, directions={"answer_words": "minimize"})
    found = Made(comparison, side(found.after, "b"), side(found.before, "a"), found.after, found.before)
    page = page_of(found)
    data = data_of(page)
    worse, better = (
        {change.example_id for change in changes} for changes in (found.comparison.regressed, found.comparison.improved)
    )
    errors = {
        row["example_id"] for row in (*found.after, *found.before) if row["error"] or row.get("eval.faithfulness.error")
    }
    kept = {example["id"] for example in data["examples"]}
    assert len(kept) == 40
    said = sentence(page)
    assert "This page holds 40 of 202 examples: 162 more examples are left out of this page." in said
    assert f"{len(kept & worse)} of {len(worse)} that got worse (the worst among them)" in said
    assert f"{len(kept & better)} of {len(better)} that got better (the best among them)" in said
    assert f"{'all ' if errors <= kept else f'{len(kept & errors)} of '}{len(errors)} with an error" in said
    assert "all figures and charts above are of all 202 examples" in said
    assert data["totals"]["all"] == {"-2": 202}
    metrics = [found.comparison.metrics[name] for name in data["metrics"]]
    for place, metric in enumerate(metrics):
        assert data["totals"]["regressed"][str(place)] == metric.losses
        assert data["totals"]["improved"][str(place)] == metric.wins
    assert 0 in {metric.losses for metric in metrics}
    assert data["totals"]["regressed"]["-2"] == len(worse)
    worst = found.comparison.regressed[0]
    assert worst.example_id in kept
    assert min(example["rank"] for example in data["examples"]) == -len(found.comparison.regressed)


def test_of_one_experiment_those_that_failed_and_the_lowest_are_kept() -> None:
    rows = rows_of(300, right=1, words=30, seed=3)
    for place, row in enumerate(rows):
        row |= {
            "status": "ok",
            "error": None,
            "output": "x",
            "eval.correctness.score": 1.0,
            "eval.faithfulness.score": 0.9,
        }
        row |= {"eval.faithfulness.error": None, "eval.answer_words.score": None}
        if place == 7:
            row["error"] = "ValueError: no"
        if place in (250, 260):
            row["eval.faithfulness.score"] = 0.1
    one = side(rows, "a")
    found = chosen(outline_of([one.read]), None, one, 10)
    assert {rows[place]["example_id"] for place in (7, 250, 260)} <= set(found.ids)
    assert list(found.ids) == sorted(found.ids), "in the order of the dataset"
    assert (found.n_left_out, found.said[0]) == (290, "all 1 with an error")
    assert found.said[1] == "9 of 299 that could have scored higher (the lowest among them)"


def test_of_two_that_are_not_compared_the_candidates_lowest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 10)

    def scored(low: int, label: str) -> ReportSide:
        rows = [{"example_id": f"e{n:02}", "output": "x", "eval.right.score": float(n != low)} for n in range(60)]
        return side(rows, label)

    page = html_report(None, scored(50, "candidate"), scored(40, "baseline"))
    data = data_of(page)
    kept = {example["id"] for example in data["examples"]}
    assert "e50" in kept
    assert "e40" not in kept


def test_figures_are_of_all_whatever_the_page_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(120)

    def above(page: str) -> str:
        return page.partition('id="examples"')[0]

    whole = above(page_of(found))
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 5)
    assert above(page_of(found)) == whole
