"""A history as a table on the terminal, as a page, and in Markdown; hostile names in all of them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from prefect_experiments import write_report
from prefect_experiments.analysis.history import ComparedWith, History, HistoryEntry, MetricPoint, TagPeriod
from prefect_experiments.analysis.nights.records import Pooled
from prefect_experiments.analysis.verdicts import MetricCheck, Status
from prefect_experiments.errors import InvalidInput
from prefect_experiments.reports import history_words as words
from prefect_experiments.reports.history_markdown import history_markdown
from prefect_experiments.reports.history_page import history_pieces
from prefect_experiments.reports.history_terminal import history_table, print_history
from prefect_experiments.reports.history_words import runs, sparkline
from prefect_experiments.reports.notebook import html
from prefect_experiments.reports.timeline import BOTTOM, TOP, timeline
from support.browser import CHROMIUM, Browser

from .hostile import END, IMAGE, SCRIPT

NIGHT = datetime(2025, 11, 1, 2, tzinfo=UTC)


def point(mean: float, **more: Any) -> MetricPoint:
    return MetricPoint(n=200, n_examples=200, mean=mean, ci_low=mean - 0.04, ci_high=mean + 0.03, **more)


def entry(number: int, metrics: dict[str, MetricPoint] | None = None, **more: Any) -> HistoryEntry:
    fields: dict[str, Any] = {
        "id": f"exp-{number}",
        "name": f"night-{number}",
        "created_at": NIGHT + timedelta(days=number),
        "state": "complete",
        "dataset_version": 1,
        "n_examples": 200,
        "repetitions": 1,
        "n_expected": 200,
        "n_runs": 200,
        "n_errors": 0,
        "metrics": {"correct": point(0.84)} if metrics is None else metrics,
    }
    return HistoryEntry(**fields | more)


def judged(status: Status, reason: str = "because", name: str = "correct", **more: Any) -> dict[str, Any]:
    check = MetricCheck(name=name, status=status, reason=reason)
    exit_code = more.pop("exit_code", 0 if status == "passed" else 1)
    return {"gate": status, "exit_code": exit_code, "reasons": (reason,), "checks": (check,), **more}


def history(*entries: HistoryEntry, **more: Any) -> History:
    metrics = tuple(dict.fromkeys(name for each in entries for name in each.metrics))
    promotions = tuple(period for each in entries for period in each.promotions)
    return History(**{"dataset": "support", "entries": entries, "metrics": metrics, "promotions": promotions} | more)


def promotion(number: int, tag: str = "baseline") -> TagPeriod:
    return TagPeriod(tag=tag, experiment_id=f"exp-{number}", since=NIGHT + timedelta(days=number))


BEFORE = ComparedWith(name="night-0", id="exp-0", is_there=True, means={"correct": 0.85})
POOLED = ComparedWith(
    name="night-0",
    id="exp-0",
    is_there=True,
    pooled=Pooled(asked=5, runs=("night-1", "night-3"), left_out={"failed by their gate": 1}),
    means={"correct": 0.9},
)
MONTH = history(
    entry(0, promotions=(promotion(0),)),
    entry(1, {"correct": point(0.6, check="failed", moved="regressed")}, baseline=BEFORE, **judged("failed", "worse")),
    entry(2, {}, baseline=BEFORE, **judged("inconclusive", "cannot tell"), n_errors=200),
    entry(3, {"correct": point(0.9, moved="improved"), "later": point(0.5)}, baseline=BEFORE, **judged("passed")),
    entry(4, {"correct": point(0.8, evaluator_changed=True)}, **judged("inconclusive", "few", exit_code=0)),
    entry(5, {"correct": point(0.8)}, **judged("failed", "slid since night 2", name="drift")),
    directions={"correct": "minimize"},
)


def on_terminal(shown: History, width: int = 140, **options: Any) -> str:
    out = io.StringIO()
    print_history(shown, Console(file=out, width=width, **options))
    return out.getvalue()


def page(shown: History) -> str:
    return "".join(history_pieces(shown))


def text_of(document: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", document).split())


@pytest.mark.parametrize("name", ["acc[/x]", "x[red]y", "[bold]z[/bold]"])
@pytest.mark.parametrize("width", [80, 140])
def test_a_name_with_brackets_is_shown_as_it_is(name: str, width: int) -> None:
    assert name in on_terminal(history(entry(0, {name: point(0.8)})), width)


def test_one_line_an_experiment_the_newest_last() -> None:
    lines = on_terminal(MONTH).splitlines()
    rows = [line for line in lines if re.match(r" 2025-11-0\d", line)]
    assert [re.search(r"night-\d", row)[0] for row in rows] == [f"night-{n}" for n in range(6)]  # type: ignore[index]
    assert rows[0].rstrip().endswith("★ baseline")
    assert "0.600 [0.560, 0.630] ▼" in rows[1]
    assert rows[1].rstrip().endswith("✗ failed: correct")
    assert re.search(r"night-2 +- +- +200 of 200  \? inconclusive: correct", rows[2])
    assert "0.900 [0.860, 0.930] ▲" in rows[3]
    assert "0.500 [0.460, 0.530] " in rows[3]
    assert rows[4].rstrip().endswith("? inconclusive, let through: correct")
    assert rows[5].rstrip().endswith("✗ failed: drift"), "whatever check it is that the gate did not pass"
    assert lines[0] == "support  6 experiments, 5 judged: 2 failed, 2 inconclusive; 1 tag was given"
    assert "✗ 2025-11-02 02:00  night-1 against night-0: worse" in lines
    assert "✗ 2025-11-06 02:00  night-5: slid since night 2" in lines
    assert not [line for line in lines if "night-4: few" in line], "the gate let it through"
    assert str(MONTH) == on_terminal(MONTH, 120).rstrip("\n"), "print shows the same"


def test_the_last_five_alarms_are_shown() -> None:
    def shown(alarms: int) -> str:
        return on_terminal(history(*(entry(n, **judged("failed", f"reason {n}")) for n in range(alarms))))

    assert "the last" not in shown(5)
    assert all(f"reason {n}" in shown(5) for n in range(5))
    assert "the last 5 of 6 alarms:" in shown(6)
    assert [n for n in range(6) if f"reason {n}" in shown(6)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (0, "no runs"),
        (1, "0 of 1 failed, 199 not made"),
        (199, "0 of 199 failed, 1 not made"),
        (200, "0 of 200 failed"),
        (201, "0 of 201 failed"),
    ],
)
def test_runs_that_were_not_made_are_counted(made: int, said: str) -> None:
    assert runs(entry(0, n_runs=made)) == said


def test_each_metric_has_a_column_where_there_is_room_for_24_characters_each() -> None:
    assert len(MONTH.metrics) == 2
    assert len(history_table(MONTH, width=60 + 2 * 24).columns) == 6
    assert len(history_table(MONTH, width=60 + 2 * 24 - 1).columns) == 3
    without = history(entry(0, {}))
    assert [len(history_table(without, width=width).columns) for width in (60, 59)] == [4, 2]


def test_a_narrow_terminal_has_metrics_below_each_other() -> None:
    shown = on_terminal(MONTH, 70)
    table = shown.partition("\n✗ ")[0].splitlines()[1:]
    assert max(map(len, table)) <= 70
    assert re.search(r"2025-11-04 02:00 +correct 0\.900 \[0\.860, 0\.930\] ▲ +✓ passed", shown)
    assert re.search(r"night-3 +later 0\.500 \[0\.460, 0\.530\]", shown)
    assert "200 of 200 failed" in shown
    for width in (20, 40):
        assert "night" in on_terminal(MONTH, width)


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in on_terminal(MONTH, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in on_terminal(MONTH, force_terminal=True, color_system="standard")


def test_failed_runs_and_what_is_not_complete_are_red() -> None:
    red, plain = "\x1b[31m{}\x1b[0m", {"force_terminal": True, "color_system": "standard"}
    interrupted = entry(0, state="interrupted", n_runs=150)
    for one, said, is_red in (
        (entry(0, n_errors=5), "5 of 200", True),
        (interrupted, runs(interrupted), True),
        (entry(0), "0 of 200", False),
    ):
        shown = on_terminal(history(one), **plain)
        assert said in shown
        assert (red.format(said) in shown) == is_red


def test_what_is_not_in_it_is_said() -> None:
    gone = TagPeriod(tag="baseline", experiment_id="exp-gone", since=NIGHT, until=NIGHT + timedelta(days=1))
    names = tuple(f"there-{n}" for n in range(7))
    shown = history(
        entry(1, baseline=ComparedWith(name="night-0", id="exp-0"), **judged("failed", "")),
        n_earlier=12,
        only_at_backend=names,
        notes=("phoenix was not asked what the store does not have: it does not answer",),
        promotions=(gone,),
    )
    for said in (on_terminal(shown), text_of(page(shown)), history_markdown(shown)):
        assert "12 experiments not asked for" in said
        assert "there-4 and 2 more" in said
        assert "★ baseline was at exp-gone, not shown here, from 2025-11-01 02:00 to 2025-11-02 02:00" in said
        assert "phoenix was not asked what the store does not have" in said
    assert "against night-0 (deleted): " in on_terminal(shown)
    gone_ones = tuple(replace(gone, experiment_id=f"exp-gone-{n}") for n in range(6))
    listed = on_terminal(history(entry(1), promotions=gone_ones))
    assert [n for n in range(6) if f"exp-gone-{n}," in listed] == [1, 2, 3, 4, 5], "the newest"
    many = history(*(entry(n, **judged("failed", f"reason {n}")) for n in range(8)))
    assert "the last 5 of 8 alarms:" in on_terminal(many)
    assert "reason 2" not in on_terminal(many)
    assert "why was not kept" in on_terminal(history(entry(0, gate="failed")))


@pytest.mark.parametrize(
    ("entries", "said"),
    [((), "no experiments"), ((entry(0),), "1 experiment"), ((entry(0, {}, state="empty", n_runs=0),), "1 experiment")],
    ids=["nothing", "one night", "no runs"],
)
def test_little_to_show(entries: tuple[HistoryEntry, ...], said: str) -> None:
    shown = history(*entries)
    for text in (
        on_terminal(shown),
        on_terminal(shown, 40),
        text_of(page(shown)),
        history_markdown(shown),
        html(shown),
    ):
        assert said in " ".join(text.split())
    assert ("no runs" in on_terminal(shown)) == (entries != () and not entries[0].n_runs)
    assert ("There is no experiment on this dataset that could be shown." in page(shown)) == (not entries)


class Parsed(HTMLParser):
    """The tags of a page, and its texts."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


