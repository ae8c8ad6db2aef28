"""The HTML report as a file: what stands in it, and what it forbids itself. See test_browser.py for the page."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prefect_experiments import Client
from prefect_experiments.analysis import RanExperiment, Summary, numbers
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.labels.classification import classification_report
from prefect_experiments.analysis.results import result_table
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison, Side
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.reports import page_data
from prefect_experiments.reports.files import write_report
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.page import Party, metric_rows, summary_rows
from prefect_experiments.reports.pull_request import pull_request_comment
from prefect_experiments.reports.report_model import ReportSide, report_side, table_side
from support.on_prefect import settings_for
from support.work import assert_in_proportion

from .hostile import hostile_report
from .made import made, rows_of, side, table


class Document(HTMLParser):
    """The elements of a page, with what styles and scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._open = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.code: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("style", "script"):
            self.code.append((self._open, data))
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self) -> Any:
        return json.loads(self.code[1][1])


SMALL = made(60)
PAGE = Document(html_report(SMALL.comparison, SMALL.candidate, SMALL.baseline))


def test_the_verdict_stands_at_the_very_top() -> None:
    text = PAGE.text
    assert SMALL.comparison.verdict
    assert (
        text.index("Failed The candidate does not meet the gate: correctness.")
        < text.index(SMALL.comparison.verdict.reasons[0])
        < text.index("Metrics")
    )
    assert re.search(r"correctness 0\.\d+, -[\d.]+ points \[.*?\]; \d+ improved, \d+ regressed", text)


def test_the_page_lets_nothing_be_loaded_and_only_its_own_script_run() -> None:
    [policy] = [a["content"] for tag, a in PAGE.elements if a.get("http-equiv") == "Content-Security-Policy"]
    (style_tag, style), (_, data), (script_tag, script) = PAGE.code
    assert (style_tag, script_tag) == ("style", "script")
    hashes = {
        name: f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
        for name, code in (("style", style), ("script", script))
    }
    assert policy == (
        f"default-src 'none'; style-src {hashes['style']}; script-src {hashes['script']}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert json.loads(data)["examples"]
    for tag, attributes in PAGE.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base")
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes), tag
    links = {a.get("href") for tag, a in PAGE.elements if tag == "link"}
    assert links == {"data:,"}
    assert "http" not in style + script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_hostile_texts_add_no_element() -> None:
    clean, attacked = PAGE, Document(hostile_report())
    assert {tag for tag, _ in attacked.elements} <= {tag for tag, _ in clean.elements} | {"pre", "dd", "dt", "dl", "h3"}
    assert sum(tag == "script" for tag, _ in attacked.elements) == 2
    hrefs = [a["href"] for tag, a in attacked.elements if tag == "a" and not str(a["href"]).startswith("#")]
    assert hrefs == [
        "https://phoenix.example.com/?a=1&b=\"'><script>window.ran=4</script>"
    ]  # quoted, and no javascript:
    assert "<script>window.ran = 1</script>" in attacked.data["examples"][0]["id"]
    # Not even what an HTML parser takes for the beginning of something: `</script x`, `<!--<script`.
    assert "<" not in attacked.code[1][1]


def test_of_many_metrics_those_that_moved_are_told_first_and_the_others_counted() -> None:
    names = [f"metric_{n:02d}" for n in range(40)]
    before = table([row | {f"eval.{name}.score": 0.5 for name in names} for row in SMALL.before], "old")
    after = [row | {f"eval.{name}.score": 0.5 for name in names} | {"eval.metric_07.score": 0.9} for row in SMALL.after]
    comparison = compare_results(before, table(after, "new"))
    top = Document(html_report(comparison, side(after, "new"))).text.partition("Differences are")[0]
    comment = pull_request_comment(comparison).partition("<details>")[0]
    for told in (top, comment):
        assert "metric_07 0.90, +40 points" in told
        assert "metric_08" not in told.replace("evaluators of", "")
        assert "other metrics unchanged" in told


def test_without_a_baseline_nothing_is_called_a_candidate() -> None:
    alone = Document(html_report(None, SMALL.candidate)).text
    assert "experiment: prompt-v12 shorter answers" in alone
    assert "candidate" not in alone


