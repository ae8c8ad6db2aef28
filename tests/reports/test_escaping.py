"""The same numbers as Markdown, as a pull request's comment and on the terminal; hostile texts in all of them."""

from __future__ import annotations

import dataclasses
import html
import io
import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison, Side, Verdict
from prefect_experiments.reports import escaping
from prefect_experiments.reports.markdown import comparison_markdown, comparison_rows
from prefect_experiments.reports.pull_request import pull_request_comment
from prefect_experiments.reports.terminal import print_comparison

from .made import made

CORRECTNESS = MetricComparison(
    name="correctness",
    n_pairs=200,
    baseline_mean=0.87,
    candidate_mean=0.84,
    difference=-0.03,
    ci_low=-0.06,
    ci_high=-0.01,
    p_value=0.012,
    p_value_adjusted=0.024,
    wins=8,
    losses=21,
    ties=171,
    effect_size=-0.19,
    verdict="regressed",
)
COMPARISON = Comparison(
    baseline=Side(label="prompt v1", experiment_id="e1", url="https://phoenix.example.com/e1", n_runs=200),
    candidate=Side(label="prompt v2", experiment_id="e2", n_expected=200, n_runs=198, n_errors=3),
    n_pairs=200,
    metrics={"correctness": CORRECTNESS},
    regressed=[
        ExampleChange(
            example_id="q1",
            metric="correctness",
            difference=-1,
            baseline_score=1,
            candidate_score=0,
            input={"question": "6 * 7?"},
            expected="42",
            baseline_output="42",
            candidate_output="x" * 500,
        )
    ],
    verdict=Verdict(status="failed", reasons=("correctness is worse: -3 points [-6, -1], p = 0.024.",), exit_code=1),
)
LINE = "correctness 0.84, -3 points [-6, -1]; 8 improved, 21 regressed"
HOSTILE = [
    "<script>alert(1)</script>",
    "</details><img src=x onerror=alert(1)>",
    "a | b \\| c \\\\| d",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png) <http://evil.example>",
    "`code` ``two`` ```three",
    "line\nbreak\r\n\n# heading\n- list\u2028end",
    "**bold** __also__ ~~gone~~ _this_ @someone #1 http://evil.example www.evil.example",
    "--> <!-- -->",
    "&lt;b&gt; &#60;script&#62;",
    "\x1b[31mred\x07 \u202egnirts",
    "[x]: http://evil.example",
    "|",
    "\\",
    "`",
    " ",
]
markdown = MarkdownIt("commonmark").enable("table")


def tokens(text: str) -> list[Token]:
    return [part for token in markdown.parse(text) for part in (token, *(token.children or ()))]


def hostile(text: str) -> Comparison:
    metric = dataclasses.replace(CORRECTNESS, name=text)
    change = dataclasses.replace(
        COMPARISON.regressed[0],
        example_id=text,
        metric=text,
        input=text,
        expected={"a": text},
        baseline_output=[text],
        candidate_error=text,
    )
    return dataclasses.replace(
        COMPARISON,
        baseline=Side(label=text, url=f"javascript:alert(1)//{text}", experiment_id=text),
        candidate=Side(label=text, url=f"https://phoenix.example.com/{text}"),
        metrics={text: metric},
        regressed=[change],
        verdict=Verdict(status="failed", reasons=(f"{text} is worse.",), exit_code=1),
    )


def harmless(text: str, *, own_html: int, own_links: int) -> None:
    """The text as a reader's program sees it: no markup but our own, every table and list whole."""
    found = tokens(text)
    kinds = [token.type for token in found]
    assert "image" not in kinds
    assert kinds.count("link_open") <= own_links
    assert all(
        str(token.attrs["href"]).startswith("https://phoenix.example.com/")
        for token in found
        if token.type == "link_open"
    )
    assert sum(kind in ("html_block", "html_inline") for kind in kinds) == own_html
    rows = re.findall(r"tr_open(.*?)tr_close", " ".join(kinds))
    cells = [len(re.findall(r"t[hd]_open", row)) for row in rows]
    assert cells == [5, 5]
    own_items = sum(line.lstrip().startswith("- ") for line in text.splitlines())
    assert kinds.count("list_item_open") == own_items, "no text begins or swallows an item"