HOSTILE = history(
    entry(
        0,
        {f"metric {SCRIPT}": point(0.8, check="failed")},
        name=f"night [bold]|`\x1b[31m\u202e{END}{SCRIPT}{IMAGE}",
        baseline=ComparedWith(name=f"before {IMAGE}|`"),
        promotions=(promotion(0, f"tag {SCRIPT}"),),
        git_commit=SCRIPT,
        url="javascript:window.ran=3",
        flow_run_url="https://prefect.example.com/?a=1&b=\"'><script>window.ran=4</script>",
        report_url="data:text/html,<script>window.ran=5</script>",
        **judged("failed", f"reason {END}{SCRIPT}\n# heading", name=f"check {IMAGE}"),
    ),
    dataset=f"dataset {END}{SCRIPT}{IMAGE}",
    only_at_backend=(f"there {SCRIPT}",),
    notes=(f"note {SCRIPT}[link](javascript:1)",),
)


def test_hostile_names_stay_texts() -> None:
    parsed = Parsed(page(HOSTILE))
    assert not {"script", "img"} & set(parsed.tags)
    assert " style=" not in page(HOSTILE), "the page's policy would not have it"
    assert {link.partition(":")[0] for link in parsed.links if not link.startswith("#")} == {"data", "https"}
    assert [link for link in parsed.links if link.startswith("data")] == ["data:,"], "the page's own"
    assert any(SCRIPT in text for text in parsed.texts)
    for width in (40, 140):
        shown = on_terminal(HOSTILE, width)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
        assert "[bold]" in "".join(shown.split())
    rendered = MarkdownIt("commonmark").enable("table").render(history_markdown(HOSTILE))
    assert not {"script", "img"} & set(Parsed(rendered).tags)
    assert Parsed(rendered).tags.count("td") == 5, "a name ends no cell"
    assert not [link for link in Parsed(rendered).links if not link.startswith("https://prefect.example.com")]
    assert "<script" not in html(HOSTILE)


