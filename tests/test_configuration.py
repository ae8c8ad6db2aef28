"""What is said of JSON and YAML that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prefect_experiments.configuration import Unreadable, parse_json, parse_yaml

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
