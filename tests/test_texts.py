"""How texts and lists are cut to a length where people read them."""

from __future__ import annotations

import pytest

from prefect_experiments.display import some
from prefect_experiments.texts import shortened


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", ""),
        ("as long", "as long"),
        ("longer than", "longer…"),
        ("before  a space", "before…"),
        ("👩👩👩👩👩👩👩👩", "👩👩👩👩👩👩…"),
    ],
)
def test_a_text_ends_with_an_ellipsis_where_it_was_cut(text: str, cut: str) -> None:
    assert shortened(text, 7) == cut


def test_of_a_long_list_the_first_are_shown_and_the_others_counted() -> None:
    assert some([]) == ""
    assert some("abcd") == "a, b, c, d"
    assert some("abcde") == "a, b, c, d and 1 more"
    assert some(range(2000), 2) == "0, 1 and 1,998 more"
    asked: list[int] = []
    assert some([1, 2, 3], 2, lambda one: asked.append(one) or repr(one)) == "1, 2 and 1 more"
    assert asked == [1, 2], "texts are made of those alone that are shown"