def test_the_page_allows_itself_its_style_alone() -> None:
    document = page(MONTH)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', document)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "script" not in policy[1]
    assert "<script" not in document
    assert not re.search(r'(src|href)="http', document)


def test_a_chart_has_a_gap_where_there_is_no_score() -> None:
    chart = timeline(MONTH, "correct")
    assert [dot.row for dot in chart.dots] == [0, 1, 3, 4, 5]
    assert [(line.x1, line.x2) for line in chart.lines] == [
        (chart.dots[a].x, chart.dots[b].x) for a, b in ((0, 1), (2, 3), (3, 4))
    ]
    assert all(TOP <= y <= BOTTOM for dot in chart.dots for y in (dot.y, dot.low, dot.high) if y is not None)
    assert [(line.x1, round(line.x2, 1)) for line in chart.baselines] == [(16.667, 33.3), (50.0, 66.7)], (
        "and of the dash"
    )
    assert all(dot.high < dot.y < dot.low for dot in chart.dots), "heights are counted from the top"  # type: ignore[operator]
    alone = MetricPoint(n=1, n_examples=1, mean=0.5, ci_low=None, ci_high=None)
    assert [(dot.low, dot.high) for dot in timeline(history(entry(0, {"correct": alone})), "correct").dots] == [
        (None, None)
    ]
    assert [(sign.sign, sign.x) for sign in chart.signs if sign.sign != "★"] == [
        ("✗", timeline(MONTH, "later").signs[1].x), ("?", 41.667), ("?", 75.0), ("≠", 75.0), ("✗", 91.667),
    ]  # fmt: skip
    assert chart.signs[1].title == "2025-11-02 02:00 failed: worse"
    assert chart.dots[1].title == "2025-11-02 02:00 UTC, night-1: 0.600 [0.560, 0.630] ▼, baseline 0.85 (night-0)"
    assert chart.note == "less is better"
    assert [label.text for label in chart.dates] == ["11-01", "11-02", "11-03", "11-05", "11-06"]
    assert [dot.row for dot in timeline(MONTH, "later").dots] == [3]
    assert "5 means from 0.60 to 0.90; the last one is 0.800 [0.760, 0.830]" in page(MONTH)


