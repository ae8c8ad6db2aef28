"""What commands print as tables, fields and documents."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from prefect_experiments.cli.output import (
    Answer,
    Declined,
    Terminal,
    cell,
    give,
    print_fields,
    print_page,
    score_table,
    table,
    tell,
)
from prefect_experiments.errors import InvalidInput
from prefect_experiments.pages import Pagination
from reports.made import made


class Typed(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def shown(thing: Any, width: int = 80) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    thing(console) if callable(thing) else console.print(thing)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_question_is_there_before_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where stderr passes on whole lines only."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, line_buffering=True))
    tell("Which one? ", end="")
    assert written.getvalue() == b"Which one? "


@pytest.mark.parametrize("name", ["acc[/x]", "x[red]y", "[bold]z[/bold]"])
def test_names_and_cells_with_brackets_are_shown_as_they_are(name: str) -> None:
    assert [line for line in shown(table([{name: f"cell {name}"}])) if line] == [name, f"cell {name}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", ""),
        (True, "true"),
        (3, "3"),
        (0.123456, "0.1235"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (" in\n\ttwo lines ", "in two lines"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        (
            datetime(2026, 1, 2, 3, 4, 59, tzinfo=UTC),
            f"{datetime(2026, 1, 2, 3, 4, tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}",
        ),
    ],
    ids=repr,
)
def test_a_cell_is_a_short_text_in_one_line(value: Any, text: str) -> None:
    assert cell(value) == text


def test_a_field_has_room_for_more_than_a_cell() -> None:
    fields = {"whole": "x" * 500, "cut": "y" * 501, "a-name-of-fourteen": None}
    assert shown(lambda out: print_fields(out, "title \x1b[1m", fields), width=1000) == [
        "title  [1m",
        f"  whole        {'x' * 500}",
        f"  cut          {'y' * 499}…",
        "  a-name-of-fourteen -",
    ]


@pytest.mark.parametrize(("width", "columns"), [(109, ["id"]), (110, ["id", "extra"])])
def test_a_narrow_terminal_has_the_columns_that_matter(
    width: int, columns: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": "1", "extra": "2"}]

    def show(pagination: Pagination) -> list[str]:
        return shown(lambda out: print_page(out, rows, pagination, none="nothing", where_wide=["extra"]), width)

    assert show(Pagination())[0].split() == columns
    assert capsys.readouterr().err == ""
    show(Pagination(has_more=True, next_cursor="abc"))
    assert capsys.readouterr().err == "there is more: --cursor abc\n"
    assert shown(lambda out: print_page(out, [], Pagination(), none="no [bold]rows")) == ["no [bold]rows"]


def test_scores_are_shown_with_what_they_are_over() -> None:
    summary = made(60).candidate.summary
    assert [line.split() for line in shown(score_table(summary), 200)] == [
        ["evaluator", "score", "standard", "error"],
        *([name, *str(metric).split(), cell(metric.stderr)] for name, metric in summary.metrics.items()),
    ]
    assert score_table(dataclasses.replace(summary, metrics={})) == "not evaluated"


@pytest.mark.parametrize(
    ("answer", "is_yes"), [("y", True), ("yes", True), (" YES \n", True), ("n", False), ("", False), ("yep", False)]
)
def test_a_person_is_asked_once(
    answer: str, is_yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))
    if is_yes:
        Terminal().confirm("Delete it?", yes=False)
    else:
        with pytest.raises(Declined, match="nothing was deleted"):
            Terminal().confirm("Delete it?", yes=False)
    assert capsys.readouterr().err == "Delete it? [y/N] "
    Terminal().confirm("Delete it?", yes=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(InvalidInput, match=r"Delete it\? Say so with --yes: there is no terminal to ask on"):
        Terminal().confirm("Delete it?", yes=False)


@pytest.mark.parametrize("out", [io.StringIO(), Typed()], ids=["file", "terminal"])
def test_a_document_is_one_line_and_for_a_person_several(out: io.StringIO) -> None:
    data = {"a": [1, "ü"], "b": {}}
    for given in (data, lambda: data):
        out.seek(0)
        out.truncate()
        give(Answer(given, lambda _: None), out, as_json=True)
        written = json.dumps(data, indent=2, ensure_ascii=False) if out.isatty() else '{"a":[1,"ü"],"b":{}}'
        assert out.getvalue() == f"{written}\n"


def test_a_list_that_is_made_while_it_is_written_has_an_item_a_line() -> None:
    out = io.StringIO()
    give(
        Answer({"n": 1, "items": iter([{"a": 1}, 2]), "none": iter(()), "end": None}, lambda _: None), out, as_json=True
    )
    assert out.getvalue() == '{"n":1,"items":[\n{"a":1},\n2],"none":[],"end":null}\n'


@pytest.mark.parametrize(("out", "width"), [(io.StringIO(), 1000), (Typed(), None)], ids=["file", "terminal"])
def test_only_a_terminals_lines_are_as_wide_as_the_terminal(
    out: io.StringIO, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    widths: list[int] = []
    give(Answer(None, lambda console: widths.append(console.width)), out, as_json=False)
    assert widths == [width or 70]