def test_the_verdict_comes_first_in_markdown() -> None:
    text = comparison_markdown(COMPARISON)
    lines = text.splitlines()
    assert lines[0] == "# Failed: prompt v2"
    assert "- correctness is worse: -3 points [-6, -1], p = 0.024." in lines
    assert "| correctness | regressed | 0.87 → 0.84 | -3 points [-6, -1] | 8 / 21 / 171 |" in lines
    assert "- Candidate: prompt v2 (experiment `e2`), 3 of 198 (1.5%) runs failed, 2 of 200 not made" in lines
    assert "- Baseline: [prompt v1](https://phoenix.example.com/e1) (experiment `e1`), 0 of 200 runs failed" in lines
    below = lines[lines.index("- **`q1`** correctness 1.00 → 0.00") + 1 :]
    assert below[0] == "  - baseline `42`"
    assert below[2:4] == ["  - expected `42`", "  - input `question: 6 * 7?`"]
    assert "x" * 201 not in text
    assert "xxx…`" in text


def test_rows_for_a_table_artifact() -> None:
    assert comparison_rows(COMPARISON) == [
        {
            "metric": "correctness",
            "verdict": "regressed",
            "means": "0.87 → 0.84",
            "difference": "-3 points [-6, -1]",
            "p": "0.024",
        }
    ]
    assert [row["metric"] for row in comparison_rows(made(40).comparison)] == [
        "correctness",
        "faithfulness",
        "answer_words (lower is better)",
        "latency",
        "tokens",
        "cost",
    ]


def test_a_comment_says_the_verdict_first_and_can_be_found_again() -> None:
    comment = pull_request_comment(COMPARISON, marker="prefect-experiments: gsm8k")
    lines = comment.splitlines()
    assert lines[0] == "❌ **Failed**: prompt v2 against prompt v1"
    assert f"- {LINE}" in lines
    assert lines[-1] == "<!-- prefect-experiments: gsm8k -->"
    assert lines.count("<details><summary>Details</summary>") == lines.count("</details>") == 1
    assert pull_request_comment(COMPARISON, marker="x --> <b>").splitlines()[-1] == "<!-- x - -b -->"


def test_a_comment_is_never_too_long_for_github() -> None:
    change = dataclasses.replace(COMPARISON.regressed[0], input="y" * 5000, expected="z" * 5000)
    comment = pull_request_comment(dataclasses.replace(COMPARISON, regressed=[change] * 3000), worst=3000)
    assert len(comment) < 65_536
    assert "too long for a comment" in comment


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text_in_markdown(text: str) -> None:
    comparison = hostile(text)
    harmless(comparison_markdown(comparison), own_html=0, own_links=1)
    harmless(pull_request_comment(comparison), own_html=3, own_links=1)


@given(st.text(alphabet=st.sampled_from("ab |\\`*_[]()<>!#&@~-+:/.\n\t\"'1"), min_size=1, max_size=30))
@example("a\\|b")
@example("`|`")
def test_any_text_stays_text_in_markdown(text: str) -> None:
    comparison = hostile(text)
    harmless(comparison_markdown(comparison), own_html=0, own_links=1)


@given(st.text(max_size=60))
def test_code_in_a_cell_is_what_was_given(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {escaping.code(text, cell=True)} | end |"
    [shown] = [token.content for token in tokens(table) if token.type == "code_inline"]
    assert shown.strip() == escaping.one_line(re.sub(r"\\\|", "\\ |", escaping.one_line(text))).strip()


@pytest.mark.parametrize("text", ["a | b", "a \\| b", "|"])
def test_code_outside_a_table_is_what_was_given(text: str) -> None:
    for said in (f"- {escaping.code(text)}", f"{escaping.markdown(text)} said"):
        assert [token.content for token in tokens(said) if token.type == "code_inline"] == [text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("exact_match", "exact_match"),
        ("prompt v2", "prompt v2"),
        ("Größe", "Größe"),
        ("_x_", "`_x_`"),
        ("gpt-4.1", "`gpt-4.1`"),
        ("www.evil.example", "`www.evil.example`"),
        ("@everyone", "`@everyone`"),
    ],
)
def test_names_are_plain_where_they_are_harmless(text: str, shown: str) -> None:
    assert escaping.markdown(text) == shown


