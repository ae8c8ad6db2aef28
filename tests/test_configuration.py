"""What JSON and YAML are read as, and what is said of what cannot be read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.configuration import Unreadable, parse_json, parse_yaml, read, read_json

DIGITS = "1" * 5_000


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_json, "[" * 100_000, "is not JSON that can be read: it is nested too deep"),
        (parse_yaml, "[" * 2_000, "is not YAML that can be read: it is nested too deep"),
        (parse_json, f'{{"n": {DIGITS}}}', "is not JSON that can be read: Exceeds the limit (4300 digits)"),
        (parse_yaml, f"n: {DIGITS}", "is not YAML that can be read: Exceeds the limit (4300 digits)"),
        (
            parse_yaml,
            "a: {b: 1}\nc: 2\n'a': 3",
            "is not YAML: line 3, column 1: the key 'a' stands twice (before in line 1); leave one of them out",
        ),
    ],
)
def test_what_cannot_be_read(parse: Callable[[str], Any], text: str, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse(text)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_json, '{"a": 1,\n "b" 2}', "is not JSON: line 2, column 6: Expecting ':' delimiter"),
        (parse_json, '{"a": 1, "a": 1}', "has the key 'a' twice; leave one of them out"),
        (
            parse_json,
            '{"a": {"b": [{}, {"c": {"d": 1, "d": 2}}]}}',
            "has the key 'd' twice in a.b[1].c; leave one of them out",
        ),
        (parse_json, '[[1, {"d": 1, "d": 2}]]', "has the key 'd' twice in [0][1]; leave one of them out"),
        (parse_json, '{"a": NaN}', "is not JSON: it has no number NaN"),
        (parse_json, "-Infinity", "is not JSON: it has no number -Infinity"),
        (parse_yaml, "a: [1", "is not YAML: line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        (parse_yaml, "a: \x01", "is not YAML: it cannot be read"),
        (parse_yaml, "a: 1\n---\nb: 1", "is not YAML: line 2, column 1: but found another document"),
        (
            parse_yaml,
            "a:\n  b: 1\n\n  b: 2",
            "is not YAML: line 4, column 3: the key 'b' stands twice (before in line 2); leave one of them out",
        ),
        (
            parse_yaml,
            "1: a\n1: b",
            "is not YAML: line 2, column 1: the key '1' stands twice (before in line 1); leave one of them out",
        ),
        (parse_yaml, "? [a, b]\n: 1", "is not YAML: line 1, column 3: found unhashable key"),
        (parse_yaml, "n: !!int 010", "is not YAML: line 1, column 4: '010' is not written as int"),
        (parse_yaml, "- !!bool yes", "is not YAML: line 1, column 3: 'yes' is not written as bool"),
        (parse_yaml, "- !!float 1_0.5", "is not YAML: line 1, column 3: '1_0.5' is not written as float"),
        (parse_yaml, "- !!null none", "is not YAML: line 1, column 3: 'none' is not written as null"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(parse: Callable[[str], Any], text: str, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse(text)
    assert str(refused.value) == said


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.getcwd []", "!!set {a}", "!!binary aGk=", "!own 1"])
def test_no_tag_makes_an_object(tag: str) -> None:
    with pytest.raises(
        Unreadable, match="is not YAML: line 1, column 4: could not determine a constructor for the tag"
    ):
        parse_yaml(f"a: {tag}")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nULL", "nULL"), ("none", "none"),
        ("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE"), ("false", False), ("FALSE", False),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
        ("0", 0), ("-5", -5), ("+5", 5), ("10", 10), ("010", "010"), ("0x10", "0x10"), ("1_000", "1_000"),
        ("1:30", "1:30"), ("0.5", 0.5), ("-0.5", -0.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001),
        ("+.5e+1", 5.0), ("00.5", "00.5"), (".", "."), ("-", "-x"), ("1e", "1e"), (".inf", ".inf"), (".nan", ".nan"),
        ("2026-01-02", "2026-01-02"), ("=", "="), ("!!str 5", "5"), ("'5'", "5"), ("!!int 5", 5), ("!!float 0.5", 0.5),
        ("!!bool true", True), ("!!null ~", None), ("a # b", "a"), ("[a, 1]", ["a", 1]),
        ("{a: {b: no}}", {"a": {"b": "no"}}),
    ],
)  # fmt: skip
def test_yaml_is_read_as_its_version_1_2_has_it(word: str, value: Any) -> None:
    word = "-x" if word == "-" else word
    found = parse_yaml(f"a: {word}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_what_a_mapping_says_itself_goes_before_what_it_takes_over() -> None:
    text = "base: &base {a: 1, b: 2}\nown:\n  a: 5\n  <<: *base\nquoted: {'<<': 1}"
    assert parse_yaml(text) == {"base": {"a": 1, "b": 2}, "own": {"a": 5, "b": 2}, "quoted": {"<<": 1}}
    assert parse_yaml("a: 1\nb: {a: 1}\nc: {a: 1}") == {"a": 1, "b": {"a": 1}, "c": {"a": 1}}


def test_json_is_read_as_it_is() -> None:
    value = {"a": [1, {"b": None, "c": [True, {}]}, 0.5, "x"], "b": {"a": 1}}
    assert parse_json('{"a": [1, {"b": null, "c": [true, {}]}, 0.5, "x"], "b": {"a": 1}}') == value
    assert type(parse_json("{}")) is dict
    assert parse_json("1e400") == math.inf


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "gate.json"
    for text in ('{"a": "ż"}', '\ufeff{"a": "ż"}'):
        file.write_text(text, encoding="utf-8")
        assert read(file) == '{"a": "ż"}'
        assert read_json(str(file)) == {"a": "ż"}
    file.write_bytes(b'{"a": "\xff"}')
    for path, said in ((file, "it is not UTF-8"), (tmp_path, "Is a directory"), (tmp_path / "x", "No such file or "
                       "directory"), ("a\x00b", "it is not UTF-8")):  # fmt: skip
        with pytest.raises(Unreadable) as refused:
            read(path)
        assert str(refused.value) == f"cannot be read: {said}"
