"""The HTML report in a real browser: it searches, filters, sorts, opens, and asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.analysis.verdicts import Verdict
from prefect_experiments.reports import page_data
from prefect_experiments.reports.escaping import as_text
from prefect_experiments.reports.files import write_report
from support.browser import CHROMIUM, Browser, Page

from .hostile import EXAMPLE, METRIC, OUTPUT, SCRIPT, hostile_report
from .made import made, rows_of, side

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (apt-get install chromium)")
SMALL = made(120)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "r.html"
    return write_report(SMALL.candidate, path, baseline=SMALL.baseline, comparison=SMALL.comparison)


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    with browser.page(report) as opened:
        yield opened
        assert opened.errors == []
        assert opened.requests == [report.as_uri()]


def ids(page: Page) -> list[str]:
    return list(page.evaluate("[...document.querySelectorAll('#rows tbody th button')].map(b => b.textContent)"))


def text(page: Page, selector: str) -> str:
    return str(page.evaluate(f"document.querySelector({selector!r}).innerText"))


def click(page: Page, selector: str) -> None:
    page.evaluate(f"document.querySelector({selector!r}).click()")


def examples(page: Page) -> Any:
    """What the page shows, of all its pages."""
    return page.evaluate("shown.map(e => e.id)")


def test_it_begins_with_the_verdict(page: Page) -> None:
    assert page.evaluate("document.title").startswith("Failed: ")
    top = page.evaluate("document.querySelector('.verdict h2').getBoundingClientRect().bottom")
    assert top < 300
    assert text(page, "#found") == "122 of 122 examples"


def test_search_finds_in_all_that_was_written(page: Page) -> None:
    page.evaluate("document.getElementById('search').focus()")
    page.type("problem-0042")
    page.wait_for("document.querySelectorAll('#rows tbody tr').length === 1")
    assert ids(page) == ["problem-0042"]
    for query, part in (("RateLimitError", "error"), ("MAYA apples", "input"), ("is not the expected", "explanation")):
        page.evaluate(f"document.getElementById('search').value = {query!r}; search.oninput()")
        page.wait_for(f"state.query === {query!r}")
        found = examples(page)
        assert 0 < len(found) < 122, part
    page.evaluate("search.value = 'no such text'; search.oninput()")
    page.wait_for("shown.length === 0")
    assert "None of the 122 examples matches." in text(page, "#found")
    click(page, "#found button")
    assert len(examples(page)) == 122
    assert page.evaluate("search.value") == ""


def test_filters_show_what_the_comparison_says(page: Page) -> None:
    comparison = SMALL.comparison
    for name, changes in (("regressed", comparison.regressed), ("improved", comparison.improved)):
        click(page, f"#filters button[data-name={name}]")
        assert set(examples(page)) == {change.example_id for change in changes}
        assert text(page, f"#filters button[data-name={name}] .count") == str(len({c.example_id for c in changes}))
    page.evaluate("document.getElementById('metric').value = '0'; document.getElementById('metric').onchange()")
    assert set(examples(page)) == {c.example_id for c in comparison.improved if c.metric == "correctness"}
    click(page, "#filters button[data-name=errors]")
    failed = {
        r["example_id"]
        for side_rows in (SMALL.after, SMALL.before)
        for r in side_rows
        if r["error"] or r.get("eval.faithfulness.error")
    }
    assert failed
    assert set(examples(page)) == failed


def test_a_count_of_the_metrics_table_leads_to_its_examples(page: Page) -> None:
    click(page, "button[data-metric=correctness][data-filter=regressed]")
    worse = {change.example_id for change in SMALL.comparison.regressed if change.metric == "correctness"}
    assert set(examples(page)) == worse
    assert page.evaluate("document.activeElement.closest('#rows') !== null")
    assert page.evaluate("document.getElementById('metric').selectedOptions[0].text") == "correctness"


def test_sorting(page: Page) -> None:
    click(page, "#rows thead th:first-child button")
    assert examples(page) == sorted(examples(page))
    click(page, "#rows thead th:first-child button")
    assert examples(page) == sorted(examples(page), reverse=True)
    assert page.evaluate("document.querySelector('#rows thead th').getAttribute('aria-sort')") == "descending"
    for down in ("", "down"):
        page.evaluate(f"sortChoice.value = 'm1:{down}'; sortChoice.onchange()")
        changes = page.evaluate("shown.map(e => e.cells[1][2])")
        known = [change for change in changes if change is not None]
        assert changes == sorted(known, reverse=bool(down)) + [None] * (len(changes) - len(known))
    page.evaluate("sortChoice.value = 'latency:down'; sortChoice.onchange()")
    times = page.evaluate("shown.map(e => e.latency && e.latency[0]).filter(Boolean)")
    assert times == sorted(times, reverse=True)


def test_pages(page: Page) -> None:
    first = ids(page)
    assert len(first) == 50
    click(page, "#next")
    click(page, "#next")
    assert text(page, "#pages span") == "101 to 122"
    assert page.evaluate("document.getElementById('next').disabled")
    click(page, "#previous")
    assert not set(ids(page)) & set(first)
    click(page, "#filters button[data-name=errors]")
    assert page.evaluate("document.getElementById('next')") is None


def test_an_example_opens_side_by_side_with_its_differences(page: Page) -> None:
    page.evaluate("change({filter: 'regressed', metric: 0})")
    first = ids(page)[0]
    page.evaluate("document.querySelector('#rows tbody th button').focus()")
    page.press("Enter")
    page.wait_for("document.getElementById('detail').open")
    assert text(page, "#detail-title") == first
    rows = {r["example_id"]: r for r in SMALL.before}, {r["example_id"]: r for r in SMALL.after}
    before, after = (side[first] for side in rows)
    # The marked words are exactly what differs: without them both sides are the same text.
    shown = page.evaluate("[...document.querySelectorAll('#detail .pair:last-child pre')].map(p => p.textContent)")
    assert shown[0].endswith(f"answer: {before['output']['answer']}")
    assert shown[1].endswith(f"answer: {after['output']['answer']}")
    assert before["output"]["answer"] in page.evaluate(
        "[...document.querySelectorAll('#detail del')].map(d => d.textContent)"
    )
    assert after["output"]["answer"] in page.evaluate(
        "[...document.querySelectorAll('#detail ins')].map(d => d.textContent)"
    )
    detail = text(page, "#detail")
    assert after["eval.correctness.explanation"] in detail
    assert after["input"]["question"] in " ".join(detail.split())
    click(page, "#marking")
    assert page.evaluate("document.querySelectorAll('#detail ins, #detail del').length") == 0


def test_the_keyboard_is_enough(page: Page) -> None:
    page.evaluate("document.querySelector('#rows tbody th button').focus()")
    page.press("Enter")
    page.wait_for("dialog.open")
    assert page.evaluate("document.activeElement.id") == "close"
    page.press("ArrowRight")
    assert text(page, "#detail-title") == ids(page)[1]
    page.press("Escape")
    page.wait_for("!dialog.open")
    page.wait_for(f"document.activeElement.textContent === {ids(page)[1]!r}")


def test_an_address_opens_its_example(browser: Browser, report: Path) -> None:
    with browser.page(report) as opened:
        opened.open("about:blank")
        opened.open(report.as_uri() + "#example=problem-0100")
        assert opened.evaluate("dialog.open")
        assert text(opened, "#detail-title") == "problem-0100"


def test_errors_repetitions_and_annotations_are_shown(browser: Browser, tmp_path: Path) -> None:
    rows = rows_of(4, right=1, words=30, seed=4, repetitions=3)
    rows[1] |= {"error": "ValueError: no", "output": None, "status": "error"}
    rows[0]["annotation.reviewer.score"], rows[0]["annotation.reviewer.text"] = 0.5, "half right"
    rows[2]["eval.faithfulness.error"] = "TimeoutError: the judge was slow"
    rows[2]["output"] = "long " * 3000
    path = write_report(side(rows, "one"), tmp_path / "one.html")
    with browser.page(path) as page:
        page.evaluate("showExample(0)")
        detail = text(page, "#detail")
        assert "reviewer (annotation)" in detail
        assert "half right" in detail
        page.evaluate("document.querySelectorAll('.repetitions button')[1].click()")
        assert "ValueError: no" in text(page, "#detail .failed")
        page.evaluate("document.querySelectorAll('.repetitions button')[2].click()")
        assert "evaluator error: TimeoutError: the judge was slow" in text(page, "#detail")
        assert "Cut: the first 8,000 of 15,000 characters." in text(page, "#detail")
        assert page.errors == []


def test_hostile_texts_show_as_text_and_nothing_runs_or_is_loaded(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(hostile_report(), encoding="utf-8")
    with browser.page(path) as page:
        for place in (0, 1):
            page.evaluate(f"showExample({place})")
            page.evaluate("new Promise(done => setTimeout(done, 50))")
            body = page.evaluate("document.body.textContent")
            dialog = page.evaluate("dialog.textContent")
            assert OUTPUT in dialog
            page.evaluate("dialog.close()")
        assert page.evaluate("window.ran") is None
        assert page.requests == [path.as_uri()]
        assert page.errors == []
        for shown in (EXAMPLE, METRIC, f"baseline {SCRIPT}", f"title </script></style></title><!--{SCRIPT}"):
            assert shown in body, shown
        assert page.evaluate("document.querySelectorAll('img').length") == 0
        assert page.evaluate("document.querySelectorAll('script').length") == 2
        assert page.evaluate("[...document.links].filter(a => a.protocol === 'javascript:').length") == 0


def test_the_policy_holds_even_against_a_script_that_got_in(browser: Browser, report: Path) -> None:
    with browser.page(report) as page:
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}),"
            "Object.assign(document.createElement('img'), {src: 'https://evil.example/x.png'}))"
        )
        assert page.evaluate("fetch('https://evil.example/').then(() => 'sent', () => 'refused')") == "refused"
        assert page.evaluate("window.ran") is None
        said = " ".join(page.errors)
        for directive in ("script-src", "img-src", "default-src"):  # the browser says which rule refused each
            assert directive in said


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_the_screen_in_both_themes(browser: Browser, report: Path, width: int, dark: bool) -> None:
    with browser.page(report, width=width, height=844, dark=dark) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        colours = page.evaluate(
            "[document.body, dialog].map(e => getComputedStyle(e).backgroundColor.match(/\\d+/g).slice(0, 3))"
        )
        assert all((sum(map(int, colour)) < 200) == dark for colour in colours)
        page.evaluate("showExample(0)")
        assert page.evaluate("dialog.scrollWidth <= dialog.clientWidth")


HEADS = "[...document.querySelectorAll('#rows thead th')].map(head => head.innerText.trim())"
FIRST_ROW = "[...document.querySelector('#rows tbody tr').querySelectorAll('td')].map(cell => cell.innerText)"


def test_what_was_expected_and_both_outputs_stand_beside_each_other(page: Page) -> None:
    assert page.evaluate(HEADS)[1:] == ["Input", "Expected", "Baseline's output", "Candidate's output", "Scores"]
    found = page.evaluate("shown[0].id")
    before, after = (next(r for r in rows if r["example_id"] == found) for rows in (SMALL.before, SMALL.after))
    _, expected, baseline, candidate, scores = page.evaluate(FIRST_ROW)
    for shown, row, name in ((expected, after, "expected"), (baseline, before, "output"), (candidate, after, "output")):
        assert shown.startswith(as_text(row[name])[:20] or row["error"])
    assert "correctness" in scores
    assert "faithfulness" in scores


def test_without_a_baseline_there_is_one_output(browser: Browser, tmp_path: Path) -> None:
    with browser.page(write_report(SMALL.candidate, tmp_path / "r.html")) as page:
        assert page.evaluate(HEADS)[1:] == ["Input", "Expected", "Output", "Scores"]


def test_a_long_word_does_not_make_a_notebook_scroll_sideways(browser: Browser, tmp_path: Path) -> None:
    verdict = Verdict(status="failed", reasons=(f"RuntimeError: {'y' * 5000}",))
    page = tmp_path / "cell.html"
    page.write_text(f"<!doctype html><meta charset=utf-8>{verdict._repr_html_()}")
    with browser.page(page, width=800, height=600) as shown:
        assert shown.evaluate("document.querySelector('div').scrollWidth <= document.querySelector('div').clientWidth")


def test_long_texts_and_names_hide_nothing(browser: Browser, tmp_path: Path) -> None:
    """Twelve metrics of long names, and outputs without a space: no column is behind a scroll bar."""
    names = [f"a_metric_with_a_rather_long_name_{n}" for n in range(12)]
    rows = [
        {"example_id": "a", "input": "x" * 3000, "expected": "y" * 3000, "output": "z " * 3000}
        | {f"eval.{name}.score": 0.5 for name in names}
    ]
    with browser.page(write_report(rows, tmp_path / "r.html", baseline=rows)) as page:
        assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('.rows'))")
        assert max(page.evaluate("[...document.querySelectorAll('#rows .clamp')].map(e => e.offsetHeight)")) < 140


def test_charts_of_scores_have_one_scale(browser: Browser, tmp_path: Path) -> None:
    """What is right or wrong and what is anything between stand on the same axes, and a score at its own place."""
    rows = [
        {"example_id": f"e{n}", "output": "x", "eval.right.score": float(n % 2), "eval.close.score": n / 40}
        for n in range(41)
    ]
    with browser.page(write_report(rows, tmp_path / "r.html")) as page:
        charts = page.evaluate(
            "[...document.querySelectorAll('#distributions ~ .grid svg')].map(svg => ["
            "[...svg.querySelectorAll('text')].map(text => text.textContent),"
            "[...svg.querySelectorAll('rect')].map(bar => [+bar.getAttribute('x'), +bar.getAttribute('height')])])"
        )
        (axes, two_bars), (same_axes, many_bars) = charts
        assert axes == same_axes
        assert (len(two_bars), len(many_bars)) == (2, 11)
        assert [bar[0] for bar in two_bars] == [many_bars[0][0], many_bars[-1][0]]
        assert max(height for _, height in many_bars) < max(height for _, height in two_bars) / 3


# Whether the parts are the texts, and what is not marked as changed is the same on both sides.
WORDS = """(([a, b]) => {
  const [left, right] = diffWords(a, b);
  const join = (parts) => parts.map(p => p.text).join('');
  const same = (parts) => join(parts.filter(p => !p.changed)).replace(/\\s+/g, '');
  return [join(left) === a, join(right) === b, same(left) === same(right)];
})"""


@pytest.mark.thorough
def test_the_difference_of_words_is_one(page: Page) -> None:
    pairs = [
        ["", ""], ["a", ""], ["", "a b"], ["the cat sat", "the dog sat"], ["a b c d", "b c e"], ["x  y", "x y"],
        ["我喜欢猫", "我喜欢狗"], ["naïve café", "naive café"], ["😀 ok", "😁 ok"], ["1 2 3 " * 900, "3 2 1 " * 900],
        ["a." * 4000, "b." * 4000], ["\ud800", "\udfff"],
    ]  # fmt: skip
    for pair in pairs:
        assert page.evaluate(f"{WORDS}({json.dumps(pair)})") == [True, True, True], pair
    assert page.evaluate("diffWords('the cat sat', 'the dog sat')[1].filter(p => p.changed).map(p => p.text)") == [
        "dog"
    ]
    assert page.evaluate("diffWords('我喜欢猫', '我喜欢狗')[1].filter(p => p.changed).map(p => p.text)") == ["狗"]


@pytest.mark.slow
def test_of_five_thousand_examples_the_page_makes_fifty_rows(browser: Browser, tmp_path: Path) -> None:
    big = made(5000)
    path = write_report(big.candidate, tmp_path / "big.html", baseline=big.baseline, comparison=big.comparison)
    with browser.page(path) as page:
        for action in (
            "change({query: 'maya apples'})",
            "change({query: '', filter: 'regressed'})",
            "sortBy('m1')",
            "showExample(3)",
        ):
            page.evaluate(action)
            assert page.evaluate("document.querySelectorAll('#rows tbody tr').length") <= 50, action
        assert page.evaluate("document.querySelectorAll('#rows tbody tr').length") == 50
        assert page.errors == []


@pytest.mark.slow
def test_a_page_that_does_not_hold_all_counts_what_it_does_not_hold(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_data, "MOST_EXAMPLES", 30)
    path = write_report(SMALL.candidate, tmp_path / "s.html", baseline=SMALL.baseline, comparison=SMALL.comparison)
    with browser.page(path) as page:
        assert "This page holds 30 of 122 examples" in text(page, "#left-out")
        assert "30 of 122" in text(page, "#filters button[data-name=all]")
        worse = len({change.example_id for change in SMALL.comparison.regressed})
        click(page, "#filters button[data-name=regressed]")
        here = len(examples(page))
        assert here < worse
        assert f"{here} of {worse}" in text(page, "#filters button[data-name=regressed]")
        assert text(page, "#found") == f"{here} of 30 examples on this page, which has not all 122"
        click(page, 'button[data-metric="answer_words"][data-filter="regressed"]')
        losses = SMALL.comparison.metrics["answer_words"].losses
        assert f"{len(examples(page))} of {losses}" in text(page, "#filters button[data-name=regressed]")
        page.evaluate("change({query: 'nowhere in it'})")
        assert "None of the 30 examples on this page, which has not all 122, matches." in text(page, "#found")
        assert page.errors == []
