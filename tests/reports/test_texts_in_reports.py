"""How values, addresses and names are written in reports, to the letter."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from prefect_experiments.reports import escaping
from prefect_experiments.reports.pull_request import marker_name


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (None, "", ""),
        ("a\nb", "a\nb", ""),
        (True, "true", "true or false"),
        (3, "3", "number"),
        (1.5, "1.5", "number"),
        ({}, "{}", "object"),
        ({"a": 1, "b": "x", "c": None, "d": True}, "a: 1\nb: x\nc: null\nd: true", "object"),
        ({"a": [1], "b": "ü"}, '{\n  "a": [\n    1\n  ],\n  "b": "ü"\n}', "object"),
        ([1, "x"], '[\n  1,\n  "x"\n]', "list"),
        ((), "[]", "list"),
        (frozenset(), "[]", ""),
    ],
    ids=repr,
)
def test_a_value_is_a_text_of_a_kind(value: Any, text: str, kind: str) -> None:
    assert (escaping.as_text(value), escaping.kind_of(value)) == (text, kind)


def test_the_fields_of_a_flat_object_can_stand_in_one_line() -> None:
    assert escaping.as_text({"a": 1, "b": "x"}, between=", ") == "a: 1, b: x"


@pytest.mark.parametrize(
    ("value", "is_absent"),
    [(None, True), (float("nan"), True), (pd.NA, True), (pd.NaT, True), (0, False), ("", False), (float("inf"), False)],
    ids=repr,
)
def test_what_pandas_has_for_nothing_is_nothing(value: Any, is_absent: bool) -> None:
    assert escaping.absent(value) is is_absent


@pytest.mark.parametrize(
    ("url", "is_address", "link"),
    [
        ("http://a.example/b?c=1#d", True, "[Run](http://a.example/b?c=1#d)"),
        ("https://a.example", True, "[Run](https://a.example)"),
        ("https://a.example/b)c", True, "Run"),
        ("https://a.example/b c", True, "Run"),
        ("javascript:alert(1)", False, "Run"),
        ("ftp://a.example", False, "Run"),
        ("http:///path", False, "Run"),
        ("http://[", False, "Run"),
        ("", False, "Run"),
        (None, False, "Run"),
    ],
    ids=repr,
)
def test_only_the_address_of_a_page_is_a_link(url: str | None, is_address: bool, link: str) -> None:
    assert escaping.web_address(url) == (url if is_address else None)
    assert escaping.markdown_link("Run", url) == link


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("", ""),
        (" \n ", ""),
        ("two words_of-it", "two words_of-it"),
        ("www example", "`www example`"),
        ("WWW", "`WWW`"),
        ("a.b", "`a.b`"),
        ("_a_", "`_a_`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("a`", "`` a` ``"),
        ("``a`b``", "``` ``a`b`` ```"),
        ("a|b", "`a|b`"),
        ("x" * 200, "x" * 200),
        ("x" * 201, f"`{'x' * 199}…`"),
    ],
)
def test_a_name_in_markdown(text: str, markdown: str) -> None:
    assert escaping.markdown(text) == markdown


@pytest.mark.parametrize(("text", "cell"), [("a|b", r"`a\|b`"), (r"a\|b", r"`a\ \|b`"), ("", "` `"), ("||", r"`\|\|`")])
def test_code_in_a_cell(text: str, cell: str) -> None:
    assert escaping.code(text, cell=True) == cell


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" a\n\t b\u2028c ", "a b c"),
        ("\x1b[1m", "\ufffd[1m"),
        ("a\u202eb\u2066", "a\ufffdb\ufffd"),
        ("\ud83d", "\ufffd"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 19 + "…"),
    ],
    ids=ascii,
)
def test_a_text_in_one_line(text: str, line: str) -> None:
    assert escaping.one_line(text, 20) == line


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("night 1.2:x/y", "night 1.2:x/y"),
        ("a--b", "a-b"),
        ("-->", "prefect-experiments"),
        ("", "prefect-experiments"),
        ("<!-- a -->", "a"),
        ("-a-", "a"),
    ],
)
def test_a_marker_cannot_end_its_comment(given: str, name: str) -> None:
    assert marker_name(given) == name
