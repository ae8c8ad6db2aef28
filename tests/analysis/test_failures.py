"""Which texts of errors say the same."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from prefect_experiments.analysis.failures import gist

ALIKE = [
    ("KeyError: 'a'", "KeyError: 'b c'"),
    ('ValueError: no "x" here', 'ValueError: no "y" here'),
    ("IndexError: row 17 of 200", "IndexError: row 3 of 9"),
    ("TimeoutError: no answer within timeout=0.05 s", "TimeoutError: no answer within timeout=60 s"),
    ("NotFound: 3f9a0c2e-71b8-4d65-9f00-0123456789ab", "NotFound: 00000000-71b8-4d65-9f00-0123456789ac"),
    ("APIError: request req_011CSpQ failed", "APIError: request req_9zz failed"),
    ("RateLimitError: Error code: 429 - limit of 10 reached", "RateLimitError: Error code: 429 - limit of 20 reached"),
]
APART = [
    ("KeyError: 'a'", "ValueError: 'a'"),
    ("ValueError: too long", "ValueError: too short"),
    ("HTTPStatusError: 429", "HTTPStatusError: no answer"),
    ("APIError: Error code: 429", "APIError: Error code: 500"),
    ("APIError: HTTP 404 for it", "APIError: HTTP 503 for it"),
    ("ValueError: it doesn't fit, and that's it", "ValueError: it doesn't work, and that's it"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_texts_that_differ_in_numbers_ids_and_quotes_say_the_same(one: str, other: str) -> None:
    assert gist(one) == gist(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_texts_do_not(one: str, other: str) -> None:
    assert gist(one) != gist(other)


@given(st.text(max_size=300), st.integers(), st.integers())
def test_any_text_has_a_gist_whatever_the_number_behind_it(text: str, one: int, other: int) -> None:
    assert gist(f"{text} n={abs(one)}") == gist(f"{text} n={abs(other)}")
    assert gist("word " * 100_000)