def test_two_sides_that_were_not_compared_are_told_by_the_first_ones_means() -> None:
    text = Document(html_report(None, SMALL.candidate, SMALL.baseline)).text
    means = [numbers.score(one.summary.metrics["correctness"].mean) for one in (SMALL.candidate, SMALL.baseline)]
    assert means[0] != means[1]
    assert re.findall(r"correctness (\d\.\d+) \[", text) == [means[0]] * 2


def test_differences_in_points_are_on_one_axis_and_others_on_their_own() -> None:
    rows = {row.figures.name: row.change for row in metric_rows(SMALL.comparison, [], [])}
    ticks = {name: [tick.label for tick in plot.ticks] for name, plot in rows.items() if plot}
    points = ["-20", "0"]
    assert ticks == {"correctness": points, "faithfulness": points, "answer_words": ["-10", "-5", "0"]}
    marks = [plot.marks[0].x for plot in rows.values() if plot]
    assert marks[0] < rows["correctness"].zero < marks[1], "one fell, one rose"  # type: ignore[union-attr,operator]


def test_denominators_errors_and_percentiles_are_shown() -> None:
    summary = SMALL.candidate.summary
    assert summary.n_errors
    assert f"{summary.n_errors} of 60" in PAGE.text
    assert "latency, p99" in PAGE.text
    assert "tokens for each run" in PAGE.text
    assert "2 only in the baseline; 2 only in the candidate" in PAGE.text
    described = [str(a["aria-label"]) for tag, a in PAGE.elements if tag == "svg"]
    assert sum(text.startswith("Difference in") for text in described) == 6
    assert sum(text.startswith("Scores of") for text in described) == 3
    assert all(text.strip() for text in described)


def test_every_example_is_there_with_all_that_was_said() -> None:
    data = PAGE.data
    assert len(data["examples"]) == 62
    shown = data["examples"][5]
    row = next(row for row in SMALL.after if row["example_id"] == shown["id"])
    [[repetition, baseline, candidate]] = shown["runs"]
    assert repetition == 1
    assert candidate["output"] == f"reasoning: {row['output']['reasoning']}\nanswer: {row['output']['answer']}"
    names = [data["notes"][score[0]] for score in candidate["scores"]]
    assert names == ["correctness", "faithfulness", "answer_words"]
    assert candidate["scores"][0][2:4] == [row["eval.correctness.label"], row["eval.correctness.explanation"]]
    assert baseline["output"]


def test_which_examples_changed_is_what_the_comparison_says() -> None:
    data = PAGE.data
    for place, name in enumerate(data["metrics"]):
        metric = SMALL.comparison.metrics[name]
        assert sum(place in example["worse"] for example in data["examples"]) == metric.losses
        assert sum(place in example["better"] for example in data["examples"]) == metric.wins


def test_examples_rank_as_the_comparison_has_them() -> None:
    ranks = {example["id"]: example["rank"] for example in PAGE.data["examples"]}
    worse = list(dict.fromkeys(change.example_id for change in SMALL.comparison.regressed))
    better = [one for one in dict.fromkeys(c.example_id for c in SMALL.comparison.improved) if one not in worse]
    assert len(worse) > 3 < len(better)
    assert worse == sorted(worse, key=ranks.__getitem__)
    assert better == sorted(better, key=ranks.__getitem__, reverse=True)
    assert ranks[worse[-1]] < 0 < ranks[better[-1]]


def test_of_what_got_better_the_most_ranks_highest() -> None:
    sides = [result_table(columns_of(scores)) for scores in ([0.1, 0.1, 0.1, 0.1], [0.3, 0.9, 0.5, 0.1])]
    page = Document(html_report(compare_results(*sides), table_side(sides[1]), table_side(sides[0])))
    ranks = {example["id"]: example["rank"] for example in page.data["examples"]}
    assert sorted(ranks, key=ranks.__getitem__) == ["e3", "e0", "e2", "e1"]
    assert ranks["e3"] == 0 < ranks["e0"]


def test_what_decided_the_verdict_ranks_lowest() -> None:
    """The comparison lists changes metric by metric; of those, the gate did not pass the second's."""
    sides = [
        result_table(columns_of(distances) | {"eval.polite.score": polite})
        for distances, polite in (([0.9, 0.9, 0.9], [1.0, 1.0, 1.0]), ([0.1, 0.9, 0.9], [1.0, 0.5, 0.0]))
    ]
    gate = Gate(metrics={"polite": Metric(min=0.95)})
    comparison = compare_results(*sides, gate=gate)
    assert [change.example_id for change in comparison.regressed] == ["e0", "e2", "e1"]
    page = Document(html_report(comparison, table_side(sides[1]), table_side(sides[0])))
    ranks = {example["id"]: example["rank"] for example in page.data["examples"]}
    assert sorted(ranks, key=ranks.__getitem__) == ["e2", "e1", "e0"]
    assert ranks["e0"] < 0