def test_the_axis_of_shares_ends_at_0_and_1_and_that_of_other_scores_does_not() -> None:
    def labels(*means: float) -> dict[float, float]:
        """Where on the chart, from above, which value is."""
        found = timeline(history(*(entry(n, {"correct": point(mean)}) for n, mean in enumerate(means))), "correct")
        return {float(label.text.replace("\u2212", "-")): label.at for label in found.values}

    for lowest, highest in ((0.05, 0.96), (0.04, 0.97)):
        shares = labels(lowest, highest)
        assert (shares[0.0], shares[1.0]) == pytest.approx((BOTTOM, TOP))
    assert min(labels(-0.5, 0.6)) < -0.3
    assert max(labels(0.5, 1.6)) > 1.3


def test_a_baselines_mean_is_one_line_along_all_that_were_compared_with_it() -> None:
    other = ComparedWith(name="night-2", id="exp-2", is_there=True, means={"correct": 0.88})
    chart = timeline(
        history(entry(0), *(entry(n, baseline=BEFORE) for n in (1, 2)), entry(3, baseline=other)), "correct"
    )
    assert [(line.x1, line.x2) for line in chart.baselines] == [(25.0, 75.0), (75.0, 100.0)]
    assert all(line.y1 == line.y2 for line in chart.baselines)


