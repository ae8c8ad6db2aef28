"""Each report as a whole: what somebody reads of one comparison and of one experiment, to the letter.

The texts stand in the folder `whole`. One that is not there is written and the test fails, so that somebody reads it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from prefect_experiments import plan_experiment
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.summary import Used
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.reports.history_markdown import history_markdown
from prefect_experiments.reports.history_page import history_pieces
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.junit import junit_xml
from prefect_experiments.reports.markdown import comparison_markdown, comparison_rows, summary_markdown
from prefect_experiments.reports.notebook import html
from prefect_experiments.reports.planned import print_plan
from prefect_experiments.reports.pull_request import first_comment, pull_request_comment
from prefect_experiments.reports.report_model import table_side
from prefect_experiments.reports.shown import text
from prefect_experiments.reports.spending import figures, judge_rows, unpriced
from prefect_experiments.reports.terminal import print_comparison, print_side_by_side, print_summary, print_verdict
from prefect_experiments.reports.worst_runs import worst_runs_lines
from prefect_experiments.store import EvaluatorRecord, Store
from tests.store.samples import new_experiment, record, run_row, verdict

from .test_history import MONTH, entry, history, judged, on_terminal

WHOLE = Path(__file__).with_name("whole")
GATE = {"metrics": {"right": {"min": 0.9}, "words": {"direction": "minimize"}}, "max_error_rate": 0.05}
LENIENT = {"metrics": {"right": {"max_regression": 0.9}}, "max_error_rate": 0.5}
STRICT = {"metrics": {"right": {"min": 0.6, "max_regression": 0.9}}, "max_error_rate": 0.5}
UNSURE = {**STRICT, "on_inconclusive": "pass"}


def rows(*, worse: bool) -> list[dict[str, Any]]:
    """Thirty questions in two repetitions; the later side is wrong on refunds, fails twice, and says less."""
    made = []
    for n in range(1, 31) if worse else range(30):
        for repetition in (1, 2):
            topic = ("refunds", "orders", "shipping")[n % 3]
            right = n % 7 > 0 and not (worse and topic == "refunds" and (n % 2 or repetition == 1))
            fit = round(0.5 + (n * 37 % 50) / 100 - (0.04 if worse and n % 4 else 0), 2)
            row: dict[str, Any] = {
                "example_id": f"q{n:02d}",
                "repetition_number": repetition,
                "input": {"question": f"question {n}", "channel": "mail"},
                "expected": f"answer {n}",
                "output": f"answer {n}" if right else f"none, as {topic}",
                "error": None,
                "metadata": {"topic": topic},
                "latency_ms": 200.0 + n * 7 + (30 if worse else 0),
                "token_count": 100 + n,
                "total_cost": 0.001 * (n % 3 + 1),
                "trace_id": f"{n:032x}",
                "eval.right.score": float(right),
                "eval.right.label": "right" if right else "wrong",
                "eval.right.explanation": "as expected" if right else f"expected answer {n}",
                "eval.fit.score": fit,
                "eval.words.score": float(20 + n % 5 - (3 if worse else 0)),
                "eval.tone.label": "rude" if n % (3 if worse else 10) == 0 else "polite",
            }
            if n == 11 or (worse and n == 5 and repetition == 2):
                error = "TimeoutError: no answer within 30 s" if n == 11 else "ValueError: no number\nat all"
                row |= dict.fromkeys((key for key in row if key.startswith("eval.")), None)
                row |= {"output": None, "error": error, "token_count": None, "total_cost": None}
            if n == 8 and repetition == 1:
                row |= {"eval.fit.score": None, "eval.fit.error": "JudgeError: overloaded"}
            made.append(row)
    return made


def table(*, worse: bool) -> ResultTable:
    label, number = ("prompt-v2", 2) if worse else ("prompt-v1", 1)
    url = f"https://phoenix.example.com/datasets/d/compare?experimentId={number}"
    made = result_table(rows(worse=worse), label)
    return dataclasses.replace(
        made, url=url, experiment_id=f"exp-{number}", flow_run_url=f"http://prefect/runs/{number}"
    )


BEFORE, AFTER = table(worse=False), table(worse=True)
COMPARED = {
    "failed": compare_results(BEFORE, AFTER, gate=Gate.parse(GATE)),
    "passed": compare_results(BEFORE, AFTER, gate=Gate.parse(LENIENT)),
    "unsure": compare_results(BEFORE, AFTER, gate=Gate.parse(UNSURE)),
    "strict": compare_results(BEFORE, AFTER, gate=Gate.parse(STRICT)),
    "no-gate": compare_results(BEFORE, AFTER, directions={"words": "minimize"}),
}
FIRST = Gate.parse(GATE).judge_alone(AFTER)


SPENT = dataclasses.replace(
    table_side(AFTER).summary,
    judges={"strict": Used(token_count=1200, total_cost=0.5), "fit": Used(token_count=None, total_cost=0.25)},
    replaced_cost=0.125,
    unpriced={f"model-{n}": n for n in range(1, 8)},
)
UNMEASURED = history(
    entry(0, {}, n_errors=200), entry(1, {}, **judged("inconclusive", "all of the runs of this night have failed"))
)
PLANNED = {"metrics": {"right": {"max_regression": 0.05}, "words": {"direction": "minimize"}}}


def made_in_store() -> Iterator[RanExperiment]:
    """Six examples in two repetitions: two failures of the task, one of a judge, and scores of several heights."""
    store = Store("sqlite://")
    judges = [EvaluatorRecord(name, "LLM", "a" * 64) for name in ("exact", "judge")]
    made = new_experiment(store, 6, evaluators=judges, repetitions=2, name="nightly")
    runs, said = [], []
    for place in range(6):
        for repetition in (1, 2):
            failed = place == 4 and repetition == 2
            error = "ValueError: it is\nno number" if failed else None
            runs.append(run_row(place, repetition, error=error, token_count=10, total_cost=0.5,
                                **({"output_json": None} if failed else {})))  # fmt: skip
            if not failed:
                said.append(verdict(place, "exact", repetition, score=float(place != 2)))
                broken = place == 1 and repetition == 1
                said.append(verdict(place, "judge", repetition, score=None if broken else place / 5,
                                    error="JudgeError: busy" if broken else None, token_count=3,
                                    total_cost=0.25))  # fmt: skip
    record(store, made.experiment.id, runs, said)
    yield RanExperiment(store, made)
    store.close()


OF_A_RUN: dict[str, Callable[[RanExperiment], str]] = {
    "txt": lambda ran: printed(lambda out: print_summary(ran, out, kept_in="store.db"), 200),
    "md": summary_markdown,
    "notebook.txt": lambda ran: in_lines(html(ran)),
    "worst.md": lambda ran: "\n".join(worst_runs_lines(ran)),
    "comment.md": lambda ran: first_comment(ran, report="report.html"),
    "text.txt": lambda ran: text(ran),
    "side.txt": lambda ran: printed(lambda out: print_side_by_side([ran, ran], out), 160),
    "xml": lambda ran: junit_xml(ran.summary),
}


def of_a_run(said: Callable[[RanExperiment], str]) -> str:
    ran = next(made_in_store())
    ids = {ran.experiment_id: "EXPERIMENT", ran.experiment.dataset_version_id: "VERSION"}
    return re.sub("|".join(ids), lambda found: ids[found[0]], said(ran))


def in_lines(document: str) -> str:
    """What stands in the elements of a page, a line each."""
    plain = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]+>", "\n", document)
    lines = (" ".join(line.split()) for line in plain.splitlines())
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "NOW", "\n".join(filter(None, lines)))


def printed(show: Callable[[Console], None], width: int) -> str:
    out = Console(file=io.StringIO(), width=width, highlight=False, emoji=False)
    show(out)
    return str(out.file.getvalue())  # type: ignore[attr-defined]


def page_of(document: str) -> str:
    """What stands in the elements of a page, then what its script works on: of the examples every fifth, and two."""
    head, data, _ = re.split(r'<script type="application/json"[^>]*>|</script>', document, maxsplit=2)
    known = json.loads(data)
    examples = [one for one in known.pop("examples") if one["place"] % 5 == 0 or one["id"] in ("q08", "q11")]
    return "\n".join([in_lines(head), *(json.dumps(one, ensure_ascii=False) for one in (known, *examples))])


def on_a_terminal(name: str, width: int) -> str:
    return printed(lambda out: print_comparison(COMPARED[name], out), width)


def plan(**given: Any) -> str:
    return printed(lambda out: print_plan(plan_experiment(baseline=pd.DataFrame(rows(worse=False)), **given), out), 160)


def page(compared: Comparison | None) -> str:
    sides = (table_side(AFTER), table_side(BEFORE)) if compared else (table_side(AFTER),)
    document = html_report(compared, *sides, verdict=None if compared else FIRST)
    return page_of(document)


TERMINALS = {"failed": (200, 100, 60), "passed": (120,), "unsure": (120,), "strict": (120,), "no-gate": (120,)}
REPORTS: dict[str, Callable[[], str]] = {
    **{
        f"{name}.{width}.txt": partial(on_a_terminal, name, width)
        for name, widths in TERMINALS.items()
        for width in widths
    },
    **{f"{name}.md": partial(comparison_markdown, compared) for name, compared in COMPARED.items()},
    **{
        f"{name}.comment.md": partial(pull_request_comment, compared, report="https://ci.example.com/report.html")
        for name, compared in COMPARED.items()
    },
    **{f"{name}.xml": partial(junit_xml, compared) for name, compared in COMPARED.items()},
    "failed.rows.txt": lambda: "\n".join(map(str, comparison_rows(COMPARED["failed"]))),
    "alone.120.txt": lambda: printed(lambda out: print_verdict(FIRST, out), 120),
    "alone.xml": lambda: junit_xml(table_side(AFTER).summary, name="prompt-v2", verdict=FIRST),
    "alone.page.txt": lambda: page(None),
    "failed.page.txt": lambda: page(COMPARED["failed"]),
    "summary.txt": lambda: "\n".join(
        map(str, (SPENT, figures(SPENT), unpriced(SPENT), *judge_rows([table_side(BEFORE).summary, SPENT])))
    ),
    "history.140.txt": lambda: on_terminal(MONTH, 140),
    "history.80.txt": lambda: on_terminal(MONTH, 80),
    "history.44.txt": lambda: on_terminal(MONTH, 44),
    "history-unmeasured.44.txt": lambda: on_terminal(UNMEASURED, 44),
    "history.md": lambda: history_markdown(MONTH),
    "history.notebook.txt": lambda: in_lines(html(MONTH)),
    "history.page.txt": lambda: in_lines("".join(history_pieces(MONTH))),
    "failed.notebook.txt": lambda: in_lines(html(COMPARED["failed"])),
    "plan.txt": lambda: plan(beside=pd.DataFrame(rows(worse=True)), gate=PLANNED, drop=0.2),
    "plan-assumed.txt": lambda: plan(examples=400),
    **{f"ran.{name}": partial(of_a_run, said) for name, said in OF_A_RUN.items()},
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_says_all_of_this_and_nothing_else(name: str) -> None:
    said, path = REPORTS[name](), WHOLE / name
    if not path.exists():
        path.write_text(said, encoding="utf-8")
        pytest.fail(f"{path} was not there, and has been written: read it")
    assert said.splitlines() == path.read_text(encoding="utf-8").splitlines()