def test_of_a_page_that_cannot_hold_all_a_part_is_for_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more got worse than there is room for, a quarter of the page is for errors, and one for what got better."""
    before = columns_of([1.0] * 60 + [0.0] * 20)
    after = columns_of([0.0] * 60 + [1.0] * 20)
    for rows in (before, after):
        rows["error"] = [None] * 79 + ["Boom"]
    sides = [result_table(rows) for rows in (before, after)]
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 20)
    page = Document(html_report(compare_results(*sides), table_side(sides[1]), table_side(sides[0])))
    kept = [int(example["id"][1:]) for example in page.data["examples"]]
    assert (len(kept), sum(60 <= n < 79 for n in kept), 79 in kept) == (20, 5, True)


def test_places_that_a_kind_does_not_need_go_to_those_that_got_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    before = columns_of([1.0] * 80)
    after = columns_of([1.0] * 40 + [0.0] * 39 + [1.0])
    after["error"] = [None] * 79 + ["Boom"]
    sides = [result_table(rows) for rows in (before, after)]
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 20)
    page = Document(html_report(compare_results(*sides), table_side(sides[1]), table_side(sides[0])))
    kept = [int(example["id"][1:]) for example in page.data["examples"]]
    assert (len(kept), min(kept), max(kept)) == (20, 40, 79), "none of those that stayed what they were"
    assert "It has 20 of 40 that got worse (the worst among them), and all 1 with an error. Search" in page.text


def test_long_texts_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(20, right=1, words=30, seed=2)
    rows[0]["output"] = "word " * 4000
    data = Document(html_report(None, side(rows, "a"))).data
    text, length = data["examples"][0]["runs"][0][2]["output"]
    assert (len(text), length) == (page_data.LONGEST_TEXT, "20,000")
    monkeypatch.setattr(page_data, "TEXT_BUDGET", 5_000)
    shorter = Document(html_report(None, side(rows, "a")))
    assert shorter.data["limit"] < page_data.LONGEST_TEXT
    assert f"texts of up to {shorter.data['limit']:,} characters" in shorter.text


def test_a_run_is_shown_with_what_it_took() -> None:
    document = Document(html_report(SMALL.comparison, SMALL.candidate, SMALL.baseline))
    runs = [run for example in document.data["examples"] for _, *runs in example["runs"] for run in runs if run]
    assert all(run["facts"]["tokens"].isdecimal() for run in runs if run["error"] is None)
    failed = [run["facts"] for run in runs if run["error"] is not None]
    assert failed
    assert not [facts for facts in failed if "tokens" in facts]


def test_a_page_that_cannot_hold_all_keeps_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 61)
    document = Document(html_report(SMALL.comparison, SMALL.candidate, SMALL.baseline))
    assert "1 more example is left out of this page" in document.text
    places = [example["place"] for example in document.data["examples"]]
    assert len(places) == 61
    assert places == sorted(places)


def test_a_table_of_ones_own_will_do() -> None:
    frame = pd.DataFrame(
        {
            "example_id": [1, 2],
            "output": ["a", float("nan")],
            "error": [None, "boom"],
            "eval.a.b.score": [1.0, float("nan")],
            "eval.a.b.label": [pd.NA, None],
        }
    )
    data = Document(html_report(None, table_side(result_table(frame)))).data
    assert data["metrics"] == ["a.b"]
    first, second = data["examples"]
    assert (first["id"], first["error"], second["taskErrors"]) == ("1", False, ["", "task error"])
    assert first["runs"] == [
        [1, None, {"output": "a", "kind": "", "error": None, "facts": {}, "scores": [[0, "1.00", None, None, None]]}]
    ]


def test_what_was_said_of_a_failed_run_is_shown_and_not_counted() -> None:
    rows = [
        {"example_id": "a", "output": "x", "eval.judge.score": 1.0, "eval.judge.label": "right"},
        {"example_id": "b", "error": "Boom", "eval.judge.score": 0.0, "eval.judge.label": "wrong"},
    ]
    found = table_side(result_table(rows))
    metric = found.summary.metrics["judge"]
    assert (metric.n, metric.mean, metric.labels, metric.n_task_errors) == (1, 1.0, {"right": 1}, 1)
    document = Document(html_report(None, found))
    failed = document.data["examples"][1]
    assert failed["runs"][0][2]["scores"] == [[0, "0.00", "wrong", None, None]]
    assert failed["cells"] == [[None, None, None]]
    assert document.data["notes"] == ["judge"]


def test_nothing_to_show_is_still_a_page() -> None:
    empty = Comparison(baseline=Side(label="a"), candidate=Side(label="b"), n_pairs=0)
    counts = dict.fromkeys(("n_examples", "n_expected", "n_runs", "n_errors"), 0)
    summary = Summary(**counts, latency_ms={}, token_count=None, total_cost=None, metrics={})
    nothing = ReportSide(summary=summary, runs=[], label="b")
    text = Document(html_report(empty, nothing, nothing)).text
    assert "No metric was scored on both sides." in text
    one = dataclasses.replace(empty, metrics={"m": MetricComparison(name="m", n_pairs=0)})
    assert "m: no example has a score on both sides" in Document(html_report(one, nothing, nothing)).text
    assert "Not evaluated." in Document(html_report(None, nothing)).text


def test_texts_that_utf8_cannot_hold(tmp_path: Path) -> None:
    found = side(rows_of(3, right=1, words=30, seed=2), "half \ud83d")
    odd = found.runs[0].record._replace(error="half \ud83d of a pair \x00")
    runs = [replace(found.runs[0], record=odd), *found.runs[1:]]
    path = write_report(replace(found, runs=runs), tmp_path / "new" / "report.html")
    data = Document(path.read_text(encoding="utf-8")).data
    assert data["examples"][0]["runs"][0][2]["error"] == "half \ufffd of a pair \x00"
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_no_text_reorders_a_line() -> None:
    rows = [{"example_id": "\u202erid", "output": "\u202eRTL \x9b evil\u2066", "eval.m\u202ex.score": 1.0}]
    page = html_report(None, side(rows, "odd"))
    assert not set(page) & set("\u202e\u2066\x9b")
    assert Document(page).data["examples"][0]["id"] == "\ufffdrid"


def test_a_metric_that_gives_labels_alone_lacks_no_score() -> None:
    rows = [
        {"example_id": name, "output": "x", "eval.tone.label": label} for name, label in zip("abc", "kkr", strict=True)
    ]
    text = Document(html_report(None, side([*rows, {"example_id": "d", "output": "x"}], "labels"))).text
    figures = text.partition("What the figures rest on")[2]
    assert "experiment - 3 of 4 (75%), labels 0 0 " in figures
    assert "0.000 to 1.000" not in figures


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be written: it is a folder"):
        write_report(SMALL.candidate, tmp_path, form="page")
    assert list(tmp_path.iterdir()) == []


def test_a_classification_report_is_shown() -> None:
    report = {
        "labels": ["yes", "no"],
        "confusion": ((8, 2), (1, 9)),
        "accuracy": 0.85,
        "accuracy_ci_low": 0.64,
        "accuracy_ci_high": 0.948,
        "n": 20,
        "kappa": None,
        "macro": {"precision": 0.853, "recall": 0.85, "f1": None},
        "classes": (
            {"label": "yes", "precision": 0.889, "support": 10},
            {"label": "no", "precision": 0.818, "support": 10},
        ),
        "notes": ("a note",),
    }
    text = Document(html_report(None, SMALL.candidate, classification=report)).text
    assert "accuracy 0.85 [0.64, 0.948]" in text
    assert "actual yes no of yes 8 2 10 no 1 9 10" in text
    assert "classes precision support yes 0.889 10 no 0.818 10" in text
    assert "averages precision recall f1 macro 0.853 0.85 -" in text
    assert "a note" in text
    assert "kappa" not in text


def test_the_classification_report_of_an_experiment_is_shown() -> None:
    rows = [{"example_id": n, "expected": "ab"[n % 2], "output": "ab"[n % 3 % 2]} for n in range(30)]
    report = classification_report(pd.DataFrame(rows), truth="expected", positive="a")
    text = Document(html_report(None, side(rows, "one"), classification={"answers": report})).text
    assert "answers output against expected" in text
    assert "accuracy 0.50 [" in text
    assert "actual a b of a 10 5 15 b 10 5 15" in text


def test_a_first_run_shows_the_gates_verdict() -> None:
    rows = rows_of(30, right=0.5, words=30, seed=1)
    verdict = Gate(metrics={"correctness": Metric(min=0.99)}).judge_alone(table(rows, "first"))
    text = Document(html_report(None, side(rows, "first"), verdict=verdict)).text
    assert "Failed: first" in text
    assert "The candidate does not meet the gate: correctness. 30 of 30 runs made, " in text
    assert verdict.reasons[0] in text


def test_the_figures_of_a_table_are_those_of_the_experiment(ran: RanExperiment) -> None:
    found, own = report_side(ran).summary, table_side(result_table(ran.to_dataframe(), "own")).summary
    # One side's latencies were summed in seconds, the other's in milliseconds.
    assert own.latency_ms == pytest.approx(found.latency_ms)
    assert replace(own, latency_ms={}) == replace(found, latency_ms={})


@pytest.mark.slow
def test_five_thousand_examples_are_work_in_proportion() -> None:
    sizes = {count: made(count) for count in (500, 5000)}

    def write(count: int) -> None:
        text = html_report(sizes[count].comparison, sizes[count].candidate, sizes[count].baseline)
        assert len(text) < 12_000_000

    assert_in_proportion(write, 500)


@pytest.fixture
def ran(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RanExperiment]:
    """An experiment that really ran, with a task error and an evaluator error."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)

    def exact(output: Any, expected: Any) -> bool:
        return bool(output == expected)

    def near(output: int, expected: int) -> float:
        if expected == 4:
            raise ValueError("no")
        return 1 / (1 + abs(output - expected))

    def task(input: int) -> int:
        if input == 3:
            raise ValueError("three is too much")
        return input * 2 - input % 2

    with settings_for(prefect_api):
        yield Client(store_url=f"sqlite:///{tmp_path / 'store.db'}").experiments.run_experiment(
            dataset=[{"id": f"e{n}", "input": n, "output": n * 2} for n in range(6)],
            task=task,
            evaluators=[exact, near],
            experiment_name="doubles",
            retries=0,
            print_summary=False,
        )