def test_experiments_of_one_day_are_told_by_the_time() -> None:
    day = [entry(n, created_at=NIGHT + timedelta(hours=n)) for n in range(3)]
    assert [label.text for label in timeline(history(*day), "correct").dates] == ["02:00", "03:00", "04:00"]
    assert [label.text for label in timeline(history(day[0]), "correct").dates] == ["11-01"]


def test_a_date_stands_below_its_dot_where_there_is_room() -> None:
    few, many = (history(*(entry(n) for n in range(count))) for count in (5, 40))
    assert {label.anchor for label in timeline(few, "correct").dates} == {"middle"}
    assert [label.anchor for label in timeline(many, "correct").dates] == ["start", "middle", "middle", "middle", "end"]


def test_a_mark_leads_to_its_row() -> None:
    document = page(MONTH)
    found = re.findall(r'<a href="#(night-\d)" tabindex="-1"><title>([^<]*)</title><text class="sign', document)
    assert ("night-1", "2025-11-02 02:00 failed: worse") in found
    assert ("night-0", "night-0 got baseline from 2025-11-01 02:00") in found
    assert all(f'<tr id="{row}">' in document for row, _ in found)


def test_what_no_experiment_has_gets_no_column() -> None:
    columns = {"latency_p95_ms": "p95", "cost": "Cost", "git_commit": "Commit"}
    assert not [name for name in columns.values() if f">{name}</th>" in page(MONTH)]
    for field, value in {"latency_p95_ms": 0.0, "cost": 0.0, "git_commit": "0123456789ab"}.items():
        shown = page(history(entry(0), entry(1, **{field: value})))
        assert [name for name in columns.values() if f">{name}</th>" in shown] == [columns[field]]
        assert shown.count(f'<td data-label="{columns[field]}"') == 2


def test_the_table_of_the_page() -> None:
    said = text_of(page(MONTH))
    assert "✗ Failed night-5 , 2025-11-06 02:00 UTC; 0 of 200 runs failed slid since night 2" in said
    rows = re.findall(r"night-\d 2025-11-\d\d 02:00", said)
    assert rows == [f"night-{n} 2025-11-{n + 1:02} 02:00" for n in range(5, -1, -1)], "the newest first"
    linked = page(
        history(entry(0, report_url="https://r.example.com/1.html", git_commit="0123456789ab", git_dirty=True))
    )
    assert 'href="https://r.example.com/1.html"' in linked
    assert "012345678 changed" in text_of(linked)


def test_a_year_and_more(tmp_path: Path) -> None:
    """400 nights: the page stays small, and dates say their year."""
    year = history(*(entry(n, {"correct": point(0.8 + n % 7 / 100)}, **judged("passed")) for n in range(400)))
    path = write_report(year, tmp_path / "year.html")
    document = path.read_text()
    assert len(document) < 1_000_000
    assert document.count("<circle") == 400
    assert [label.text for label in timeline(year, "correct").dates][::4] == ["2025-11-01", "2026-12-05"]
    assert len(history_markdown(year).splitlines()) < 45, "the last 30"
    assert on_terminal(year).count("night-") == 400