@pytest.mark.parametrize("text", ["@someone is worse", "see #12", "http://evil.example", "www.evil.example"])
def test_a_sentence_makes_no_mention_or_link_on_github(text: str) -> None:
    assert not re.search(r"@\w|#\d|://|www\.", html.unescape(escaping.sentence(text)))


@given(st.text(alphabet=st.sampled_from("a12 |\\`*_[]()<>!#&@~-+=:;/.x8203"), min_size=1, max_size=30))
@example("1.00 over 149 of 150")
@example("1. one")
@example("#12 is worse")
@example("-1.00 &#8203; &amp; <b>")
@example("2) two www.x @one")
def test_a_sentence_is_shown_as_it_is_written(text: str) -> None:
    """In a list's item and in a table's cell; what keeps GitHub from acting on it has no width."""
    assume(escaping.one_line(text))
    for written in (f"- {escaping.sentence(text)}", f"| a |\n|---|\n| {escaping.sentence(text)} |"):
        [shown] = [token for token in tokens(written) if token.type == "inline"][-1:]
        assert {part.type for part in shown.children or ()} <= {"text", "text_special"}
        plain = "".join(part.content for part in shown.children or ())
        assert plain.replace("\u200b", "").strip() == escaping.one_line(text).strip()


def test_a_figure_at_the_start_of_a_sentence_is_left_as_it_is() -> None:
    assert escaping.sentence("1.00 over 149 of 150") == "1.00 over 149 of 150"
    assert escaping.sentence("1. one") == "&#8203;1. one"


def printed(comparison: Comparison, **options: Any) -> str:
    out = io.StringIO()
    print_comparison(comparison, Console(file=out, width=160, **options))
    return out.getvalue()


def test_the_terminal_says_verdict_reasons_and_figures() -> None:
    text = printed(COMPARISON)
    assert text.startswith("FAILED  prompt v2 against prompt v1\n")
    assert "- correctness is worse: -3 points [-6, -1], p = 0.024." in text
    assert re.search(r"correctness +0.87 +0.84 +-3 points \[-6, -1\] +8 +21 +171 +0.024 +regressed", text)
    assert "candidate: prompt v2, 3 of 198 (1.5%) runs failed, 2 of 200 not made, experiment e2" in text
    assert "1.00 → 0.00" in text


@pytest.mark.parametrize(("status", "colour"), [("failed", "31"), ("passed", "32"), ("inconclusive", "33")])
def test_the_verdict_has_its_colour(status: Any, colour: str) -> None:
    verdict = Verdict(status=status, reasons=("because",))
    text = printed(dataclasses.replace(COMPARISON, verdict=verdict), force_terminal=True, color_system="standard")
    assert text.startswith(f"\x1b[1;{colour}m{status.upper()}\x1b[0m")


@pytest.mark.parametrize("text", [*HOSTILE, "[bold red]x[/bold red]", "[/]"])
def test_hostile_texts_stay_text_on_the_terminal(text: str) -> None:
    shown = printed(hostile(text), force_terminal=True, color_system="standard")
    assert "\x1b[31mred" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    if text.startswith("["):
        assert text in shown


def test_without_a_gate_and_without_metrics() -> None:
    bare = dataclasses.replace(COMPARISON, verdict=None)
    assert comparison_markdown(bare).startswith(
        "# Compared: prompt v2\n\nNo gate was set. Metrics: 1 regressed. Over 200"
    )
    nothing = dataclasses.replace(bare, metrics={}, regressed=[], n_pairs=0)
    assert "nothing that both sides were scored on" in comparison_markdown(nothing)
    assert "no metric that both sides" in pull_request_comment(nothing)
    assert printed(nothing).startswith("COMPARED")


def test_what_decided_the_verdict_comes_first_among_the_worst() -> None:
    comparison = made(200).comparison
    text = comparison_markdown(comparison)
    shown = [line.split()[2] for line in text.splitlines() if line.startswith("- **`problem-")]
    assert shown == ["task", *["correctness"] * 9]  # one whose run failed leads