@pytest.mark.thorough
def test_a_side_of_a_real_experiment(ran: RanExperiment) -> None:
    found = report_side(ran)
    assert (found.label, found.experiment_id, found.summary.n_errors) == ("doubles", ran.experiment_id, 1)
    document = Document(html_report(None, found))
    assert document.data["metrics"] == ["exact", "near"]
    assert [example["taskErrors"][1] for example in document.data["examples"]] == ["", "", "", "task error", "", ""]
    assert "6 of 6 runs made, 1 failed" in document.text


def test_a_name_that_says_no_form_is_refused_with_the_forms(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"a report ends in .*\.html.*, got '.*report\.docx'; name the file so, or say"
    ):
        write_report(SMALL.candidate, tmp_path / "report.docx")
    assert list(tmp_path.iterdir()) == []


def test_where_less_is_better_a_rise_is_a_change_for_the_worse() -> None:
    sides = [result_table(columns_of(before)) for before in ([0.2, 0.8], [0.6, 0.5])]
    comparison = compare_results(*sides, directions={"distance": "minimize"})
    page = Document(html_report(comparison, table_side(sides[1]), table_side(sides[0])))
    assert [example["cells"][0] for example in page.data["examples"]] == [["0.20", "0.60", -0.4], ["0.80", "0.50", 0.3]]


@pytest.mark.parametrize(
    ("scores", "is_whole_scale"),
    [([0.2, 0.4], True), ([0.0, 0.0], True), ([1.0, 1.0], True), ([-0.3, 0.1], False), ([1.0, 1.1], False)],
)
def test_means_from_0_to_1_are_drawn_on_the_whole_scale(scores: list[float], is_whole_scale: bool) -> None:
    side = table_side(result_table(columns_of(scores * 20)))
    (row,) = summary_rows(Party("candidate", side))
    labels = [tick.label for tick in row["plot"].ticks]
    assert ((labels[0], labels[-1]) == ("0", "1")) is is_whole_scale


def columns_of(scores: list[float]) -> dict[str, list[Any]]:
    return {"example_id": [f"e{n}" for n in range(len(scores))], "output": ["x"] * len(scores),
            "eval.distance.score": scores}  # fmt: skip