def test_a_history_is_written_as_a_page_alone(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a history is written as an HTML page, got"):
        write_report(MONTH, tmp_path / "history.md")
    assert write_report(MONTH, tmp_path / "new" / "history.htm", title="My nights").read_text().count("My nights") == 2


def test_markdown_for_prefects_page() -> None:
    lines = history_markdown(MONTH).splitlines()
    assert "- correct `▇▁·█▆▆` 0.60 to 0.90, last 0.80" in lines
    assert "- later `···▄··` 0.50 to 0.50, last 0.50" in lines
    assert "| 2025-11-02 02:00 | night-1 | 0.600 [0.560, 0.630] ▼ | - | 0 of 200 | ✗ failed: correct |" in lines
    run = entry(0, flow_run_url="https://prefect.example.com/runs/1")
    assert "night-0 [run](https://prefect.example.com/runs/1) |" in history_markdown(history(run)).replace("`", "")
    assert "- tone: no scores" in history_markdown(history(entry(0), metrics=("tone",)))


def test_sparklines() -> None:
    assert sparkline([0.0, 0.6, None, 1.0]) == "▁▅ █"
    assert sparkline([0.3, 0.3]) == "▄▄"
    assert sparkline([None]) == sparkline([]) == ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    with Browser() as started:
        yield started


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_into_a_browser(browser: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    many = {f"a metric with a long name {n}": point(0.5) for n in range(6)}
    nights = [entry(n, many, name="night-" + "x" * 80, **judged("failed", "y" * 300)) for n in range(40)]
    for shown in (MONTH, history(*nights), HOSTILE):
        path = write_report(shown, tmp_path / "history.html")
        with browser.page(path, width=width, dark=dark) as opened:
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
            assert opened.evaluate("window.ran === undefined")
            assert opened.requests == [path.as_uri()]
            assert opened.errors == []


@pytest.mark.thorough
def test_a_pooled_baseline_is_told_with_its_mean() -> None:
    nights = history(entry(0), entry(1, baseline=POOLED, **judged("failed")))
    said = (
        "he baseline was the mean of 3 runs (night-0, night-1, night-3), of 5 that are asked for; left out: 1 failed by"
    )
    page = "".join(history_pieces(nights))
    assert "<bdi>night-0, pooled of 3 of 5 runs</bdi>" in page
    assert f"T{said}" in page
    assert f"Of the newest experiment, t{said}" in history_markdown(nights)
    (dot,) = timeline(nights, "correct").dots[1:]
    assert dot.title.endswith("baseline 0.90 (night-0, pooled of 3 of 5 runs)")
    long = replace(POOLED, name="answer-20261129-164828-9ccc-and-more-of-it-" * 3)
    assert "…, pooled of 3 of 5 runs: because" in on_terminal(history(entry(1, baseline=long, **judged("failed"))))
    gone = ComparedWith(name="night-0", id="exp-0", pooled=Pooled(asked=2, runs=("night-1",)))
    assert words.baseline(entry(1, baseline=gone)) == "night-0 (deleted), pooled of 2 runs"
    alone = ComparedWith(name="night-0", pooled=Pooled(asked=5))
    assert words.pool(entry(1, baseline=alone)) == (
        "The baseline was night-0 alone, of 5 that are asked for; there are no more yet"
    )


@pytest.mark.thorough
def test_what_a_chart_and_its_marks_say_besides() -> None:
    both = (promotion(1), promotion(1, "release"))
    nights = history(
        entry(0),
        entry(1, {"correct": point(0.8, evaluator_changed=True)}, promotions=both),
        directions={"correct": "neutral"},
        only_at_backend=("night-7", "night-9"),
    )
    chart = timeline(nights, "correct")
    assert chart.note == "neither is better"
    assert "2025-11-02 02:00 its evaluator is another one than before" in [sign.title for sign in chart.signs]
    assert words.in_short(nights) == "2 experiments; 2 tags were given"
    assert words.remarks(nights)[0] == (
        "Only at the backend, and so not in this history: night-7, night-9; `prefect-experiments show` of one brings "
        "it here"
    )
